"""JSON lines of ours, of a run or of a tree, made into a tree again."""

import math
from array import array
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, NamedTuple

import msgspec

from tokexplore.models.api.chat import Chat, ChatPart
from tokexplore.models.api.provenance import AdapterInfo, Provenance
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import OFF, SamplingSettings
from tokexplore.models.scored_text import ScoredText
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.events import (
    Bookmarked,
    Configured,
    Ended,
    Hidden,
    Labelled,
    Named,
    Noted,
    Origin,
    Prompted,
    Studied,
    TokenTaken,
)
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.export.import_second import SecondModel, SecondStep
from tokexplore.tui.export.import_study import StudyLine
from tokexplore.tui.export.import_text import TextLine

MOST_TOKENS = 1 << 24
"""An id beyond this is taken for damage."""

Logprob = Annotated[float, msgspec.Meta(le=1e-3)]
"""Nats; above 0 by no more than rounding leaves."""
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Id = Annotated[int, msgspec.Meta(ge=0, lt=MOST_TOKENS)]


class _Candidate(msgspec.Struct):
    id: Id
    bytes: str
    logprob: Logprob | None


class _Prediction(msgspec.Struct):
    """What the model said: a part of steps, and of what follows a branch's last token."""

    candidates: list[_Candidate] = []
    entropy: Annotated[float, msgspec.Meta(ge=-1e-3)] | None = None
    lse: float | None = None
    complete: bool = True


class _Run(msgspec.Struct, tag="run"):
    prompt_ids: list[Id]
    model: str = ""
    revision: str = ""
    dtype: str = ""
    device: str = ""
    threads: str = ""
    attention: str = ""
    config_hash: str = ""
    seed: int = 0
    sampling: SamplingSettings = msgspec.field(default_factory=SamplingSettings)
    second: SecondModel | None = None
    vocabulary: Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)] = 0
    special: list[Id] = []
    adapters: tuple[AdapterInfo, ...] = ()
    weights: str = ""


class _Step(_Prediction, tag="step", kw_only=True):
    position: Count
    id: Id
    bytes: str
    logprob: Logprob | None = None
    sampler_logprob: Logprob | None = None
    chosen_by: Origin | None = None
    rank: Count | None = None
    node: Count | None = None
    parent: Count | None = None
    branch: Count | None = None
    settings: Count = 0
    draw: Count = 0
    second: SecondStep | None = None


class _Settings(SamplingSettings, tag="settings", frozen=True, kw_only=True):
    number: Count

    def plain(self) -> SamplingSettings:
        return SamplingSettings(*(getattr(self, field) for field in OFF))


class _Next(_Prediction, tag="next", kw_only=True):
    node: Count


class _Prompt(msgspec.Struct, tag="prompt"):
    node: Count
    form: str
    chat: Chat | None = None
    parts: tuple[ChatPart, ...] = ()
    reasoning: tuple[str, str] = ("", "")


class _Ended(msgspec.Struct, tag="ended"):
    node: Count
    reason: str


class _Bookmark(msgspec.Struct, tag="bookmark"):
    node: Count


class _Note(msgspec.Struct, tag="note"):
    node: Count
    text: str


class _Label(msgspec.Struct, tag="label"):
    node: Count
    name: str


class _Branch(msgspec.Struct, tag="branch"):
    branch: Count
    name: str = ""
    hidden: bool = False


class _End(msgspec.Struct, tag="end"):
    reason: str | None = None


_Line = (
    _Run
    | _Step
    | _Settings
    | _Next
    | _Prompt
    | _Ended
    | _Bookmark
    | _Note
    | _Label
    | _Branch
    | StudyLine
    | TextLine
    | _End
)
_DECODER = msgspec.json.Decoder(_Line)


class Imported(NamedTuple):
    """What the lines told, besides the tree."""

    vocabulary: Vocabulary
    """Tokens that were not told of have no bytes."""
    leaf: int
    settings: SamplingSettings
    texts: dict[int, tuple[ScoredText, ...]]
    """Texts whose probability was asked for, by the node that they follow."""
    left_out: int
    """Such texts that another model scored than that of the first line."""


