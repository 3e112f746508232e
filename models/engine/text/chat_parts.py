"""Which tokens of a rendered conversation are whose: the template's, or words of which message.

The template is rendered once more with stand-ins in the place of all words. What stands between the
stand-ins is the template's own, and has to come back in the real text, words between. Where it does
not (the template makes something else of other words), nothing is told apart.
"""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from typing import Any, NamedTuple

from tokexplore.models.api.chat import REASONING_FIELDS, Chat, ChatPart, PartKind
from tokexplore.models.engine.text.byte_table import added_tokens, split_at_added
from tokexplore.models.engine.text.literal import MARK, unmarked
from tokexplore.models.engine.text.template import Turns, apply
from tokexplore.models.engine.text.text_model import TextModel
from tokexplore.models.engine.text.turn_end import STAND_IN
from tokexplore.models.errors import UsageError

_STAND_IN = re.compile(rf"{STAND_IN}x([0-9]+)x")


class Conversation(NamedTuple):
    """A conversation as the template made a text of it."""

    chat: Chat
    turns: Turns
    """As the template reads them."""
    text: str
    how: dict[str, object]
    """What the template was told besides."""
    prefill: str
    """What stands after what the template wrote, as it is."""


class _Words(NamedTuple):
    """Some words of a message."""

    message: int
    kind: PartKind
    text: str


class _Stretch(NamedTuple):
    """A stretch of the text."""

    text: str
    message: int
    kind: PartKind


class _Stood:
    """Messages with stand-ins in the place of their words, and in that of the blank contents of
    some."""

    def __init__(self, turns: Turns, blank: Collection[int]) -> None:
        self.words: list[_Words] = []
        """By the number of the stand-in."""
        self._blank = blank
        self.turns = [self._turn(index, turn) for index, turn in enumerate(turns)]

    def _put(self, message: int, kind: PartKind, text: str) -> str:
        if not text.strip() and (message not in self._blank or kind != "content"):
            return text
        self.words.append(_Words(message, kind, text))
        return f"{STAND_IN}x{len(self.words) - 1}x"

    def _turn(self, index: int, turn: dict[str, Any]) -> dict[str, Any]:
        stood = dict(turn)
        for field in REASONING_FIELDS:
            if isinstance(turn.get(field), str):
                stood[field] = self._put(index, "reasoning", turn[field])
        content = turn.get("content")
        if isinstance(content, str):
            stood["content"] = self._put(index, "content", content)
        elif isinstance(content, list):
            stood["content"] = [
                part | {"text": self._put(index, "content", part["text"])}
                if isinstance(part, dict) and isinstance(part.get("text"), str)
                else part
                for part in content
            ]
        if isinstance(calls := turn.get("tool_calls"), list):
            stood["tool_calls"] = [self._call(index, call) for call in calls]
        return stood

    def _call(self, index: int, call: Any) -> Any:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            return call
        stood = {
            key: self._leaves(index, value) if key in ("name", "arguments") else value
            for key, value in function.items()
        }
        return call | {"function": stood}

    def _leaves(self, index: int, value: Any) -> Any:
        if isinstance(value, str):
            return self._put(index, "call", value)
        if isinstance(value, dict):
            return {key: self._leaves(index, item) for key, item in value.items()}
        return [self._leaves(index, i) for i in value] if isinstance(value, list) else value


def parts(
    model: TextModel, said: Conversation, ids: Sequence[int], start: int = 0
) -> tuple[ChatPart, ...]:
    """The parts of `ids`, the tokens of the conversation's text from character `start` on.

    Empty where they cannot be told apart.
    """
    stretches = _stretches(model, said)
    edges = _edges(model, said.text, ids, start)
    if stretches is None or edges is None:
        return ()
    unit, begin, spans = edges
    borders = [0, *accumulate(len(unit(stretch.text)) for stretch in stretches)]
    owners = [_owner(stretches, borders, begin + low, begin + high) for low, high in spans]
    roles = [str(turn["role"]) for turn in said.turns]
    roles += ["assistant"] * (len(said.chat.messages) + 1 - len(roles))
    return tuple(
        ChatPart(len(list(group)), message, roles[message] if message >= 0 else "", kind)
        for (message, kind), group in groupby(owners)
    )


def _stretches(model: TextModel, said: Conversation) -> list[_Stretch] | None:
    """The whole text as stretches; None where they cannot be told apart."""
    found = _found(model, said)
    if found is None:
        return None
    stood, own, words, spelled = found
    end = len(said.text) - len(said.prefill)
    tail = said.text[len(own[0]) + sum(map(len, spelled)) + sum(map(len, own[1:-1])) : end]
    closing = _Closing(model, said, stood)
    stretches = list(closing.before(own[0], words[0].message, [*own[1:-1], tail]))
    for index, (word, text) in enumerate(zip(words, spelled, strict=True)):
        stretches.append(_Stretch(text, word.message, word.kind))
        if index + 1 < len(words):
            stretches += closing.between(own[index + 1], word.message, words[index + 1].message)
    answer = len(said.chat.messages)
    last = words[-1].message
    stretches += closing.between(tail, last, max(last, answer)) if tail else ()
    stretches.append(_Stretch(said.prefill, answer, "content"))
    return [stretch for stretch in stretches if stretch.text]


class _Found(NamedTuple):
    """A conversation's words in its text."""

    stood: _Stood
    own: list[str]
    """What the template writes before, between and after the words."""
    words: list[_Words]
    spelled: list[str]
    """The words as the text has them."""


