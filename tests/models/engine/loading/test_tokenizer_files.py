"""Tokenizers of other files than tokenizer.json: opened, with exact bytes, or the package named."""

import base64
import json
from pathlib import Path

import pytest
import sentencepiece
from support.made_models import llama, save_llama
from support.made_tokenizers import TEXT
from support.opening import opened, refusal
from transformers.utils import is_mistral_common_available

from tokexplore.models.engine.loading import tokenizer_files
from tokexplore.models.engine.text.encode import encode

ROWS = 340
needs_mistral = pytest.mark.skipif(
    not is_mistral_common_available(), reason="needs mistral-common, which no numpy of ours suits"
)


def without_tokenizer(path: Path, rows: int) -> Path:
    llama(rows).save_pretrained(path)
    return path


def write_tekken(file: Path) -> None:
    """Twenty control tokens, the 256 bytes, and pieces that cut characters in two."""
    pieces = [bytes([b]) for b in range(256)]
    pieces += [b" t", "你".encode()[:2], "好".encode(), b"he", b" the", b"ki", b"king", b" king"]
    vocab = [
        {"rank": rank, "token_bytes": base64.b64encode(piece).decode(), "token_str": None}
        for rank, piece in enumerate(pieces)
    ]
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]"]
    names += ["[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "<pad>"]
    names += ["[PREFIX]", "[MIDDLE]", "[SUFFIX]"]
    names += [f"<SPECIAL_{i}>" for i in range(len(names), 20)]
    special = [{"rank": i, "token_str": n, "is_control": True} for i, n in enumerate(names)]
    config = {
        "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+",
        "num_vocab_tokens": len(vocab),
        "default_vocab_size": len(vocab) + len(special),
        "default_num_special_tokens": len(special),
        "version": "v3",
    }
    file.write_text(json.dumps({"config": config, "vocab": vocab, "special_tokens": special}))


@needs_mistral
def test_tekken_alone_opens_and_every_id_has_its_bytes(tmp_path: Path) -> None:
    path = without_tokenizer(tmp_path / "mistral", ROWS)
    write_tekken(path / "tekken.json")
    loaded = opened(path)
    assert (loaded.bos_id, loaded.eos_ids, loaded.chat_template) == (1, (2,), False)
    assert loaded.vocabulary.special == set(range(20))
    assert loaded.vocabulary.bytes_of(20 + 255) == b"\xff"
    assert loaded.vocabulary.bytes_of(20 + 257) == "你".encode()[:2]
    assert loaded.vocabulary.show(1) == "<s>"
    for text in ("the king 你好\n", "a</s>b", " x"):
        ids = encode(loaded, text, continuation=False)
        assert ids[0] == 1
        assert b"".join(map(loaded.vocabulary.bytes_of, ids[1:])) == text.encode()
        assert encode(loaded, text, continuation=True) == ids[1:]
    assert encode(loaded, "", continuation=False) == [1]


@needs_mistral
def test_tokenizer_json_goes_before_tekken(tmp_path: Path) -> None:
    path = save_llama(tmp_path / "both", model_type="mistral")
    alone = opened(path)
    write_tekken(path / "tekken.json")
    assert type(opened(path).tokenizer) is type(alone.tokenizer)
    assert len(opened(path).vocabulary) == len(alone.vocabulary)


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    """A Llama whose tokenizer is a SentencePiece model alone."""
    (tmp_path / "text").write_text("\n".join(TEXT * 20))
    path = without_tokenizer(tmp_path / "pieces", ROWS)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"),
        model_prefix=str(path / "tokenizer"),
        vocab_size=330,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=0.98,
        minloglevel=2,
    )
    (path / "tokenizer.vocab").unlink()
    return path


def test_a_sentencepiece_model_alone_opens(pieces: Path) -> None:
    loaded = opened(pieces)
    assert len(loaded.vocabulary) == 330
    ids = encode(loaded, "the king 你", continuation=True)
    assert b"".join(map(loaded.vocabulary.bytes_of, ids)) == "the king 你".encode()


@pytest.mark.parametrize("lacking", ["sentencepiece", "google.protobuf"])
def test_a_sentencepiece_model_names_both_packages(
    pieces: Path, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_files, "_installed", lambda module: module != lacking)
    assert refusal(pieces) == (
        "pieces has no tokenizer.json, and its tokenizer.model needs packages that are not "
        "installed: pip install sentencepiece protobuf (the extra tokexplore[sentencepiece])."
    )


def test_tekken_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = without_tokenizer(tmp_path / "mistral", ROWS)
    write_tekken(path / "tekken.json")
    monkeypatch.setattr(tokenizer_files, "is_mistral_common_available", lambda: False)
    assert refusal(path).endswith(
        "its tekken.json needs packages that are not installed: pip install mistral-common pillow "
        "(the extra tokexplore[mistral])."
    )


def test_a_tiktoken_model_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = without_tokenizer(tmp_path / "meta", ROWS)
    lines = [f"{base64.b64encode(bytes([b])).decode()} {b}" for b in range(256)]
    (path / "tokenizer.model").write_text("\n".join(lines))
    monkeypatch.setattr(tokenizer_files, "_installed", lambda _: False)
    assert "its tokenizer.model needs packages that are not installed: pip install tiktoken." in (
        refusal(path)
    )


def test_packages_that_are_here_are_seen() -> None:
    assert tokenizer_files._installed("google.protobuf")
    assert not tokenizer_files._installed("no_such_parent.child")
