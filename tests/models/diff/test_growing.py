"""A text that grows is cut as it is when it is read at once; only what changed is cut again."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import fake_vocabulary
from support.fake_engine import FakeEngine
from support.other_tokens import VOCABULARY, Pairs

from tokexplore.models.diff.growing import GrowingText
from tokexplore.models.diff.spans import Span, spans_of, spelling
from tokexplore.models.errors import UsageError
from tokexplore.models.tokens import Vocabulary

FIRST, SECOND = FakeEngine(), Pairs()
TEXT = "Once upon a time there was a king who had a great castle"


def logprob(position: int, token: int) -> float:
    """Some number that a token and its place have, as a model's logprob does."""
    return -1.0 - position / 7 - token / 1000


def logprobs(ids: Sequence[int]) -> dict[int, float]:
    return {at: logprob(at, token) for at, token in enumerate(ids) if at}


def read(text: GrowingText, context: int = 0) -> int:
    """Let the second read what it has not; how many tokens that were."""
    places = text.unread(context)
    ids = text.ids_until(places.stop)
    text.read([logprob(at, ids[at]) for at in places])
    return len(places)


def told(text: GrowingText, ids: Sequence[int]) -> list[Span]:
    known = logprobs(ids)
    return [span for _, span in text.told(lambda at: {n: known[n] for n in at if n in known})]


def grown() -> GrowingText:
    return GrowingText(fake_vocabulary.VOCABULARY, VOCABULARY, "pairs")


def at_once(text: str) -> list[Span]:
    """What `diff` makes of a text."""
    paths = FIRST.encode(text), SECOND.encode(text)
    one, other = (
        spelling(engine.vocabulary, ids, text.encode(), "fake")
        for engine, ids in zip((FIRST, SECOND), paths, strict=True)
    )
    spans = spans_of(one, other, (logprobs(paths[0]), logprobs(paths[1])))
    return [span for span in spans if span.counted]


def test_a_text_that_is_there_is_cut_as_diff_cuts_it() -> None:
    text, ids = grown(), FIRST.encode(TEXT)
    text.take(ids, 1)
    assert text.text == TEXT
    text.spell(SECOND.encode(TEXT))
    assert told(text, ids) == [], "nothing was read"
    assert read(text) == len(SECOND.encode(TEXT)) - 1
    found = told(text, ids)
    assert found == at_once(TEXT)
    assert any(len(span.first.ids) > 1 for span in found), "some words end within a pair"
    assert text.waiting == []


@given(st.lists(st.integers(1, 6), max_size=30))
def test_a_text_that_grows_is_told_as_if_it_had_been_there_at_once(steps: list[int]) -> None:
    text, ids, length = grown(), FIRST.encode(TEXT), 1
    found = dict[int, Span]()
    for step in [*steps, len(ids)]:
        length = min(len(ids), length + step)
        path = ids[:length]
        text.take(path, 1)
        text.spell(SECOND.encode(text.text), margin=2 if length < len(ids) else 0)
        read(text)
        found |= {span.end: span for span in told(text, path)}
    assert list(found.values()) == at_once(TEXT)


def test_what_stays_is_not_read_again_and_what_may_change_is_not_told() -> None:
    text, ids = grown(), FIRST.encode(TEXT)
    text.take(ids[:8], 1)
    text.spell(SECOND.encode(text.text), margin=3)
    first = read(text)
    before = told(text, ids)
    assert 0 < before[-1].end <= len(text.text) - 3
    text.take(ids, 1)
    text.spell(SECOND.encode(TEXT))
    assert text.changed_from > 1
    assert first + read(text) == len(SECOND.encode(TEXT)) - 1
    assert before + told(text, ids) == at_once(TEXT)


def test_an_end_that_is_cut_otherwise_once_the_text_goes_on_is_read_again() -> None:
    short, long = "Once upon", "Once upon a king"
    assert SECOND.encode(long)[: len(SECOND.encode(short))] != SECOND.encode(short)
    text, ids = grown(), FIRST.encode(long)
    count = len(FIRST.encode(short))
    text.take(ids[:count], 1)
    text.spell(SECOND.encode(short))
    read(text)
    assert told(text, ids)[-1].end == len(short)
    text.take(ids, 1)
    text.spell(SECOND.encode(long))
    read(text)
    after = told(text, ids)
    assert after == [span for span in at_once(long) if span.start >= after[0].start]
    assert after[0].start < len(short)


