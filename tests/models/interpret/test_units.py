"""Turns, sentences, words and tokens of a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.api.chat import ChatPart
from tokexplore.models.interpret.units import Unit, UnitKind, cut, inside, turns


def texts(kind: UnitKind, pieces: list[str]) -> list[str]:
    return ["".join(pieces[u.start : u.end]) for u in cut(kind, 0, len(pieces), pieces)]


@pytest.mark.parametrize(
    ("pieces", "sentences"),
    [
        (["A", " cat", ".", " It", " ran", "."], ["A cat.", " It ran."]),
        (["Why", "?", " No", "!", " So", "…", " on"], ["Why?", " No!", " So…", " on"]),
        (['"', "Go", '."', " She", " went"], ['"Go."', " She went"]),
        (["(", "See", " there", ".)", " Yes"], ["(See there.)", " Yes"]),
        (["3", ".", "14", " is", " pi"], ["3.14 is pi"]),
        (["one", "\n", "two", "\n\n", "three"], ["one\n", "two\n\n", "three"]),
        (["one", "\ntwo"], ["one", "\ntwo"]),
        (["end", ".", " ", " ", "Next"], ["end.  ", "Next"]),
        (["好", "。", "再", "见", "。"], ["好。", "再见。"]),
        (["no", " stop", " here"], ["no stop here"]),
        (["end", ".\n", "Next"], ["end.\n", "Next"]),
    ],
)
def test_sentences(pieces: list[str], sentences: list[str]) -> None:
    assert texts("sentence", pieces) == sentences


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (["The", " cat", " s", "at", "."], ["The", " cat", " sat."]),
        (["a", " ", " ", "b"], ["a", "  b"]),
        (["one", "\n", "two"], ["one", "\ntwo"]),
        (["one ", "two"], ["one ", "two"]),
        (["中", "文", "模型", "x", "y"], ["中", "文", "模型xy"]),
        (["", "", "你", " x"], ["你", " x"]),
        (["a", "", "", "b", " c"], ["ab", " c"]),
    ],
)
def test_words(pieces: list[str], words: list[str]) -> None:
    assert texts("word", pieces) == words


def test_the_first_bytes_of_a_character_belong_to_its_own_word() -> None:
    pieces = ["法", "", "国", "。", "", "", "再", " x", "", "é", ""]
    words = [(0, 1), (1, 3), (3, 4), (4, 7), (7, 11)]
    assert [(u.start, u.end) for u in cut("word", 0, 11, pieces)] == words
    sentences = [(0, 4), (4, 11)]
    assert [(u.start, u.end) for u in cut("sentence", 0, 11, pieces)] == sentences


def test_tokens_are_what_they_are() -> None:
    assert cut("token", 2, 5, list("abcdef")) == [Unit("token", at, at + 1) for at in (2, 3, 4)]


PIECES = st.lists(st.text(alphabet="ab .!?\n\"'。中\u0301", max_size=3), min_size=1, max_size=30)


@given(PIECES, st.data())
def test_all_kinds_cut_a_stretch_without_a_gap(pieces: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(pieces) - 1))
    end = data.draw(st.integers(start + 1, len(pieces)))
    kinds: tuple[UnitKind, ...] = ("sentence", "word", "token")
    for kind in kinds:
        found = cut(kind, start, end, pieces, "user")
        assert [at for unit in found for at in unit.tokens] == list(range(start, end))
        assert {(unit.kind, unit.role) for unit in found} == {(kind, "user")}
        for unit in found:
            assert [at for finer in inside(unit, pieces) for at in finer.tokens] in (
                [],
                list(unit.tokens),
            )
            assert len(inside(unit, pieces)) != 1
            assert bool(inside(unit, pieces)) is (len(unit.tokens) > 1)


def test_the_next_finer_stretches_are_those_of_which_there_are_some() -> None:
    pieces = ["Hi", " there", ".", " By", "e"]
    (first, second) = inside(Unit("turn", 0, 5, "user"), pieces)
    assert (first, second) == (Unit("sentence", 0, 3, "user"), Unit("sentence", 3, 5, "user"))
    assert inside(first, pieces) == [Unit("word", 0, 1, "user"), Unit("word", 1, 3, "user")]
    assert inside(second, pieces) == [Unit("token", 3, 4, "user"), Unit("token", 4, 5, "user")]
    assert inside(Unit("turn", 3, 5), pieces) == [Unit("token", 3, 4), Unit("token", 4, 5)]
    assert inside(Unit("template", 0, 3), pieces) == [Unit("token", at, at + 1) for at in range(3)]
    assert inside(Unit("token", 1, 2), pieces) == []


def test_turns_are_what_each_role_says_and_what_the_template_writes() -> None:
    parts = (
        ChatPart(2, -1, "", "template"),
        ChatPart(3, 0, "system", "template"),
        ChatPart(5, 0, "system", "content"),
        ChatPart(1, 0, "system", "template"),
        ChatPart(2, 1, "user", "template"),
        ChatPart(4, 1, "user", "content"),
        ChatPart(2, 1, "user", "template"),
        ChatPart(3, 2, "assistant", "template"),
        ChatPart(2, 2, "assistant", "reasoning"),
        ChatPart(6, 2, "assistant", "content"),
    )
    found = turns(parts, 10)
    assert [(u.kind, u.role, len(u.tokens)) for u in found] == [
        ("template", "", 2), ("template", "system", 3), ("turn", "system", 5),
        ("template", "system", 1), ("template", "user", 2), ("turn", "user", 4),
        ("template", "user", 2), ("template", "assistant", 3), ("turn", "assistant", 8),
    ]  # fmt: skip
    assert [at for unit in found for at in unit.tokens] == list(range(10, 40))


def test_two_messages_of_one_role_without_a_template_between_are_two_turns() -> None:
    found = turns((ChatPart(2, 0, "user", "content"), ChatPart(3, 1, "user", "content")), 0)
    assert found == [Unit("turn", 0, 2, "user"), Unit("turn", 2, 5, "user")]
