"""Texts in which the name of a token (`</s>`) is a few characters and not that token.

A name that shall be read so has a mark after its first character, which no tokenizer finds in it.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

MARK = "\ufdd0"
"""A noncharacter of Unicode, which texts do not hold."""


def with_marks(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The text with a mark in every name of a token; a run of spaces that is one is no name."""
    names = _names(tokenizer)
    if not names:
        return text
    longest = sorted(names, key=len, reverse=True)
    found = re.compile("|".join(map(re.escape, longest)))
    return found.sub(lambda name: f"{name[0][0]}{MARK}{name[0][1:]}", text)


def unmarked(text: str) -> str:
    """The text as it was."""
    return text.replace(MARK, "")


def plain_ids(tokenizer: PreTrainedTokenizerBase, text: str, *, special: bool) -> list[int] | None:
    """The ids of a text, its names read as characters and its marks left out; None where the
    tokenizer's model makes a token of a name all the same."""
    tokenize, names = _plain(tokenizer), set(_names(tokenizer).values())
    if names.intersection(tokenize(unmarked(text), False)):
        return None
    return tokenize(unmarked(text), special)


def _names(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    added = tokenizer.added_tokens_encoder
    return {name: token for name, token in added.items() if name.strip()}


@lru_cache(maxsize=1)
def _plain(tokenizer: PreTrainedTokenizerBase) -> Callable[[str, bool], list[int]]:
    """The same tokenizer, which looks for no names in a text."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return lambda text, special: tokenizer(
            text, add_special_tokens=special, split_special_tokens=True
        )["input_ids"]
    state = json.loads(backend.to_str())
    for token in state["added_tokens"]:
        token["special"] = token["special"] or bool(token["content"].strip())
    plain = Tokenizer.from_str(json.dumps(state))
    plain.no_truncation()
    plain.no_padding()
    plain.encode_special_tokens = True
    return lambda text, special: plain.encode(text, add_special_tokens=special).ids
