"""The conversation on a path: its turns, and whose words its tokens are."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

import msgspec

from tokexplore.models.api.chat import Chat, Message, PartKind
from tokexplore.models.tree.events import Prompted
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.models.tree.turns import stretches as path_stretches

Pieces = Callable[[int, int], Sequence[str]]
"""What the path's tokens from one index up to another add to its running text."""
SYSTEM = "system"
"""Who speaks before the user, as templates and messages call it."""


class Stretch(NamedTuple):
    """Tokens of a path that stand together: of one message, of one kind."""

    start: int
    stop: int
    message: int
    """Index of the message; -1 for what stands before the first, or is not told apart."""
    role: str
    """Of the message; empty for what the template writes before the first one."""
    kind: PartKind


class Turn(NamedTuple):
    """All stretches of one message."""

    message: int
    role: str
    start: int
    stop: int
    stretches: tuple[Stretch, ...]

    @property
    def words(self) -> list[Stretch]:
        """What is not the template's."""
        return [stretch for stretch in self.stretches if stretch.kind != "template"]

    @property
    def first_word(self) -> int:
        """Index of its first word, or of its first token where all of it is the template's."""
        return self.words[0].start if self.words else self.start


class TurnFigures(NamedTuple):
    """What is known of a turn's words."""

    tokens: int
    """The template's left out."""
    reasoning: int
    """Those of them that were thought and not said."""
    generated: int
    """Those of them that were: not what the answer was begun with."""
    scored: int
    """Words whose logprob is known: of those that were generated, or of all where none was."""
    logprob: float
    """Sum of the model's logprobs (nats) over those."""

    @property
    def given(self) -> bool:
        """Whether none of the words was generated."""
        return not self.generated


def conversation(path: TokenPath) -> list[Turn]:
    """The turns of a path; empty where it is no chat."""
    return turns(stretches(path, path.pieces))


def own_system(path: TokenPath, told: Sequence[Turn]) -> str:
    """What the template has the system say on a path where no message does; empty where nothing."""
    chat, first = path.chat, told[0] if told else None
    if chat is None or first is None or first.role or chat.messages[0].role == SYSTEM:
        return ""
    words = path.words(first.start, first.stop).strip()
    return words.removeprefix(SYSTEM).strip() if words.startswith(SYSTEM) else ""


def turns(found: Sequence[Stretch]) -> list[Turn]:
    """Stretches put together by message."""
    grouped = groupby(found, key=lambda stretch: (stretch.message, stretch.role))
    whole = (((message, role), tuple(group)) for (message, role), group in grouped)
    return [Turn(*who, each[0].start, each[-1].stop, each) for who, each in whole]


def turn_at(found: Sequence[Turn], index: int) -> Turn | None:
    """The turn that a token of the path belongs to, the open end included."""
    at = bisect_right([turn.start for turn in found], index) - 1
    return found[at] if at >= 0 else None


def answer_at(path: TokenPath, cursor: int, *, coming: bool = False) -> int | None:
    """Index of the first generated word of the answer that the cursor is in, or that comes next,
    or that came last; None where nothing is answered.

    Args:
        coming: whether an answer is being generated at the end of the path, which may have no word
            yet.
    """
    told = conversation(path)
    here = turn_at(told, cursor)
    later = [turn for turn in told if here is None or turn.start >= here.start]
    for turn in (*later, *reversed(told)):
        spans = _generated(path, [(one.start, one.stop) for one in turn.words])
        if (first := next(spans, None)) is not None:
            return first[0]
        if coming and turn is told[-1]:
            return path.tree.depth[path.prompts[-1].node]
    return None


def before_given_answer(path: TokenPath, cursor: int) -> Chat | None:
    """The conversation before the answer that the cursor is in or that comes next, where that was
    given whole and is not the one that is open; else None."""
    told, chat = conversation(path), spoken(path)
    here = turn_at(told, cursor)
    later = [turn for turn in told[:-1] if here is not None and turn.start >= here.start]
    answer = next((turn for turn in later if turn.role == "assistant"), None)
    if chat is None or answer is None:
        return None
    if any(_generated(path, [(one.start, one.stop) for one in answer.words])):
        return None
    messages = chat.messages[: answer.message]
    return msgspec.structs.replace(chat, messages=messages, prefill="", prefill_more={})


def figures(path: TokenPath, turn: Turn) -> TurnFigures:
    """What is known of a turn of a path."""
    tree, nodes, words = path.tree, path.nodes, turn.words
    spans = [(one.start, one.stop) for one in words]
    generated = list(_generated(path, spans))
    counted = generated or spans
    logprobs = [tree.logprob[node] for start, stop in counted for node in nodes[start:stop]]
    known = [logprob for logprob in logprobs if not math.isnan(logprob)]
    return TurnFigures(
        tokens=sum(one.stop - one.start for one in words),
        reasoning=sum(one.stop - one.start for one in words if one.kind == "reasoning"),
        generated=sum(stop - start for start, stop in generated),
        scored=len(known),
        logprob=math.fsum(known),
    )


