"""The tokenizer that a GGUF file holds, as a directory that transformers opens.

For SmolLM2, whose rule (`smollm`) is GPT-2's with each digit alone.
"""

import struct
from io import BufferedReader
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

_NUMBERS = "BbHhIif?"
"""Formats of the types 0 to 7 of a value; 8 is a text, 9 a list, 10 to 12 are longer numbers."""
_LONG = "Qqd"
_CONTROL = 3


def save_tokenizer(file: Path, folder: Path) -> None:
    """Put the tokenizer of a file into a folder, with its chat template."""
    held = _metadata(file)
    assert held["tokenizer.ggml.pre"] == "smollm"
    tokens, kinds = held["tokenizer.ggml.tokens"], held["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in held["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence([  # type: ignore[assignment]
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ])  # fmt: skip
    made.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    made.add_special_tokens([AddedToken(token, special=True) for token in control])
    end = tokens[held["tokenizer.ggml.eos_token_id"]]
    template = held["tokenizer.chat_template"]
    PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=end, chat_template=template
    ).save_pretrained(folder)


def _metadata(file: Path) -> dict[str, Any]:
    """What a file says before its weights (GGUF, version 3)."""
    with file.open("rb") as read:
        magic, version, _, count = _numbers(read, "4sIQQ")
        assert (magic, version) == (b"GGUF", 3)
        return {_text(read): _value(read, _numbers(read, "I")[0]) for _ in range(count)}


def _value(read: BufferedReader, kind: int) -> Any:
    if kind == 8:
        return _text(read)
    if kind == 9:
        inner, count = _numbers(read, "IQ")
        return [_value(read, inner) for _ in range(count)]
    return _numbers(read, _NUMBERS[kind] if kind < 8 else _LONG[kind - 10])[0]


def _text(read: BufferedReader) -> str:
    return read.read(_numbers(read, "Q")[0]).decode("utf-8", "replace")


def _numbers(read: BufferedReader, form: str) -> tuple[Any, ...]:
    form = "<" + form
    return struct.unpack(form, read.read(struct.calcsize(form)))
