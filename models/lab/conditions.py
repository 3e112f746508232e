"""Execution conditions: what may differ between two runs of the same request on a server."""

import os
import random
from collections.abc import Sequence
from typing import Literal

import msgspec

from tokexplore.models.api.engine import Engine
from tokexplore.models.api.instruments import Execution
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.options import Dtype
from tokexplore.models.api.traffic import Traffic
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.mates import MatePrompts

Knob = Literal[
    "copies", "batch", "mates", "together", "beside", "cache", "prefill", "dtype", "device",
    "attention", "experts", "threads", "deterministic",
]  # fmt: skip
"""What can vary: see `KNOBS`."""

KNOBS: dict[Knob, str] = {
    "copies": "how often the same request runs at once, on a server",
    "batch": "how many other requests run beside, of which lengths, and the row's place",
    "mates": "what the other rows say, at one batch size and one length",
    "together": "whether the batch is prefilled together or each row alone",
    "beside": "how many other branches of the prompt stream beside, on one shared prefix",
    "cache": "how much of the prompt an earlier request left in the cache",
    "prefill": "in one pass, in chunks or token by token",
    "dtype": "bfloat16, float16, float32",
    "device": "the CPU and the first GPU",
    "attention": "sdpa, eager, and flash attention where it is",
    "experts": "implementations of a mixture of experts",
    "threads": "of the CPU",
    "deterministic": "torch's deterministic algorithms, on and off",
}
SERVER: tuple[Knob, ...] = ("batch", "cache")
"""What varies on a server with continuous batching and a prefix cache."""
SERVED: tuple[Knob, ...] = ("copies", "batch", "cache")
"""All that we can vary of a model behind a server."""

BATCHES = (1, 2, 4, 8, 16)
BESIDE = (0, 1, 3, 7, 15)
"""Other branches that stream beside the run."""


class Condition(msgspec.Struct, frozen=True):
    """How one run is executed."""

    execution: Execution = Execution()
    dtype: Dtype | Literal[""] = ""
    """The model is loaded in it; empty is as it is."""
    device: str = ""
    """The model is loaded there; empty is where it is."""
    traffic: Traffic | msgspec.UnsetType = msgspec.UNSET
    """Of a server, in place of the others: what it has to do meanwhile."""

    @property
    def at_once(self) -> int:
        """Requests that run at once."""
        if self.traffic:
            return max(self.traffic.copies, len(self.traffic.beside) + 1)
        return self.execution.at_once

    def words(self) -> str:
        """What is not plain about it, for people."""
        if self.traffic:
            return self.traffic.words()
        loaded = [part for part in (self.dtype, self.device) if part]
        plain = self.execution == Execution()
        return " · ".join([*loaded, *([] if loaded and plain else [self.execution.words()])])


PLAIN = Condition()


