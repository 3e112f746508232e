"""What of a paste goes into an editor, and what the user should know of the rest."""

from typing import NamedTuple

from textual import events

from tokexplore.tui.terminal.input.key_events import Paste

LARGEST_PASTE, MOST_LINES = 2**19, 20_000
"""Characters and lines that an editor takes at once without a pause that is felt."""


class CheckedPaste(NamedTuple):
    """Whether a paste is taken, and a sentence for each thing that was left out."""

    taken: bool
    warnings: list[str]


def check_paste(event: events.Paste, *, typing: bool, one_line: bool) -> CheckedPaste:
    """Look at a paste before it goes anywhere.

    Args:
        typing: whether there is an editor to take it.
        one_line: whether that editor has one line.
    """
    warnings = _left_out(event) if isinstance(event, Paste) else []
    if not event.text:
        return CheckedPaste(False, warnings)
    lines = len(event.text.splitlines())
    if not typing:
        warnings.append("What is pasted goes into an editor: p opens the prompt, t types here.")
    elif len(event.text) > LARGEST_PASTE or lines > MOST_LINES:
        warnings.append(
            f"This paste has {len(event.text):,} characters in {lines:,} lines, and an editor "
            f"takes {LARGEST_PASTE:,} in {MOST_LINES:,}: it is left out. --prompt-file takes "
            "any text."
        )
    else:
        if lines > 1 and one_line:
            warnings.append(
                f"This field has one line: {lines - 1:,} more of the paste are left out."
            )
        return CheckedPaste(True, warnings)
    return CheckedPaste(False, warnings)


def _left_out(event: Paste) -> list[str]:
    """What of a paste could not be read."""
    _, controls, lost, beyond, whole = event.pasted
    warnings = []
    if beyond:
        warnings.append(f"This paste is too large: {beyond:,} bytes at its end are left out.")
    if controls or lost:
        parts = (
            f"{controls:,} control characters" if controls else "",
            f"{lost:,} bytes outside UTF-8" if lost else "",
        )
        warnings.append(f"Left out of the paste: {' and '.join(filter(None, parts))}.")
    if not whole:
        warnings.append("The end of the paste has not come: ctrl+g ends it.")
    return warnings
