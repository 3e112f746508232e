"""The training loop: a stream of tokens in, a trained model out, resumable at any checkpoint."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.optim import AdamW, Muon, Optimizer
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from tokexplore.models.training import checkpoint
from tokexplore.models.training.checkpoint import Progress
from tokexplore.models.training.corpus import Epochs, Windows
from tokexplore.models.training.recipe import Recipe

Report = Callable[[Progress, PreTrainedModel], None]


@dataclass(frozen=True)
class Run:
    """Where and how a recipe is carried out; none of it is meant to change what is learnt."""

    checkpoint: Path
    resume: bool = False
    device: str = "cpu"
    bf16: bool = False
    """Matrix products in bfloat16; the weights and the optimizers stay in float32."""
    compiled: bool = False
    save_every: int = 250
    """Steps between checkpoints."""
    report_every: int = 1000
    """Steps between calls of the report."""
    stop_after: int | None = None
    """Leave after this step as an interruption would, a checkpoint written."""


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A model with random weights that follow from the seed."""
    torch.manual_seed(recipe.seed)
    config = recipe.model_config(tokenizer.bos_token_id, tokenizer.eos_token_id)
    return AutoModelForCausalLM.from_config(config)


def build_optimizers(model: PreTrainedModel, recipe: Recipe) -> list[Optimizer]:
    """Muon (Jordan et al., 2024) for the layers' matrices, AdamW for the embedding and the norms.

    Muon's steps are scaled to the size of AdamW's (Liu et al., 2025): one weight decay fits both.
    """
    embedding = model.get_input_embeddings().weight
    matrices = [p for p in model.parameters() if p.ndim == 2 and p is not embedding]
    others = [p for p in model.parameters() if p.ndim != 2 or p is embedding]
    decay = recipe.weight_decay
    return [
        Muon(
            matrices,
            lr=recipe.matrix_rate,
            weight_decay=decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        AdamW(others, lr=recipe.other_rate, betas=(0.9, 0.95), weight_decay=decay),
    ]


def _add_dropout(model: PreTrainedModel, share: float) -> None:
    """Dropout where GPT-2 has it and Llama has none: on all that enters the residual stream."""

    def drop(module: nn.Module, _inputs: object, output: Any) -> Any:
        if not module.training:
            return output
        if isinstance(output, tuple):
            return functional.dropout(output[0], share), *output[1:]
        return functional.dropout(output, share)

    inner = model.model
    halves = [half for layer in inner.layers for half in (layer.self_attn, layer.mlp)]
    for module in (inner.embed_tokens, *halves) if share else ():
        module.register_forward_hook(drop)


def train(
    recipe: Recipe,
    run: Run,
    tokenizer: PreTrainedTokenizerBase,
    epochs: Epochs,
    report: Report,
) -> tuple[PreTrainedModel, Progress]:
    """Carry the recipe out on streams of tokens, from the start or from the checkpoint."""
    model = build_model(recipe, tokenizer).to(run.device)
    _add_dropout(model, recipe.dropout)
    optimizers = build_optimizers(model, recipe)
    progress = Progress()
    if run.resume and run.checkpoint.exists():
        progress = checkpoint.restore(run.checkpoint, recipe, model, optimizers)
    progress = checkpoint.with_budget(progress, recipe.tokens)
    batches = _Batches(recipe, epochs)
    loss_of = _loss_function(model, recipe, run)
    last = recipe.steps if run.stop_after is None else min(run.stop_after, recipe.steps)
    began = time.monotonic() - progress.seconds
    for step in range(progress.step, last):
        loss = _step(recipe, step, loss_of, batches.at(step).to(run.device), model, optimizers)
        progress = replace(
            progress,
            step=step + 1,
            seconds=time.monotonic() - began,
            loss=_smooth(progress.loss, loss),
        )
        if progress.step % run.save_every == 0 or progress.step == last:
            checkpoint.save(run.checkpoint, recipe, progress, model, optimizers)
        if progress.step % run.report_every == 0:
            report(progress, model)
    return model, progress


class _Batches:
    """The batch of each step: short windows first, at the end windows as long as the context."""

    def __init__(self, recipe: Recipe, epochs: Epochs) -> None:
        self._recipe = recipe
        stream_of = lru_cache(1)(epochs.stream)
        self._short = Windows(epochs.plain, stream_of, recipe.window, recipe.seed)
        self._long = Windows(epochs.plain, stream_of, recipe.context, recipe.seed + 1)

    def at(self, step: int) -> torch.Tensor:
        """A step's windows, with the target after the last input: int64 [rows, length + 1]."""
        recipe, first_long = self._recipe, self._recipe.first_long_step
        if step < first_long:
            return self._short.batch(step, recipe.batch // recipe.window)
        return self._long.batch(step - first_long, recipe.batch // recipe.context)


def _loss_function(
    model: PreTrainedModel, recipe: Recipe, run: Run
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    routing = {"output_router_logits": True} if recipe.experts else {}

    def loss_of(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with torch.autocast(torch.device(run.device).type, torch.bfloat16, enabled=run.bf16):
            output = model(input_ids=inputs, use_cache=False, **routing)
        logits = output.logits  # [rows, length, vocabulary]
        loss = functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        return loss + recipe.balance * output.aux_loss if routing else loss

    return torch.compile(loss_of, dynamic=False) if run.compiled else loss_of


def _step(
    recipe: Recipe,
    step: int,
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    batch: torch.Tensor,
    model: PreTrainedModel,
    optimizers: list[Optimizer],
) -> float:
    """One step of all optimizers; returns the batch's loss in nats per token."""
    torch.manual_seed(recipe.seed * 1_000_003 + step)  # of the dropout: a resumed run drops alike
    model.train()
    loss = loss_of(batch[:, :-1].contiguous(), batch[:, 1:].contiguous())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    share = recipe.rate_at(step)
    for optimizer, rate in zip(optimizers, (recipe.matrix_rate, recipe.other_rate), strict=True):
        optimizer.param_groups[0]["lr"] = rate * share
        optimizer.step()
        optimizer.zero_grad()
    return loss.item()


def _smooth(average: float, loss: float) -> float:
    return loss if math.isnan(average) else 0.99 * average + 0.01 * loss