def knobs_named(text: str, among: Sequence[Knob] = tuple(KNOBS)) -> tuple[Knob, ...]:
    """Knobs by their names, with commas between them.

    Args:
        among: those that can vary.

    Raises:
        UsageError: naming the first that is none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in among:
            raise UsageError(f"{name!r} cannot vary: give some of {', '.join(among)}.")
    return tuple(knob for knob in KNOBS if knob in names)


def possible(
    knobs: Sequence[Knob], info: ModelInfo, prompt: int = 1, length: int = 0
) -> tuple[tuple[Knob, ...], list[str]]:
    """Those that this model can vary, and a sentence for each that it cannot.

    Args:
        prompt: tokens of it.
        length: tokens that a run may add to it.
    """
    if info.capabilities.serves:
        return _served(knobs, info)
    remaining, notices = list(knobs), []
    rows, pieces = ("batch", "mates", "together"), ("cache", "prefill")
    across = info.borders.between(prompt, prompt + length)
    beyond = info.borders.since(prompt) > 1
    for group, fits, why in (
        (("copies",), False, "only a server runs the same request several times at once"),
        (rows, info.capabilities.batches, "its cache is not only attention"),
        (("beside",), info.capabilities.shares, "its branches share no prefix"),
        ((*rows, "beside"), not across, "the runs grow past where it turns positions otherwise"),
        (pieces, info.feed == "batched", "it takes a prompt in one pass only"),
        (pieces, not beyond, "it takes a prompt of this length in one pass only"),
    ):
        lost = [knob for knob in remaining if knob in group and not fits]
        if lost:
            remaining = [knob for knob in remaining if knob not in lost]
            notices.append(f"{', '.join(lost)} cannot vary on {info.name}: {why}.")
    return tuple(remaining), notices


def _served(knobs: Sequence[Knob], info: ModelInfo) -> tuple[tuple[Knob, ...], list[str]]:
    served = _of_served(info)
    able = tuple(knob for knob in knobs if knob in served)
    if lost := [knob for knob in knobs if knob not in served]:
        return able, [f"{', '.join(lost)} cannot vary on {info.name}: that is the server's own."]
    return able, []


def usual(info: ModelInfo) -> tuple[Knob, ...]:
    """What varies where nothing else is asked."""
    return _of_served(info) if info.capabilities.serves else SERVER


def _of_served(info: ModelInfo) -> tuple[Knob, ...]:
    return SERVED if info.capabilities.cold else tuple(k for k in SERVED if k != "cache")


def offered(engine: Engine, prompt: int, length: int = 0) -> tuple[Knob, ...]:
    """All that a model can vary of a request without being loaded anew.

    Args:
        prompt: tokens of it.
        length: tokens that a run may add to it.
    """
    able, _ = possible(tuple(KNOBS), engine.info, prompt, length)
    if engine.info.capabilities.serves:
        return able
    several = {
        "cache": prompt > 1,
        "prefill": prompt > 1,
        "dtype": False,
        "device": False,
        "attention": len(engine.bench.attentions) > 1,
        "experts": engine.bench.has_experts,
        "threads": engine.info.device == "cpu" and (os.cpu_count() or 1) > 1,
    }
    return tuple(knob for knob in able if several.get(knob, True))


def deal(
    engine: Engine,
    prompt: Sequence[int],
    length: int,
    knobs: Sequence[Knob],
    runs: int,
    *,
    batches: Sequence[int] = BATCHES,
    seed: int = 0,
) -> list[Condition]:
    """A condition for each run. The first is the plain one, the others are drawn by `seed`.

    Args:
        length: tokens that a run may add to the prompt.
        batches: sizes to draw from.
    """
    dealer = _Dealer(engine, prompt, length, knobs, batches, seed)
    return [PLAIN, *(dealer.draw() for _ in range(runs - 1))][:runs]


class _Dealer:
    def __init__(
        self,
        engine: Engine,
        prompt: Sequence[int],
        length: int,
        knobs: Sequence[Knob],
        batches: Sequence[int],
        seed: int,
    ) -> None:
        self._knobs, self._batches, self._count = knobs, batches, len(prompt)
        self._random = random.Random(f"tokexplore/conditions/{seed}")
        self._prompts = MatePrompts(engine, self._count, length, self._random)
        self._attentions = engine.bench.attentions
        self._gpu = engine.info.device.startswith("cuda")

    def draw(self) -> Condition:
        beside = self._random.choice(BESIDE) if "beside" in self._knobs else 0
        execution = Execution(
            mates=(mates := () if beside else self._mates()),
            row=self._random.randrange(len(mates) + 1) if "batch" in self._knobs else 0,
            together=bool(mates) and self._flip("together"),
            chunk=self._chunk(),
            cached=self._random.randrange(self._count) if self._flip("cache") else 0,
            attention="" if beside else self._one_of("attention", ("", *self._attentions[1:])),
            experts=self._one_of("experts", ("", "eager", "batched_mm", "grouped_mm")),
            threads=self._threads(),
            deterministic=self._flip("deterministic"),
            beside=beside,
        )
        dtype = self._one_of("dtype", ("", "float32", "bfloat16", "float16"))
        other = "cpu" if self._gpu else "cuda"
        return Condition(execution, dtype, self._one_of("device", ("", other)))  # type: ignore[arg-type]

    def _flip(self, knob: Knob) -> bool:
        return knob in self._knobs and self._random.random() < 0.5

    def _one_of(self, knob: Knob, values: Sequence[str]) -> str:
        return self._random.choice(values) if knob in self._knobs else ""

    def _chunk(self) -> int:
        if "prefill" not in self._knobs:
            return 0
        sizes = [0, 1, *(size for size in (4, 16, 64, 256) if size < self._count)]
        return self._random.choice(sizes)

    def _threads(self) -> int:
        if "threads" not in self._knobs:
            return 0
        return self._random.randint(1, os.cpu_count() or 1)

    def _mates(self) -> tuple[tuple[int, ...], ...]:
        if "batch" in self._knobs:
            return self._prompts.of_any_length(self._random.choice(self._batches) - 1)
        if "mates" in self._knobs or "together" in self._knobs:
            return self._prompts.of_one_length(max(self._batches) - 1)
        return ()
