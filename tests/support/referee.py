"""How far an engine's logits are from a plain pass over the first p ids, however it feeds."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np
from transformers import PreTrainedModel

from support import architectures, families, truth
from support.truth import Said
from tokexplore.models.api.engine import Control, ScoredToken, StreamRequest
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError
from tokexplore.models.sampling.settings import SamplingSettings

HOT = SamplingSettings(temperature=1.5, seed=7)
LENGTHS = {100: 60, 1200: 6}
"""Tokens of the paths that are judged, and how many of their last ones are streamed."""
_TOLERANCE = 1e-4
_GATED_DELTA = (
    "layers of the gated delta rule sum in chunks in one pass, and token by token on a state"
)
WIDER: dict[str, tuple[float, str]] = {
    "qwen3_next": (5e-3, _GATED_DELTA),
    "qwen3_5": (5e-3, _GATED_DELTA),
    "olmo_hybrid": (5e-3, _GATED_DELTA),
    "jamba": (1e-3, "the noise of float32 comes near to 1e-4"),
}
"""By the beginning of a name: what holds instead, and why."""


def tolerance(case: str) -> tuple[float, str]:
    """The largest difference of a logit that is promised for a case, and why it is wider."""
    found = [told for name, told in WIDER.items() if case.partition("+")[0].startswith(name)]
    return found[-1] if found else (_TOLERANCE, "")


@dataclass
class Verdict:
    """What was found of one model at one length."""

    family: str = ""
    """Its class."""
    refused: str = ""
    """Why it was refused, or could not be made; then there is nothing else."""
    feed: str = ""
    branching: str = ""
    worst: dict[str, float] = field(default_factory=dict)
    """By way of feeding: the largest difference of a logit (of a logprob in batches), nats."""

    @property
    def largest(self) -> float:
        return max(self.worst.values(), default=0.0)


def judge(model: PreTrainedModel, length: int) -> Verdict:
    """Stream, fork, score and batch around a path of random ids."""
    family, steps = type(model).__name__, LENGTHS[length]
    loaded = replace(families.loaded(model), context=architectures.CONTEXT, family=family)
    try:
        engine = LocalEngine(loaded)
    except ModelError as error:
        return Verdict(family, refused=str(error))
    found = Verdict(family, "", engine.info.feed, engine.info.cache)
    known = cache(partial(truth.logits_alone, model))
    path = np.random.default_rng(length).integers(1, families.EOS, length).tolist()
    begin = path[: length - steps]

    def worst(said: Sequence[Said]) -> float:
        return max(_difference(known(claim.path), claim) for claim in said)

    streamed = truth.run(engine, begin, steps, HOT, describe_end=True)
    found.worst["streamed"] = worst(streamed.said)
    forks = []
    for depth in (length // 3, length - steps // 2):
        forks += truth.run(engine, [*streamed.ids[:depth], 70], 2, HOT, describe_end=True).said
        forks.append(Said(tuple(streamed.ids[:depth]), engine.describe(streamed.ids[:depth])))
    found.worst["forked"] = worst(forks)
    engine.core.release()
    scored = engine.score(streamed.ids, length - steps, Control())
    found.worst["scored"] = worst(
        [
            Said(tuple(streamed.ids[: event.position]), event.distribution)
            for event in scored
            if isinstance(event, ScoredToken)
        ]
    )
    if engine.info.capabilities.batches:
        request = StreamRequest(tuple(begin), HOT, max(4, steps // 4), ignore_eos=True)
        runs = engine.continuations(request, (HOT.seed, HOT.seed + 1), Control())
        found.worst["batched"] = max(
            abs(logprob - float(_logprobs(known((*begin, *run.ids[:at])))[token]))
            for run in runs
            for at, (token, logprob) in enumerate(zip(run.ids, run.logprobs, strict=True))
        )
    return found


def _difference(logits: np.ndarray, claim: Said) -> float:
    """Largest difference of a logit; infinite where one side is not finite."""
    told = np.frombuffer(claim.distribution.logits, np.float32).astype(np.float64)
    ids = np.frombuffer(claim.distribution.ids, np.uint32)
    largest = float(np.abs(told - logits[ids]).max())
    return largest if np.isfinite(largest) else float("inf")


def _logprobs(logits: np.ndarray) -> np.ndarray:
    return logits - np.logaddexp.reduce(logits)
