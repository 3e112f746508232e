"""Held-out bits per byte: one figure that does not depend on the tokenizer."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from tokexplore.models.errors import UsageError
from tokexplore.models.training.corpus import Book, encode

WINDOW = 512
"""Tokens that share a context when a book is measured."""
ROWS = 16


@dataclass(frozen=True)
class Score:
    """What one book costs a model."""

    name: str
    nats: float
    size: int
    """UTF-8 bytes."""

    @property
    def bits_per_byte(self) -> float:
        """Negative log-likelihood in bits over UTF-8 bytes."""
        return self.nats / math.log(2) / self.size


def total(scores: Sequence[Score]) -> Score:
    """Several books as one: bits over bytes of all, not the mean of their ratios."""
    return Score("all", sum(score.nats for score in scores), sum(score.size for score in scores))


@torch.inference_mode()
def nats(model: PreTrainedModel, ids: Sequence[int], window: int = WINDOW) -> float:
    """Negative log-likelihood of all ids but the first, in windows that share no context.

    A window's inputs are `window` tokens, its targets the same moved by one, so that each id is
    predicted exactly once.
    """
    inputs, targets = torch.tensor(ids[:-1]), torch.tensor(ids[1:])
    whole = len(inputs) // window * window
    sum_of_nats = 0.0
    for part in (slice(0, whole), slice(whole, None)):
        length = min(window, len(inputs[part]))
        if not length:
            continue
        rows = inputs[part].view(-1, length).split(ROWS)  # [<= ROWS, length] each
        answers = targets[part].view(-1, length).split(ROWS)
        for row, answer in zip(rows, answers, strict=True):
            logits = model(input_ids=row.to(model.device), use_cache=False).logits
            losses = functional.cross_entropy(
                logits.float().flatten(0, 1), answer.flatten().to(model.device), reduction="none"
            )  # [rows * length]
            sum_of_nats += float(losses.double().sum())
    return sum_of_nats


def score_books(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, books: Iterable[Book]
) -> list[Score]:
    """Measure each book from its BOS on."""
    return [Score(book.name, nats(model, encode(tokenizer, book)), book.size) for book in books]


def load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A Hugging Face directory as it is measured: its weights in float32, ready to predict."""
    if not (folder / "config.json").is_file():
        raise UsageError(f"{folder} is not a model directory: it has no config.json.")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)
