"""What can be asked of a model's inside and takes its time: each is put to an engine, here or in
another process, and answered by events until it is done or cancelled."""

from abc import abstractmethod
from collections.abc import Iterator

import msgspec

from tokexplore.models.api.engine import Control, Engine, Progress
from tokexplore.models.api.interpreter import (
    LENS_TOP,
    AttentionWeights,
    Attributions,
    LensStep,
    LogitSplit,
)
from tokexplore.models.interpret.occlusion import Occluded, OcclusionPlan, occlusion
from tokexplore.models.interpret.units import Unit, UnitKind

Finding = (
    Progress | LensStep | LogitSplit | OcclusionPlan | Occluded | Attributions | AttentionWeights
)
"""What comes of an inquiry."""


class Inquiry(msgspec.Struct, frozen=True, tag=True):
    """A look into the model at one path, or along it."""

    @abstractmethod
    def conduct(self, engine: Engine, control: Control) -> Iterator[Finding]:
        """The engine's answer, piece by piece; it raises what the engine raises."""


class LensInquiry(Inquiry, frozen=True):
    """See `Interpreter.lens`."""

    ids: tuple[int, ...]
    first: int
    last: int
    tokens: tuple[int, ...] = ()
    top: int = LENS_TOP
    tuned: str = ""

    def conduct(self, engine: Engine, control: Control) -> Iterator[Finding]:
        yield from engine.interpreter.lens(
            self.ids, self.first, self.last, control,
            tokens=self.tokens, top=self.top, tuned=self.tuned,
        )  # fmt: skip


class SplitInquiry(Inquiry, frozen=True):
    """See `Interpreter.split`."""

    ids: tuple[int, ...]
    tokens: tuple[int, int]
    heads: tuple[int, ...] = ()

    def conduct(self, engine: Engine, control: Control) -> Iterator[Finding]:
        del control  # it is one pass over one token
        yield engine.interpreter.split(self.ids, self.tokens, self.heads)


class OcclusionInquiry(Inquiry, frozen=True):
    """See `occlusion`."""

    ids: tuple[int, ...]
    tokens: tuple[int, ...]
    blocks: tuple[Unit, ...] = ()
    finest: UnitKind = "token"
    everything: bool = False

    def conduct(self, engine: Engine, control: Control) -> Iterator[Finding]:
        yield from occlusion(
            engine, self.ids, self.tokens, control,
            blocks=self.blocks, finest=self.finest, everything=self.everything,
        )  # fmt: skip


class GradientInquiry(Inquiry, frozen=True):
    """See `Interpreter.gradients`."""

    ids: tuple[int, ...]
    tokens: tuple[int, ...]
    points: int = 0

    def conduct(self, engine: Engine, control: Control) -> Iterator[Finding]:
        yield from engine.interpreter.gradients(self.ids, self.tokens, self.points, control)


class AttentionInquiry(Inquiry, frozen=True):
    """See `Interpreter.attention`."""

    ids: tuple[int, ...]

    def conduct(self, engine: Engine, control: Control) -> Iterator[Finding]:
        del control  # it is one pass over one token
        yield engine.interpreter.attention(self.ids)


AnyInquiry = LensInquiry | SplitInquiry | OcclusionInquiry | GradientInquiry | AttentionInquiry
"""All of them, as a decoder needs it."""