def _found(model: TextModel, said: Conversation) -> _Found | None:
    """The words, those of messages without any too where the template writes their turns.

    Many templates write something else for a message that says nothing, so of such messages only
    those are stood in for with which the text still comes back.
    """
    said_something = {words.message for words in _Stood(said.turns, ()).words}
    silent = [index for index in range(len(said.turns)) if index not in said_something]
    found = _found_with(model, said, silent)
    if found is None and silent:
        kept = [index for index in silent if _found_with(model, said, [index]) is not None]
        found = _found_with(model, said, kept) or _found_with(model, said, ())
    return found


def _found_with(model: TextModel, said: Conversation, blank: Collection[int]) -> _Found | None:
    stood = _Stood(said.turns, blank)
    try:
        marked = apply(model, said.chat, stood.turns, **said.how)
    except UsageError:
        return None
    pieces = _STAND_IN.split(marked)
    own, words = pieces[::2], [stood.words[int(number)] for number in pieces[1::2]]
    spelled = _spelled(said.text, own, words)
    return None if spelled is None or not words else _Found(stood, own, words, spelled)


def _spelled(text: str, own: Sequence[str], words: Sequence[_Words]) -> list[str] | None:
    """The words as the text has them, where all that is the template's own stands between."""
    if not text.startswith(own[0]):
        return None
    at, spelled = len(own[0]), []
    for index, word in enumerate(words):
        after = own[index + 1] if index + 1 < len(words) else ""
        whole = word.text
        forms = (whole, whole.rstrip(), whole.lstrip(), whole.strip(), json.dumps(whole)[1:-1],
                 json.dumps(whole, ensure_ascii=False)[1:-1])  # fmt: skip
        form = next((form for form in forms if text.startswith(form + after, at)), None)
        if form is None:
            return None
        spelled.append(form)
        at += len(form) + len(after)
    return spelled


class _Closing:
    """Where, in what the template writes between the words of two messages, the first one ends.

    After what it writes behind a last message of the user's, where that is what stands there; else
    after the first token that is named there, if that ends a text or a turn or if others follow.
    """

    def __init__(self, model: TextModel, said: Conversation, stood: _Stood) -> None:
        self._model = model
        ids = (*model.eos_ids, *model.turn_ids)
        self._ends = {model.vocabulary.bytes_of(i).decode(errors="replace") for i in ids}
        self._after_user = self._last_closing(said, stood)

    def _last_closing(self, said: Conversation, stood: _Stood) -> str | None:
        """What the template writes after a last message that is not the assistant's."""
        if not stood.turns or stood.turns[-1]["role"] == "assistant":
            return None
        try:
            closed = apply(self._model, said.chat, stood.turns, add_generation_prompt=False)
        except UsageError:
            return None
        return _STAND_IN.split(closed)[-1]

    def _length(self, own: str) -> int:
        """The characters of `own` that close the message before it."""
        if self._after_user is not None and own.startswith(self._after_user):
            if self._after_user:
                return len(self._after_user)
            return self._first_end(own, least=None)
        return self._first_end(own, least=2)

    def _first_end(self, own: str, *, least: int | None) -> int:
        pieces = split_at_added(self._model.tokenizer, own)
        added = added_tokens(self._model.tokenizer)
        named = [i for i, piece in enumerate(pieces) if piece.strip() and piece in added]
        if not named:
            return 0
        first = named[0]
        if pieces[first] not in self._ends and (least is None or len(named) < least):
            return 0
        closed = sum(map(len, pieces[: first + 1]))
        return closed + len(own[closed:]) - len(own[closed:].lstrip())

    def between(self, own: str, message: int, following: int) -> Iterator[_Stretch]:
        """The template's own text between the words of two messages, or of one."""
        at = self._length(own) if following != message else len(own)
        yield _Stretch(own[:at], message, "template")
        yield _Stretch(own[at:], following, "template")

    def before(self, own: str, message: int, later: Sequence[str]) -> Iterator[_Stretch]:
        """The template's own text before the first words: of no message as far as turns end in
        it."""
        closings = {text[: self._length(text)].strip() for text in later} | self._ends
        at = max((own.rfind(end) + len(end) for end in closings if end and end in own), default=0)
        at += len(own[at:]) - len(own[at:].lstrip()) if at else 0
        yield _Stretch(own[:at], -1, "template")
        yield _Stretch(own[at:], message, "template")


def _edges(
    model: TextModel, text: str, ids: Sequence[int], start: int
) -> tuple[Any, int, list[tuple[int, int]]] | None:
    """Where tokens begin and end in the text from `start` on; None where that is not known.

    Returns:
        What a stretch of the text is measured in, the place of `start`, and the tokens' spans.
    """
    if getattr(model.tokenizer, "is_fast", False) and MARK not in text:
        whole = model.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        if len(ids) and list(ids) == whole["input_ids"][-len(ids) :]:
            return str, 0, whole["offset_mapping"][-len(ids) :]
    pieces = [model.vocabulary.bytes_of(i) for i in ids]
    if b"".join(pieces) != _bytes(text[start:]):
        return None
    return _bytes, len(_bytes(text[:start])), list(pairwise((0, *accumulate(map(len, pieces)))))


def _bytes(text: str) -> bytes:
    return unmarked(text).encode()


def _owner(
    stretches: Sequence[_Stretch], borders: Sequence[int], low: int, high: int
) -> tuple[int, PartKind]:
    """Whose a token is that spans so much of the text."""
    touched = [
        stretch
        for stretch, (begin, end) in zip(stretches, pairwise(borders), strict=True)
        if begin < max(high, low + 1) and low < end
    ] or [stretches[-1]]
    words = next((s for s in touched if s.kind != "template"), touched[0])
    return words.message, words.kind