def test_another_branch_goes_on_from_where_the_texts_part() -> None:
    one, other = "Once upon a time there was", "Once upon a time the king"
    text = grown()
    for said in (one, other, one):
        ids = FIRST.encode(said)
        text.take(ids, 1)
        text.spell(SECOND.encode(said))
        read(text)
        found = told(text, ids)
        assert found
        assert set(found) <= set(at_once(said))
        assert found[-1].end == len(said)


def test_what_waits_is_forgotten_where_the_text_is_another() -> None:
    one, other = "Once upon a time there was", "Once upon a time the king"
    text = grown()
    text.take(FIRST.encode(one), 1)
    text.spell(SECOND.encode(one))
    read(text)
    ids = FIRST.encode(other)
    text.take(ids, 1)
    text.spell(SECOND.encode(other))
    read(text)
    assert told(text, ids) == at_once(other)


def test_a_text_ends_before_what_is_no_character() -> None:
    text, ids = grown(), [0, *fake_vocabulary.encode("a好")]
    byte = fake_vocabulary.FIRST_BYTE
    for more, whole in (
        ([byte + 0xE5], "a好"),
        ([byte + 0xE5, byte + 0xA5], "a好"),
        ([byte + 0xE5, byte + 0xA5, byte + 0xBD], "a好好"),
        ([byte + 0xFF, byte + 65], "a好"),
        ([10_000, byte + 65], "a好"),
    ):
        text.take([*ids, *more], 1)
        assert text.text == whole
        text.spell(SECOND.encode(whole))
        read(text)


def test_the_space_that_a_tokenizer_puts_in_front_is_no_part_of_the_text() -> None:
    made = Vocabulary.pack([b"<s>", b" the", b" ", b"re"], (0,), 4, leading_space=True)
    text = GrowingText(made, VOCABULARY, "pairs")
    text.take([0, 1, 3], 1)
    assert text.text == "there"
    text.take([0, 2, 1], 1)
    assert text.text == " the"
    text.spell(SECOND.encode(" the"))
    read(text)
    (span,) = text.told(lambda at: dict.fromkeys(at, -1.0))[0][1:]
    assert span.first.ids == (1,)


def test_what_one_alone_reads_as_a_special_token_is_left_out() -> None:
    """The user's mark is a token of the first and eight characters to the second."""
    said = "<|user|> the king<|end|> so"
    ids = FIRST.encode(said)
    text = grown()
    text.take(ids, 1)
    text.spell(SECOND.encode(text.text))
    read(text)
    covered = [(span.start, span.end) for span in told(text, ids)]
    assert all(said.index(" the") <= start for start, _ in covered)
    both = said.index("<|end|>")
    assert (both, both + len("<|end|>")) in covered, "both have that one"
    assert covered[-1][1] == len(said)


def test_a_stretch_before_which_one_has_nothing_is_left_out() -> None:
    ids = FIRST.encode(TEXT)[1:]
    text = grown()
    text.take(ids, 0)
    text.spell(SECOND.encode(TEXT))
    read(text)
    assert told(text, ids)[0].start > 0


def test_no_more_is_read_than_the_context_holds() -> None:
    text, ids = grown(), FIRST.encode(TEXT)
    text.take(ids, 1)
    text.spell(SECOND.encode(TEXT))
    assert read(text, context=9) == 8
    assert read(text, context=9) == 0
    found = told(text, ids)
    assert found == at_once(TEXT)[: len(found)]
    assert 0 < found[-1].end < len(TEXT)


def test_tokens_that_do_not_spell_the_text_are_refused() -> None:
    text = grown()
    text.take(FIRST.encode(TEXT), 1)
    with pytest.raises(UsageError, match="the tokens of pairs do not spell the text"):
        text.spell(SECOND.encode(TEXT.lower()))


def test_impossible_tokens_cost_without_end() -> None:
    text, ids = grown(), FIRST.encode("a b")
    text.take(ids, 1)
    text.spell(SECOND.encode("a b"))
    text.read([-math.inf] * len(text.unread(0)))
    spans = [span for _, span in text.told(lambda at: dict.fromkeys(at, -1.0))]
    assert {span.delta for span in spans} == {-math.inf}
