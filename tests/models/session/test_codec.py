"""Candidates come back from the file to the last bit."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.session.codec import inflate, pack, unpack

logits = st.lists(
    st.floats(width=32, allow_nan=False, allow_infinity=True), min_size=1, max_size=300
)


@given(logits, st.randoms(use_true_random=False))
def test_what_was_packed_comes_back_bit_for_bit(values: list[float], random: object) -> None:
    del random
    rows = np.sort(np.array(values, "f4"))[::-1]
    ids = np.arange(len(values), dtype="u4")[::-1] * 16_777_213
    packed = pack(ids.tobytes(), rows.tobytes())
    assert unpack([packed], [len(values)]) == [(ids.tobytes(), rows.tobytes())]


def test_many_of_several_sizes_come_back_in_their_order() -> None:
    random = np.random.default_rng(5)
    known = []
    for count in (3, 256, 1, 3, 256, 3):
        rows = np.sort(random.normal(0, 3, count).astype("f4"))[::-1]
        known.append((random.permutation(999)[:count].astype("u4").tobytes(), rows.tobytes()))
    assert unpack([pack(*one) for one in known], [256] * len(known)) == known


def test_candidates_that_rise_or_are_no_numbers_are_refused() -> None:
    ids = np.arange(2, dtype="u4").tobytes()
    for values in ([1.0, 2.0], [1.0, math.nan], [math.nan, 1.0]):
        with pytest.raises(ValueError, match="fall"):
            unpack([pack(ids, np.array(values, "f4").tobytes())], [2])


def test_real_candidates_take_less_than_what_a_node_may_cost() -> None:
    random = np.random.default_rng(3)
    rows = np.sort(random.normal(0, 3, 256).astype("f4"))[::-1]
    ids = random.permutation(151_936)[:256].astype("u4")
    assert len(pack(ids.tobytes(), rows.tobytes())) < 1500


@given(st.binary(max_size=200))
def test_bytes_that_are_no_candidates_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack([data], [256])


def test_a_bomb_is_not_unpacked() -> None:
    ids = np.zeros(1_000_000, "u4").tobytes()
    packed = pack(ids, ids)
    assert len(packed) < 50_000
    with pytest.raises(ValueError, match="longer"):
        unpack([packed], [256])
    with pytest.raises(ValueError, match="cut off"):
        inflate(packed[:-5], 10_000_000)
