"""Tokens of the input as Textual's events: its parser reads one whole sequence at a time."""

import re
import unicodedata
from collections.abc import Callable, Iterator

from textual import events
from textual._xterm_parser import XTermParser
from textual.keys import Keys
from textual.message import Message

from tokexplore.tui.terminal.input.splitter import Pasted, Sequence, Token, Typed, Unread

MOST_COLUMNS, MOST_ROWS = 1000, 400
"""The largest screen that is drawn, whatever size a terminal claims."""
LONGEST = 32
"""Characters of the longest sequence that Textual's parser looks at."""
_RESIZE = re.compile(
    r"\x1b\[48;(\d+)(?::[\d:]*)?;(\d+)(?::[\d:]*)?;(\d+)(?::[\d:]*)?;(\d+)(?::[\d:]*)?t"
)
_SURROGATES = re.compile("[\ud800-\udfff]")


class Unreadable(Message, bubble=False):
    """The terminal sent something that cannot be read, and it was left out."""


class Key(events.Key, bubble=True):
    """A key that types every character but a control: also what shows nothing by itself, such as
    the joiners of emoji and of Indic and Persian words, or a space that does not break.
    """

    @classmethod
    def of(cls, event: events.Key) -> "Key":
        """The same key."""
        return cls(event.key, event.character)

    @property
    def is_printable(self) -> bool:
        """Whether it types a character, as editors ask."""
        return bool(self.character) and not any(map(_is_control, self.character or ""))


class Paste(events.Paste, bubble=True):
    """A paste, with what was left out of it."""

    def __init__(self, pasted: Pasted) -> None:
        super().__init__(pasted.text)
        self.pasted = pasted


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs")


def clamped(columns: int, rows: int) -> tuple[int, int]:
    """A size in cells that can be drawn."""
    return max(1, min(columns, MOST_COLUMNS)), max(1, min(rows, MOST_ROWS))


class Reader:
    """Makes events of tokens; what Textual's parser stumbles over is left out.

    Args:
        size: tells the columns and rows that the terminal really has, None where it cannot be
            asked: only then is a report of its size believed.
    """

    def __init__(self, size: Callable[[], tuple[int, int] | None] = lambda: None) -> None:
        self._parser, self._size = XTermParser(), size

    def events(self, token: Token) -> Iterator[Message]:
        """What a token means."""
        match token:
            case Typed(text):
                for character in text:
                    yield from self._keys(character)
            case Sequence(text):
                yield from self._read(text)
            case Pasted():
                yield Paste(token)
            case Unread():
                yield Unreadable()

    def _keys(self, sequence: str, *, alt: bool = False) -> Iterator[Message]:
        for key in self._parser._sequence_to_key_events(sequence, alt=alt):
            if key.key != Keys.Ignore:
                yield key

    def _read(self, text: str) -> list[Message]:
        if text == "\x1b":
            return [events.Key("escape", "\x1b")]
        if len(text) > LONGEST or (len(text) > 2 and text[1] in "P]X^_"):
            return []  # an answer to what we did not ask, which the parser would take for keys
        if found := _RESIZE.fullmatch(text):
            rows, columns, height, width = map(int, found.groups())
            text = self._drawable(*(self._size() or (columns, rows)), height, width)
        try:
            read = list(self._parser.feed(text))
        except Exception:  # whatever a terminal sends must not end the program
            self._start_again()
            return [Unreadable()]
        if self._parser._awaiting.timeout is not None:
            # It waits for more of what is whole: it knows no such sequence.
            self._start_again()
            return self._with_alt(text[1]) if len(text) == 2 else []
        if any(_SURROGATES.search(e.character or "") for e in read if isinstance(e, events.Key)):
            return [Unreadable()]
        return read

    def _with_alt(self, character: str) -> list[Message]:
        keys = list(self._keys(character, alt=True))
        if not character.isprintable() or character.isalnum():
            return keys
        return [events.Key(f"alt+{k.key}", character) for k in keys if isinstance(k, events.Key)]

    @staticmethod
    def _drawable(columns: int, rows: int, height: int, width: int) -> str:
        """The report of a size that can be drawn; a terminal that knows no pixels counts cells."""
        most_columns, most_rows = clamped(columns, rows)
        if not (height and width):
            height, width = most_rows, most_columns
        return f"\x1b[48;{most_rows};{most_columns};{height};{width}t"

    def _start_again(self) -> None:
        """A new parser that knows what the one before it was told of the terminal."""
        old, self._parser = self._parser, XTermParser()
        for name in (
            "last_x", "last_y", "mouse_pixels", "terminal_size", "terminal_pixel_size"
        ):  # fmt: skip
            setattr(self._parser, name, getattr(old, name))
