"""The gallery: pick an example by its number."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tokexplore.tui.explore.examples import EXAMPLES
from tokexplore.tui.screens.dialog import Dialog
from tokexplore.tui.screens.paged_list import PagedList


class ExamplePicker(Dialog[int | None]):
    """Digits open an example; so do the arrows and enter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,backspace", "cancel", "close", id="examples.close", priority=True),
        *(
            Binding(str(n), f"pick({n})", "open", id=f"examples.{n}", priority=True)
            for n in range(1, len(EXAMPLES) + 1)
        ),
    ]
    title_text = "Examples"
    hint_text = f"1 to {len(EXAMPLES)}, or ↑↓ ⏎ · {{examples.close:q}} closes"

    def body(self) -> ComposeResult:
        yield PagedList(
            *(
                Option(Content.assemble((f"{number}  ", "bold $here"), example.title))
                for number, example in enumerate(EXAMPLES, 1)
            ),
            markup=False,
        )

    def on_mount(self) -> None:
        """Let the arrows act at once."""
        self.query_one(OptionList).focus()

    def action_pick(self, number: int) -> None:
        """Hand an example over."""
        self.dismiss(number - 1)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Hand an example over."""
        self.dismiss(event.option_index)
