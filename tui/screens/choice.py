"""One of a few words, in a line."""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message as Told
from textual.widgets import Static


class Choice(Static, can_focus=True):
    """One of a few words; left and right, or space, take another."""

    DEFAULT_CSS = """
    Choice { padding: 0 1; height: 1; background: $panel; }
    Choice:focus { color: $here; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", "another", show=False),
        Binding("left", "turn(-1)", "another", show=False),
    ]

    class Changed(Told):
        """Another word was taken."""

    def __init__(self, name: str, words: Sequence[str], taken: int) -> None:
        super().__init__()
        self._chosen, self._words, self.taken = name, words, taken

    def render(self) -> Content:
        """The word that is taken, and that there are others."""
        return Content(f"{self._chosen} ‹ {self._words[self.taken]} ›")

    def action_turn(self, by: int) -> None:
        """Take the next word, or the one before."""
        self.take((self.taken + by) % len(self._words))

    def take(self, index: int) -> None:
        """Take a word."""
        self.taken = index
        self.refresh()
        self.post_message(self.Changed())