class Lines:
    """Lines that were read and checked one by one, ready to become a tree.

    Args:
        lines: the file's lines.
        name: the file's name, for errors.

    Raises:
        UsageError: naming the first line that is not one of ours.
    """

    def __init__(self, lines: Iterable[bytes], name: str) -> None:
        self._name = name
        self._lines: list[tuple[int, _Line]] = []
        for number, text in enumerate(lines, 1):
            if text.strip():
                self._lines.append((number, self._decoded(number, text)))
        first = self._lines[0][1] if self._lines else None
        if not isinstance(first, _Run):
            raise UsageError(f"{name} does not begin with a run line: it is no export of ours.")
        self._run = first
        self._nodes, self._branches = {ROOT: ROOT}, dict[int, int]()
        """Nodes and branches of the tree by the numbers that the lines have for them."""
        self._texts: dict[int, tuple[ScoredText, ...]] = {}
        self._left_out = 0
        self.vocabulary = self._read_vocabulary()

    def _decoded(self, number: int, text: bytes) -> _Line:
        try:
            return _DECODER.decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise self._wrong(number, str(error)) from None

    def _wrong(self, number: int, what: str) -> UsageError:
        return UsageError(f"{self._name}, line {number}: {what}.")

    def _read_vocabulary(self) -> Vocabulary:
        found: dict[int, bytes] = {}
        for number, line in self._lines:
            given: list[tuple[int, str]] = []
            if isinstance(line, _Prediction):
                given = [(c.id, c.bytes) for c in line.candidates]
            if isinstance(line, _Step):
                given.append((line.id, line.bytes))
            if isinstance(line, StudyLine | TextLine):
                given = [(token.id, token.bytes) for token in line.tokens]
            for token, text in given:
                if token not in found:
                    try:
                        found[token] = bytes.fromhex(text)
                    except ValueError:
                        raise self._wrong(number, f"{text[:20]!r} are no bytes") from None
        size = max(
            [self._run.vocabulary, *(t + 1 for t in found), *(t + 1 for t in self._run.prompt_ids)]
        )
        return Vocabulary.pack([found.get(t, b"") for t in range(size)], self._run.special, size)

    def make(self, tree: TokenTree) -> Imported:
        """Make an empty tree what the lines tell.

        Raises:
            UsageError: naming the first line that does not fit those before it.
        """
        run, leaf = self._run, ROOT
        tree.load(self._provenance())
        if run.second is not None:
            tree.load_second(run.second.provenance(self.vocabulary.rows))
        settings = SamplingSettings(**{**msgspec.structs.asdict(run.sampling), "seed": run.seed})
        number = 0
        try:
            in_force = settings.checked()
            if not any(isinstance(line, _Settings) for _, line in self._lines):
                tree.configure(in_force)
            if not any(isinstance(line, _Step) and not line.position for _, line in self._lines):
                for token in run.prompt_ids[:1]:
                    leaf = tree.take(leaf, token, "prompt")
            for number, line in self._lines:  # noqa: B007 -- named where it fails
                leaf = self._apply(tree, line, leaf)
        except (ValueError, OverflowError, UsageError) as error:
            raise self._wrong(number, str(error).rstrip(".")) from None
        if not tree.branches:
            raise UsageError(f"{self._name} tells no token.")
        leaf = leaf or tree.branches[0].tip
        return Imported(self.vocabulary, leaf, in_force, self._texts, self._left_out)

    def _provenance(self) -> Provenance:
        run = self._run
        name = run.model.rstrip("/").rpartition("/")[2]
        return Provenance(
            model="+".join([name, *(a.name for a in run.adapters)]), source=run.model,
            revision=run.revision, config_hash=run.config_hash, dtype=run.dtype,
            device=run.device, attention=run.attention, threads=run.threads,
            vocabulary=self.vocabulary.rows, adapters=run.adapters or msgspec.UNSET,
            weights=run.weights or msgspec.UNSET,
        )  # fmt: skip

    def _apply(self, tree: TokenTree, line: _Line, leaf: int) -> int:
        match line:
            case _Step():
                return self._take(tree, line, leaf)
            case _Settings(number=number):
                tree.append(Configured(number, line.plain().checked()))
            case _Next(node=node):
                self._add_distribution(tree, self._node(node), line)
            case _Prompt(node, form, chat, parts, reasoning):
                tree.append(Prompted(self._node(node), form, chat, parts, reasoning))
            case _Ended(node, reason):
                tree.append(Ended(self._node(node), reason))
            case _Bookmark(node):
                tree.append(Bookmarked(self._node(node), True))
            case _Note(node, text):
                tree.append(Noted(self._node(node), text))
            case _Label(node, name):
                tree.append(Labelled(self._node(node), name))
            case _Branch(branch, name, hidden):
                number = self._branches.get(branch, 0)
                if name:
                    tree.append(Named(number, name))
                if hidden:
                    tree.append(Hidden(number))
            case StudyLine(node=node):
                tree.append(Studied(self._node(node), line.plain()))
            case TextLine(node=node):
                self._add_text(self._node(node), line)
            case _End(reason) if reason and reason != "complete":
                tree.append(Ended(leaf, reason))
        return leaf

    def _add_text(self, node: int, line: TextLine) -> None:
        if line.model or node == ROOT:
            self._left_out += 1
        else:
            self._texts[node] = (*self._texts.get(node, ()), line.plain())

    def _node(self, number: int) -> int:
        if number not in self._nodes:
            raise ValueError(f"node {number} was not told of")
        return self._nodes[number]

    def _take(self, tree: TokenTree, step: _Step, leaf: int) -> int:
        parent = leaf if step.parent is None else self._node(step.parent)
        if tree.depth[parent] != step.position:
            raise ValueError(f"position {step.position} does not follow its parent")
        if step.settings >= len(tree.settings):
            raise ValueError(f"settings number {step.settings} are not known")
        if tree.child(parent, step.id) is not None:
            raise ValueError(f"token {step.id} was taken there before")
        self._add_distribution(tree, parent, step)
        node = len(tree)
        rank = step.rank if step.logprob is None else step.rank or 0
        tree.append(
            TokenTaken(
                node, parent, step.id, step.chosen_by or "prompt", step.settings, step.draw,
                step.logprob, rank, step.sampler_logprob,
            )
        )  # fmt: skip
        if step.second is not None:
            step.second.put(tree, node)
        if step.node is not None:
            self._nodes[step.node] = node
        if step.branch is not None:
            self._branches.setdefault(step.branch, tree.branch_of[node])
        return node

    def _add_distribution(self, tree: TokenTree, node: int, prediction: _Prediction) -> None:
        entropy = prediction.entropy if prediction.complete else None
        if (
            not prediction.candidates
            or prediction.lse is None
            or (prediction.complete and entropy is None)
        ):
            return
        if node not in tree.distribution:
            tree.record_distribution(
                node, _distribution(prediction, prediction.lse, entropy, self.vocabulary.rows)
            )


def _distribution(
    prediction: _Prediction, lse: float, entropy: float | None, rows: int
) -> Distribution:
    logprobs = [-math.inf if c.logprob is None else c.logprob for c in prediction.candidates]
    if not math.isfinite(lse) or not math.isfinite(entropy or 0.0):
        raise ValueError("the log-sum-exp or the entropy is not finite")
    logits = array("f", [logprob + lse for logprob in logprobs])
    if any(later > earlier for earlier, later in pairwise(logits)):
        raise ValueError("the candidates are not in the order of their logprobs")
    ids = array("I", [candidate.id for candidate in prediction.candidates])
    return Distribution(ids.tobytes(), logits.tobytes(), rows, lse, entropy, "imported")
