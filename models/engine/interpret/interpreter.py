"""The inside of a local model: each part is made when it is first asked for."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from tokexplore.models.api.engine import Control, Progress
from tokexplore.models.api.interpreter import (
    LENS_TOP,
    AttentionWeights,
    Attributions,
    LayerStates,
    LensStep,
    LogitSplit,
)
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.interpret.attention import Attentions
from tokexplore.models.engine.interpret.gradients import Gradients
from tokexplore.models.engine.interpret.logit_lens import LogitLens
from tokexplore.models.engine.interpret.logit_split import LogitSplits
from tokexplore.models.engine.interpret.occlusion import Occlusions


class LocalInterpreter:
    """Implements `api.interpreter.Interpreter`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def lens(
        self,
        ids: Sequence[int],
        first: int,
        last: int,
        control: Control,
        *,
        tokens: Sequence[int] = (),
        top: int = LENS_TOP,
        tuned: str = "",
    ) -> Iterator[LensStep]:
        self._core.check(ids)
        steps = self._lens.steps(ids, first, last, control, tokens=tokens, top=top, tuned=tuned)
        return self._core.guarded(steps)

    def states(self, ids: Sequence[int]) -> LayerStates:
        self._core.check(ids)
        with self._core.memory_guarded():
            return self._lens.states(ids)

    def split(
        self, ids: Sequence[int], tokens: tuple[int, int], heads: Sequence[int] = ()
    ) -> LogitSplit:
        self._core.check(ids)
        with self._core.memory_guarded():
            return self._splits.split(ids, tokens, heads)

    def occlude(
        self,
        ids: Sequence[int],
        hidden: Sequence[range],
        tokens: Sequence[int],
        control: Control,
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        self._core.check(ids)
        return self._core.guarded(self._occlusions.occlude(ids, hidden, tokens, control))

    def gradients(
        self, ids: Sequence[int], tokens: Sequence[int], points: int, control: Control
    ) -> Iterator[Progress | Attributions]:
        self._core.check(ids)
        return self._core.guarded(self._gradients.estimate(ids, tokens, points, control))

    def attention(self, ids: Sequence[int]) -> AttentionWeights:
        self._core.check(ids)
        with self._core.memory_guarded():
            return self._attentions.weights(ids)

    @cached_property
    def _lens(self) -> LogitLens:
        return LogitLens(self._core)

    @cached_property
    def _splits(self) -> LogitSplits:
        return LogitSplits(self._core)

    @cached_property
    def _occlusions(self) -> Occlusions:
        return Occlusions(self._core)

    @cached_property
    def _gradients(self) -> Gradients:
        return Gradients(self._core)

    @cached_property
    def _attentions(self) -> Attentions:
        return Attentions(self._core)
