#!/bin/sh
# A mark of combining class 0 ends what pyte draws, a terminal emulator in Python.
#
# Versions: pyte 0.8.2, wcwidth 0.2.14, Python 3.11.
#
# Half the vowel signs of Thai, Devanagari, Tamil, Khmer and Burmese have no width and combining
# class 0. pyte's Screen.draw leaves its loop at such a mark: the rest of the piece of text that
# came in one go is not drawn. Where a sequence (a move, a colour) follows the mark, only the mark
# is lost. Marks of other classes, as those of Latin, are joined to the character before them.
#
# Seen:
#    pyte 0.8.2, class 230: 'é then'
#    pyte 0.8.2, class 0: 'ก'
#    pyte 0.8.2, class 0, then a move: 'ก then'
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyte==0.8.2 wcwidth==0.2.14
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import pyte

def shown(text):
    screen = pyte.Screen(12, 1)
    pyte.Stream(screen).feed(text)
    return screen.display[0].rstrip()

found = {
    "class 230": shown("e\u0301 then"),
    "class 0": shown("\u0e01\u0e31 then"),
    "class 0, then a move": shown("\u0e01\u0e31\x1b[2G then"),
}
for name, text in found.items():
    print(f"pyte {version('pyte')}, {name}: {text!r}")
assert found == {
    "class 230": "\u00e9 then",
    "class 0": "\u0e01",
    "class 0, then a move": "\u0e01 then",
}, "it behaves otherwise now"
PYTHON
