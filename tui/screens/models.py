"""`M`: pick another model from what is on this machine."""

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tokexplore.models.catalog.catalog import ModelEntry, list_models
from tokexplore.models.display import safe_text
from tokexplore.models.errors import TokexploreError
from tokexplore.tui.screens.dialog import Dialog
from tokexplore.tui.screens.paged_list import PagedList
from tokexplore.widgets.cell_text import fit
from tokexplore.widgets.numbers import short_count


class ModelPicker(Dialog[str | None]):
    """The list of `tokexplore models`, by the arrows; the present session is kept."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,backspace", "cancel", "close", id="models.close", priority=True)
    ]
    title_text = "Open another model"
    hint_text = "⏎ twice opens: the present session is kept · q closes"

    def __init__(self, directories: tuple[str, ...], opened: str) -> None:
        super().__init__()
        self._directories = directories
        self._opened = opened
        """The model that is open."""
        self._sure: str | None = None
        """The model that was chosen once: twice opens it."""
        self._entries: list[ModelEntry] = []

    _looking = True

    @property
    def rows_are_coming(self) -> bool:
        """Whether the list is still empty."""
        return self._looking

    def body(self) -> ComposeResult:
        yield Static(Content.styled("looking…", "$text-muted"), id="looking")
        yield PagedList(markup=False)

    def on_mount(self) -> None:
        """Look for models beside the event loop."""
        self.query_one(OptionList).focus()
        self._look()

    @work(thread=True)
    def _look(self) -> None:
        try:
            self._entries = list_models(self._directories)
            said = ""
        except TokexploreError as error:
            said = str(error)
        self.app.call_from_thread(self._show, said)

    def _show(self, said: str) -> None:
        self._looking = False
        line, options = self.part(Static, "#looking"), self.part(OptionList)
        if line is None or options is None:
            return
        line.update(Content(safe_text(said)))
        options.add_options(
            Option(_line(entry), disabled=not _usable(entry)) for entry in self._entries
        )
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Hand the model over."""
        entry = self._entries[event.option_index]
        model = entry.name
        if model == self._opened:
            self.app.notify("This model is open.", markup=False)
        elif model == self._sure:
            self.dismiss(model)
        else:
            self._sure = model
            self.app.notify("This session is kept: ⏎ again opens the model.", markup=False)


def _usable(entry: ModelEntry) -> bool:
    return entry.complete and entry.causal is not False


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
