"""The recipe on a tiny corpus: the tokenizer, the windows, the loop, the resumed loop."""

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from tokexplore.models.errors import UsageError
from tokexplore.models.training.command import main
from tokexplore.models.training.corpus import (
    Book,
    Epochs,
    Windows,
    encode_stream,
    read_corpus,
)
from tokexplore.models.training.evaluate import load
from tokexplore.models.training.names import find_names, renamed
from tokexplore.models.training.publish import write_model
from tokexplore.models.training.recipe import Recipe
from tokexplore.models.training.tokenizer import train_tokenizer
from tokexplore.models.training.train import Run, train

TEXT = "".join(
    f"Once there was a {animal} who lived by the {place}.\n"
    for animal in ("fox", "hen", "bear", "goose", "mouse", "wolf", "snail", "hare")
    for place in ("river", "wood", "mill", "sea", "old wall", "well")
)
BOOK = Book("tale.txt", TEXT)
TINY = Recipe(
    vocabulary=300,
    hidden=16,
    layers=2,
    heads=2,
    feed_forward=32,
    context=32,
    window=16,
    batch=64,
    tokens=64 * 8,
    warmup=2,
)


SPARSE = replace(TINY, experts=4, feed_forward=16)
RECIPES = pytest.mark.parametrize("recipe", [TINY, SPARSE], ids=["dense", "sparse"])


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer([TEXT], TINY.vocabulary, TINY.context)


