"""Bytes from a terminal cut into what they are: typed text, whole sequences, pastes, the rest.

No terminal's word is taken: a sequence that breaks off, or that says more than it may, becomes
`Unread` and never the keys that it is spelt with.
"""

import codecs
import re
import sys
from collections.abc import Generator, Iterator
from typing import NamedTuple

ESC = b"\x1b"
ESCAPE_DELAY = 0.1
"""Seconds of silence after which what began like a sequence is the keys escape or alt."""
STRING_DELAY = 0.5
"""Seconds of silence after which an answer of the terminal's (OSC, DCS) has broken off."""
PASTE_DELAY = 1.0
"""Seconds of silence after which what is there of a paste is handed over, whole or not."""
LONGEST_SEQUENCE = 4096
"""Bytes of a sequence that are looked at; longer ones are read to their end and left out."""
LARGEST_PASTE = 4 * 2**20
"""Bytes of a paste that are kept; more is read to its end and counted."""
_PASTE, _PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"
_SEQUENCE = re.compile(
    rb"""\x1b(?:
      \[ M [^\x1b]{3}                           # a mouse report of the oldest form
    | \[ \[ [ -~]                               # function keys of the Linux console
    | \[ [0-9]{1,2} \$                         # shifted keys of rxvt
    | \[ (?![M\[]) [\x20-?]* [@-~]             # CSI
    | O [0-9;]* [@-~]                           # SS3
    | [P\]X^_] [^\x00-\x1f]* (?: \x07 | \x1b\\ )   # DCS, OSC, SOS, PM, APC
    | [^\x1b\[OP\]X^_\x80-\xff]                 # alt and a key
    )""",
    re.VERBOSE,
)
_BEGINNING = re.compile(
    rb"\x1b(?:\[(?:\[|M[^\x1b]{0,2}|(?!M)[\x20-?]*)?|O[0-9;]*|[P\]X^_][^\x00-\x1f]*\x1b?)?"
)
_NUMBERS = re.compile(rb"[0-9]+")
_LEAVES_A_PASTE = re.compile(
    rb"[\x03\x07\x11\x1b]|\x1b\[(?:99|103|113);(?:5|69|133|197)u|\x1b\[27u"
)
"""ctrl+c, ctrl+g, ctrl+q and escape, in both ways of sending them."""
_ANSWER = re.compile(rb"\x1b\[[0-9]{1,5};[0-9]{1,5}R")
"""Where the cursor is, which we ask after each frame."""
_BEGUN_IN_PASTE = re.compile(rb"\x1b(?:\[[0-9]{0,5}(?:;[0-9]{0,5})?)?\Z")
_LOST = re.compile("[\udc80-\udcff]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Typed(NamedTuple):
    """Characters, each of them a key."""

    text: str


class Sequence(NamedTuple):
    """One whole sequence: a key, or an answer or a report of the terminal's."""

    text: str


class Pasted(NamedTuple):
    """A paste, or what is there of it, without what no text holds."""

    text: str
    controls: int
    """Control characters that were left out."""
    lost: int
    """Bytes outside UTF-8 that were left out."""
    beyond: int
    """Bytes beyond `LARGEST_PASTE` that were left out."""
    whole: bool
    """Whether its end came."""


class Unread(NamedTuple):
    """Something that cannot be read was left out."""


Token = Typed | Sequence | Pasted | Unread


class Splitter:
    """Cuts a stream of bytes; the caller brings the clock (seconds, monotonic).

    Where a read ends makes no difference, but for the silence after it: that tells the key escape
    from a sequence that it begins, and what has broken off from what is still to come.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = b""
        """A sequence, or the end mark of a paste, that is not whole yet."""
        self._too_long = False
        self._paste: bytearray | None = None
        """What came of an open paste and was not handed over."""
        self._beyond = 0
        self._last_data_at = 0.0

    @property
    def pasting(self) -> bool:
        """Whether a paste is open."""
        return self._paste is not None

    @property
    def waits(self) -> bool:
        """Whether something is there that silence would bring to its end."""
        return bool(self._held or self.pasting or self._decoder.getstate()[0])

    def feed(self, data: bytes, now: float) -> Iterator[Token]:
        """What these bytes bring to its end."""
        data, self._held = self._held + data, b""
        if self._paste is not None:
            data = yield from self._without_answers(data)
        if not data:
            return
        silence, self._last_data_at = now - self._last_data_at, now
        alone = silence >= PASTE_DELAY / 2 and _LEAVES_A_PASTE.fullmatch(data)
        if self._paste is not None and alone:
            yield from self._pasted(whole=True)
            self._paste = None
        at = 0
        while at < len(data):
            if self._paste is not None:
                data = yield from self._without_answers(data[at:])
                at = yield from self._in_paste(data)
            elif data.startswith(ESC, at):
                at = yield from self._sequence(data, at)
            else:
                end = data.find(ESC, at)
                end = len(data) if end < 0 else end
                yield from self._text(data[at:end])
                at = end

    def tick(self, now: float) -> Iterator[Token]:
        """What the silence since the last byte makes of what is not whole."""
        silence = now - self._last_data_at
        if self._paste is not None:
            if silence >= PASTE_DELAY and (self._paste or self._beyond):
                yield from self._pasted(whole=False)
            return
        held = self._held
        delay = STRING_DELAY if held[1:2] in (b"P", b"]", b"X", b"^", b"_") and held[2:] else 0.0
        if silence < max(delay, ESCAPE_DELAY):
            return
        if held:
            self._held = b""
            yield self._judged(held) if len(held) <= 2 and not self._too_long else Unread()
            self._too_long = False
        if silence >= PASTE_DELAY:
            yield from self._text(b"", final=True)

    def _text(self, data: bytes, *, final: bool = False) -> Iterator[Token]:
        text = self._decoder.decode(data, final)
        readable = _LOST.sub("", text)
        if readable:
            yield Typed(readable)
        if len(readable) < len(text):
            yield Unread()

    def _sequence(self, data: bytes, at: int) -> Generator[Token, None, int]:
        """Cut the sequence that begins at `at`; returns where the next thing begins."""
        yield from self._text(b"", final=True)
        if found := _SEQUENCE.match(data, at):
            if found[0] == _PASTE:
                self._paste, self._beyond = bytearray(), 0
            elif self._too_long or len(found[0]) > LONGEST_SEQUENCE:
                yield Unread()
            elif found[0] != _PASTE_ENDS:
                yield self._judged(found[0])
            self._too_long = False
            return found.end()
        begun = _BEGINNING.match(data, at)
        assert begun is not None  # it begins with ESC
        if begun.end() == len(data):
            self._hold(begun[0])
        elif len(begun[0]) == 1:
            # Alt and a letter beyond ASCII is the letter; escape twice is a key, then another.
            if data.startswith(ESC, begun.end()):
                yield Sequence("\x1b")
        else:
            # Where a string should have ended stands the beginning of something else.
            yield Unread()
            self._too_long = False
            return begun.end() - begun[0].endswith(ESC)
        return begun.end()

    def _hold(self, begun: bytes) -> None:
        if len(begun) > LONGEST_SEQUENCE:
            self._too_long = True
            begun = begun[:2] + (ESC if begun.endswith(ESC) else b"")
        self._held = begun

    @staticmethod
    def _judged(data: bytes) -> Token:
        """A sequence whose numbers are none that a terminal can mean is not read."""
        mouse = data[:3] == b"\x1b[M"
        absurd = any(len(n) > 7 or int(n) > sys.maxunicode for n in _NUMBERS.findall(data))
        if mouse or (absurd and data[1:2] in (b"[", b"O")):
            return Unread()
        return Sequence(data.decode("utf-8", "replace"))

    @staticmethod
    def _without_answers(data: bytes) -> Generator[Token, None, bytes]:
        """Take out of a paste what the terminal answers to our frames; returns the rest."""
        for answer in _ANSWER.findall(data):
            yield Sequence(answer.decode())
        return _ANSWER.sub(b"", data)

    def _in_paste(self, data: bytes) -> Generator[Token, None, int]:
        """Take what belongs to an open paste; returns where the next thing begins."""
        end = data.find(_PASTE_ENDS)
        if end >= 0:
            self._keep(data[:end])
            yield from self._pasted(whole=True)
            self._paste = None
            return end + len(_PASTE_ENDS)
        # The end mark, or an answer, may be cut.
        cut = _BEGUN_IN_PASTE.search(data)
        whole = cut.start() if cut else len(data)
        self._keep(data[:whole])
        self._held = data[whole:]
        return len(data)

    def _keep(self, data: bytes) -> None:
        assert self._paste is not None
        room = LARGEST_PASTE - len(self._paste)
        self._paste += data[:room]
        self._beyond += len(data[room:])

    def _pasted(self, *, whole: bool) -> Iterator[Token]:
        assert self._paste is not None
        if whole:
            self._keep(self._held)
            self._held = b""
        text = self._decoder.decode(bytes(self._paste), whole)
        readable = _LOST.sub("", text)
        clean = _CONTROLS.sub("", readable)
        beyond, self._beyond = self._beyond, 0
        self._paste.clear()
        yield Pasted(clean, len(readable) - len(clean), len(text) - len(readable), beyond, whole)
