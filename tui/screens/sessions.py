"""`O`: the sessions that were kept, to open one of them."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from tokexplore.models.display import safe_text
from tokexplore.models.session.listing import ending
from tokexplore.models.session.paths import all_files
from tokexplore.models.session.reader import Listed, listed
from tokexplore.tui.screens.picker import Picker
from tokexplore.widgets.cell_text import fit

MOST = 200
"""Sessions that are listed; `tokexplore sessions` lists them all."""


class SessionPicker(Picker[Path | None, Listed]):
    """The list of `tokexplore sessions`, by the arrows; the present session is kept."""

    DEFAULT_CSS = """
    SessionPicker {
        & > .dialog--box { width: 96%; max-width: 140; }
        & OptionList, & OptionList:focus { max-height: 20; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,backspace", "cancel", "close", id="sessions.close", priority=True)
    ]
    title_text = "Sessions"
    hint_text = "⏎ open: the present session is kept · {sessions.close:q} closes"
    nothing_found = "no sessions yet"

    def __init__(self, opened: Path | None) -> None:
        super().__init__()
        self._opened = opened
        """The session that is open."""

    def find(self) -> Sequence[Listed]:
        """The sessions that were kept, the latest first."""
        return [listed(path) for path in all_files()[:MOST]]

    def can_pick(self, row: Listed) -> bool:
        """Whether a session can be opened: the present one's file may not say yet that it is."""
        return not (row.problem or row.live or row.path == self._opened)

    def line(self, row: Listed) -> Content:
        """A session as it is listed."""
        here = self._opened is not None and row.path == self._opened
        if row.problem and not here:
            name = fit(safe_text(row.path.stem), 40)
            return Content.assemble(name, (safe_text(row.problem), "$text-muted"))
        summary = row.summary
        when = time.strftime("%d %b %H:%M", time.localtime(summary.updated or row.created))
        how = "this one" if here else ending(row)
        return Content.assemble(
            (fit(safe_text(summary.model), 20), "bold"),
            f" {when}  {summary.nodes:>8,}  ",
            (fit(how, 11), "$text-muted"),
            safe_text(" ".join(summary.words.split())),
        )

    def picked(self, row: Listed) -> None:
        """Hand the session's file over."""
        self.dismiss(row.path)