def _generated(path: TokenPath, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The pieces of some spans of the path that are not prompt."""
    pieces = list(path_stretches(path.tree.turns(path.leaf), len(path.nodes)))
    for start, stop in spans:
        for piece in pieces:
            low, high = max(start, piece.start), min(stop, piece.stop)
            if low < high:
                yield low, high


def spoken(path: TokenPath) -> Chat | None:
    """The conversation of a path with all that is said on it; None where it is no chat.

    An answer that is open at its end is the last message.
    """
    chat = path.chat
    if chat is None:
        return None
    number, messages = len(chat.messages), list(chat.messages)
    for turn in conversation(path):
        if turn.message == number and turn.words:
            messages.append(_message(path, turn, chat))
    return msgspec.structs.replace(
        chat, messages=tuple(messages), prefill="", prefill_as="turn", prefill_more={}
    )


def _message(path: TokenPath, turn: Turn, chat: Chat) -> Message:
    """An answer as a message."""
    content, thought = (_text(path, turn, kind) for kind in ("content", "reasoning"))
    more = dict(chat.prefill_more)
    if thought.strip():
        content = content.lstrip("\n")
        more["reasoning_content"] = thought.strip("\n")
    return Message("assistant", content, more)


def said(path: TokenPath, turn: Turn, kind: PartKind) -> tuple[list[int], list[int]]:
    """Indices of what a turn says of one kind, and of what stands after that: special tokens, with
    blanks after them, which end it."""
    spans = [range(one.start, one.stop) for one in turn.stretches if one.kind == kind]
    found = [index for span in spans for index in span]
    end = len(found)
    while end and (is_special(path, found[end - 1]) or not _piece(path, found[end - 1]).strip()):
        end -= 1
    while end < len(found) and not is_special(path, found[end]):
        end += 1
    return found[:end], found[end:]


def is_special(path: TokenPath, index: int) -> bool:
    """Whether a token of a path is a special one."""
    return path.tree.token[path.nodes[index]] in path.vocabulary.special


def _piece(path: TokenPath, index: int) -> str:
    return path.pieces(index, index + 1)[0]


def _text(path: TokenPath, turn: Turn, kind: PartKind) -> str:
    """The running text of what a turn says of one kind.

    What was said past the end of the turn stays as it is, names of special tokens included: that is
    what the template makes the same tokens of again.
    """
    return "".join(_piece(path, index) for index in said(path, turn, kind)[0])


def stretches(path: TokenPath, pieces: Pieces) -> list[Stretch]:
    """Whose the tokens of a path are, from its first to its last; empty for no chat."""
    tree, found = path.tree, list[Stretch]()
    last: Prompted | None = None
    prompts = path.prompts
    if all(prompt.chat is None for prompt in prompts):
        return []
    for prompt in prompts:
        end = tree.depth[prompt.node]
        begin = end - sum(part.tokens for part in prompt.parts)
        if not prompt.parts:
            begin = found[-1].stop if found else 0
        found = _until(found, begin)
        found += _answer(found, last, begin, pieces)
        found += _given(prompt, begin, end)
        found = _without_first_words(found, prompt)
        last = prompt
    end = min(len(path.nodes), _begun(path))
    found += _answer(found, last, end, pieces)
    if end < len(path.nodes):
        found.append(Stretch(end, len(path.nodes), -1, "prompt", "content"))
    return found


def _begun(path: TokenPath) -> int:
    """Index of the first token that was given after an answer and ends no prompt of this path: two
    turns begin with it, and the path ends before they part."""
    given = path.tree.turns(path.leaf)
    told = path.tree.depth[path.prompts[-1].node]
    return given[-1] if given and len(given) % 2 == 0 and given[-1] >= told else len(path.nodes)


def _until(found: Sequence[Stretch], end: int) -> list[Stretch]:
    cut = (stretch._replace(stop=min(stretch.stop, end)) for stretch in found)
    return [stretch for stretch in cut if stretch.start < stretch.stop]


def _without_first_words(found: list[Stretch], prompt: Prompted) -> list[Stretch]:
    """Leave out what an answer was begun with: it is told apart with what follows."""
    last = found[-1] if found else None
    begun = last and prompt.chat and last.message == len(prompt.chat.messages)
    return found[:-1] if last and begun and last.kind == "content" else found


def _given(prompt: Prompted, begin: int, end: int) -> Iterator[Stretch]:
    if not prompt.parts and begin < end:
        yield Stretch(begin, end, -1, "prompt", "content")
    for part in prompt.parts:
        stop = begin + part.tokens
        yield Stretch(begin, stop, part.message, part.role, part.kind)
        begin = stop


def _answer(
    found: Sequence[Stretch], prompt: Prompted | None, stop: int, pieces: Pieces
) -> Iterator[Stretch]:
    """What follows a prompt up to `stop`: the assistant's, its reasoning told apart."""
    start = found[-1].stop if found else 0
    if prompt is None or start >= stop:
        return
    message = len(prompt.chat.messages) if prompt.chat else -1
    marks = prompt.reasoning
    if not all(marks):
        yield Stretch(start, stop, message, "assistant", "content")
        return
    opened = next((one.start for one in found if one.message == message), start)
    before = "".join(pieces(opened, start))
    inside = before.rfind(marks[0]) > before.rfind(marks[1])
    for begin, end, kind in _told_apart(pieces(start, stop), marks, inside=inside):
        yield Stretch(start + begin, start + end, message, "assistant", kind)


def _told_apart(
    pieces: Sequence[str], marks: tuple[str, str], *, inside: bool
) -> Iterator[tuple[int, int, PartKind]]:
    """Tokens of an answer as (start, stop, kind); those of the marks are the template's, with the
    blanks around them."""
    text, at, done = "".join(pieces), 0, 0
    ends = list(accumulate(map(len, pieces))) if any(mark in text for mark in marks) else []
    while (found := text.find(marks[inside], at)) >= 0:
        at = found + len(marks[inside])
        first, last = bisect_right(ends, found), bisect_left(ends, at) + 1
        while first > done and not pieces[first - 1].strip():
            first -= 1
        while last < len(pieces) and not pieces[last].strip():
            last += 1
        if done < first:
            yield done, first, "reasoning" if inside else "content"
        yield max(done, first), last, "template"
        done, inside = last, not inside
    if done < len(pieces):
        yield done, len(pieces), "reasoning" if inside else "content"
