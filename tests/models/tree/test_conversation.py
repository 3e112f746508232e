"""Whose the tokens of a path are: turns, reasoning that is generated, figures, what is shared."""

import math

import pytest

from tokexplore.models.api.chat import Chat, ChatPart, Message, PartKind
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.conversation import (
    answer_at,
    conversation,
    figures,
    spoken,
    turn_at,
)
from tokexplore.models.tree.events import Prompted
from tokexplore.models.tree.going_on import shared
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT

TEXTS = (
    "<s>",
    "user:",
    "bot:",
    "<e>",
    " who",
    " why",
    " hm",
    " yes",
    "<thi",
    "nk>",
    "</think>",
    "\n",
)
VOCABULARY = Vocabulary.pack([text.encode() for text in TEXTS], [0, 3], len(TEXTS))
THINK = ("<think>", "</think>")


def ids(*texts: str) -> list[int]:
    return [TEXTS.index(text) for text in texts]


def parts(*told: tuple[int, int, str, PartKind]) -> tuple[ChatPart, ...]:
    return tuple(ChatPart(*one) for one in told)


class Talk:
    """A tree that a conversation is put into."""

    def __init__(self, reasoning: tuple[str, str] = ("", "")) -> None:
        self.tree, self.leaf, self.reasoning = TokenTree(), ROOT, reasoning

    def give(self, texts: list[str], chat: Chat, told: tuple[ChatPart, ...]) -> None:
        for token in ids(*texts):
            self.leaf = self.tree.take(self.leaf, token, "prompt")
        self.tree.append(Prompted(self.leaf, "chat", chat, told, self.reasoning))

    def answer(self, *texts: str, logprob: float | None = None) -> None:
        for token in ids(*texts):
            self.leaf = self.tree.take(self.leaf, token, "sampled", logprob=logprob, rank=1)

    @property
    def path(self) -> TokenPath:
        return TokenPath(self.tree, VOCABULARY, self.tree.path(self.leaf))

    def stretches(self) -> list[tuple[int, str, PartKind, str]]:
        path = self.path
        return [
            (one.message, one.role, one.kind, "".join(path.pieces(one.start, one.stop)))
            for turn in conversation(path)
            for one in turn.stretches
        ]


FIRST = Chat((Message("user", " who"),))
FIRST_PARTS = parts(
    (1, -1, "", "template"), (1, 0, "user", "template"), (1, 0, "user", "content"),
    (1, 1, "assistant", "template"),
)  # fmt: skip
NEXT_PARTS = parts(
    (1, 1, "assistant", "template"), (1, 2, "user", "template"), (1, 2, "user", "content"),
    (1, 3, "assistant", "template"),
)  # fmt: skip


def begun(reasoning: tuple[str, str] = ("", "")) -> Talk:
    talk = Talk(reasoning)
    talk.give(["<s>", "user:", " who", "bot:"], FIRST, FIRST_PARTS)
    return talk


def gone_on(talk: Talk) -> Talk:
    """The user's second turn, after whatever was answered."""
    chat = spoken(talk.path)
    assert chat is not None
    chat = Chat((*chat.messages, Message("user", " why")))
    talk.give(["<e>", "user:", " why", "bot:"], chat, NEXT_PARTS)
    return talk


def test_what_follows_a_prompt_is_the_assistants_turn() -> None:
    talk = begun()
    talk.answer(" yes", " hm")
    assert talk.stretches() == [
        (-1, "", "template", "<s>"),
        (0, "user", "template", "user:"),
        (0, "user", "content", " who"),
        (1, "assistant", "template", "bot:"),
        (1, "assistant", "content", " yes hm"),
    ]
    assert spoken(talk.path) == Chat((*FIRST.messages, Message("assistant", " yes hm")))


def test_turns_follow_each_other() -> None:
    talk = begun()
    talk.answer(" yes")
    gone_on(talk).answer(" hm")
    turns = conversation(talk.path)
    assert [(turn.message, turn.role) for turn in turns] == [
        (-1, ""), (0, "user"), (1, "assistant"), (2, "user"), (3, "assistant")
    ]  # fmt: skip
    assert [turn.start for turn in turns] == [0, 1, 3, 6, 8]
    assert turn_at(turns, 5) == turns[2]
    assert turn_at(turns, 99) == turns[-1]
    chat = spoken(talk.path)
    assert chat is not None
    assert [m.content for m in chat.messages] == [" who", " yes", " why", " hm"]


