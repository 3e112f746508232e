"""Bars of eighth blocks: a share as a text of a fixed number of cells."""

EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(share: float, width: int) -> str:
    """A bar of `width` cells filled to `share` (0 to 1; outside values are clamped).

    A share above 0 always shows, if only as one eighth of a cell: an empty bar means nothing.
    """
    eighths = min(width * 8, max(0, round(share * width * 8)))
    if share > 0 and width > 0:
        eighths = max(1, eighths)
    full, part = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[part] if part else "")).ljust(width)


def from_middle(share: float, width: int) -> str:
    """A bar of `width` cells that goes from the middle to the right, or for a share below 0 to the
    left; -1 and 1 fill a half. The middle is marked.

    To the left there are half cells only, so that the right is rounded to them too: what is as far
    off looks as far off.
    """
    half = (width - 1) // 2
    if not half:
        return " " * width
    halves = min(2 * half, round(abs(share) * 2 * half))
    right = bar(halves / (2 * half) if share > 0 else 0.0, half)
    full, part = divmod(halves if share < 0 else 0, 2)
    left = ("▐" * part + "█" * full).rjust(half)
    return f"{left}│{right}".ljust(width)
