"""What `why` is asked and what comes of it, for its reports and files."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from tokexplore.models.api.interpreter import AttentionWeights, Attributions, LensStep
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.distribution import TokenRank
from tokexplore.models.interpret.agreement import total
from tokexplore.models.interpret.inquiries import Finding
from tokexplore.models.interpret.occlusion import Occluded, OcclusionPlan
from tokexplore.models.interpret.units import Unit
from tokexplore.models.tokens import Vocabulary

View = Literal["lens", "layers", "words"]
VIEWS: tuple[View, ...] = ("lens", "layers", "words")
"""In the order in which they are told."""


class Asked(msgspec.Struct, frozen=True):
    """The step that is asked about: after a whole path."""

    info: ModelInfo
    vocabulary: Vocabulary
    ids: tuple[int, ...]
    views: tuple[View, ...]
    token: TokenRank
    """Why this one."""
    against: TokenRank | None = None
    """And not that one: where it was named."""
    rival: TokenRank | None = None
    """What the layers' parts are told against: the token that was named, or the most probable other
    one; None where they are not asked for."""
    unnamed: bool = False
    """Nobody named the token: it is the most probable one."""
    tuned: str = ""
    """Directory of the tuned lens that reads the layers."""

    @property
    def named(self) -> tuple[TokenRank, ...]:
        """The token, and the one against it where that was named."""
        return (self.token,) if self.against is None else (self.token, self.against)

    @property
    def pieces(self) -> list[str]:
        """What each token of the path adds to its text."""
        return self.vocabulary.pieces(self.ids)

    def bytes_of(self, unit: Unit) -> bytes:
        """The bytes of a stretch of the path."""
        return b"".join(map(self.vocabulary.bytes_of, self.ids[unit.start : unit.end]))


class Section(NamedTuple):
    """One view, and what comes of it, as it comes."""

    view: View
    findings: Iterator[Finding]


class GridStep(NamedTuple):
    """What each layer would have said at a step."""

    position: int
    taken: int | None
    """The token that the path goes on with; None at its end."""
    layers: tuple[tuple[int, float], ...]
    """Most probable token and its logprob (nats), from layer 0 to the last."""


def grid_step(step: LensStep, asked: Asked) -> GridStep:
    """A step without what its layers say of other tokens."""
    firsts = tuple((layer.top[0].token, layer.top[0].logprob) for layer in step.layers)
    return GridStep(step.position, taken_at(step, asked), firsts)


def taken_at(step: LensStep, asked: Asked) -> int | None:
    """The token that the path goes on with after a step; None at its end."""
    return asked.ids[step.position] if step.position < len(asked.ids) else None


@dataclass
class Lensed:
    """What the layers say."""

    last: LensStep | None = None
    """At the step that is asked about."""
    grid: list[GridStep] = field(default_factory=list)
    error: float = 0.0
    """Largest |Δlogit| of a last layer's reading from the model's own logits."""

    def add(self, finding: Finding, asked: Asked) -> None:
        if isinstance(finding, LensStep):
            self.error = max(self.error, finding.error)
            self.grid.append(grid_step(finding, asked))
            if finding.position == len(asked.ids):
                self.last = finding


@dataclass
class Worded:
    """What hiding stretches of the path did, and what estimates say of them."""

    logprobs: tuple[float, ...] = ()
    """Of the target's tokens where nothing is hidden (nats)."""
    occluded: list[Occluded] = field(default_factory=list)
    estimates: list[Attributions] = field(default_factory=list)
    attention: AttentionWeights | None = None
    weights: list[float] = field(default_factory=list)
    """Of the attention, by token, averaged over layers and heads."""

    def add(self, finding: Finding) -> None:
        match finding:
            case OcclusionPlan():
                self.logprobs = finding.logprobs
            case Occluded():
                self.occluded.append(finding)
            case Attributions():
                self.estimates.append(finding)
            case AttentionWeights():
                self.attention, self.weights = finding, finding.row(None, None)

    def estimate(self, method: str, unit: Unit) -> float | None:
        """What a method says of a stretch; None where it was not asked for."""
        made = next((each for each in self.estimates if each.method == method), None)
        return None if made is None else total(unit, made.scores)

    def attended(self, unit: Unit) -> float | None:
        """The share of attention that a stretch gets, without the first token, the sink; None where
        it was not asked for, or where that is all that there is of the stretch."""
        rest = self.weights[max(1, unit.start) : unit.end]
        return math.fsum(rest) if rest else None
