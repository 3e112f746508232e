"""`O`: the sessions that were kept, to open one of them."""

import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from textual.content import Content

from tokexplore.models.display import safe_text
from tokexplore.models.session.listing import ending, size_of
from tokexplore.models.session.paths import all_files, out_of_reach
from tokexplore.models.session.reader import Listed, listed
from tokexplore.tui.screens.picker import Picker
from tokexplore.widgets.cell_text import cut, cut_left, fit
from tokexplore.widgets.char_width import width

BATCH = 40
"""Sessions that are shown together, as soon as they were looked at."""


class SessionPicker(Picker[Path | None, Listed]):
    """The list of `tokexplore sessions`, by the arrows or by words; the present session is kept."""

    title_text = "Sessions"
    hint_text = "⏎ open: the present session is kept · {dialog.cancel:ctrl+g} closes"
    placeholder = "search: model, words, names and notes"
    nothing_found = "no sessions yet"

    def __init__(self, opened: Path | None) -> None:
        super().__init__()
        self._opened = opened
        """The session that is open."""
        self.nothing_found = safe_text(out_of_reach()) or self.nothing_found

    def find(self) -> Iterable[Sequence[Listed]]:
        """The sessions that were kept, the latest first, and last those that hold nothing."""
        sessions, empty = map(listed, all_files()), list[Listed]()
        while batch := list(islice(sessions, BATCH)):
            empty += filter(self._holds_nothing, batch)
            yield [row for row in batch if not self._holds_nothing(row)]
        yield empty

    def _holds_nothing(self, row: Listed) -> bool:
        return row.holds_nothing and row.path != self._opened

    def heading(self, row: Listed) -> str:
        """What those that hold nothing stand under."""
        return "sessions that hold nothing" if self._holds_nothing(row) else ""

    def can_pick(self, row: Listed) -> bool:
        """Whether a session can be opened: the present one's file may not say yet that it is."""
        return not (row.problem or row.live or row.path == self._opened)

    def holds(self, row: Listed, words: Sequence[str]) -> bool:
        """Whether its model, what was said, its names or its file have the words."""
        told = row.summary
        parts = (told.model, told.words, told.asked, told.end, *told.names, row.path.stem)
        text = " ".join(parts).casefold()
        return all(word in text for word in words)

    def line(self, row: Listed) -> Content:
        """A session as it is listed: its model, when, tokens, branches, and what was said last."""
        here = self._opened is not None and row.path == self._opened
        summary, wide = row.summary, self.room >= 100
        if row.problem and not here:
            name = fit(safe_text(row.path.stem), 40 if wide else 24)
            return Content(f"{name} {_problem(row)}")
        how = "this one" if here else ending(row)
        figures = "".join(
            (
                f" {_when(summary.updated or row.created):<6}",
                f" {summary.nodes:>8,}" if summary.nodes else " " * 9,
                f" {fit(f'{summary.branches:,}' if summary.branches else '', 4, 'right')}  ",
                f"[{how}] " if how else "",
            )
        )
        model = fit(safe_text(summary.model), 20 if wide else 12)
        cells = self.room - width(model + figures)
        return Content.assemble((model, "bold"), figures, _said(row, cells))

    def detail(self, row: Listed) -> Content:
        """All figures, its file, and how it begins."""
        summary = row.summary
        if row.problem:
            return Content(f"{cut_left(safe_text(str(row.path)), self.room)}\n{_problem(row)}")
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.updated or row.created))
        branches = f"{summary.branches:,} branch{'es' if summary.branches != 1 else ''}"
        figures = (
            f"{summary.nodes:,} tokens", branches if summary.branches else "",
            f"{size_of(row):,.1f} MB", when, ending(row), safe_text(row.path.stem),
        )  # fmt: skip
        names = f"named {', '.join(map(_one_line, summary.names))} · " if summary.names else ""
        begins = f"{names}begins “{_one_line(summary.words)}”"
        return Content(f"{cut(' · '.join(filter(None, figures)), self.room)}\n{begins}")

    def picked(self, row: Listed) -> None:
        """Hand the session's file over."""
        self.dismiss(row.path)


def _said(row: Listed, cells: int) -> str:
    """The user's last words of a chat, else how a text ends; in older files how it begins."""
    summary = row.summary
    if summary.end and not summary.asked:
        return cut_left(_one_line(summary.end), cells)
    return cut(_one_line(summary.asked or summary.words), cells)


def _problem(row: Listed) -> str:
    """What is wrong with a session, after its name."""
    return safe_text(row.problem.removeprefix(f"{row.path} "))


def _one_line(text: str) -> str:
    return safe_text(" ".join(text.split()))


def _when(moment: float) -> str:
    """The hour of today, the day of this year, else the year."""
    then, now = time.localtime(moment), time.localtime()
    if then[:3] == now[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%d %b" if then.tm_year == now.tm_year else "%Y", then)
