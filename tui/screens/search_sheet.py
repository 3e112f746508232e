"""Lines to read that can be searched: what is typed leaves those that have all of its words."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from tokexplore.tui.screens.dialog import Dialog

_WIDEST, _EDGES, _NARROWEST = 100, 6, 20
"""Cells of a dialog at most, those of its edges, and those that any text has."""
_OTHERS = 12
"""Rows of the screen that are not those of the lines."""


class SheetLine(NamedTuple):
    """Something to read."""

    name: Content
    column: int
    """Cells of the column of names; a longer one has a line of its own."""
    says: str
    keys: tuple[str, ...] = ()
    """Found too where one of them is typed, as a keyboard has it."""

    def drawn(self, columns: int) -> Content:
        """The name, and beside it what it says, in lines of so many cells."""
        name, indent = self.name, " " * self.column
        blank = self.column - name.cell_length
        name = name + " " * blank if blank >= 0 else name + f"\n{indent}"
        text = wrap(self.says, max(_NARROWEST, columns - self.column))
        return Content.assemble(name, (f"\n{indent}".join(text), "$text-muted"))


def words_sought(text: str) -> list[str]:
    """The words of a search; a `/` before them is the habit of beginning one with it, and
    lets a key that acts everywhere be typed."""
    text = text.strip()
    return (text[1:] if len(text) > 1 and text.startswith("/") else text).split()


class SearchLine(Input):
    """Text that is searched; empty, it leaves to the screen the keys that act everywhere."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether a key is text here."""
        return not self._acts(key) and super().check_consume_key(key, character)

    def _acts(self, key: str) -> bool:
        bound = self.screen._bindings.key_to_bindings
        return not self.value and key in bound

    async def _on_key(self, event: events.Key) -> None:
        if self._acts(event.key):
            event.prevent_default()


class SearchSheet(Dialog[None]):
    """Lines under headings, of which a search leaves some.

    Args:
        sections: lines by heading.
        found: more of them that are shown only where a search finds them.
    """

    DEFAULT_CSS = """
    SearchSheet VerticalScroll { margin-top: 1; scrollbar-gutter: stable; }
    SearchSheet VerticalScroll Static { text-wrap: wrap; text-overflow: clip; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll(-1)", "up", id="search.up", priority=True),
        Binding("down", "scroll(1)", "down", id="search.down", priority=True),
        Binding("pageup", "scroll_page(-1)", "page up", id="search.page_up", priority=True),
        Binding("pagedown", "scroll_page(1)", "page down", id="search.page_down", priority=True),
        Binding("enter", "cancel", "close", id="search.done", priority=True),
        Binding("q,backspace", "close_unsearched", "close", id="search.close", priority=True),
    ]
    hint_text = (
        "type to search · {search.up:↑}{search.down:↓} scroll · {search.done:⏎} closes, "
        "and {search.close:q} while nothing is typed"
    )
    placeholder = "words to search for, or a key"
    nothing_found = "No line here has all of these words."

    def __init__(
        self,
        title: str,
        sections: Mapping[str, Sequence[SheetLine]],
        found: Mapping[str, Sequence[SheetLine]] | None = None,
    ) -> None:
        super().__init__()
        self.title_text, self._sections, self._found = title, sections, found or {}

    def body(self) -> ComposeResult:
        yield SearchLine(placeholder=self.placeholder)
        with VerticalScroll() as scroll:
            scroll.styles.height = max(4, self.app.size.height - _OTHERS)
            yield Static(self.text(columns=self._columns))

    def on_mount(self) -> None:
        """Let what is typed be searched at once."""
        self.query_one(VerticalScroll).can_focus = False
        self.query_one(SearchLine).focus()

    @property
    def _columns(self) -> int:
        return min(_WIDEST, self.app.size.width * 9 // 10) - _EDGES

    def text(self, sought: str = "", columns: int = _WIDEST) -> Content:
        """The lines that have all words of a text, under their headings, in so many cells."""
        words = words_sought(sought)
        sections = {**self._sections, **self._found} if words else self._sections
        shown = []
        for heading, lines in sections.items():
            if left := [line.drawn(columns) for line in lines if _has(line, heading, words)]:
                shown += [Content.styled(heading, "bold $here"), *left, Content("")]
        if not shown:
            return Content.styled(self.nothing_found, "$text-muted")
        return Content("\n").join(shown[:-1])

    def on_resize(self) -> None:
        """Break the lines anew."""
        self._show()

    def _show(self) -> None:
        if line := self.part(SearchLine):
            text = self.text(line.value, self._columns)
            self.query_one(VerticalScroll).query_one(Static).update(text)

    def on_input_changed(self) -> None:
        """Show what is found, from its first line on."""
        self._show()
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that are text close only while nothing is typed."""
        del parameters
        line = self.part(SearchLine)
        return not (action == "close_unsearched" and line is not None and line.value)

    def action_close_unsearched(self) -> None:
        """Close."""
        self.action_cancel()

    def action_scroll(self, rows: int) -> None:
        """Scroll by a row."""
        self.query_one(VerticalScroll).scroll_relative(y=rows, animate=False)

    def action_scroll_page(self, pages: int) -> None:
        """Scroll by a page."""
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_relative(y=pages * max(1, scroll.size.height - 1), animate=False)


def _has(line: SheetLine, heading: str, words: Sequence[str]) -> bool:
    text = f"{heading} {line.name.plain} {line.says}".casefold()
    return all(word in line.keys or word.casefold() in text for word in words)
