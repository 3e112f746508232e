"""`:`: all commands by name, in Textual's own palette."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from textual import events
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.widgets import Input

from tokexplore.tui.keys import COMMANDS
from tokexplore.tui.screens.dialog import LIST_KEYS
from tokexplore.tui.screens.search_sheet import words_sought

_DESCRIBED = 0.01
"""Score of a command that is found by its description: below those found by name."""


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


class EveryCommand(Provider):
    """Finds commands by their names and by the words of what they do."""

    async def discover(self) -> Hits:
        """All of them."""
        for command in self.app.get_system_commands(self.screen):
            yield DiscoveryHit(command.title, command.callback, help=command.help)

    async def search(self, query: str) -> Hits:
        """Those whose names match, then those whose descriptions hold the words."""
        words = words_sought(query.casefold())
        matcher = self.matcher(" ".join(words))
        for command in self.app.get_system_commands(self.screen):
            score = matcher.match(command.title)
            described = all(word in command.help.casefold() for word in words)
            if score or described:
                shown = matcher.highlight(command.title) if score else command.title
                yield Hit(score or _DESCRIBED, shown, command.callback, help=command.help)


def system_commands(
    run: Callable[[str], None],
    save_tape: Callable[[], None],
    leave: Callable[[], Any],
    shown: Mapping[str, str],
    why_not: Callable[[str], str],
) -> Iterator[SystemCommand]:
    """Everything that a key does, by name.

    Args:
        run: does an action of the main screen.
        shown: the user's own keys, by the ids of their commands.
        why_not: why the engine cannot do an action; empty where it can.
    """
    for command in COMMANDS:
        yield SystemCommand(
            command.label,
            f"{shown.get(command.id, command.shown)}  {why_not(command.action) or command.tooltip}",
            partial(run, command.action),
        )
    yield SystemCommand(
        "save a tape",
        "The keys since the start, or since the last mark (@), as a script to edit and play.",
        save_tape,
    )
    yield SystemCommand(
        "examples",
        "Prompts that show something about sampling, each opened by one key.",
        partial(run, "examples"),
    )
    yield SystemCommand("quit now", "ctrl+q", leave)
