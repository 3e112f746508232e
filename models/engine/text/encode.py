"""Text to token ids: as a prompt, or as the continuation of a path."""

from tokexplore.models.engine.text.byte_table import split_at_added
from tokexplore.models.engine.text.literal import MARK, plain_ids, unmarked, with_marks
from tokexplore.models.engine.text.text_model import TextModel
from tokexplore.models.errors import UsageError

_ANCHORS = ("\n", "a", "0", ".", "。", "\n\n")


def encode(model: TextModel, text: str, *, continuation: bool, literal: bool = False) -> list[int]:
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
        text = with_marks(model.tokenizer, text)
    if continuation:
        return continuation_ids(model, text)
    if text and (ids := _begun_once(model, text)):
        return ids
    if model.bos_id is not None:
        return [model.bos_id]
    if model.eos_ids:
        return [model.eos_ids[0]]
    raise UsageError(
        f"an empty prompt needs a start token, and {model.name} has neither BOS nor EOS: "
        "give a prompt of at least one character."
    )


def _begun_once(model: TextModel, text: str) -> list[int]:
    """A prompt's ids; the tokens that the tokenizer puts in front are not put there twice."""
    ids, own = (token_ids(model, text, special=special) for special in (True, False))
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


def token_ids(model: TextModel, text: str, *, special: bool) -> list[int]:
    """The tokenizer's own ids of `text`, with or without the special tokens that it adds.

    Names of tokens that are marked (see `literal`) are read as their characters.

    Raises:
        UsageError: for a lone surrogate, and for a token that the model has no row for.
    """
    check_unicode(unmarked(text))
    if MARK in text:
        ids = _marked_ids(model, text, special=special)
    else:
        ids = model.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
    beyond = next((i for i in ids if i >= model.rows), None)
    if beyond is not None:
        raise UsageError(
            f"the text holds {model.vocabulary.show(beyond)} (token {beyond}), which the model "
            f"has no row for: it has {model.rows:,}."
        )
    return list(ids)


def _marked_ids(model: TextModel, text: str, *, special: bool) -> list[int]:
    """The text between two tokens that are named is tokenized alone where it holds a mark."""
    stretches: list[str] = []
    for piece in split_at_added(model.tokenizer, text):
        if stretches and (not piece.strip() or (MARK in piece) == (MARK in stretches[-1])):
            stretches[-1] += piece
        else:
            stretches.append(piece)
    ids: list[int] = []
    for index, stretch in enumerate(stretches):
        if MARK not in stretch:
            ids += token_ids(model, stretch, special=special and not index)
        elif index:
            ids += continuation_ids(model, stretch)
        else:
            ids += _alone(model, stretch, special=special)
    return ids


def _alone(model: TextModel, text: str, *, special: bool) -> list[int]:
    """A text that names no token, but may hold marks. Cut at the marks where the tokenizer's
    model itself makes a token of its name."""
    ids = plain_ids(model.tokenizer, text, special=special)
    if ids is not None:
        return ids
    first, *rest = text.split(MARK)
    begun = token_ids(model, first, special=special)
    return begun + [i for piece in rest for i in continuation_ids(model, piece)]


def continuation_ids(model: TextModel, text: str) -> list[int]:
    """The ids of a text that goes on: exactly its bytes, no token put in front.

    Without an anchor first; where that adds a space, after an anchor that is cut off again;
    where special tokens bring in more spaces, piece by piece between them.
    A tokenizer that changes the text itself (lower case, NFKC) has no exact answer: then the
    tokens that it would write after an anchor, else those that it would write alone.
    """
    alone = token_ids(model, text, special=False)
    if not text or _spells(model, alone, text):
        return alone
    inexact: list[list[int]] = []
    for anchor in _ANCHORS:
        head = token_ids(model, anchor, special=False)
        both = token_ids(model, anchor + text, special=False)
        if both[: len(head)] != head:
            continue
        tail = both[len(head) :]
        if _spells(model, tail, text):
            return tail
        inexact.append(tail)
    pieces = split_at_added(model.tokenizer, text)
    if len(pieces) > 1:
        joined = [i for piece in pieces for i in continuation_ids(model, piece)]
        if _spells(model, joined, text):
            return joined
    return inexact[0] if inexact else alone


def _spells(model: TextModel, ids: list[int], text: str) -> bool:
    return b"".join(map(model.vocabulary.bytes_of, ids)) == unmarked(text).encode()
