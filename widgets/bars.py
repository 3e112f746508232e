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
