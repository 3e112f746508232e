"""The plain truth to compare an engine with: one full forward pass in f32, without a cache."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from transformers import PreTrainedModel

from tokexplore.models.api.engine import (
    Control,
    Described,
    DrawnToken,
    ScoredToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.distribution import Distribution, TokenRank
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings

GREEDY = SamplingSettings()
SAMPLED = SamplingSettings(temperature=0.9, top_p=0.95, seed=7)


@dataclass(frozen=True)
class Said:
    """A distribution that the engine gave after a path, and what it said of the next token."""

    path: tuple[int, ...]
    distribution: Distribution
    standing: TokenRank | None = None


class Run:
    """A finished stream: its path, its events and everything that it claimed."""

    def __init__(self, ids: Sequence[int], events: Iterable[StreamEvent]) -> None:
        self.ids = list(ids)
        self.events = list(events)
        self.said: list[Said] = []
        for event in self.events:
            match event:
                case ScoredToken(position, distribution, standing):
                    self.said.append(Said(tuple(ids[:position]), distribution, standing))
                case DrawnToken():
                    said = Said(tuple(self.ids), event.distribution, event.standing)
                    assert event.position == len(self.ids)
                    self.said.append(said)
                    self.ids.append(event.standing.token)
                case Described(position, distribution):
                    assert position == len(self.ids)
                    self.said.append(Said(tuple(self.ids), distribution))

    @property
    def new(self) -> list[int]:
        """The tokens drawn."""
        return [e.standing.token for e in self.drawn]

    @property
    def drawn(self) -> list[DrawnToken]:
        return [e for e in self.events if isinstance(e, DrawnToken)]

    @property
    def ended(self) -> StreamEnded:
        last = self.events[-1]
        assert isinstance(last, StreamEnded)
        return last

    @property
    def sources(self) -> list[str]:
        """How each drawn token's distribution was had."""
        return [e.distribution.source for e in self.drawn]


def run(
    engine: LocalEngine,
    ids: Sequence[int],
    count: int,
    settings: SamplingSettings = GREEDY,
    *,
    control: Control | None = None,
    ignore_eos: bool = True,
    **options: object,
) -> Run:
    """Stream `count` tokens to the end."""
    request = StreamRequest(
        tuple(ids),
        settings,
        count,
        ignore_eos=ignore_eos,
        **options,  # type: ignore[arg-type]
    )
    return Run(ids, engine.stream(request, control or Control()))


@torch.inference_mode()
def logits_after(model: PreTrainedModel, path: Sequence[int]) -> np.ndarray:
    """Raw logits after every position of a path: f64, shape [n, V]."""
    return model(input_ids=torch.tensor([list(path)]), use_cache=False).logits[0].double().numpy()


def logits_alone(model: PreTrainedModel, path: Sequence[int]) -> np.ndarray:
    """Raw logits after a path by a pass of its own over it: f64, shape [V].

    A short pass before it: transformers keeps the frequencies of a long one until then.
    """
    logits_after(model, path[:1])
    return logits_after(model, path)[-1]


def worst_error_alone(model: PreTrainedModel, said: Iterable[Said]) -> float:
    """`worst_error` where longer passes have other logits: each path has a pass of its own."""
    known = cache(partial(logits_alone, model))
    return max(_error(known(claim.path), claim) for claim in said)


def worst_error(model: PreTrainedModel, said: Iterable[Said]) -> float:
    """Largest difference of any number from the truth; a wrong rank or order counts as infinite.

    A rank is wrong when the truth puts it outside what numeric noise can explain.
    """
    worst = 0.0
    full: dict[tuple[int, ...], np.ndarray] = {}
    for claim in sorted(said, key=lambda claim: -len(claim.path)):
        whole = next((k for k in full if k[: len(claim.path)] == claim.path), None)
        if whole is None:
            whole = claim.path
            full[whole] = logits_after(model, whole)
        worst = max(worst, _error(full[whole][len(claim.path) - 1], claim))
    return worst


def _error(logits: np.ndarray, claim: Said) -> float:
    lse = np.logaddexp.reduce(logits)
    logprobs = logits - lse
    p = np.exp(logprobs)
    d = claim.distribution
    ids = np.frombuffer(d.ids, np.uint32)
    listed = np.frombuffer(d.logits, np.float32).astype(np.float64) - d.lse
    ordered = np.sort(logprobs)[::-1]
    errors = [
        abs(d.lse - lse),
        abs(d.entropy - -(p * logprobs)[p > 0].sum()),
        abs(d.margin - (ordered[0] - ordered[1])),
        np.abs(listed - logprobs[ids]).max(),
        np.abs(listed - ordered[: len(listed)]).max(),
    ]
    if claim.standing:
        errors.append(abs(claim.standing.logprob - logprobs[claim.standing.token]))
        errors.append(_rank_error(logprobs, claim.standing))
    return float(max(errors))


def _rank_error(logprobs: np.ndarray, standing: TokenRank) -> float:
    """How far the logprob of the true holder of this rank is from the token's own."""
    ordered = np.sort(logprobs)[::-1]
    return float(abs(ordered[standing.rank - 1] - logprobs[standing.token]))
