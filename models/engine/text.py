"""Text to token ids: as a prompt, or as the continuation of a path."""

import re

from tokexplore.models.engine.loading import Loaded
from tokexplore.models.errors import UsageError

_ANCHORS = ("\n", "a", "0", ".", "。", "\n\n")


def encode(loaded: Loaded, text: str, *, continuation: bool) -> list[int]:
    """Token ids of `text`.

    A prompt gets what the tokenizer adds of its own (BOS where the model uses one); an empty one
    becomes BOS, else EOS. A continuation gets nothing: its bytes are exactly those of `text`, with
    no space in front where a SentencePiece tokenizer would put one. The literal of a special token
    (`</s>`) in either is read as that token, as transformers does.

    Raises:
        UsageError: for text that is not valid Unicode or has no tokens in this model, and for an
            empty prompt on a model that has neither BOS nor EOS.
    """
    if continuation:
        return _continuation(loaded, text)
    if text and (ids := token_ids(loaded, text, special=True)):
        return ids
    if loaded.bos_id is not None:
        return [loaded.bos_id]
    if loaded.eos_ids:
        return [loaded.eos_ids[0]]
    raise UsageError(
        f"an empty prompt needs a start token, and {loaded.name} has neither BOS nor EOS: "
        "give a prompt of at least one character."
    )


def token_ids(loaded: Loaded, text: str, *, special: bool) -> list[int]:
    """The tokenizer's own ids of `text`, with or without the special tokens that it adds.

    Raises:
        UsageError: for a lone surrogate, and for a token that the model has no row for.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the text is not valid Unicode: character {error.start + 1} is the lone surrogate "
            f"U+{ord(text[error.start]):04X}. Give the text as UTF-8."
        ) from error
    ids = loaded.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
    beyond = next((i for i in ids if i >= loaded.rows), None)
    if beyond is not None:
        raise UsageError(
            f"the text holds {loaded.vocabulary.show(beyond)} (token {beyond}), which the model "
            f"has no row for: it has {loaded.rows:,}."
        )
    return list(ids)


def _continuation(loaded: Loaded, text: str) -> list[int]:
    """Without an anchor first; where that adds a space, after an anchor that is cut off again;
    where special tokens bring in more spaces, piece by piece between them.

    A tokenizer that changes the text itself (lower case, NFKC) has no exact answer: then the
    tokens that it would write after an anchor, else those that it would write alone.
    """
    alone = token_ids(loaded, text, special=False)
    if not text or _spells(loaded, alone, text):
        return alone
    inexact: list[list[int]] = []
    for anchor in _ANCHORS:
        head = token_ids(loaded, anchor, special=False)
        both = token_ids(loaded, anchor + text, special=False)
        if both[: len(head)] != head:
            continue
        tail = both[len(head) :]
        if _spells(loaded, tail, text):
            return tail
        inexact.append(tail)
    pieces = _split_at_added(loaded, text)
    if len(pieces) > 1:
        joined = [i for piece in pieces for i in _continuation(loaded, piece)]
        if _spells(loaded, joined, text):
            return joined
    return inexact[0] if inexact else alone


def _split_at_added(loaded: Loaded, text: str) -> list[str]:
    """The text cut before and after each literal of an added token, nothing left out."""
    literals = sorted(loaded.tokenizer.added_tokens_encoder, key=len, reverse=True)
    if not literals:
        return [text]
    return [p for p in re.split(f"({'|'.join(map(re.escape, literals))})", text) if p]


def _spells(loaded: Loaded, ids: list[int], text: str) -> bool:
    return b"".join(map(loaded.vocabulary.bytes_of, ids)) == text.encode()
