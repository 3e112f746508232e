"""The exact bytes of every token id, read off the tokenizer's own decoder.

Which rule holds is decided by the decoder's parts, never by the model's name: byte-level BPE spells
bytes as printable characters, SentencePiece spells a space as U+2581 and, with byte fallback, a
byte outside its vocabulary as `<0xNN>`, WordPiece marks the inside of a word.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from transformers import PreTrainedTokenizerBase

from tokexplore.models.tokens import Vocabulary

SPACE_MARK = "▁"
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")

Rule = Callable[[Any], bytes]


def vocabulary_of(tokenizer: PreTrainedTokenizerBase, rows: int) -> Vocabulary:
    """The tokenizer's ids as exact bytes.

    Added tokens are their literal; those that the tokenizer calls special are flagged. `rows` is
    the number of rows of the model's logits.
    """
    if pieces := mistral_pieces(tokenizer):
        return Vocabulary.pack(pieces, tokenizer.all_special_ids, rows, leading_space=False)
    rule = _rule(tokenizer)
    added = tokenizer.added_tokens_decoder
    backend = getattr(tokenizer, "backend_tokenizer", None)
    own = tokenizer.get_vocab() if backend is None else backend.get_vocab(with_added_tokens=False)
    table = {token_id: rule(token) for token, token_id in own.items()}
    special = set(tokenizer.all_special_ids)
    for token_id, token in added.items():
        if token.special:
            special.add(token_id)
        if token_id in special or token_id not in table:
            table[token_id] = token.content.encode()
    for token_id in special - added.keys():
        table[token_id] = tokenizer.convert_ids_to_tokens(token_id).encode()
    size = max(table, default=-1) + 1
    alone = tokenizer("a", add_special_tokens=False)["input_ids"]
    return Vocabulary.pack(
        [table.get(i, b"") for i in range(size)],
        special,
        rows,
        leading_space=table.get(alone[0], b"").startswith(b" ") if alone else False,
    )


def adds_bos(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the tokenizer puts BOS in front of a text."""
    bos = tokenizer.bos_token_id
    return bos is not None and tokenizer("a")["input_ids"][:1] == [bos]


def added_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The ids of the names that are read as tokens wherever a text holds them; mistral-common
    reads none."""
    return getattr(tokenizer, "added_tokens_encoder", {})


def split_at_added(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """The text cut before and after each literal of an added token, nothing left out."""
    literals = sorted(added_tokens(tokenizer), key=len, reverse=True)
    if not literals:
        return [text]
    return [p for p in re.split(f"({'|'.join(map(re.escape, literals))})", text) if p]


def mistral_pieces(tokenizer: PreTrainedTokenizerBase) -> list[bytes]:
    """The bytes of every id by mistral-common, where that is the tokenizer; else empty.

    Its own map of tokens loses those that are no valid text alone, but each id has its bytes.
    """
    if type(tokenizer).__name__ != "MistralCommonBackend":
        return []
    from mistral_common.tokens.tokenizers.base import SpecialTokenPolicy

    inner = tokenizer.tokenizer.instruct_tokenizer.tokenizer
    return [inner.id_to_byte_piece(i, SpecialTokenPolicy.KEEP) for i in range(inner.n_words)]


def byte_characters() -> dict[str, int]:
    """GPT-2's printable spelling of the 256 bytes: character → byte.

    Printable Latin-1 characters stand for themselves, the other bytes for U+0100 and on
    (`bytes_to_unicode` in openai/gpt-2 `encoder.py`).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in set(printable)]
    spelled = {chr(b): b for b in printable}
    return spelled | {chr(0x100 + i): b for i, b in enumerate(others)}


def _rule(tokenizer: PreTrainedTokenizerBase) -> Rule:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return _slow_rule(tokenizer)
    steps = _parts(backend.decoder, "decoders")
    kinds = {step["type"] for step in steps}
    if "ByteLevel" in kinds or (not steps and _spells_bytes(backend)):
        return _byte_level
    return _piecewise(steps)


def _parts(component: Any, list_name: str) -> list[dict[str, Any]]:
    """A tokenizers component as a flat list of its JSON parts."""
    if component is None:
        return []
    flat: list[dict[str, Any]] = []
    pending = [json.loads(component.__getstate__())]
    while pending:
        part = pending.pop(0)
        if part["type"] == "Sequence":
            pending = part[list_name] + pending
        else:
            flat.append(part)
    return flat


def _spells_bytes(backend: Any) -> bool:
    """Whether text is spelled as GPT-2 byte characters before the model sees it."""
    before = _parts(backend.pre_tokenizer, "pretokenizers")
    before += _parts(backend.normalizer, "normalizers")
    return any(part["type"] == "ByteLevel" for part in before)


_UNSPELLED = dict.fromkeys(range(256), 256)
_SPELLING = str.maketrans(_UNSPELLED | {ord(c): chr(b) for c, b in byte_characters().items()})


def _byte_level(token: str) -> bytes:
    """A token that is not all byte characters is its literal."""
    try:
        return token.translate(_SPELLING).encode("latin-1")
    except UnicodeEncodeError:
        return token.encode()


def _piecewise(steps: list[dict[str, Any]]) -> Rule:
    """The decoder's rules that hold for one token alone; what it does to a whole text
    (fusing, stripping the first space) is not part of a token's bytes."""
    fallback = any(step["type"] == "ByteFallback" for step in steps)
    rewrites = [rewrite for step in steps if (rewrite := _rewrite(step))]
    spaced = not steps

    def rule(token: str) -> bytes:
        if fallback and (match := _BYTE_TOKEN.fullmatch(token)):
            return bytes([int(match[1], 16)])
        for rewrite in rewrites:
            token = rewrite(token)
        return (f" {token}" if spaced else token).encode(errors="surrogatepass")

    return rule


def _rewrite(step: dict[str, Any]) -> Callable[[str], str] | None:
    """What one decoder part does to a token's text; without a decoder words are spaced."""
    match step["type"]:
        case "Metaspace":
            mark = step["replacement"]
            return lambda token: token.replace(mark, " ")
        case "Replace":
            content = step["content"]
            if "String" in step["pattern"]:
                plain = step["pattern"]["String"]
                return lambda token: token.replace(plain, content)
            pattern = re.compile(step["pattern"]["Regex"])
            return lambda token: pattern.sub(lambda _: content, token)
        case "WordPiece":
            prefix = step["prefix"]
            return lambda token: (
                token.removeprefix(prefix) if token.startswith(prefix) else f" {token}"
            )
        case "BPEDecoder":
            suffix = step["suffix"]
            return lambda token: token.replace(suffix, " ")
    return None


def _slow_rule(tokenizer: PreTrainedTokenizerBase) -> Rule:
    """For a tokenizer written in Python: bytes as they are, its own byte map if it has one, else
    SentencePiece's rules."""
    byte_of = getattr(tokenizer, "byte_decoder", None)

    def rule(token: str | bytes) -> bytes:
        if isinstance(token, bytes):
            return token
        if isinstance(byte_of, dict):
            spelled = all(c in byte_of for c in token)
            return bytes(byte_of[c] for c in token) if spelled else token.encode()
        if match := _BYTE_TOKEN.fullmatch(token):
            return bytes([int(match[1], 16)])
        return token.replace(SPACE_MARK, " ").encode(errors="surrogatepass")

    return rule
