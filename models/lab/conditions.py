"""Execution conditions: what may differ between two runs of the same request on a server."""

import os
import random
from collections.abc import Sequence
from typing import Literal

import msgspec

from tokexplore.models.api.engine import Engine, ModelInfo
from tokexplore.models.api.instruments import Execution
from tokexplore.models.api.options import Dtype
from tokexplore.models.errors import UsageError

Knob = Literal[
    "batch", "mates", "together", "cache", "prefill", "dtype", "device", "attention", "experts",
    "threads", "deterministic",
]  # fmt: skip
"""What can vary: see `KNOBS`."""

KNOBS: dict[Knob, str] = {
    "batch": "how many other requests run beside, of which lengths, and the row's place",
    "mates": "what the other rows say, at one batch size and one length",
    "together": "whether the batch is prefilled together or each row alone",
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

BATCHES = (1, 2, 4, 8, 16)
_MATE_TEXTS = (
    "The weather in the mountains changes quickly, and whoever climbs them takes a coat.",
    "Dear Sir, I thank you for your letter of the third, and I shall answer it in full.",
    "He put the book down, looked out of the window and said that it would rain before night.",
    "There are seven bridges over the river, and nobody has ever crossed each of them once.",
    "Take two eggs, a cup of flour and a little salt, and stir until it is smooth.",
    "The ship left the harbour at dawn with forty men, and came back with three.",
    "Every number that is even and larger than two is the sum of two primes, they say.",
    "She asked the old man where the road went, and he told her that it stayed where it was.",
)
"""What the other requests of a batch are made of."""


class Condition(msgspec.Struct, frozen=True):
    """How one run is executed."""

    execution: Execution = Execution()
    dtype: Dtype | Literal[""] = ""
    """The model is loaded in it; empty is as it is."""
    device: str = ""
    """The model is loaded there; empty is where it is."""

    def words(self) -> str:
        """What is not plain about it, for people."""
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
    remaining, notices = list(knobs), []
    rows, pieces = ("batch", "mates", "together"), ("cache", "prefill")
    across = info.borders.between(prompt, prompt + length)
    beyond = info.borders.since(prompt) > 1
    for group, fits, why in (
        (rows, info.capabilities.batches, "its cache is not only attention"),
        (rows, not across, "the runs grow past where it turns positions otherwise"),
        (pieces, info.feed == "batched", "it takes a prompt in one pass only"),
        (pieces, not beyond, "it takes a prompt of this length in one pass only"),
    ):
        lost = [knob for knob in remaining if knob in group and not fits]
        if lost:
            remaining = [knob for knob in remaining if knob not in lost]
            notices.append(f"{', '.join(lost)} cannot vary on {info.name}: {why}.")
    return tuple(remaining), notices


def offered(engine: Engine, prompt: int, length: int = 0) -> tuple[Knob, ...]:
    """All that a model can vary of a request without being loaded anew.

    Args:
        prompt: tokens of it.
        length: tokens that a run may add to it.
    """
    able, _ = possible(tuple(KNOBS), engine.info, prompt, length)
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
        room = engine.info.context - length if engine.info.context else 2 * self._count
        longest = max(1, min(2 * self._count, room))
        # Rows on both sides of a border share no batch.
        borders = engine.info.borders
        self._shortest = max(1, self._count // 2, borders.since(self._count))
        self._longest = max(1, next(borders.ends(self._count, longest + length)) - length)
        self._texts = [engine.encode(text) for text in _MATE_TEXTS]
        self._attentions = engine.bench.attentions
        self._gpu = engine.info.device.startswith("cuda")

    def draw(self) -> Condition:
        execution = Execution(
            mates=(mates := self._mates()),
            row=self._random.randrange(len(mates) + 1) if "batch" in self._knobs else 0,
            together=bool(mates) and self._flip("together"),
            chunk=self._chunk(),
            cached=self._random.randrange(self._count) if self._flip("cache") else 0,
            attention=self._one_of("attention", ("", *self._attentions[1:])),
            experts=self._one_of("experts", ("", "eager", "batched_mm", "grouped_mm")),
            threads=self._threads(),
            deterministic=self._flip("deterministic"),
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
            others = self._random.choice(self._batches) - 1
            shortest = min(self._shortest, self._longest)
            return tuple(
                self._mate(self._random.randint(shortest, self._longest)) for _ in range(others)
            )
        if "mates" in self._knobs or "together" in self._knobs:
            return tuple(self._mate(self._count) for _ in range(max(self._batches) - 1))
        return ()

    def _mate(self, length: int) -> tuple[int, ...]:
        """Another request's prompt of so many tokens."""
        ids: list[int] = []
        while len(ids) < length:
            ids += self._random.choice(self._texts)
        return tuple(ids[:length])


def mates(
    engine: Engine, prompt: Sequence[int], length: int, count: int, *, seed: int = 0
) -> tuple[tuple[int, ...], ...]:
    """Prompts of `count` other requests, from half to twice as long as this one.

    Args:
        length: tokens that come after them.
    """
    dealer = _Dealer(engine, prompt, length, ("batch",), (count + 1,), seed)
    return dealer.draw().execution.mates
