"""Parts of characters: exact from the bytes alone, against Python's own encoder and decoder."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokexplore.models.display import split_utf8
from tokexplore.models.partial_characters import Partial, beginnings, missing, partials

YOU = "你".encode()
GRIN = "😀".encode()


def encoded() -> Iterator[tuple[range, np.ndarray]]:
    """All characters, and as many bytes of each as Python's encoder makes: uint8, shape [n, k]."""
    for codes in (
        range(0x80), range(0x80, 0x800), range(0x800, 0xD800), range(0xE000, 0x10000),
        range(0x10000, 0x110000),
    ):  # fmt: skip
        data = "".join(map(chr, codes)).encode()
        yield codes, np.frombuffer(data, np.uint8).reshape(len(codes), -1)


def begun() -> dict[bytes, tuple[int, int, int]]:
    """The first, the last and the number of the characters that some bytes begin."""
    found: dict[bytes, tuple[int, int, int]] = {}
    for codes, data in encoded():
        for length in range(1, data.shape[1] + 1):
            heads = np.ascontiguousarray(data[:, :length]).view(f"V{length}")[:, 0]
            changed = np.flatnonzero((data[1:, :length] != data[:-1, :length]).any(1)) + 1
            starts, ends = [0, *changed.tolist()], [*changed.tolist(), len(codes)]
            for head, start, end in zip(heads[starts].tolist(), starts, ends, strict=True):
                first, _, count = found.get(head, (codes[start], 0, 0))
                found[head] = first, codes[end - 1], count + end - start
    return found


@pytest.mark.slow
def test_what_bytes_begin_is_what_the_encoder_says_of_every_character() -> None:
    begins = begun()
    assert len(begins) > 0x110000 - 0x800
    for head, (first, last, count) in begins.items():
        codes = beginnings(head)
        if (codes.start, codes.stop, len(codes)) != (first, last + 1, count):
            raise AssertionError(f"{head!r} begins {codes}")
        assert len(head) + missing(head) == len(chr(first).encode())
    pairs = (bytes((a, b)) for a in range(256) for b in range(256))
    assert not any(beginnings(pair) for pair in pairs if pair not in begins)
    triples = (
        bytes((a, b, c))
        for a in (0xE0, 0xED, 0xF0, 0xF4)
        for b in range(256)
        for c in (127, 128, 191, 192)
    )
    assert not any(beginnings(triple) for triple in triples if triple not in begins)
    assert not beginnings(b"")


def test_the_lead_bytes_that_a_reader_meets() -> None:
    assert beginnings(b"\xe4") == range(0x4000, 0x5000)
    assert beginnings(b"\xe0") == range(0x800, 0x1000), "no overlong ones"
    assert beginnings(b"\xed") == range(0xD000, 0xD800), "no surrogates"
    assert beginnings(b"\xf4") == range(0x100000, 0x110000), "nothing beyond the last"
    assert beginnings(b"\xf0\x9f\x98") == range(0x1F600, 0x1F640)
    for head in (
        b"\xc0",
        b"\xc1",
        b"\xf5",
        b"\xff",
        b"\x80",
        b"\xe0\x80",
        b"\xed\xa0",
        b"\xf0\x80",
    ):
        assert not beginnings(head), head


def test_a_character_over_three_tokens() -> None:
    path = [b" a", YOU[:1], YOU[1:2], YOU[2:], b"b"]
    assert partials(path, 0) == partials(path, 4) == []
    assert partials(path, 1) == [Partial(YOU, YOU[:1], YOU[:1], 0, 2, "你")]
    assert partials(path, 2) == [Partial(YOU, YOU[:2], YOU[1:2], 1, 1, "你")]
    assert partials(path, 3) == [Partial(YOU, YOU, YOU[2:], 2, 0, "你")]


def test_four_bytes_over_two_tokens_and_over_four() -> None:
    assert partials([GRIN[:2], GRIN[2:]], 1) == [Partial(GRIN, GRIN, GRIN[2:], 1, 0, "😀")]
    path = [bytes([byte]) for byte in GRIN]
    assert [p.character for at in range(4) for p in partials(path, at)] == ["😀"] * 4
    assert partials(path, 3)[0].before == partials(path, 0)[0].after == 3


def test_the_end_of_one_and_the_beginning_of_the_next_in_one_token() -> None:
    both = YOU[2:] + "ab好".encode() + b"\xe5"
    ends, begins = partials([YOU[:2], both], 1)
    assert ends == Partial(YOU, YOU, YOU[2:], 1, 0, "你")
    assert begins == Partial(b"\xe5", b"\xe5", b"\xe5", 0, 0, "", is_open=True)


def test_a_path_that_ends_within_a_character() -> None:
    (part,) = partials([b"a", YOU[:1], YOU[1:2]], 2)
    assert part == Partial(YOU[:2], YOU[:2], YOU[1:2], 1, 0, "", is_open=True)
    assert missing(part.data) == 1


def test_bytes_of_no_character() -> None:
    lone = Partial(b"\xa0", b"\xa0", b"\xa0", 0, 0)
    assert partials([b"\xa0"], 0) == [lone]
    assert partials([b"a", b"\xa0", b"\xe5"], 1) == [lone]
    assert partials([YOU[:2], b" the"], 0) == [Partial(YOU[:2], YOU[:2], YOU[:2], 0, 0)], (
        "cut short"
    )
    assert partials([YOU[:1], b" ", YOU[1:]], 2) == [Partial(b"\xbd", b"\xbd", b"\xbd", 0, 0), lone]
    overlong = partials([b"\xc0\xaf"], 0)
    assert [part.data for part in overlong] == [b"\xc0", b"\xaf"]
    surrogate = partials([b"\xed", b"\xa0\x80"], 0)
    assert surrogate == [Partial(b"\xed", b"\xed", b"\xed", 0, 0)]
    assert [part.data for part in partials([b"\xf4\x90\x80\x80"], 0)] == [
        b"\xf4",
        b"\x90",
        b"\x80",
        b"\x80",
    ]


def test_tokens_without_bytes_are_none_of_a_character() -> None:
    (part,) = partials([YOU[:1], b"", YOU[1:]], 2)
    assert (part.before, part.after) == (1, 0)


PIECES = st.sampled_from(
    [YOU[:1], YOU[1:2], YOU[2:], GRIN[:2], GRIN[2:3], b"\xff", b"\xc0", b"a", b"", "é".encode()]
)
PATHS = st.lists(st.one_of(PIECES, st.binary(max_size=5)), min_size=1, max_size=9)


@given(PATHS)
@example([b"\xe0", b"\x80\x80"])
@example([b"\xf0\x9f", b"\xf0\x9f\x98\x80"])
def test_all_tokens_together_tell_the_path_as_it_is_decoded(path: list[bytes]) -> None:
    data = b"".join(path)
    decoded = split_utf8(data)
    begins, told, at = [0], set(), 0
    for token in path:
        begins.append(begins[-1] + len(token))
    for index in range(len(path)):
        for part in partials(path, index):
            assert part.own in path[index]
            assert part.so_far.endswith(part.own)
            assert part.data.startswith(part.so_far)
            assert not (part.character and part.is_open)
            if part.character:
                assert part.data.decode() == part.character
                assert part.before or part.after
                told.add(part.character)
            elif not part.is_open:
                assert beginnings(part.data) is not None
    for piece in decoded:
        size = 1 if isinstance(piece, int) else len(piece.encode())
        inside = any(a <= at and at + size <= b for a, b in pairwise(begins))
        if not isinstance(piece, int) and not inside:
            assert piece in told
        at += size
