"""`M`: pick another model from what is on this machine."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from tokexplore.models.catalog.catalog import ModelEntry, list_models
from tokexplore.models.display import safe_text
from tokexplore.tui.screens.picker import Picker
from tokexplore.widgets.cell_text import fit
from tokexplore.widgets.numbers import short_count


class ModelPicker(Picker[str | None, ModelEntry]):
    """The list of `tokexplore models`, by the arrows; the present session is kept."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,backspace", "cancel", "close", id="models.close", priority=True)
    ]
    title_text = "Open another model"
    hint_text = "⏎ twice opens: the present session is kept · {models.close:q} closes"

    def __init__(self, directories: tuple[str, ...], opened: str) -> None:
        super().__init__()
        self._directories = directories
        self._opened = opened
        """The model that is open."""
        self._sure: str | None = None
        """The model that was chosen once: twice opens it."""

    def find(self) -> Sequence[ModelEntry]:
        """The models of this machine."""
        return list_models(self._directories)

    def line(self, row: ModelEntry) -> Content:
        """A model as it is listed."""
        return _line(row)

    def can_pick(self, row: ModelEntry) -> bool:
        """Whether a model can be opened."""
        return row.complete and row.causal is not False

    def picked(self, row: ModelEntry) -> None:
        """Hand the model over."""
        model = row.name
        if model == self._opened:
            self.app.notify("This model is open.", markup=False)
        elif model == self._sure:
            self.dismiss(model)
        else:
            self._sure = model
            self.app.notify("This session is kept: ⏎ again opens the model.", markup=False)


def _line(entry: ModelEntry) -> Content:
    size = short_count(entry.parameters) if entry.parameters is not None else "?"
    notes = [safe_text(problem) for problem in entry.problems]
    if entry.causal is False:
        notes.append("no causal language model")
    if not entry.fits:
        notes.append("more than the free memory")
    if entry.chat_template:
        notes.append("chat")
    return Content.assemble(
        (fit(safe_text(entry.name), 28), "bold"),
        f"{size:>7}  {entry.dtype:<9}{entry.disk_bytes / 1e9:>8.2f} GB  ",
        (", ".join(notes), "$text-muted"),
    )
