"""Bits per byte and the samples' figures against a hand computation."""

import math
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tokexplore.models.errors import UsageError
from tokexplore.models.training.command import main
from tokexplore.models.training.corpus import Book
from tokexplore.models.training.evaluate import Score, load, nats, score_books, total
from tokexplore.models.training.publish import write_model
from tokexplore.models.training.samples import Sample, word_coverage, words, worst_repeat
from tokexplore.models.training.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=280,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
        tie_word_embeddings=True,
        initializer_range=0.5,
    )
    return LlamaForCausalLM(config).eval()


def _by_hand(model: LlamaForCausalLM, ids: list[int], window: int) -> float:
    """Every id but the first, one forward each, from the tokens of its own window."""
    cost = 0.0
    for place in range(1, len(ids)):
        start = (place - 1) // window * window
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids[start:place]])).logits[0, -1]
        cost -= float(logits.double().log_softmax(-1)[ids[place]])
    return cost


@pytest.mark.parametrize("length", [2, 8, 9, 10, 41, 200])
def test_nats_are_those_of_one_prediction_at_a_time(model: LlamaForCausalLM, length: int) -> None:
    ids = torch.randint(280, (length,), generator=torch.Generator().manual_seed(1)).tolist()
    assert nats(model, ids, window=8) == pytest.approx(_by_hand(model, ids, 8), rel=1e-5)


def test_bits_are_over_bytes_of_all_books() -> None:
    scores = [Score("a", math.log(2) * 30, 10), Score("b", math.log(2) * 10, 30)]
    assert [score.bits_per_byte for score in scores] == pytest.approx([3.0, 1 / 3])
    assert total(scores).bits_per_byte == pytest.approx(1.0)


def test_a_written_model_is_read_back_in_bfloat16_precision(
    model: LlamaForCausalLM, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = Book("fox.txt", "The fox 🦊 and the hen.\n" * 30)
    tokenizer = train_tokenizer([book.text], 280, 32)
    write_model(tmp_path / "model", model, tokenizer)
    read, read_tokenizer = load(tmp_path / "model")
    for name, weight in model.state_dict().items():
        assert torch.equal(read.state_dict()[name], weight.bfloat16().float())
    ids = [0, *read_tokenizer(book.text, add_special_tokens=False)["input_ids"]]
    [score] = score_books(read, read_tokenizer, [book])
    assert score.nats == pytest.approx(_by_hand(read, ids, 512), rel=1e-5)
    assert score.size == 30 * len("The fox 🦊 and the hen.\n".encode())

    (tmp_path / book.name).write_text(book.text, encoding="utf-8")
    assert main(["evaluate", str(tmp_path / "model"), str(tmp_path / book.name)]) == 0
    assert f"{score.bits_per_byte:.4f}  fox.txt" in capsys.readouterr().out


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.json"):
        load(tmp_path)


def test_words_and_repeats() -> None:
    assert words("Don't say “Boo-hoo”, Zoë!") == ["don't", "say", "boo", "hoo", "zoë"]
    cut = Sample("The fox", " ran afte", (1, 2, 3, 4, 1, 2, 3, 4), ended=False)
    ended = Sample("The fox", " rann", (5,), ended=True)
    assert word_coverage([cut], ["the fox ran"]) == 1.0
    assert word_coverage([cut, ended], ["the fox ran"]) == pytest.approx(5 / 6)
    assert worst_repeat([ended, cut]) == 2
