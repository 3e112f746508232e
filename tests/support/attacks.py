"""Text that means harm to a terminal, and a referee that tells what of it came through."""

import re
import unicodedata

_FAR_AWAY = "\x1b[777;1H"
"""A place that no terminal of the tests has."""

ATTACKS = {
    "title": "\x1b]0;owned\x07",
    "title-c1": "\x9d0;owned\x9c",
    "clipboard": "\x1b]52;c;b3duZWQ=\x07",
    "hyperlink": "\x1b]8;;http://owned\x1b\\here\x1b]8;;\x1b\\",
    "colour": "\x1b[38;5;201m",
    "clear": f"\x1b[2J{_FAR_AWAY}",
    "clear-c1": "\x9b2J",
    "question": "\x1bP+q6f776e6564\x1b\\",
    "reset": "\x1bc",
    "bell": "\x07\x05\x08\x08\x08\x0b\x0c\x0e\x7f",
    "bidi": "\u202eowned\u202c \u2066owned\u2069",
    "zero-width": "own\u200b\u200d\ufeffed\u00ad",
    "tags": "\U000e0041\U000e007f",
    "markup": "[/x][bold red]owned[/] [link=http://owned]x",
    "marks": "\u0301\u0308" + "a\u0301" * 3,
    "newlines": "own\r\n\u2028\u2029\x85ed",
}
"""By name: what a model may emit, and a prompt, a name or a file may hold."""

EVERY = "".join(ATTACKS.values())
ON_A_LINE = EVERY.replace("\r", "").replace("\n", "")
IN_A_FILE_NAME = EVERY.replace("/", "").replace("\r", "").replace("\n", "")[:80]

_SEQUENCE = re.compile(
    # places, colours, clearing, requests and modes; the keyboard protocol of kitty
    r"\x1b\[(?:[0-9;]*[HGABCDJKmnhlrtq]|[?>=<][0-9;]*\$?[hlpumnc])"
    # the shape of the mouse's pointer
    r"|\x1b\]22;[a-z]+\x07"
)
_OURS = "\r\n\b"
_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def leaks(raw: bytes) -> set[str]:
    """What of a program's output a terminal would obey, or show as nothing, that is not ours."""
    text = raw.decode("utf-8", "surrogateescape")
    found = {sequence for sequence in (ATTACKS["colour"], _FAR_AWAY) if sequence in text}
    rest = _SEQUENCE.sub("", text)
    found.update(
        f"U+{ord(c):04X} in {rest[max(0, i - 12) : i + 12]!r}"
        for i, c in enumerate(rest)
        if unicodedata.category(c) in _HIDDEN and c not in _OURS
    )
    return found
