"""Tokens that hold characters only in part, in words: what they can begin, and what they became."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from tokexplore.models.display import counted, is_mark, safe_character
from tokexplore.models.partial_characters import (
    LONGEST_CHARACTER,
    Partial,
    beginnings,
    missing,
    partials,
)
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.explorer import Explorer

COMMON_SETS = ("gb2312", "shift_jis", "euc_kr")
"""Character sets of daily use: of many characters, those in them are the better examples."""
LAST_COMMON = 0xFFFF
EXAMPLES, SCRIPTS = 3, 3
LOOKED_AT = 8192
"""Characters at most, to name scripts and examples by."""
_MOSTLY = 0.95
"""Share of the characters whose scripts are named."""
_KINDS = {"N": "numbers", "P": "punctuation", "S": "symbols", "Z": "spaces", "C": "controls"}
_NAMES = {
    "CJK": "CJK", "COMBINING": "combining marks", "VARIATION": "variation selectors",
    "OTHERS": "others",
}  # fmt: skip
_LONG_NAMES = ("OLD", "NEW", "TAI", "LINEAR")
"""Scripts whose names have two words."""


def bytes_near(explorer: Explorer, node: int) -> list[bytes]:
    """The bytes of a node's token and of those before it that can share a character with it."""
    tree, found = explorer.tree, list[bytes]()
    while node != ROOT and len(found) < LONGEST_CHARACTER:
        found.insert(0, token_bytes(explorer, tree.token[node]))
        node = tree.parent[node]
    return found


def token_bytes(explorer: Explorer, token: int) -> bytes:
    """The bytes of a token; of one without any some that are part of no other's character."""
    return explorer.vocabulary.bytes_of(token) or b"<"


def character_note(before: Sequence[bytes], token: bytes) -> str:
    """What the parts of characters in a token lead to after some others: `→ 一亡似 CJK`, `= 你`."""
    if token.isascii():
        return ""
    path = [*before, token]
    return ", ".join(_note(part) for part in partials(path, len(before)))


def _note(part: Partial) -> str:
    if part.character:
        return f"= {safe_character(part.character)}"
    if not part.is_open:
        return "no character"
    codes = beginnings(part.so_far)
    shown = "".join(examples(codes.start, codes.stop))
    return " ".join(filter(None, ("→", shown, scripts(codes.start, codes.stop).names)))


def character_lines(tokens: Sequence[bytes], index: int) -> Iterator[tuple[str, str]]:
    """The same of a token on a path, in full: names of lines and what they say."""
    for part in partials(tokens, index):
        own = "" if part.own == tokens[index] else f"{_hex(part.own)}: "
        codes = beginnings(part.so_far)
        if codes and missing(part.so_far):
            name = "goes on" if part.before else "begins"
            head = f"after {_hex(part.so_far[: -len(part.own)])}: " if part.before else ""
            yield name, own + head + range_words(codes)
        broken = not part.character and not part.is_open
        yield "became", ("" if broken else own) + _became(part)


def _became(part: Partial) -> str:
    if part.character:
        code = f"U+{ord(part.character):04X}"
        return f"{safe_character(part.character)} {code}, {_together(part)}"
    if part.is_open:
        lacks = counted(missing(part.data), "byte")
        return f"nothing yet: the path ends {lacks} before it does"
    if not beginnings(part.so_far[:1]):
        if part.data[0] & 0xC0 == 0x80:
            return f"no character: {_hex(part.data)} goes on with one, and none is begun before it"
        return f"no character: {_hex(part.data)} is never part of UTF-8"
    return f"no character: what follows {_hex(part.data)} does not go on with it"


def _together(part: Partial) -> str:
    """With which of the tokens around it a token makes a character."""
    sides = [(part.before, "before"), (part.after, "after")]
    words = [f"the {f'{n} tokens' if n > 1 else 'one'} {side} it" for n, side in sides if n]
    return "with " + " and ".join(words)


def range_words(codes: range) -> str:
    """Code points with their scripts and examples: `U+4000 to U+4FFF, mostly CJK: 一 亿 俩`."""
    named, shown = scripts(codes.start, codes.stop), examples(codes.start, codes.stop)
    words = f"U+{codes.start:04X} to U+{codes.stop - 1:04X}, {named.extent}{named.names}"
    return words + (f": {' '.join(shown)}" if shown else "")


def _hex(data: bytes) -> str:
    return data.hex(" ").upper()


class Scripts(NamedTuple):
    """What some characters are."""

    names: str
    """Those of most of them first."""
    extent: str = ""
    """`mostly ` or `some `, where others are among them."""


@lru_cache(maxsize=512)
def scripts(start: int, stop: int) -> Scripts:
    """The scripts of the characters from one up to another."""
    counts = Counter(_script(character) for character in _assigned(start, stop))
    named, seen, total = [], 0, counts.total()
    for name, count in counts.most_common(SCRIPTS):
        named.append(name)
        seen += count
        if seen >= _MOSTLY * total:
            break
    mostly = "mostly " if seen >= _MOSTLY * total else "some "
    return Scripts(", ".join(named) or "no characters yet", "" if seen == total else mostly)


def _script(character: str) -> str:
    """The script of a letter or a mark by its name in Unicode; of others what they are."""
    kind = unicodedata.category(character)[0]
    if kind not in "LM":
        return _KINDS[kind]
    words = unicodedata.name(character, "OTHERS").split()
    name = " ".join(words[: 1 + (words[0] in _LONG_NAMES)])
    return _NAMES.get(name, name.title())


@lru_cache(maxsize=512)
def examples(start: int, stop: int) -> tuple[str, ...]:
    """A few of the characters from one up to another that a terminal can show, from all over."""
    shown = [c for c in _assigned(start, stop) if safe_character(c) == c and not is_mark(c)]
    letters = [c for c in shown if unicodedata.category(c)[0] == "L"]
    usual = letters if 2 * len(letters) >= len(shown) else shown
    wide = [c for c in usual if unicodedata.east_asian_width(c) == "W"]
    chosen = _most_common(usual) or wide or usual
    count = min(EXAMPLES, len(chosen))
    return tuple(chosen[len(chosen) * number // count] for number in range(count))


def _most_common(characters: Sequence[str]) -> list[str]:
    """Those that are in as many of the sets of daily use as any of them, where one is in any."""
    sets = [sum(map(partial(_holds, character), COMMON_SETS)) for character in characters]
    most = max(sets, default=0)
    return [c for c, count in zip(characters, sets, strict=True) if count == most > 0]


def _holds(character: str, name: str) -> bool:
    if ord(character) > LAST_COMMON:
        return False
    try:
        return bool(character.encode(name))
    except UnicodeEncodeError:
        return False


def _assigned(start: int, stop: int) -> Iterator[str]:
    """The characters from one up to another that have been given a meaning.

    Of more than `LOOKED_AT` only every so-manieth is looked at.
    """
    for code in range(start, stop, max(1, (stop - start) // LOOKED_AT)):
        if unicodedata.category(character := chr(code)) not in ("Cn", "Co", "Cs"):
            yield character
