"""The state of an unfinished run, in one file that is either whole or absent."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer

from tokexplore.models.errors import UsageError
from tokexplore.models.training.recipe import Recipe


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    step: int = 0
    """Optimizer steps taken."""
    seconds: float = 0.0
    """Time spent, all resumed parts together."""
    loss: float = float("nan")
    """Training loss in nats per token, averaged over the latest steps."""
    budgets: tuple[tuple[int, int], ...] = ()
    """Each budget of tokens that shaped the learning rate, after the step from which it did."""


def save(
    path: Path,
    recipe: Recipe,
    progress: Progress,
    model: nn.Module,
    optimizers: Sequence[Optimizer],
) -> None:
    """Write beside the old checkpoint, then replace it in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    state = {
        "recipe": asdict(recipe),
        "progress": asdict(progress),
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    torch.save(state, draft)
    os.replace(draft, path)


def restore(
    path: Path, recipe: Recipe, model: nn.Module, optimizers: Sequence[Optimizer]
) -> Progress:
    """Bring a run back to where it was saved; only the budget of tokens may have changed since."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    ours, theirs = asdict(recipe), state["recipe"]
    changed = [name for name in ours if name != "tokens" and ours[name] != theirs.get(name)]
    if changed:
        raise UsageError(f"{path} was made by another recipe: {', '.join(changed)} differ.")
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return Progress(**state["progress"])


def with_budget(progress: Progress, tokens: int) -> Progress:
    """The same progress under a budget that may be new from here on."""
    if progress.budgets and progress.budgets[-1][1] == tokens:
        return progress
    return replace(progress, budgets=(*progress.budgets, (progress.step, tokens)))
