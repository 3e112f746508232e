"""One step looked into: what is asked of its model, view by view, and what has come of it."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from tokexplore.models.api.engine import Progress
from tokexplore.models.api.interpreter import (
    AttentionWeights,
    Attributions,
    LensStep,
    LogitSplit,
)
from tokexplore.models.errors import TokexploreError
from tokexplore.models.interpret.inquiries import (
    AnyInquiry,
    AttentionInquiry,
    Finding,
    GradientInquiry,
    LensInquiry,
    OcclusionInquiry,
    SplitInquiry,
)
from tokexplore.models.interpret.occlusion import Occluded, OcclusionPlan
from tokexplore.models.interpret.units import Unit
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.worker.async_engine import AsyncEngine, Handle
from tokexplore.tui.explore.jobs import Jobs

Ask = Literal["lens", "layers", "words", "attention", "gradients"]
"""What can be asked of a step."""
POINTS = 32
"""Of integrated gradients."""


class Subject(NamedTuple):
    """What is looked into."""

    ids: tuple[int, ...]
    """The path up to the step."""
    tokens: tuple[int, int]
    """The token that is asked about, and the one it is held against."""
    difference: bool = False
    """Words and estimates are about the first token's logprob less the second's."""
    blocks: tuple[Unit, ...] = ()
    """Of a chat: its turns, and what its template wrote."""


class _Run:
    """Inquiries under way, one after the other."""

    handle: Handle[Finding] | None = None
    """Of the one that is asked at present."""


class WhyStep:
    """What is known of a step so far.

    Args:
        changed: called when there is something new to show.
        tuned: directory of a tuned lens; empty for the logit lens.
    """

    def __init__(
        self,
        subject: Subject,
        client: AsyncEngine,
        jobs: Jobs,
        changed: Callable[[], None],
        *,
        tuned: str = "",
    ) -> None:
        self.subject, self._tuned = subject, tuned
        self._client, self._jobs, self._changed = client, jobs, changed
        self.lens: LensStep | None = None
        self.split: LogitSplit | None = None
        self.by_head: tuple[int, ...] = ()
        """Layers whose attention is split head by head."""
        self.attention: AttentionWeights | None = None
        self.plan: OcclusionPlan | None = None
        """The round of occlusion that runs, or ran last."""
        self.occluded: list[Occluded] = []
        self.planned, self.cost = 0, 0.0
        """Stretches of all rounds so far, and forward passes of the path that they take."""
        self.everything = False
        """All stretches were looked into, not only those that mattered."""
        self.estimates: dict[str, Attributions] = {}
        """By method."""
        self.progress: Progress | None = None
        """Of estimates."""
        self.refused: dict[Ask, str] = {}
        """Why there is nothing to show."""
        self._asked: set[Ask] = set()
        self._running: dict[Ask, _Run] = {}

    @property
    def vocabulary(self) -> Vocabulary:
        """Of the model that is looked into."""
        return self._client.vocabulary

    def want(self, ask: Ask) -> None:
        """Ask for what is not known yet and not asked for."""
        if ask not in self._asked:
            self._asked.add(ask)
            self.refused.pop(ask, None)
            run = self._running[ask] = _Run()
            self._jobs.run(self._conduct(ask, run))

    def want_heads(self, layer: int) -> None:
        """Split the attention of a layer head by head, or no longer."""
        others = tuple(each for each in self.by_head if each != layer)
        self.by_head = others if layer in self.by_head else (*others, layer)
        self._asked.discard("layers")
        self.want("layers")

    def want_words(self, *, everything: bool) -> None:
        """Hide stretches from the first one on.

        Args:
            everything: look also into those that do not matter.
        """
        self.stop("words")
        self.everything, self.occluded, self.plan = everything, [], None
        self.planned, self.cost = 0, 0.0
        self._asked.discard("words")
        self.want("words")

    def runs(self, ask: Ask) -> bool:
        """Whether it is being computed."""
        return ask in self._running

    def stop(self, *asks: Ask) -> None:
        """End what runs (all of it by default); what is known stays.

        All but words can be asked for again.
        """
        for ask in asks or tuple(self._running):
            run = self._running.pop(ask, None)
            if run is None:
                continue
            if run.handle is not None:
                run.handle.cancel()
            if ask != "words":
                self._asked.discard(ask)

    def leave(self) -> None:
        """End what runs as the user looks elsewhere: what has told nothing yet begins anew where it
        is looked at again."""
        if self.runs("words") and self.plan is None:
            self._asked.discard("words")
        self.stop()

    def _inquiries(self, ask: Ask) -> Sequence[AnyInquiry]:
        ids, tokens, difference, blocks = self.subject
        target = tokens if difference else tokens[:1]
        match ask:
            case "lens":
                return [LensInquiry(ids, len(ids), len(ids), tokens, tuned=self._tuned)]
            case "layers":
                return [SplitInquiry(ids, tokens, self.by_head)]
            case "words":
                return [OcclusionInquiry(ids, target, blocks, everything=self.everything)]
            case "attention":
                return [AttentionInquiry(ids)]
            case "gradients":
                return [GradientInquiry(ids, target, points) for points in (0, POINTS)]

    async def _conduct(self, ask: Ask, run: _Run) -> None:
        try:
            for inquiry in self._inquiries(ask):
                if self._running.get(ask) is not run:
                    return
                run.handle = self._client.interpret(inquiry)
                async for batch in run.handle:
                    if self._running.get(ask) is not run:
                        return  # it was stopped
                    for event in batch:
                        self._take_in(event)
                    self._changed()
        except TokexploreError as error:
            self.refused[ask] = str(error)
        finally:
            if self._running.get(ask) is run:
                del self._running[ask]
            self.progress = None
            self._changed()

    def _take_in(self, event: Finding) -> None:
        match event:
            case LensStep():
                self.lens = event
            case LogitSplit():
                self.split = event
            case AttentionWeights():
                self.attention = event
            case OcclusionPlan(units=units, cost=cost):
                self.plan = event
                self.planned += len(units)
                self.cost += cost
            case Occluded():
                self.occluded.append(event)
            case Attributions(method=method):
                self.estimates[method] = event
            case Progress():
                self.progress = event
