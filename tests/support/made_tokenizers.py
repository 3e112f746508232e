"""Tokenizers of every kind that matters, built in milliseconds from a few sentences."""

from collections.abc import Callable, Iterable
from typing import Any

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import PreTrainedTokenizerFast, PythonBackend

TEXT = [
    "Once upon a time there was a king who had a daughter, and she was very beautiful.",
    "从前有一个国王，他有一个女儿。国王说：你好，世界！",
    "The wolf said: let me in, or I'll huff and puff.\n\nAnd the little pig said no.",
]
MARK = "▁"
TURN = "<｜end▁of▁turn｜>"
"""A control token of the piece vocabularies, whose U+2581 is no space."""
BYTES = [f"<0x{b:02X}>" for b in range(256)]


def wrapped(
    tokenizer: Tokenizer, *, bos: str | None = "<s>", eos: str | None = "</s>", **more: object
) -> PreTrainedTokenizerFast:
    """A tokenizer as transformers has it, with BOS in front of a text where there is a BOS."""
    names = [name for name in (bos, eos) if name]
    tokenizer.add_special_tokens(names)
    if bos:
        tokenizer.post_processor = processors.Sequence(
            [
                *([tokenizer.post_processor] if tokenizer.post_processor else []),
                processors.TemplateProcessing(
                    single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
                ),
            ]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, **more)


def byte_level(*, prefix_space: bool = False, extra: Iterable[str] = ()) -> Tokenizer:
    """GPT-2's kind: BPE over bytes that are spelled as printable characters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    from tokenizers.trainers import BpeTrainer

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_special_tokens(list(extra))
    return tokenizer


def pieces_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Llama-2's kind of vocabulary: control tokens, 256 byte tokens, pieces; and BPE merges."""
    merges = [("o", "n"), ("t", "h"), ("th", "e"), (MARK, "the"), (MARK, "a"), (MARK, MARK)]
    merges += [("国", "王"), ("你", "好"), ("i", "n"), (MARK, "w"), ("e", "r")]
    characters = dict.fromkeys([*"abcdefghijklmnopqrstuvwxyzOTI.,!", MARK, *"国王你好世界，"])
    pieces = [*characters, *("".join(pair) for pair in merges)]
    names = ["<unk>", "<s>", "</s>", TURN, *BYTES, *pieces]
    return {name: i for i, name in enumerate(dict.fromkeys(names))}, merges


def _fallback_bpe() -> Tokenizer:
    vocabulary, merges = pieces_vocabulary()
    return Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )


def llama_two() -> Tokenizer:
    """Spaces through normalizers, one put in front of the text; bytes as a fallback."""
    tokenizer = _fallback_bpe()
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(MARK, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


def metaspace(scheme: str = "first") -> Tokenizer:
    """The same through a Metaspace pre-tokenizer."""
    tokenizer = _fallback_bpe()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(MARK, prepend_scheme=scheme, split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(MARK, prepend_scheme=scheme, split=False)]
    )
    return tokenizer


def gemma() -> Tokenizer:
    """SentencePiece's spaces without one in front."""
    tokenizer = _fallback_bpe()
    tokenizer.normalizer = normalizers.Replace(" ", MARK)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def unigram() -> Tokenizer:
    """SentencePiece's Unigram with byte fallback."""
    vocabulary, _ = pieces_vocabulary()
    scores = [(piece, -float(i % 17) - 1.0 / len(piece)) for i, piece in enumerate(vocabulary)]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(MARK, prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(MARK, prepend_scheme="always")]
    )
    return tokenizer


def word_piece() -> Tokenizer:
    """BERT's kind: words and `##` insides, no bytes."""
    names = ["[UNK]", "once", "king", "##ly", "a", "the", "##s"]
    tokenizer = Tokenizer(models.WordPiece({n: i for i, n in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def with_added(tokenizer: Tokenizer, *contents: str) -> Tokenizer:
    """The same tokenizer with ordinary added tokens, matched in the raw text."""
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in contents])
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte level": byte_level,
    "byte level, prefix space": lambda: byte_level(prefix_space=True),
    "llama 2": llama_two,
    "metaspace first": lambda: metaspace("first"),
    "metaspace always": lambda: metaspace("always"),
    "metaspace never": lambda: metaspace("never"),
    "gemma": gemma,
    "unigram": unigram,
}
SPACED = {"byte level, prefix space", "llama 2", "metaspace first", "metaspace always", "unigram"}
"""Kinds that put a space in front of a text."""


class Slow(PythonBackend):
    """A tokenizer written in Python, one token for a character, with the vocabulary given."""

    def __init__(self, vocabulary: dict[Any, int], **more: Any) -> None:
        self._own = vocabulary
        super().__init__(**more)

    @property
    def vocab_size(self) -> int:
        return len(self._own)

    def get_vocab(self) -> dict[Any, int]:
        return dict(self._own)

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        return list(text)

    def _convert_token_to_id(self, token: str) -> int:
        return self._own.get(token, 0)

    def _convert_id_to_token(self, index: int) -> Any:
        return next((token for token, i in self._own.items() if i == index), "")
