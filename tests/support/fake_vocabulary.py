"""The fake engine's tokenizer: every byte, hostile tokens, Chinese characters, plain words."""

import re

from tokexplore.models.tokens import Vocabulary

SPECIALS = ("<s>", "</s>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>")
BOS, EOS, USER, ASSISTANT, END, SYSTEM = range(6)

HOSTILE = (
    b"\x1b[31m",
    b"\x1b]0;owned\x07",
    b"\x9b2J",
    b"\xc2\x9b2J",
    b"\xe2\x80\xae",
    b"\xcc\x81",
    b"[/x]",
    b"[bold]",
    b" arr[i]",
    b"\r",
    b"\n\n",
)
WHOLE_CHARACTERS = ("好", "中", "文", "，", "。", "模型")
_WORD_LIST = """
the a and of to in that was he his it with as had for her not she on him but at they
king queen daughter son princess castle forest wolf who which said so very little old
great came went saw day night house bird sea gold ring tree once upon time there lived
beautiful poor rich good man woman child horse hand head eyes heart long away back home
found took gave made told asked cried began looked never always again until when then
"""
WORDS = tuple(_WORD_LIST.split())
ENDINGS = (".", ",", "!", "?", "s", "ed", "ing", "Once", "The", "King")

PADDING = 4
"""Rows of the logits beyond the tokenizer; the last of them is always -inf."""


def tokens() -> list[bytes]:
    """The bytes of each id: specials, 256 single bytes, hostile tokens, characters, words."""
    return [
        *(s.encode() for s in SPECIALS),
        *(bytes([b]) for b in range(256)),
        *HOSTILE,
        *(c.encode() for c in WHOLE_CHARACTERS),
        *(b" " + w.encode() for w in WORDS),
        *(e.encode() for e in ENDINGS),
    ]


TOKENS = tokens()
FIRST_BYTE = len(SPECIALS)
FIRST_WORD = TOKENS.index(b" the")
VOCABULARY = Vocabulary.pack(TOKENS, range(len(SPECIALS)), len(TOKENS) + PADDING)

SPLIT_CHARACTER = tuple(FIRST_BYTE + b for b in "你".encode())
"""The three single-byte ids that make one character: the model always completes it."""

_ID_OF = {data: i for i, data in enumerate(TOKENS) if i >= FIRST_BYTE}
_LONGEST = max(len(t) for t in TOKENS[FIRST_BYTE:])


def token_id(text: str) -> int:
    """The id of the token with exactly this text.

    Raises:
        KeyError: when no single token has it.
    """
    return SPECIALS.index(text) if text in SPECIALS else _ID_OF[text.encode()]


def encode(text: str, *, literal: bool = True) -> list[int]:
    """Greedy longest match; every byte is a token, so all text can be encoded.

    The names of special tokens are those tokens unless `literal`.
    """
    if not literal:
        pieces = re.split(f"({'|'.join(map(re.escape, SPECIALS))})", text)
        return [i for p in pieces for i in ([token_id(p)] if p in SPECIALS else encode(p))]
    data, ids, at = text.encode(), [], 0
    while at < len(data):
        for length in range(min(_LONGEST, len(data) - at), 0, -1):
            found = _ID_OF.get(data[at : at + length])
            if found is not None:
                ids.append(found)
                at += length
                break
    return ids
