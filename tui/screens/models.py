"""`M`: pick another model: a recent one, one of this machine, or one that is typed."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input

from tokexplore.models.api.options import EMBEDDED, EMBEDDED_TITLE
from tokexplore.models.catalog.choices import RECENT, SERVERS, Choice, Choices, is_path
from tokexplore.models.catalog.footprint import Fit, gb
from tokexplore.models.display import safe_text
from tokexplore.tui.presenters.status import SHORT_DTYPES
from tokexplore.tui.screens.picker import Picker
from tokexplore.widgets.cell_text import cut_left, fit
from tokexplore.widgets.numbers import short_count

_MOST_PROBLEMS = 3
_FIGURES, _SAID = 27, 18
"""Cells of a row's figures, and at least of what is said of it after them."""


class ModelPicker(Picker[Choice | None, Choice]):
    """Models by the arrows or by name; the present session is kept.

    Args:
        choices: finds them.
        opened: the model that is open.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *Picker.BINDINGS,
        Binding(
            "tab", "complete", "completes", priority=True, id="models.complete",
            tooltip="Write the row's name into the line: → at its end does too.",
        ),
        Binding("right", "right", "completes", priority=True, show=False, id="models.right"),
    ]  # fmt: skip
    title_text = "Open another model: the present session is kept"
    hint_text = "⏎ twice opens · {models.complete:tab} completes · {dialog.cancel:ctrl+g} closes"
    placeholder = "search, or a path (~/models/…), a hub id (owner/name), http://HOST:PORT"
    nothing_found = "no models"
    not_matching = (
        "No model here has all of these words. A path begins with /, ./ or ~, a hub id is "
        "owner/name, a server http://…"
    )

    def __init__(self, choices: Choices, opened: str) -> None:
        super().__init__()
        self._choices, self._opened = choices, opened
        self._sure: str | None = None
        """The model that was chosen once: twice opens it."""

    def find(self) -> Iterable[Sequence[Choice]]:
        """The models of this machine."""
        return self._choices.here()

    def on_picker_found(self, found: Picker.Found) -> None:
        """Say what is wrong with the names of servers; their rows are added beside."""
        wrong = [row.problem for row in found.rows if row.section == SERVERS and row.problem]
        for problem in wrong[:_MOST_PROBLEMS]:
            self.app.notify(safe_text(problem), severity="warning", markup=False)

    async def matching(self, text: str) -> Sequence[Choice]:
        """Models that are here by their names, and what a path or a hub id stands for."""
        typed = await asyncio.to_thread(self._choices.typed, text.strip())
        if is_path(text):
            return typed
        words = text.casefold().split()
        here = [row for row in self._rows if row.holds(words)]
        here.sort(key=lambda row: row.name != text.strip())  # what was completed comes first
        models = {row.model for row in here}
        return here + [row for row in typed if row.model not in models]

    def heading(self, row: Choice) -> str:
        """Where it was found."""
        return row.section

    def line(self, row: Choice) -> Content:
        """A model as it is listed."""
        cells = max(16, min(44, self.room - _FIGURES - _SAID))
        shown, entry = fit(cut_left(_short(row), cells), cells), row.entry
        if entry is None:
            return Content.assemble((shown, "bold"), f" {_about(row, self._opened)}")
        size = short_count(entry.parameters) if entry.parameters is not None else "?"
        dtype = fit(safe_text(SHORT_DTYPES.get(entry.dtype, entry.dtype) or "?"), 4)
        return Content.assemble(
            (shown, "bold"),
            f" {size:>6} {dtype} {gb(entry.disk_bytes):>7} ",
            f"{'chat' if entry.chat_template else '':<6}{_about(row, self._opened)}",
        )

    def detail(self, row: Choice) -> Content:
        """Its whole name, and all that is said of it."""
        entry = row.entry
        if entry is None:
            about = "a folder: ⏎ goes into it" if row.is_folder else _about(row, self._opened)
            return Content(f"{cut_left(safe_text(row.name), self.room)}\n{about}")
        more = [entry.name, entry.revision[:8], entry.family]
        said = [_about(row, self._opened)] if row.refusal else [entry.fit.words()]
        said += [] if row.refusal else _memory(entry.fit)
        first, second = (" · ".join(filter(None, each)) for each in (more, said))
        return Content(f"{cut_left(safe_text(first), self.room)}\n{second}")

    def action_complete(self) -> None:
        """Write the row's name into the line."""
        row, line = self.row, self.query_one(Input)
        if row is not None and row.name.isprintable():
            line.value = row.name
            line.cursor_position = len(row.name)

    def action_right(self) -> None:
        """Move on in the line; at its end as `complete`."""
        line = self.query_one(Input)
        if line.cursor_position < len(line.value):
            line.action_cursor_right()
        else:
            self.action_complete()

    def picked(self, row: Choice) -> None:
        """Hand the model over, or say why it cannot be opened; a folder is gone into."""
        if row.is_folder:
            self.action_complete()
        elif row.refusal:
            self.app.notify(safe_text(row.refusal), severity="warning", markup=False)
        elif row.model == self._opened:
            self.app.notify("This model is open.", markup=False)
        elif row.model == self._sure:
            self.dismiss(row)
        else:
            self._sure = row.model
            self.app.notify("This session is kept: ⏎ again opens the model.", markup=False)


class SecondPicker(ModelPicker):
    """The same for a second model, which is loaded beside the one that is open."""

    title_text = "A second model that reads along: what would it say?"
    hint_text = "⏎ loads it · {models.complete:tab} completes · {dialog.cancel:ctrl+g} closes"

    def picked(self, row: Choice) -> None:
        """Hand the model over, or say why it cannot be one."""
        if row.is_folder:
            self.action_complete()
        elif row.refusal:
            self.app.notify(safe_text(row.refusal), severity="warning", markup=False)
        elif row.model == self._opened:
            self.app.notify(
                "This model is open: start with --against-dtype to hold it against itself in "
                "another dtype.",
                markup=False,
            )
        else:
            self.dismiss(row)


def _memory(fit: Fit) -> list[str]:
    """What of a model's memory is known, beside whether it fits."""
    if not fit.is_known:
        return []
    context = [f"context {fit.context:,} tokens"] if fit.context else []
    return [*context, *([f"needs {gb(fit.needed)}, {gb(fit.free)} free"] if fit.fits else [])]


def _about(row: Choice, opened: str) -> str:
    """What matters most of a row, in a few words."""
    if row.model == opened:
        return "open"
    if row.is_folder:
        return "folder"
    if row.entry is None:
        if row.server:
            return f"on a server: {safe_text(row.model)}"
        away = "on a server" if row.is_server else "not on this machine: it would be downloaded"
        return safe_text(row.problem) or away
    if row.comes_from_hub:
        return "not whole: the rest would be downloaded"
    if row.entry.adapter_of and not row.entry.refusal:
        return f"{row.entry.family} of {safe_text(row.entry.adapter_of)}"
    return safe_text(row.entry.refusal) or row.entry.fit.words()


def _short(row: Choice) -> str:
    """A row's name under its heading, which says of most where they are."""
    directory = row.entry is not None and row.entry.origin == "directory"
    if row.is_folder or (directory and row.section != RECENT):
        return safe_text(Path(row.name).name + "/" * row.is_folder)
    return f"{EMBEDDED_TITLE} ({EMBEDDED})" if row.name == EMBEDDED else safe_text(row.name)
