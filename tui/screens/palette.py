"""`:`: all commands by name, in Textual's own palette."""

from contextlib import suppress
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.widgets import Input

from tokexplore.tui.screens.dialog import LIST_KEYS


class Palette(CommandPalette):
    """Waits for what a key is for: the line to type on, the commands that were found."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+g", "escape", "close", id="palette.close", priority=True, show=False)
    ]

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether the line, or the list that a key is for, is not there yet."""
        if self.focused is None:
            for line in self.query(Input):  # it has none where the terminal lost it meanwhile
                line.focus()
            return True
        looks = any(work.node is self and not work.is_finished for work in self.workers)
        return looks and getattr(event, "key", "") in LIST_KEYS

    def _action_command_list(self, action: str) -> None:
        with suppress(KeyError):  # a page up or down in a list that is not laid out yet
            super()._action_command_list(action)
