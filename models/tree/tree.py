"""The token tree: the trie and all that is known of its nodes, changed only by events."""

from collections.abc import Callable

from tokexplore.models.api.provenance import Provenance
from tokexplore.models.diff.spans import Span
from tokexplore.models.diff.step_table import StepTable
from tokexplore.models.diff.steps import Step
from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.distribution_store import DistributionStore
from tokexplore.models.tree.events import (
    Act,
    Bookmarked,
    Change,
    Compared,
    Configured,
    DistributionCompleted,
    DistributionComputed,
    DistributionRecomputed,
    Edit,
    Ended,
    Event,
    Extended,
    Hidden,
    Labelled,
    ModelLoaded,
    Named,
    Noted,
    Opened,
    Origin,
    Prompted,
    Restored,
    Scored,
    SecondLoaded,
    Spanned,
    Studied,
    TokenTaken,
    Unhidden,
    Viewed,
    Withdrawn,
)
from tokexplore.models.tree.study import Study
from tokexplore.models.tree.trie import ROOT, Trie
from tokexplore.models.tree.undo import UndoHistory
from tokexplore.models.tree.visibility import follower, hide, withdraw


class TokenTree(Trie):
    """The trie with all that is known of its nodes, and what the user made of them."""

    def __init__(self) -> None:
        super().__init__()
        self.recorder: Callable[[Event, Act], None] | None = None
        """Told of every event, in order."""
        self.distribution = DistributionStore()
        """What the model said after a node, the first time that it was computed."""
        self.listed: dict[int, Distribution] = {}
        """By node: the first candidates as they were listed before all of them were asked for."""
        self.recomputed: dict[int, Distribution] = {}
        """By node: the last distribution that was computed again."""
        self.provenance: list[Provenance] = []
        """The models that the distributions come from, in the order in which they were loaded."""
        self.seconds: list[Provenance] = []
        """The models that it was compared with, in the order in which they were loaded."""
        self.compared = StepTable()
        """By node: what the model and the last of those say of its token."""
        self.spans: dict[int, Span] = {}
        """By the node that it ends with: what the model and the last of those say of a stretch of
        the text, where that one has other tokens."""
        self.bookmarks: set[int] = set()
        self.labels: dict[int, str] = {}
        """Names of nodes."""
        self.notes: dict[int, str] = {}
        self.studies: dict[int, list[Study]] = {}
        """By node: the experiments on what follows it, the last one last."""
        self.ended: dict[int, str] = {}
        self.prompts: dict[int, Prompted] = {}
        """By node: how the prompt was given that ends there."""
        self.settings: list[SamplingSettings] = []
        self.history = UndoHistory(self)

    # The one way to change it

    def append(self, event: Event, act: Act = "") -> None:
        """Append an event and apply it.

        Raises:
            ValueError: when the event does not fit the tree.
        """
        self._apply(event)
        if self.recorder is not None:
            self.recorder(event, act)

    def replay(self, event: Event, act: Act) -> None:
        """Append an event as it was recorded, what can be undone since then included.

        Raises:
            ValueError: when the event does not fit the tree.
        """
        if act == "change" and isinstance(event, Change):
            self.history.change(event)
        elif act in ("undo", "redo"):
            again = self.history.undo if act == "undo" else self.history.redo
            if not isinstance(event, Edit) or again(event) is None:
                raise ValueError(f"an {act} that does not fit what came before it")
        else:
            self.append(event)

    def take(self, parent: int, token: int, origin: Origin, **details: object) -> int:
        """Take `token` after `parent`: its node, new or the one that is there already."""
        there = self.child(self.checked_node(parent), token)
        node = len(self.parent) if there is None else there
        self.append(TokenTaken(node, parent, token, origin, **details))  # type: ignore[arg-type]
        return node

    def record_distribution(self, node: int, distribution: Distribution) -> None:
        """Record the distribution after `node`, unless the canonical one is there to be read."""
        if self.distribution.lacks(node):
            self.append(DistributionComputed(node, distribution))

    def configure(self, settings: SamplingSettings) -> int:
        """The number of these settings, new or known."""
        if settings in self.settings:
            return self.settings.index(settings)
        self.append(Configured(len(self.settings), settings))
        return len(self.settings) - 1

    def written(self, event: Event, record: int) -> None:
        """An event was stored under a number: what it told of a step need not stay in memory."""
        match event:
            case TokenTaken(node, sampler=SamplerView() as view):
                self.sampler.written(node, view, record)
            case DistributionComputed(node, distribution) | DistributionCompleted(
                node, distribution
            ):
                self.distribution.written(node, distribution, record)

    def load(self, provenance: Provenance) -> None:
        """From here on distributions come from this model."""
        if not self.provenance or self.provenance[-1] != provenance:
            self.append(ModelLoaded(len(self.provenance), provenance))

    def load_second(self, provenance: Provenance) -> None:
        """From here on figures of a second model come from this one."""
        if not self.seconds or self.seconds[-1] != provenance:
            self.append(SecondLoaded(len(self.seconds), provenance))

    # How events apply

    def _apply(self, event: Event) -> None:
        match event:
            case TokenTaken():
                self._take(event)
                self.history.note(event)
            case DistributionComputed(node, distribution):
                if self.distribution.lacks(self.checked_node(node)):
                    self.distribution.add(
                        node, distribution, len(self.provenance) - 1 if self.provenance else None
                    )
            case DistributionRecomputed(node, distribution):
                self.recomputed[self.checked_node(node)] = distribution
            case DistributionCompleted(node, distribution):
                self._complete(self.checked_node(node), distribution)
            case ModelLoaded(number, provenance):
                if number != len(self.provenance):
                    raise ValueError(f"model number {number} is not next")
                self.provenance.append(provenance)
            case SecondLoaded(number, provenance):
                if number != len(self.seconds):
                    raise ValueError(f"second model number {number} is not next")
                self.seconds.append(provenance)
                self.compared, self.spans = StepTable(), {}
            case Compared(node, second, step):
                self._compare(self.checked_node(node), second, step)
            case Spanned(node, second, span):
                self._span(self.checked_node(node), second, span)
            case Scored(node, logprob, rank):
                self._score(self.checked_node(node), logprob, rank)
            case Configured(number, settings):
                if number != len(self.settings):
                    raise ValueError(f"settings number {number} is not next")
                self.settings.append(settings)
            case Prompted(node, parts=parts):
                if sum(part.tokens for part in parts) > self.depth[self.checked_node(node)]:
                    raise ValueError(f"the parts of the prompt at node {node} are longer than it")
                self.prompts[node] = event
            case Ended(node, reason):
                self.ended[self.checked_node(node)] = reason
                self.history.note(event)
            case Named(branch, name):
                self.checked_branch(branch).name = name
            case Hidden(branch):
                hide(self, branch, hidden=True)
            case Unhidden(branch):
                hide(self, branch, hidden=False)
            case Opened(branch):
                self.checked_branch(branch)
            case Extended(node):
                follower(self, node)
            case Withdrawn(node):
                withdraw(self, node, withdrawn=True)
            case Restored(node):
                withdraw(self, node, withdrawn=False)
            case Bookmarked(node, marked):
                (self.bookmarks.add if marked else self.bookmarks.discard)(self.checked_node(node))
            case Labelled(node, name):
                _written(self.labels, self.checked_node(node), name)
            case Noted(node, text):
                _written(self.notes, self.checked_node(node), text)
            case Studied(node, study):
                self.studies.setdefault(self.checked_node(node), []).append(study)
            case Viewed(leaf):
                self.way = self.checked_node(leaf), self.turns(leaf)
                self.history.note(event)

    def _compare(self, node: int, second: int, step: Step) -> None:
        self._check_second(second)
        if (step.position, step.token) != (self.depth[node] - 1, self.token[node]):
            raise ValueError(f"a comparison that is not of node {node}")
        self.compared[node] = step

    def _span(self, node: int, second: int, span: Span) -> None:
        self._check_second(second)
        if not span.counted or not 0 <= span.start < span.end:
            raise ValueError(f"a span of no bytes, or of which one says nothing, at node {node}")
        at = node
        for token in reversed(span.first.ids):
            if at == ROOT or self.token[at] != token:
                raise ValueError(f"a span that does not end with node {node}")
            at = self.parent[at]
        self.spans[node] = span

    def _check_second(self, second: int) -> None:
        if second != len(self.seconds) - 1:
            raise ValueError(f"second model number {second} is not the one that is compared with")

    def _complete(self, node: int, whole: Distribution) -> None:
        figures = self.distribution.figures(node)
        if figures is None or figures.entropy is not None or not whole.complete:
            raise ValueError(f"at node {node} there are no first candidates to be completed")
        if (listed := self.distribution.get(node)) is not None:
            self.listed[node] = listed
        self.distribution.add(node, whole, figures.model)


def _written(texts: dict[int, str], node: int, text: str) -> None:
    """Keep a text by node; an empty one takes it away."""
    texts[node] = text
    if not text:
        del texts[node]