@pytest.mark.parametrize("opened", [False, True])
def test_reasoning_is_told_apart_from_the_answer_as_it_is_generated(opened: bool) -> None:
    talk = Talk(THINK)
    opening = ["<thi", "nk>"] if opened else []
    told = (*FIRST_PARTS[:-1], ChatPart(1 + len(opening), 1, "assistant", "template"))
    talk.give(["<s>", "user:", " who", "bot:", *opening], FIRST, told)
    if not opened:
        talk.answer("<thi")
        assert talk.stretches()[-1] == (1, "assistant", "content", "<thi"), "no mark yet"
        talk.answer("nk>")
        assert talk.stretches()[-1] == (1, "assistant", "template", "<think>")
    talk.answer(" hm", " who")
    assert talk.stretches()[-1] == (1, "assistant", "reasoning", " hm who")
    talk.answer("</think>", "\n", " yes")
    assert [one[2:] for one in talk.stretches()[-3:]] == [
        ("reasoning", " hm who"), ("template", "</think>\n"), ("content", " yes")
    ]  # fmt: skip
    chat = spoken(talk.path)
    assert chat is not None
    assert chat.messages[-1] == Message("assistant", " yes", {"reasoning_content": " hm who"})
    assert figures(talk.path, conversation(talk.path)[-1]).reasoning == 2


def test_what_a_turn_begins_with_that_the_path_does_not_hold_is_no_part_of_the_answer() -> None:
    talk = begun()
    talk.answer(" yes")
    said = spoken(talk.path)
    gone_on(talk)
    talk.leaf = talk.tree.path(talk.leaf)[6]
    assert talk.stretches()[-2:] == [
        (1, "assistant", "content", " yes"),
        (-1, "prompt", "content", "<e>user:"),
    ]
    assert spoken(talk.path) == said


def test_figures_are_of_words_alone() -> None:
    talk = begun()
    talk.answer(" yes", " hm", logprob=-0.5)
    user, answer = conversation(talk.path)[1:]
    assert figures(talk.path, user).scored == 0
    node = talk.path.nodes[2]
    talk.tree.append(_scored(node, -2.0))
    known = figures(talk.path, user)
    assert (known.given, known.tokens, known.logprob, known.scored) == (True, 1, -2.0, 1)
    told = figures(talk.path, answer)
    assert (told.given, told.tokens, told.generated, told.scored) == (False, 2, 2, 2)
    assert math.isclose(told.logprob, -1.0)


def _scored(node: int, logprob: float) -> object:
    from tokexplore.models.tree.events import Scored

    return Scored(node, logprob, 1)


def test_a_conversation_goes_on_from_the_last_answer_that_both_have() -> None:
    talk = begun()
    talk.answer(" yes")
    gone_on(talk).answer(" hm")
    path = talk.path
    told = spoken(path)
    assert told is not None
    assert shared(path, told) == (4, 10), "a second turn of the assistant's follows it too"
    more = Chat((*told.messages, Message("user", " who")))
    assert shared(path, more) == (4, 10)
    other = Chat((*told.messages[:2], Message("user", " hm")))
    assert shared(path, other) == (2, 5)
    edited = Chat((Message("user", " hm"), *told.messages[1:]))
    assert shared(path, edited) == (0, 0)
    assert shared(path, Chat(more.messages, template_args={"a": 1})) == (0, 0)
    assert shared(TokenPath(TokenTree(), VOCABULARY, []), more) == (0, 0)


def test_the_answer_that_is_meant_is_here_or_next_or_the_last() -> None:
    talk = begun()
    assert answer_at(talk.path, 0) is None
    talk.answer(" yes")
    gone_on(talk).answer(" hm", " hm")
    assert [answer_at(talk.path, at) for at in (0, 2, 4, 6, 8, 9, 11)] == [4, 4, 4, 9, 9, 9, 9]


def test_the_answer_that_is_coming_begins_where_its_prompt_ends() -> None:
    talk = begun()
    assert answer_at(talk.path, 4, coming=True) == 4
    talk.answer(" yes")
    gone_on(talk)
    assert [answer_at(talk.path, at, coming=True) for at in (4, 6, 9)] == [4, 9, 9]
    assert answer_at(talk.path, 9) == 4
    assert answer_at(TokenPath(TokenTree(), VOCABULARY, []), 0, coming=True) is None


def test_a_chat_whose_parts_are_not_known_has_its_answers_all_the_same() -> None:
    talk = Talk()
    talk.give(["<s>", "user:", " who", "bot:"], FIRST, ())
    talk.answer(" yes")
    assert talk.stretches() == [
        (-1, "prompt", "content", "<s>user: whobot:"),
        (1, "assistant", "content", " yes"),
    ]


def test_plain_text_is_no_conversation() -> None:
    talk = Talk()
    leaf = talk.tree.take(ROOT, 4, "prompt")
    talk.tree.append(Prompted(leaf, "text"))
    talk.leaf = leaf
    talk.answer(" yes")
    assert conversation(talk.path) == []
    assert spoken(talk.path) is None


def test_parts_that_are_longer_than_their_prompt_are_refused() -> None:
    talk = Talk()
    with pytest.raises(ValueError, match="longer than it"):
        talk.give(["<s>"], FIRST, FIRST_PARTS)
