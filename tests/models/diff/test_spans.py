"""A text as the tokens of two vocabularies: cut where both end, added up by hand."""

import math

import pytest

from tokexplore.models.diff.spans import Spelling, span_totals, spans_of, spelling, whole_text
from tokexplore.models.errors import UsageError
from tokexplore.models.tokens import Vocabulary

WORDS = Vocabulary.pack([b"<s>", b"the", b" king", b" is", b"</s>"], (0, 4), 5)
PARTS = Vocabulary.pack([b" the", b" ", b"k", b"ing is", b"<s>"], (4,), 5, leading_space=True)
TEXT = b"the king is"
FIRST = spelling(WORDS, [0, 1, 2, 3, 4], TEXT, "words")
SECOND = spelling(PARTS, [0, 1, 2, 3], TEXT, "parts")


def test_a_text_is_spelled_without_what_stands_around_it() -> None:
    assert Spelling((0, 1, 2, 3, 4), 1, (3, 8, 11)) == FIRST
    assert FIRST.added == (0, 4)
    assert Spelling((0, 1, 2, 3), 0, (3, 4, 5, 11)) == SECOND, "the space in front is no byte of it"
    assert SECOND.added == ()


def test_the_name_of_a_token_in_the_text_is_part_of_it() -> None:
    assert spelling(WORDS, [0, 0, 1], b"<s>the", "words") == Spelling((0, 0, 1), 1, (3, 6))
    assert spelling(WORDS, [0, 1], b"<s>the", "words") == Spelling((0, 1), 0, (3, 6))


def test_a_tokenizer_that_changes_the_text_is_refused() -> None:
    with pytest.raises(UsageError, match="the tokens of words do not spell the text"):
        spelling(WORDS, [0, 1, 2], b"The king", "words")


def test_spans_end_where_tokens_of_both_end_and_cost_what_their_tokens_do() -> None:
    ours = {1: -1.0, 2: -2.0, 3: -4.0, 4: -100.0}
    theirs = {1: -0.5, 2: -0.25, 3: -3.0}
    found = list(spans_of(FIRST, SECOND, (ours, theirs)))
    assert [(s.start, s.end) for s in found] == [(0, 3), (3, 11)]
    assert found[0].second.logprob is None, "nothing comes before its first token"
    assert not found[0].counted
    assert found[0].delta == 0.0
    assert (found[1].first.ids, found[1].second.ids) == ((2, 3), (1, 2, 3))
    assert (found[1].first.logprob, found[1].second.logprob) == (-6.0, -3.75)
    assert found[1].delta == 2.25
    told = span_totals(found)
    assert (told.spans, told.bytes, told.tokens, told.nats) == (1, 8, (2, 3), (6.0, 3.75))
    assert told.bits_per_byte == pytest.approx((6 / math.log(2) / 8, 3.75 / math.log(2) / 8))


@pytest.mark.parametrize(("start", "first"), [(0, 0), (1, 3), (3, 3), (4, None)])
def test_spans_begin_at_the_first_border_that_is_wanted(start: int, first: int | None) -> None:
    found = list(spans_of(FIRST, SECOND, ({}, {}), start))
    assert [s.start for s in found[:1]] == ([] if first is None else [first])


def test_impossible_tokens_cost_without_end() -> None:
    known = {1: -1.0, 2: -math.inf, 3: -4.0}
    found = list(spans_of(FIRST, FIRST, (known, {1: -1.0, 2: -2.0, 3: -4.0})))
    assert [s.delta for s in found] == [0.0, math.inf, 0.0]
    assert span_totals(found).nats == (math.inf, 7.0)


def test_a_continuation_is_a_text_up_to_what_is_no_whole_character() -> None:
    made = Vocabulary.pack([b"<s>", b"a", b"\xe5", b"\xa5", b"\xbd", b" b"], (0,), 6)
    assert whole_text(made, [1, 2, 3, 4]) == ((1, 2, 3, 4), "a好")
    assert whole_text(made, [1, 2, 3]) == ((1,), "a")
    assert whole_text(made, [1, 5, 0, 5]) == ((1, 5), "a b")
    assert whole_text(made, [0, 1]) == ((), "")
