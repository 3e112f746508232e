"""What is to be said of terminal and sessions when the app starts."""

import os
from collections.abc import Iterable, Iterator
from typing import Literal

import textual

from tokexplore.models.session.paths import all_files
from tokexplore.models.session.reader import listed
from tokexplore.tui.terminal.stdio import warns_of_lost_line

ENDS = {
    "hangup": "when its line was lost",
    "terminated": "by a signal",
    "crashed": "by an error of ours",
}
"""Ends of sessions in words."""

Severity = Literal["information", "warning"]


def start_notices(
    wrong: Iterable[str], opened: str, *, stock_asked: bool, stock_output: bool
) -> Iterator[tuple[str, Severity]]:
    """Sentences, in the order in which they come.

    Args:
        wrong: what of the user's own keys is left out.
        opened: what there is to say of the session that is open; empty for nothing.
        stock_asked: whether Textual's own output was asked for.
        stock_output: whether it is used, asked for or not.
    """
    for problem in wrong:
        yield problem, "warning"
    if warns_of_lost_line(os.environ):
        yield (
            "A line that is lost ends the model, never the session: tokexplore open goes on. "
            "In tmux the model goes on too.",
            "information",
        )
    if opened:
        yield opened, "information"
    if stock_asked:
        yield "Textual's own output, as asked: nothing waits for a slow line.", "information"
    elif stock_output:
        yield (
            f"Textual {textual.__version__} is not the one that our output was tested on: "
            "its own is used, and nothing waits for a slow line.",
            "warning",
        )


def offer_last() -> str:
    """Say so where the latest session that holds something ended without the user's will; else
    empty."""
    sessions = map(listed, all_files())
    session = next((session for session in sessions if not session.holds_nothing), None)
    if session is None or session.problem or session.live or session.ended == "quit":
        return ""
    return (
        f"The last session ended {ENDS.get(session.ended, 'without a sign')} "
        f"({session.summary.nodes:,} tokens, “{session.summary.words}”): O opens it."
    )
