"""`O`: the sessions that were kept, to open one of them."""

import time
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tokexplore.models.display import safe_text
from tokexplore.models.session.listing import ending
from tokexplore.models.session.paths import all_files
from tokexplore.models.session.reader import Listed, listed
from tokexplore.tui.screens.dialog import Dialog
from tokexplore.tui.screens.paged_list import PagedList
from tokexplore.widgets.cell_text import fit

MOST = 200
"""Sessions that are listed; `tokexplore sessions` lists them all."""


class SessionPicker(Dialog[Path | None]):
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
    hint_text = "⏎ open: the present session is kept · q closes"

    def __init__(self, opened: Path | None) -> None:
        super().__init__()
        self._opened = opened
        """The session that is open."""
        self._known: list[Listed] = []

    _looking = True

    @property
    def rows_are_coming(self) -> bool:
        """Whether the list is still empty."""
        return self._looking

    def body(self) -> ComposeResult:
        yield Static(Content.styled("looking…", "$text-muted"), id="looking")
        yield PagedList(markup=False)

    def on_mount(self) -> None:
        """Look for sessions beside the event loop."""
        self.query_one(OptionList).focus()
        self._look()

    @work(thread=True)
    def _look(self) -> None:
        known = [listed(path) for path in all_files()[:MOST]]
        self.app.call_from_thread(self._show, known)

    def _show(self, known: list[Listed]) -> None:
        self._looking = False
        line, options = self.part(Static, "#looking"), self.part(OptionList)
        if line is None or options is None:
            return
        self._known = known
        said = "" if known else "no sessions yet"
        line.update(Content(said))
        options.add_options(
            Option(self._line(one), disabled=not self._can_open(one)) for one in known
        )
        options.focus()

    def _can_open(self, known: Listed) -> bool:
        # The present session's file may not say yet that it is live.
        return not (known.problem or known.live or known.path == self._opened)

    def _line(self, known: Listed) -> Content:
        here = self._opened is not None and known.path == self._opened
        if known.problem and not here:
            name = fit(safe_text(known.path.stem), 40)
            return Content.assemble(name, (safe_text(known.problem), "$text-muted"))
        summary = known.summary
        when = time.strftime("%d %b %H:%M", time.localtime(summary.updated or known.created))
        how = "this one" if here else ending(known)
        return Content.assemble(
            (fit(safe_text(summary.model), 20), "bold"),
            f" {when}  {summary.nodes:>8,}  ",
            (fit(how, 11), "$text-muted"),
            safe_text(" ".join(summary.words.split())),
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Hand the session's file over."""
        self.dismiss(self._known[event.option_index].path)
