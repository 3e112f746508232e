"""A conversation as fields that can be edited: a turn each, the answer's first words, options."""

import shlex
from collections.abc import Sequence

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Input

from tokexplore.models.api.chat import Chat, Message, PrefillAs
from tokexplore.models.errors import UsageError
from tokexplore.tui.explore.template_arguments import template_arguments
from tokexplore.tui.screens.choice import Choice
from tokexplore.tui.screens.draft import Draft
from tokexplore.tui.screens.field_label import FieldLabel
from tokexplore.tui.screens.typed import Typed, fields_of

ROLES = ("user", "assistant", "tool", "system")
"""Who can speak in a turn that is added."""
PUT_AS: dict[PrefillAs, str] = {
    "turn": "right after the opened turn",
    "content": "as the template writes an answer",
    "reasoning": "as reasoning",
}
PUT = "your words go"
IN_FIELDS = {f"--prefill-as {name}": f"‘{PUT} {words}’" for name, words in PUT_AS.items()} | {
    "give plain text with --prompt": "{editor.chat:ctrl+r} changes to plain text"
}
"""What options of the command line are here, in words that name keys."""
LATER = ("are left out, and stay on their branch", "are sent too")
"""What becomes of the turns after one that was edited."""
OF_AN_ANSWER = "when edited, the model goes on from its end"
"""What becomes of an answer that was edited."""


class Turn(Draft):
    """The words of one turn."""

    def __init__(
        self, role: str, told: Message | None, index: int = -1, placeholder: str = ""
    ) -> None:
        super().__init__(told.content if told else "", placeholder=placeholder)
        self.role, self.told, self.index = role, told, index
        self.unedited = self.text
        """What the field makes of the words that it was given."""
        of_an_answer = OF_AN_ANSWER if told and role == "assistant" else ""
        self.label = FieldLabel(self._title(), self, remark=of_an_answer)

    def _title(self) -> str:
        more = ", ".join(name for name in self.told.more if name != "content") if self.told else ""
        return f"{self.role} (with {more})" if more else self.role

    def next_role(self) -> None:
        """Let the next one speak."""
        at = ROLES.index(self.role) if self.role in ROLES else -1
        self.speak(ROLES[(at + 1) % len(ROLES)])

    def speak(self, role: str) -> None:
        """Let someone speak."""
        self.role = role
        self.label.say(self._title())

    @property
    def is_edited(self) -> bool:
        """Whether the words of a message are others than they were."""
        return self.told is not None and self.text != self.unedited

    @property
    def holds_more(self) -> bool:
        """Whether it says something in other ways than by words, such as by calls."""
        return self.told is not None and not self.is_edited and bool(self.told.more)

    def message(self) -> Message:
        """What is sent: with all that it holds where it says what it said."""
        if self.told is None:
            return Message(self.role, self.text)
        if not self.is_edited:
            return self.told
        more = {name: value for name, value in self.told.more.items() if name != "content"}
        return Message(self.role, self.text, more)


