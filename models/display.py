"""Bytes and text made safe and visible: nothing here lets a control reach a terminal.

The table's form of a token (`visible`) shows every byte; the running text of a path (`running`)
joins characters that span several tokens.
"""

import unicodedata
from collections.abc import Iterable, Sequence

SPACE, NEWLINE, TAB = "␣", "⏎", "⇥"
DOTTED_CIRCLE = "\N{DOTTED CIRCLE}"

_MARKS = {" ": SPACE, "\n": NEWLINE, "\t": TAB}
# Format, unassigned, private-use, surrogate and separator characters have no dependable width.
_HIDDEN_CATEGORIES = frozenset({"Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_BLANK = frozenset({0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x3164, 0xFFA0})
"""Letters and marks that show nothing: fillers, joiners, vowels that are not written."""


def safe_character(character: str) -> str:
    """One character as text that a terminal shows and never obeys."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code < 0x7F:
        return character
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    if code < 0xA0:
        return f"<{code:02x}>"
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:
        return f"<U+{code:04X}>"
    # Flag letters and skin tones are one or two cells wide by what stands beside them.
    if 0x1F1E6 <= code <= 0x1F1FF or 0x1F3FB <= code <= 0x1F3FF:
        return f"<U+{code:04X}>"
    category = unicodedata.category(character)
    wide_mark = category == "Mc" and unicodedata.east_asian_width(character) == "W"
    if category in _HIDDEN_CATEGORIES or wide_mark or code in _BLANK:
        return f"<U+{code:04X}>"
    return character


def is_mark(character: str) -> bool:
    """Whether a character is a mark on the one before it: a diacritic, a vowel sign, a virama."""
    return unicodedata.category(character)[0] == "M"


def _standing(shown: str) -> str:
    """Safe text with a dotted circle under a mark that it begins with."""
    return DOTTED_CIRCLE + shown if shown and is_mark(shown[0]) else shown


def safe_text(text: str) -> str:
    """Text for a title, a notice or an error: controls made visible, spaces left alone.

    A leading combining mark gets a dotted circle to stand on.
    """
    if text.isascii() and text.isprintable():
        return text
    return _standing("".join(safe_character(c) for c in text))


def split_utf8(data: bytes) -> list[str | int]:
    """Characters of `data` in order, and as an int each byte that is not part of valid UTF-8."""
    parts: list[str | int] = []
    rest = data
    while rest:
        try:
            parts.extend(rest.decode("utf-8"))
            break
        except UnicodeDecodeError as error:
            parts.extend(rest[: error.start].decode("utf-8"))
            parts.extend(rest[error.start : error.end])
            rest = rest[error.end :]
    return parts


def visible(data: bytes) -> str:
    """A token's exact bytes as one visible line: `␣ ⏎ ⇥`, `<E6>` for a byte outside UTF-8."""
    return _standing(
        "".join(
            f"<{part:02X}>" if isinstance(part, int) else _MARKS.get(part) or safe_character(part)
            for part in split_utf8(data)
        )
    )


def _pending_length(data: bytes) -> int:
    """Number of bytes at the end of `data` that begin a character which is not complete yet."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        need = 2 if byte & 0xE0 == 0xC0 else 3 if byte & 0xF0 == 0xE0 else 4
        starts = 0xC2 <= byte <= 0xF4
        return back if starts and need > back else 0
    return 0


def continued(held: bytes, token: bytes) -> tuple[str, bytes]:
    """What a token adds to a running text, and the bytes that then wait for the rest of a
    character.

    Args:
        held: the bytes that waited before it.
    """
    if not held and token.isascii():
        return token.decode(), b""
    data = held + token
    pending = _pending_length(data)
    ready, held = (data[:-pending], data[-pending:]) if pending else (data, b"")
    return join_parts(split_utf8(ready)), held


class RunningText:
    """The running text of a path, as its tokens come: raw, not made safe.

    A character that spans tokens belongs to the token that completes it. Invalid bytes come as
    `<E6>`.
    """

    def __init__(self) -> None:
        self._held = b""

    def push(self, token: bytes) -> str:
        """What this token adds."""
        added, self._held = continued(self._held, token)
        return added

    def finish(self) -> str:
        """The bytes that still wait for the rest of a character."""
        held, self._held = self._held, b""
        return join_parts(split_utf8(held))


def running(tokens: Iterable[bytes], *, complete: bool = False) -> list[str]:
    """The text that each token adds to the running text (`RunningText`).

    With `complete`, bytes still waiting at the end are shown instead of being held back.
    """
    text = RunningText()
    texts = [text.push(token) for token in tokens]
    if complete and texts:
        texts[-1] += text.finish()
    return texts


def join_parts(parts: Sequence[str | int]) -> str:
    """The output of `split_utf8` as text, `<E6>` for a byte outside UTF-8."""
    return "".join(f"<{part:02X}>" if isinstance(part, int) else part for part in parts)


def counted(number: int, thing: str) -> str:
    """A number of things in words: `1 token`, `4,096 tokens`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
