"""The key bar of the main screen: what matters now, in the order of the bar."""

from typing import NamedTuple

from tokexplore.tui.keys import COMMANDS, Command
from tokexplore.widgets.keybar import KeyHint


class Now(NamedTuple):
    """What the bar depends on."""

    streams: bool
    is_chat: bool


BAR = (
    "step.previous", "row.up", "act.take", "act.play", "act.turn", "act.prompt",
    "act.answer", "step.turn_on", "branch.compare", "view.settings", "branch.list", "row.find",
    "jump.close", "program.quit",
    "program.terms",
)  # fmt: skip
LAST = "program.help"
"""At the right edge."""
KEPT_LONGEST = (
    "program.quit", "step.previous", "act.take", "act.play", "act.turn", "act.prompt", "act.answer",
    "row.up", "branch.compare", "view.settings", "branch.list", "program.terms", "row.find",
    "step.turn_on", "jump.close",
)  # fmt: skip
"""What stays where the line is narrow, the most important first."""
IN_CHATS = frozenset({"act.turn", "act.prompt", "act.answer", "step.turn_on"})
TOGETHER = {
    "step.previous": ("{step.previous:←}{step.next:→}", "step"),
    "row.up": ("{row.up:↑}{row.down:↓}", "candidate"),
    "program.quit": ("{program.quit:q}", "quit"),
    "act.prompt": ("{act.prompt:p}", "edit turns"),
    "act.answer": ("{act.answer:R}", "answer"),
    "step.turn_on": ("{step.turn_back:{}{step.turn_on:}}", "turn"),
}
"""Keys that stand as one, and one that asks to be pressed again."""
_BY_ID: dict[str, Command] = {command.id: command for command in COMMANDS}


def key_hints(now: Now) -> tuple[list[KeyHint], KeyHint]:
    """The hints in their order, and the one at the right edge."""
    shown = (id for id in BAR if now.is_chat or id not in IN_CHATS)
    return [_hint(id, now) for id in shown], _hint(LAST, now)


def _hint(id: str, now: Now) -> KeyHint:
    command = _BY_ID[id]
    key, label = TOGETHER.get(id, (f"{{{id}:{command.shown}}}", command.label))
    if id == "act.play":
        label = "pause" if now.streams else "go on"
    priority = len(BAR) - KEPT_LONGEST.index(id) if id in KEPT_LONGEST else 0
    return KeyHint(key, label, priority, command.action)
