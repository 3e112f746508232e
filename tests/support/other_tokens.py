"""A fake engine with tokens of its own, which are cut otherwise where a text goes on."""

import re
from itertools import product
from string import ascii_letters

import msgspec

from support.fake_engine import FakeEngine
from tokexplore.models.api.engine import ModelInfo
from tokexplore.models.tokens import Vocabulary

SPECIALS = ("<s>", "</s>", "<|end|>")
"""Those of the other fake engine that it has too."""
_PAIRS = [(a + b).encode() for a, b in product(" " + ascii_letters, repeat=2)]
TOKENS = [*(name.encode() for name in SPECIALS), *(bytes([b]) for b in range(256)), *_PAIRS]
VOCABULARY = Vocabulary.pack(TOKENS, range(len(SPECIALS)), len(TOKENS) + 4)
_ID_OF = {data: token for token, data in enumerate(TOKENS) if token >= len(SPECIALS)}


class Pairs(FakeEngine):
    """Its tokens are pairs of letters from the start of a text on, and single bytes: the last
    letter of a text may be half of a pair of the text that goes on."""

    @property
    def info(self) -> ModelInfo:
        return msgspec.structs.replace(super().info, vocabulary=VOCABULARY.rows)

    @property
    def vocabulary(self) -> Vocabulary:
        return VOCABULARY

    def encode(self, text: str, *, continuation: bool = False, literal: bool = False) -> list[int]:
        names = "|".join(map(re.escape, SPECIALS))
        parts = [text] if literal else re.split(f"({names})", text)
        ids = [] if continuation else [0]
        for part in parts:
            ids += [SPECIALS.index(part)] if not literal and part in SPECIALS else _spelled(part)
        return ids


def _spelled(text: str) -> list[int]:
    data, ids, at = text.encode(), list[int](), 0
    while at < len(data):
        token = data[at : at + 2] if data[at : at + 2] in _ID_OF else data[at : at + 1]
        ids.append(_ID_OF[token])
        at += len(token)
    return ids
