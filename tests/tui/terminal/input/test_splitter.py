"""What a terminal sends, cut into typed text, sequences, pastes and the rest: by bytes alone."""

import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.input_bytes import REPORTS
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS, IGNORE_SEQUENCE
from textual._xterm_parser import XTermParser
from textual.message import Message

from tokexplore.tui.terminal.input.key_events import Paste, Reader, Unreadable
from tokexplore.tui.terminal.input.splitter import (
    ESCAPE_DELAY,
    LARGEST_PASTE,
    LONGEST_SEQUENCE,
    PASTE_DELAY,
    STRING_DELAY,
    Pasted,
    Sequence,
    Splitter,
    Token,
    Typed,
    Unread,
)

CASES = settings(
    max_examples=int(os.environ.get("INPUT_CASES", "300")),
    suppress_health_check=[HealthCheck.too_slow],
)
"""Few in CI, which may be slow; `INPUT_CASES=20000` many."""
KEYS = (
    b"\x1b[97u", b"\x1b[97;5u", b"\x1b[;;u", b"\x1b[0u", b"\x1b[3~", b"\x1b[7$", b"\x1b[[A",
    b"\x1bOP", b"\x1b[1;2P",
)  # fmt: skip


def cut(data: bytes, sizes: list[int] | None = None, *, silence: float = 0.0) -> list[Token]:
    """The tokens of bytes that come in reads of these sizes, with a silence at the end."""
    splitter, tokens, at, now = Splitter(), list[Token](), 0, 1.0
    for size in sizes or [len(data)]:
        tokens += splitter.feed(data[at : at + size], now)
        at += size
    if at < len(data):
        tokens += splitter.feed(data[at:], now)
    if silence:
        tokens += splitter.tick(now + silence)
    return tokens


def joined(tokens: list[Token]) -> tuple[list[Token], bool]:
    """The same with typed text in one piece, and whether there was something unread."""
    out: list[Token] = []
    for token in tokens:
        if isinstance(token, Typed) and out and isinstance(out[-1], Typed):
            out[-1] = Typed(out[-1].text + token.text)
        elif not isinstance(token, Unread):
            out.append(token)
    return out, Unread() in tokens


def read(data: bytes, *, silence: float = 0.0) -> list[Message]:
    reader = Reader()
    return [event for token in cut(data, silence=silence) for event in reader.events(token)]


def names(messages: list[Message]) -> list[str]:
    return [m.key for m in messages if isinstance(m, events.Key)]


pieces = st.one_of(
    st.sampled_from(REPORTS + KEYS),
    st.binary(max_size=12),
    st.text(max_size=6).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([r[: len(r) // 2] for r in REPORTS]),
    st.sampled_from([b"\x1b[200~", b"\x1b[201~", b"\x1b", b"\x07", b"\x1b\\", b"\x9b31m"]),
)
streams = st.lists(pieces, max_size=12).map(b"".join)


@CASES
@given(streams, st.lists(st.integers(1, 9), max_size=30))
def test_where_a_read_ends_makes_no_difference(data: bytes, sizes: list[int]) -> None:
    assert joined(cut(data, sizes)) == joined(cut(data))


@CASES
@given(streams)
def test_nothing_that_is_sent_ends_it_and_keys_act_after_it(data: bytes) -> None:
    splitter, reader, now = Splitter(), Reader(), 1.0
    for token in [*splitter.feed(data, now), *splitter.tick(now + STRING_DELAY)]:
        for event in reader.events(token):
            assert event is not None
    if splitter.pasting:
        list(splitter.feed(b"\x1b[201~", now + STRING_DELAY))
    list(splitter.tick(now := now + 1))
    after = [e for t in splitter.feed(b"?\x1b[A\x11", now) for e in reader.events(t)]
    assert names(after) == ["question_mark", "up", "ctrl+q"]


@CASES
@given(streams, st.integers(0, 200))
def test_where_nothing_waits_silence_brings_nothing(stream: bytes, end: int) -> None:
    splitter = Splitter()
    list(splitter.feed(stream[:end], 1.0))
    assert splitter.waits or not list(splitter.tick(1.0 + PASTE_DELAY))


@CASES
@given(st.binary(max_size=200), st.lists(st.integers(1, 9), max_size=30))
def test_nothing_in_a_paste_is_a_key(content: bytes, sizes: list[int]) -> None:
    content = content.replace(b"\x1b[201~", b"")
    data = b"\x1b[200~" + content + b"\x1b[201~"
    (token,) = cut(data, sizes)
    assert isinstance(token, Pasted)
    assert token.whole
    known = content.decode("utf-8", "ignore")
    assert token.text == "".join(c for c in known if c in "\n\r\t" or not _is_control(c))


def _is_control(character: str) -> bool:
    return ord(character) < 32 or 127 <= ord(character) < 160


@pytest.mark.parametrize("data", REPORTS)
def test_reports_are_no_keys_and_end_where_they_end(data: bytes) -> None:
    after = names(read(data + b"z"))
    assert after[-1:] == ["z"]
    # A key of the kitty protocol that Textual names, and types nothing.
    assert after == ["z"] or data == b"\x1b[57441;2u"


def test_every_key_that_textual_knows_is_what_textual_makes_of_it() -> None:
    for sequence, keys in ANSI_SEQUENCES_KEYS.items():
        if len(sequence) == 1 or keys is IGNORE_SEQUENCE or sequence == "\x1b\x1b":
            continue
        parser = XTermParser()
        theirs = [*parser.feed(sequence)]
        assert names(read(sequence.encode(), silence=1.0)) == names(theirs), repr(sequence)


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"\xe9t\xe9", ["t"]),
        (b"\xe2\x82q", ["q"]),
        (b"\x1b[12", []),
        (b"\x1b[M\xff", []),
        (b"\x1b]11;rgb:1e", []),
        (b"\x1b[<0;1\x1b[A", ["up"]),
        (b"\x1b]11;rgb\x11", ["ctrl+q"]),
        (b"\x1bP>|x\x1b[A", ["up"]),
        (b"\x1b[1114112uq", ["q"]),
        (b"\x1b[" + b"9" * 10_000 + b"mq", ["q"]),
        (b"\x1b]" + b"x" * 10 * LONGEST_SEQUENCE + b"\x07q", ["q"]),
    ],
)
def test_what_cannot_be_read_is_left_out(data: bytes, keys: list[str]) -> None:
    messages = read(data, silence=1.0)
    assert names(messages) == keys
    assert any(isinstance(m, Unreadable) for m in messages)


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"\x1b", ["escape"]),
        (b"\x1b\x1b[A", ["escape", "up"]),
        (b"\x1bq", ["alt+q"]),
        (b"\x1b\xc3\xa9", ["é"]),
        (b"\x1b[", ["alt+left_square_bracket"]),
        (b"\x1b\x11", ["ctrl+q"]),
        ("是".encode(), ["是"]),
    ],
)
def test_keys_after_a_silence(data: bytes, keys: list[str]) -> None:
    messages = read(data, silence=2 * ESCAPE_DELAY)
    assert names(messages) == keys
    assert not any(isinstance(m, Unreadable) for m in messages)


