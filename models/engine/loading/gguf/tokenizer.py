"""The tokenizer of a GGUF model, as transformers reads it, and what that gets wrong."""

from pathlib import Path

from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tokexplore.models.catalog.gguf_header import GgufHeader
from tokexplore.models.untrusted import brief

_CUT = "tokenizer.ggml.pre"
_LIKE_GPT2 = frozenset(
    ["gpt-2", "phi-2", "olmo", "mpt", "jais", "trillion", "granite-docling", "roberta-bpe", ""]
)
_DIGITS_FIRST = frozenset(
    ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"]
)
"""How vocabularies cut a text before they merge, by llama.cpp's names for it
(https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp): as GPT-2's does, or each
digit by itself and then so. Those that transformers knows it has set already."""


def gguf_tokenizer(path: Path, header: GgufHeader) -> PreTrainedTokenizerBase:
    """The tokenizer of a GGUF model, which cuts texts as its file says where that is known here.

    Args:
        path: of the file that has the vocabulary.
    """
    tokenizer = PreTrainedTokenizerFast.from_pretrained(
        path.parent, gguf_file=path.name, local_files_only=True
    )
    if context := header.whole(f"{header.text('general.architecture')}.context_length"):
        tokenizer.model_max_length = context
    backend = tokenizer.backend_tokenizer
    if _is_plain(tokenizer) and header.text(_CUT) in _DIGITS_FIRST:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), backend.pre_tokenizer]
        )
    return tokenizer


def notice_of_cut(tokenizer: PreTrainedTokenizerBase, header: GgufHeader) -> str:
    """Where texts may become other tokens than the model learned; empty where they do not."""
    named = header.text(_CUT)
    if not _is_plain(tokenizer) or named in _LIKE_GPT2:
        return ""
    return (
        f"texts are cut as GPT-2 cuts them: the file says {brief(named)!r}, which is not known "
        "here, so some texts may become other tokens than the model learned"
    )


def _is_plain(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether texts are cut as GPT-2 does, to which transformers falls back."""
    return isinstance(tokenizer.backend_tokenizer.pre_tokenizer, pre_tokenizers.ByteLevel)
