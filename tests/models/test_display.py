"""No byte that a model can emit leaves `display` as a control."""

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokexplore.models.display import running, safe_text, visible


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b" the", "␣the"),
        (b"\n\t", "⏎⇥"),
        (b"\xe6\x98", "<E6><98>"),
        ("星期五".encode(), "星期五"),
        (b"\x1b]0;x\x07", "␛]0;x␇"),
        (b"\x7f", "␡"),
        ("\x9b31m".encode(), "<9b>31m"),
        ("a\u202eb\u200b".encode(), "a<U+202E>b<U+200B>"),
        ("\u0301x".encode(), "◌\u0301x"),
        ("\u093fx".encode(), "◌\u093fx"),  # marks of combining class 0
        ("\u0e31x".encode(), "◌\u0e31x"),
        ("\u00a0".encode(), "<U+00A0>"),
        ("\u3164\u034f\u302e".encode(), "<U+3164><U+034F><U+302E>"),
        (b"\xff", "<FF>"),
        (b"\xed\xa0\x80", "<ED><A0><80>"),
    ],
)
def test_visible_form(data: bytes, shown: str) -> None:
    assert visible(data) == shown


@given(st.binary(max_size=40))
def test_no_control_survives(data: bytes) -> None:
    for shown in (visible(data), safe_text(data.decode("utf-8", "surrogateescape"))):
        assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in shown)


@given(st.text(max_size=30), st.lists(st.integers(0, 120), max_size=8))
def test_running_text_is_the_same_however_it_is_cut_into_tokens(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-8", "ignore")
    places = sorted({min(c, len(data)) for c in cuts} | {0, len(data)})
    tokens = [data[a:b] for a, b in itertools.pairwise(places)]
    assert "".join(running(tokens, complete=True)) == data.decode()


def test_a_character_belongs_to_the_token_that_completes_it() -> None:
    assert running([b"\xe6", b"\x98", b"\x9f!", b"\xe6"]) == ["", "", "星!", ""]
    assert running([b"\xe6", b"a"], complete=True) == ["", "<E6>a"]