class ChatForm(VerticalScroll, can_focus=False):
    """All turns of a conversation, in order.

    Args:
        chat: what was said.
        options: names that the template asks for.
        at: the message to stand on.
        own_system: what the template has the system say where nothing is said for it.
    """

    DEFAULT_CSS = """
    ChatForm {
        height: auto; scrollbar-gutter: stable;
        & Turn, & Turn:focus, & #prefill, & #prefill:focus {
            height: auto; min-height: 1; max-height: 6; scrollbar-gutter: stable;
        }
    }
    """

    def __init__(
        self,
        chat: Chat,
        *,
        options: Sequence[str] = (),
        at: int | None = None,
        own_system: str = "",
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._chat, self._options, self._at = chat, options, at
        self._initial = typed = fields_of(chat)
        self.turns = [
            Turn(role, chat.messages[index], index)
            if index >= 0
            else Turn(role, None, index, own_system if role == "system" else "")
            for role, _, index in typed.turns
        ]
        """Their fields, in order."""
        self._prefill = Draft(typed.prefill, id="prefill")
        put_as, words = list(PUT_AS), list(PUT_AS.values())
        self._how = Choice(PUT, words, put_as.index(typed.put_as))
        self._later = Choice("turns after an edited one", LATER, int(typed.keeps_later))
        self._later.display = bool(chat.messages)
        self._told = Input(typed.options, id="options", placeholder="NAME=VALUE NAME=VALUE …")

    def compose(self) -> ComposeResult:
        """A label and a field for each turn, then what is told of the answer."""
        for turn in self.turns:
            yield turn.label
            yield turn
        messages = self._chat.messages
        again = bool(messages) and messages[-1].role == "assistant"
        what = "another answer begins" if again else "the assistant begins"
        yield FieldLabel(f"{what} with (optional)", self._prefill)
        yield self._prefill
        yield self._how
        yield self._later
        names = f"it asks for {', '.join(self._options)}" if self._options else "NAME=VALUE"
        yield FieldLabel(f"told to the template ({names})", self._told)
        yield self._told

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Mark the field that is typed into, and bring it into view with its label."""
        self._mark(event.widget)
        self.call_after_refresh(self._show_field, event.widget)

    def on_descendant_blur(self) -> None:
        """Nothing of this form is typed into."""
        self._mark(None)

    def _mark(self, focused: Widget | None) -> None:
        for label in self.query(FieldLabel):
            label.mark(focused)

    def _show_field(self, focused: Widget) -> None:
        label = next((one for one in self.query(FieldLabel) if one.field is focused), None)
        if label is not None:
            both = label.virtual_region.union(focused.virtual_region)
            self.scroll_to_region(both, animate=False)

    async def put(self, typed: Typed) -> None:
        """Let other words stand in the fields; a turn more or less is an added one."""
        for turn, (role, text, _) in zip(self.turns, typed.turns, strict=False):
            turn.speak(role)
            turn.load_text(text)
        self._prefill.load_text(typed.prefill)
        self._told.value = typed.options
        self._how.take(list(PUT_AS).index(typed.put_as))
        self._later.take(int(typed.keeps_later))
        more, self.turns = self.turns[len(typed.turns) :], self.turns[: len(typed.turns)]
        for turn in more:
            await turn.label.remove()
            await turn.remove()
        for role, text, _ in typed.turns[len(self.turns) :]:
            if self.is_attached:  # the editor may be closed meanwhile
                await self._append(role, text)

    async def _append(self, role: str, text: str = "") -> Turn:
        """A turn more at the end."""
        turn, last = Turn(role, None), self.turns[-1]
        turn.load_text(text)
        self.turns.append(turn)
        await self.mount_all([turn.label, turn], after=last)
        return turn

    def stand(self) -> None:
        """Stand where the user is to type: on the turn in view, else on the last of the user's."""
        turns = self.turns
        users = [turn for turn in turns if turn.role == "user"]
        told = (turn for turn in turns if turn.told is not None)
        here = next((turn for turn in told if turn.index == self._at), None)
        (here or (users[-1] if users else self._prefill)).focus()

    async def add_turn(self) -> None:
        """A turn more at the end; in one that was added and is empty, another role."""
        focused, turns = self.screen.focused, self.turns
        if isinstance(focused, Turn) and focused.told is None and not focused.text:
            focused.next_role()
            return
        if self._prefill.text == self._initial.prefill:
            self._prefill.load_text("")  # it began the answer before
        speaks = turns[-1].role
        turn = await self._append("user" if speaks == "assistant" else "assistant")
        turn.focus()

    def take(self, text: str) -> None:
        """Let the user say a text that was typed elsewhere, where nothing is said yet."""
        users = [turn for turn in self.turns if turn.role == "user"]
        if users and not any(turn.text for turn in self.turns):
            users[-1].load_text(text)

    def typed(self) -> Typed:
        """What stands in the fields."""
        return Typed(
            tuple((turn.role, turn.text, turn.index) for turn in self.turns),
            self._prefill.text,
            self._told.value,
            list(PUT_AS)[self._how.taken],
            bool(self._later.taken),
        )

    def sent(self) -> list[Turn]:
        """The turns that are sent: up to the first one that was edited and what is to be answered
        with it, or all."""
        turns, typed = self.turns, self.typed()
        told = max((i for i, turn in enumerate(turns) if turn.told is not None), default=-1)
        edited = next(
            (i for i, t in enumerate(turns[: told + 1]) if t.is_edited or (not t.told and t.text)),
            None,
        )
        if edited is None or typed.keeps_later:
            return turns
        if turns[edited].role == "assistant":
            return turns[: edited + 1]
        later = range(edited + 1, len(turns))
        stop = next((i for i in later if turns[i].role == "assistant"), len(turns))
        return turns[:stop]

    @property
    def answers_again(self) -> bool:
        """Whether the answer at the end is left out, because another is to begin otherwise."""
        last, begins = self.sent()[-1], self._prefill.text != self._initial.prefill
        return begins and last.role == "assistant" and last.told is not None and not last.is_edited

    def chat(self) -> Chat | None:
        """The conversation as it would be sent; None where nothing is asked for.

        Raises:
            UsageError: an option of the template is not NAME=VALUE.
        """
        typed, sent = self.typed(), self.sent()
        messages = [turn.message() for turn in sent if turn.text.strip() or turn.holds_more]
        put_as: PrefillAs = typed.put_as
        prefill, more = typed.prefill, self._chat.prefill_more if typed.prefill else {}
        if self.answers_again:
            messages.pop()
        answers = messages and messages[-1].role == "assistant" and prefill == self._chat.prefill
        if answers and not typed.differs(self._initial):
            return None
        if answers:
            last = messages.pop()
            prefill, more = last.content, last.more
            if more and put_as == self._initial.put_as:
                put_as = "content"  # where the template writes what else the answer holds
        if not messages:
            return None
        try:
            options = template_arguments(shlex.split(typed.options))
        except ValueError as error:
            raise UsageError(f"the template's arguments cannot be read: {error}.") from None
        return msgspec.structs.replace(
            self._chat,
            messages=tuple(messages),
            prefill=prefill,
            prefill_as=put_as,
            prefill_more=more,
            template_args=options,
        )

    def why_nothing(self) -> str:
        """Why there is nothing to send: `chat` is None."""
        emptied = [t for t in self.sent() if t.is_edited and not t.text.strip()]
        if emptied:
            number = self.turns.index(emptied[0]) + 1
            return (
                f"nothing to send: the {emptied[0].role}'s turn ({number} from the top) is empty, "
                "and what follows it is left out: type its words"
            )
        if not self._chat.messages:
            return "nothing to send yet: type what the user says"
        return "nothing to send: edit a turn, or add one"
