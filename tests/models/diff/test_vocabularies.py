"""Tokens are the same by id and by bytes."""

from support.fake_engine import FakeEngine
from support.first_candidates import FirstCandidates

from tokexplore.models.diff.vocabularies import Shared, shared_ids, shared_tokens
from tokexplore.models.tokens import Vocabulary


def made(*tokens: bytes, rows: int = 0, special: tuple[int, ...] = ()) -> Vocabulary:
    return Vocabulary.pack(tokens, special, rows or len(tokens))


def test_the_same_tokens_are_shared_whatever_padding_follows() -> None:
    one, padded = made(b"a", b"b"), made(b"a", b"b", rows=8)
    assert shared_ids(one, one) == Shared(2)
    assert shared_ids(one, padded) == Shared(2, (), (0, 6))
    assert shared_ids(padded, padded) == Shared(8)
    assert shared_ids(padded, one) == Shared(2, (), (6, 0))


def test_a_token_that_stands_in_the_padding_of_the_other_is_left_out() -> None:
    plain, chat = made(b"a", b"b", rows=4), made(b"a", b"b", b"<|user|>", rows=4, special=(2,))
    found = shared_ids(plain, chat)
    assert found == Shared(4, (2,))
    assert found.size == 3
    assert not found.complete


def test_one_token_of_other_bytes_makes_another_vocabulary() -> None:
    assert shared_ids(made(b"a", b"b"), made(b"a", b"c")) is None
    assert shared_ids(made(b"a", b"b"), made(b"b", b"a")) is None, "the same tokens, other ids"
    assert shared_ids(made(b"", b"b"), made(b"a")) is None, "nothing in common"


def test_ids_that_were_given_out_as_tokens_came_mean_nothing() -> None:
    fake = FakeEngine()
    assert shared_tokens(fake, FakeEngine()) == Shared(fake.info.vocabulary)
    assert shared_tokens(fake, FirstCandidates(abilities={"own_ids": False})) is None
