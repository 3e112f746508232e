"""Texts in which the name of a token (`</s>`) is a few characters and not that token.

A name that shall be read so has a mark after its first character, which no tokenizer finds in it.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from tokexplore.models.engine.text.byte_table import added_tokens

MARK = "\udfff"
"""Half of a surrogate pair: no text that is valid Unicode holds it."""


def with_marks(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """The text with a mark in every name of a token."""
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
    tokenize, spelled = _plain(tokenizer), unmarked(text)
    named = {token for name, token in _names(tokenizer).items() if name in spelled}
    if named.intersection(tokenize(spelled, False)):
        return None
    return tokenize(spelled, special)


def _names(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    added = added_tokens(tokenizer)
    return {name: token for name, token in added.items() if _is_name(name)}


def _is_name(content: str) -> bool:
    """Whether an added token is more than a run of spaces or one character, which is itself."""
    return len(content.strip()) > 1


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
        token["special"] = _is_name(token["content"])
    plain = Tokenizer.from_str(json.dumps(state))
    plain.no_truncation()
    plain.no_padding()
    plain.encode_special_tokens = True
    return lambda text, special: plain.encode(text, add_special_tokens=special).ids