def test_a_size_is_clamped() -> None:
    for data in (b"\x1b[48;99999;99999;9;9t", b"\x1b[48;0;0;0;0t", b"\x1b[48;40;120;0;0t"):
        (event,) = read(data)
        assert isinstance(event, events.Resize)
        assert 1 <= event.size.width <= 1000
        assert 1 <= event.size.height <= 400
    reader, splitter = Reader(), Splitter()
    data = b"\x1b[48;40;120;0;0t\x1b[<0;5;6M"
    *_, mouse = (e for t in splitter.feed(data, 0.0) for e in reader.events(t))
    assert isinstance(mouse, events.MouseDown)
    assert (mouse.x, mouse.y) == (4, 5), "a terminal that knows no pixels counts cells"


@pytest.mark.parametrize(
    ("real", "shown"), [((80, 24), (80, 24)), ((2000, 500), (1000, 400)), (None, (120, 40))]
)
def test_a_report_of_a_size_is_only_believed_where_the_terminal_cannot_be_asked(
    real: tuple[int, int] | None, shown: tuple[int, int]
) -> None:
    reader, splitter = Reader(lambda: real), Splitter()
    data = b"\x1b[48;40;120;800;960t"
    (event,) = (e for t in splitter.feed(data, 0.0) for e in reader.events(t))
    assert isinstance(event, events.Resize)
    assert tuple(event.size) == shown


def test_a_paste_that_never_ends_is_handed_over_and_left_by_ctrl_g_alone() -> None:
    splitter = Splitter()
    assert not list(splitter.feed(b"\x1b[200~ab q\x07\x11", 1.0))
    assert not list(splitter.tick(1.0 + PASTE_DELAY / 2))
    assert list(splitter.tick(1.0 + PASTE_DELAY)) == [Pasted("ab q", 2, 0, 0, False)]
    assert not list(splitter.tick(9.0)), "and not told again"
    assert not list(splitter.feed(b"q", 10.0)), "still no key"
    assert list(splitter.tick(12.0)) == [Pasted("q", 0, 0, 0, False)]
    assert not [*splitter.feed(b"r", 12.5), *splitter.feed(b"\x07", 12.6)], (
        "so soon after the rest it belongs to it"
    )
    tokens = list(splitter.feed(b"\x11", 20.0))
    assert tokens == [Pasted("r", 1, 0, 0, True), Typed("\x11")]


def test_answers_of_the_terminal_are_no_part_of_a_paste() -> None:
    splitter = Splitter()
    list(splitter.feed(b"\x1b[200~ab", 1.0))
    assert list(splitter.feed(b"\x1b[12;40R", 1.1)) == [Sequence("\x1b[12;40R")]
    assert list(splitter.feed(b"c\x1b[201~", 1.2)) == [Pasted("abc", 0, 0, 0, True)]


def test_a_huge_paste_is_bounded_and_counted() -> None:
    splitter = Splitter()
    list(splitter.feed(b"\x1b[200~", 1.0))
    for _ in range(LARGEST_PASTE // 2**16 + 2):
        list(splitter.feed(b"x" * 2**16, 1.0))
    (token,) = splitter.feed(b"\x1b[201~", 1.0)
    assert token == Pasted("x" * LARGEST_PASTE, 0, 0, 2 * 2**16, True)
    assert isinstance(next(Reader().events(token)), Paste)


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_at_any_length(seed: int) -> None:
    rng = random.Random(seed)
    splitter, reader = Splitter(), Reader()
    for now in range(30):
        for token in splitter.feed(rng.randbytes(rng.randrange(4096)), now / 1000):
            list(reader.events(token))
