"""What stands in the editor of prompts and chats, and what was left there."""

import json
import shlex
from typing import NamedTuple

from tokexplore.models.api.chat import Chat, PrefillAs

BLANK = (("system", "", -1), ("user", "", -1))


class Typed(NamedTuple):
    """What stands in the fields."""

    turns: tuple[tuple[str, str, int], ...] = BLANK
    """Role and words of each, and the index of the message that it was; -1 for a new one."""
    prefill: str = ""
    options: str = ""
    put_as: PrefillAs = "turn"
    keeps_later: bool = False

    def differs(self, other: "Typed") -> bool:
        """Whether another conversation stands there, or another way of rendering it."""
        return self._replace(keeps_later=other.keeps_later) != other

    def over(self, given: "Typed", now: "Typed") -> "Typed":
        """The same, where the fields that it left as they were given are given other words now."""
        known = len(given.turns)
        here = (*now.turns[:known], *[None] * (known - len(now.turns)))
        both = zip(self.turns, given.turns, here, strict=False)
        kept = [turn for mine, was, theirs in both if (turn := theirs if mine == was else mine)]
        return self._replace(
            turns=(*kept, *now.turns[known:], *self.turns[known:]),
            prefill=now.prefill if self.prefill == given.prefill else self.prefill,
        )


class PromptTyped(NamedTuple):
    """What stands in the editor."""

    form: str
    """`plain`, `chat` (that of the path in view) or `new`."""
    text: str
    chats: dict[str, Typed]
    """By form."""
    literal: bool

    def differs(self, other: "PromptTyped") -> bool:
        """Whether other words stand there, or another way of rendering them."""
        return bool(self.differing(other))

    def differing(self, other: "PromptTyped") -> set[str]:
        """The forms in which they do."""
        both = ((form, typed, other.chats.get(form)) for form, typed in self.chats.items())
        chats = {form for form, typed, theirs in both if theirs and typed.differs(theirs)}
        return chats | ({"plain"} if self.text != other.text else set())


class PromptDraft(NamedTuple):
    """What was left in an editor."""

    typed: PromptTyped
    given: PromptTyped
    """What it began with."""

    def over(self, now: PromptTyped) -> PromptTyped:
        """The same changes to what it would begin with now: an answer may have gone on since."""
        typed, given = self.typed, self.given
        chats = {
            form: chat.over(given.chats[form], now.chats[form])
            if form in given.chats and form in now.chats
            else chat
            for form, chat in typed.chats.items()
        }
        text = now.text if typed.text == given.text else typed.text
        return typed._replace(text=text, chats=chats)


def fields_of(chat: Chat) -> Typed:
    """A conversation as it stands in the fields before anything is typed."""
    turns = [(m.role, m.content, i) for i, m in enumerate(chat.messages)]
    if not turns:
        turns = list(BLANK)
    elif turns[0][0] != "system":
        turns.insert(0, ("system", "", -1))
    options = " ".join(
        shlex.quote(f"{name}={value if isinstance(value, str) else json.dumps(value)}")
        for name, value in chat.template_args.items()
    )
    return Typed(tuple(turns), chat.prefill, options, chat.prefill_as)