def test_tokenizer_has_the_size_asked_for(tokenizer: PreTrainedTokenizerBase) -> None:
    assert len(tokenizer) == TINY.vocabulary
    assert tokenizer.convert_tokens_to_ids(["<s>", "</s>"]) == [0, 1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " two  spaces ",
        "don 't , .",
        "line\r\n\n\tend\n",
        "从前有一只狐狸",
        "🦊👩‍👧 café e\u0301",
        "\x00\x7f",
    ],
)
def test_tokenizer_gives_every_text_back(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert tokenizer(text)["input_ids"] == [tokenizer.bos_token_id, *ids]


def test_a_stream_marks_each_book(tokenizer: PreTrainedTokenizerBase) -> None:
    stream = encode_stream(tokenizer, [BOOK, BOOK])
    assert stream.tolist().count(0) == stream.tolist().count(1) == 2
    assert (stream[0], stream[-1]) == (0, 1)


def test_an_epoch_shows_no_token_twice() -> None:
    stream = torch.arange(100)
    windows = Windows(stream, lambda _: stream, 9, seed=3)
    seen = torch.cat([windows.batch(number, 2)[:, :-1].flatten() for number in range(5)])
    assert len(seen.unique()) == len(seen) == 90
    assert not torch.equal(windows.batch(0, 2), windows.batch(5, 2))


NAMED = "Then Anna met Bert, and Anna said to Bert: Good day, Mr. Bert. Good, said Carl.\n"


def test_names_are_what_is_capitalised_within_sentences() -> None:
    names = find_names([NAMED, NAMED, "It was a good day.", "So on Monday a monday came."])
    assert names == ("Anna", "Bert", "Carl")


def test_a_name_is_the_same_other_one_all_through_a_stretch() -> None:
    text = renamed(NAMED * 3, ("Anna", "Bert", "Dora", "Emil"), 1.0, random.Random(5))
    words = re.findall(r"Then (\w+) met (\w+), and (\w+) said to (\w+): Good day, Mr. (\w+)", text)
    assert len(words) == 3
    assert len(set(words)) == 1
    anna, bert, *again = words[0]
    assert again == [anna, bert, bert]
    assert text.replace(anna, "Anna").replace(bert, "Bert").count("said Carl") == 3
    assert renamed(NAMED, ("Anna", "Bert", "Dora"), 0.0, random.Random(5)) == NAMED


def test_each_epoch_has_names_of_its_own(tokenizer: PreTrainedTokenizerBase) -> None:
    books = [Book("a.txt", NAMED * 40), Book("b.txt", "They met Dora and saw Emil. " * 9)]
    epochs = Epochs(tokenizer, books, 1.0, seed=3)
    first, second = epochs.stream(0), epochs.stream(1)
    assert not torch.equal(first, second)
    assert torch.equal(first, epochs.stream(0))
    assert torch.equal(Epochs(tokenizer, books, 0.0, seed=3).stream(1), epochs.plain)


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    recipe = replace(Recipe(), batch=4096, tokens=4096 * 1000, warmup=10, decay_share=0.5)
    assert recipe.rate_at(0) == pytest.approx(0.1)
    assert recipe.rate_at(10) == recipe.rate_at(500) == 1.0
    assert recipe.rate_at(999) == pytest.approx(1 / 500)


@RECIPES
def test_a_resumed_run_ends_with_the_same_bits(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, recipe: Recipe
) -> None:
    epochs = Epochs(tokenizer, [BOOK], 0.5, seed=3)
    whole = _weights(recipe, Run(tmp_path / "whole"), tokenizer, epochs)
    half = Run(tmp_path / "half", resume=True, stop_after=5)
    assert not _equal(_weights(recipe, half, tokenizer, epochs), whole)
    resumed = _weights(recipe, replace(half, stop_after=None), tokenizer, epochs)
    assert _equal(resumed, whole)


@RECIPES
def test_what_is_written_is_what_was_trained(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, recipe: Recipe
) -> None:
    epochs = Epochs(tokenizer, [BOOK], 0.5, seed=3)
    model, _ = train(recipe, Run(tmp_path / "run"), tokenizer, epochs, lambda *_: None)
    write_model(tmp_path / "made", model, tokenizer)
    loaded, _ = load(tmp_path / "made")
    assert type(loaded) is type(model)
    told = {name: tensor.bfloat16().float() for name, tensor in model.state_dict().items()}
    assert _equal(loaded.state_dict(), told)


@RECIPES
def test_training_lowers_the_loss(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, recipe: Recipe
) -> None:
    epochs = Epochs(tokenizer, [BOOK], 0.5, seed=3)
    losses: list[float] = []
    train(
        replace(recipe, tokens=64 * 60),
        Run(tmp_path / "run", report_every=20),
        tokenizer,
        epochs,
        lambda progress, _model: losses.append(progress.loss),
    )
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 3


def test_a_checkpoint_of_another_recipe_is_refused(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    epochs = Epochs(tokenizer, [BOOK], 0.5, seed=3)
    run = Run(tmp_path / "run", resume=True, stop_after=1)
    train(TINY, run, tokenizer, epochs, lambda *_: None)
    with pytest.raises(UsageError, match="seed"):
        train(replace(TINY, seed=5), run, tokenizer, epochs, lambda *_: None)


def test_a_budget_may_change_in_mid_run(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    epochs = Epochs(tokenizer, [BOOK], 0.5, seed=3)
    run = Run(tmp_path / "run", resume=True, stop_after=3)
    train(TINY, run, tokenizer, epochs, lambda *_: None)
    shorter = replace(TINY, tokens=64 * 5)
    _, progress = train(shorter, replace(run, stop_after=None), tokenizer, epochs, lambda *_: None)
    assert progress.step == 5
    assert progress.budgets == ((0, TINY.tokens), (3, shorter.tokens))


def test_titles_and_editions_come_from_the_list(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.txt").write_text(TEXT)
    (tmp_path / "README.md").write_text("| a.txt | A Tale | 17 | 3 |\n")
    corpus = read_corpus(tmp_path, ["b.txt"])
    assert [(book.title, book.edition) for book in corpus.training] == [("A Tale", 17)]
    assert [(book.title, book.edition) for book in corpus.held_out] == [("b.txt", None)]


@pytest.mark.parametrize(
    ("folder", "options", "complaint"),
    [
        ("absent", [], "no folder"),
        ("empty", [], "no .txt files"),
        ("books", ["--hold-out", "b.txt"], "b.txt"),
        ("books", ["--hold-out", "a.txt"], "none is left"),
        ("books", ["--tokens", "7"], "7 tokens"),
        ("bytes", [], "not UTF-8"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    folder: str,
    options: list[str],
    complaint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, content in (("empty/x", b""), ("books/a.txt", b"A tale."), ("bytes/a.txt", b"\xff")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path / folder), "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


def _weights(
    recipe: Recipe, run: Run, tokenizer: PreTrainedTokenizerBase, epochs: Epochs
) -> dict[str, torch.Tensor]:
    model, _ = train(recipe, run, tokenizer, epochs, lambda *_: None)
    return model.state_dict()


def _equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)
