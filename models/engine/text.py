"""Text to token ids: as a prompt, or as the continuation of a path."""

from tokexplore.models.engine.byte_table import split_at_added
from tokexplore.models.engine.literal import MARK, plain_ids, unmarked, with_marks
from tokexplore.models.engine.loading import Loaded
from tokexplore.models.errors import UsageError

_ANCHORS = ("\n", "a", "0", ".", "。", "\n\n")


def encode(loaded: Loaded, text: str, *, continuation: bool, literal: bool = False) -> list[int]:
    """Token ids of `text`.

    A prompt gets what the tokenizer adds of its own (BOS where the model uses one), unless the text
    itself begins with it; an empty one becomes BOS, else EOS. A continuation gets nothing: its
    bytes are exactly those of `text`, with no space in front where a SentencePiece tokenizer would
    put one. The literal of a special token (`</s>`) in either is read as that token, as
    transformers does, or, where `literal` is true, as its characters.

    Raises:
        UsageError: for text that is not valid Unicode or has no tokens in this model, and for an
            empty prompt on a model that has neither BOS nor EOS.
    """
    check_unicode(text)
    if literal:
        text = with_marks(loaded.tokenizer, text)
    if continuation:
        return continuation_ids(loaded, text)
    if text and (ids := _begun_once(loaded, text)):
        return ids
    if loaded.bos_id is not None:
        return [loaded.bos_id]
    if loaded.eos_ids:
        return [loaded.eos_ids[0]]
    raise UsageError(
        f"an empty prompt needs a start token, and {loaded.name} has neither BOS nor EOS: "
        "give a prompt of at least one character."
    )


def _begun_once(loaded: Loaded, text: str) -> list[int]:
    """A prompt's ids; the tokens that the tokenizer puts in front are not put there twice."""
    ids, own = (token_ids(loaded, text, special=special) for special in (True, False))
    put = len(ids) - len(own)
    return own if ids[put:] == own and own[:put] == ids[:put] else ids


def check_unicode(text: str) -> None:
    """Refuse a text that no tokenizer can read.

    Raises:
        UsageError: for a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the text is not valid Unicode: character {error.start + 1} is the lone surrogate "
            f"U+{ord(text[error.start]):04X}. Give the text as UTF-8."
        ) from error


def token_ids(loaded: Loaded, text: str, *, special: bool) -> list[int]:
    """The tokenizer's own ids of `text`, with or without the special tokens that it adds.

    Names of tokens that are marked (see `literal`) are read as their characters.

    Raises:
        UsageError: for a lone surrogate, and for a token that the model has no row for.
    """
    check_unicode(unmarked(text))
    if MARK in text:
        ids = _marked_ids(loaded, text, special=special)
    else:
        ids = loaded.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
    beyond = next((i for i in ids if i >= loaded.rows), None)
    if beyond is not None:
        raise UsageError(
            f"the text holds {loaded.vocabulary.show(beyond)} (token {beyond}), which the model "
            f"has no row for: it has {loaded.rows:,}."
        )
    return list(ids)


def _marked_ids(loaded: Loaded, text: str, *, special: bool) -> list[int]:
    """The text between two tokens that are named is tokenized alone where it holds a mark."""
    stretches: list[str] = []
    for piece in split_at_added(loaded.tokenizer, text):
        if stretches and (not piece.strip() or (MARK in piece) == (MARK in stretches[-1])):
            stretches[-1] += piece
        else:
            stretches.append(piece)
    ids: list[int] = []
    for index, stretch in enumerate(stretches):
        if MARK not in stretch:
            ids += token_ids(loaded, stretch, special=special and not index)
        elif index:
            ids += continuation_ids(loaded, stretch)
        else:
            ids += _alone(loaded, stretch, special=special)
    return ids


def _alone(loaded: Loaded, text: str, *, special: bool) -> list[int]:
    """A text that names no token, but may hold marks. Cut at the marks where the tokenizer's
    model itself makes a token of its name."""
    ids = plain_ids(loaded.tokenizer, text, special=special)
    if ids is not None:
        return ids
    first, *rest = text.split(MARK)
    begun = token_ids(loaded, first, special=special)
    return begun + [i for piece in rest for i in continuation_ids(loaded, piece)]


def continuation_ids(loaded: Loaded, text: str) -> list[int]:
    """The ids of a text that goes on: exactly its bytes, no token put in front.

    Without an anchor first; where that adds a space, after an anchor that is cut off again;
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
    pieces = split_at_added(loaded.tokenizer, text)
    if len(pieces) > 1:
        joined = [i for piece in pieces for i in continuation_ids(loaded, piece)]
        if _spells(loaded, joined, text):
            return joined
    return inexact[0] if inexact else alone


def _spells(loaded: Loaded, ids: list[int], text: str) -> bool:
    return b"".join(map(loaded.vocabulary.bytes_of, ids)) == unmarked(text).encode()
