"""The events that make a token tree: the only way to change one, and what a session file stores.

A tree of 100,000 nodes holds twice as many of them. `gc=False` keeps the frequent ones out of the
garbage collector's sight, whose pauses grow with what it sees; values cannot form cycles.
"""

from typing import Literal

import msgspec

from tokexplore.models.api.chat import Chat, ChatPart
from tokexplore.models.api.provenance import Provenance
from tokexplore.models.diff.spans import Span
from tokexplore.models.diff.steps import Step
from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.study import Study

Origin = Literal["prompt", "greedy", "sampled", "server", "picked", "typed", "second", "grown"]
"""Where a token came from; `greedy`, `sampled` and `server` (by its own sampler) are the ways of
being generated, `second` is that a second model did, `grown` that a tree grew there by
probability."""
DRAWN: frozenset[Origin] = frozenset(("sampled", "server"))
"""What another draw may change."""
Came = Origin | Literal["generated"]
"""The same on one of several paths: one generated a token that another was given."""


class TokenTaken(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A token was taken after `parent`; taking a token again names the same node."""

    node: int
    parent: int
    token: int
    origin: Origin
    settings: int = 0
    """Number of the settings that were in force (`Configured`)."""
    draw: int = 0
    logprob: float | None = None
    """The model's raw logprob (nats), where the distribution before it is known."""
    rank: int | None = None
    """0 where the engine tells the logprob alone."""
    sampler_logprob: float | None = None
    """The sampler's logprob (nats) under the settings that the token was drawn with."""
    sampler: SamplerView | None = None
    """How the sampler saw the distribution that a generated token was drawn from."""


class DistributionComputed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The model told its distribution after `node`; the first one is canonical."""

    node: int
    distribution: Distribution


class DistributionCompleted(msgspec.Struct, frozen=True, tag=True, gc=False):
    """All candidates after `node` were asked for, of which the first were listed; this is the
    canonical distribution from now on."""

    node: int
    distribution: Distribution


class DistributionRecomputed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The distribution after `node` was computed again; it is shown beside the canonical one."""

    node: int
    distribution: Distribution


class ModelLoaded(msgspec.Struct, frozen=True, tag=True):
    """From here on distributions come from this model, under a number of its own."""

    number: int
    provenance: Provenance


class Scored(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The model's numbers for a token that was given (prompt or typed text)."""

    node: int
    logprob: float
    rank: int


class SecondLoaded(msgspec.Struct, frozen=True, tag=True):
    """From here on figures of a second model come from this one, under a number of its own."""

    number: int
    provenance: Provenance


class Compared(msgspec.Struct, frozen=True, tag=True):
    """What the model and a second one say of the token of a node."""

    node: int
    second: int
    """Its number."""
    step: Step


class Spanned(msgspec.Struct, frozen=True, tag=True):
    """What the model and a second one with tokens of its own say of a stretch of the text, which
    ends with the token of a node."""

    node: int
    second: int
    """Its number."""
    span: Span
    """Of which both say something; bytes from where the text of the path begins, behind BOS."""


class Configured(msgspec.Struct, frozen=True, tag=True):
    """Sampling settings came into force under a number of their own."""

    number: int
    settings: SamplingSettings


class Prompted(msgspec.Struct, frozen=True, tag=True):
    """A prompt ends at `node`."""

    node: int
    form: str
    """How it was given: `text` or `chat`."""
    chat: Chat | None = None
    """The conversation that a chat prompt was rendered from."""
    parts: tuple[ChatPart, ...] = ()
    """Of the last tokens up to `node`, whose they are in the conversation; empty where that is not
    known."""
    reasoning: tuple[str, str] = ("", "")
    """What stands before and after the reasoning of the answer that follows."""


class Ended(msgspec.Struct, frozen=True, tag=True):
    """A stream ended at `node`: eos, end of turn, stop, length, context, interrupted."""

    node: int
    reason: str


class Named(msgspec.Struct, frozen=True, tag=True):
    """A branch got a name; an empty one takes it away."""

    branch: int
    name: str


class Hidden(msgspec.Struct, frozen=True, tag=True):
    """A branch was hidden, with the branches that leave it."""

    branch: int


class Unhidden(msgspec.Struct, frozen=True, tag=True):
    """A hidden branch is visible again."""

    branch: int


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The user opened a branch: taken back, it is hidden."""

    branch: int


class Extended(msgspec.Struct, frozen=True, tag=True):
    """The user went on where a branch ended, with `node` first: taken back, it is withdrawn."""

    node: int


class Withdrawn(msgspec.Struct, frozen=True, tag=True):
    """A branch ends before `node`; what comes from there on is out of sight."""

    node: int


class Restored(msgspec.Struct, frozen=True, tag=True):
    """A branch goes on again with a node that was withdrawn."""

    node: int


class Bookmarked(msgspec.Struct, frozen=True, tag=True):
    """A node got a bookmark, or lost it."""

    node: int
    marked: bool


class Labelled(msgspec.Struct, frozen=True, tag=True):
    """A node got a name; an empty one takes it away."""

    node: int
    name: str


class Noted(msgspec.Struct, frozen=True, tag=True):
    """A node got a note; an empty one takes it away."""

    node: int
    text: str


class Studied(msgspec.Struct, frozen=True, tag=True):
    """An experiment of the lab was done on what follows `node`."""

    node: int
    study: Study


class Viewed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The user went to the path to `leaf`; this changes nothing, but tells how it was lived."""

    leaf: int
    cursor: int
    """Index into the path; -1 stays with the newest token."""


Edit = Named | Hidden | Unhidden | Withdrawn | Restored | Bookmarked | Labelled | Noted
"""A change that can be made any number of times: what takes one back, or makes it again."""
Change = Edit | Opened | Extended
"""What the user does to a tree that grew; each can be undone."""

Event = (
    TokenTaken
    | DistributionComputed
    | DistributionCompleted
    | DistributionRecomputed
    | ModelLoaded
    | Scored
    | SecondLoaded
    | Compared
    | Spanned
    | Configured
    | Prompted
    | Ended
    | Studied
    | Viewed
    | Change
)

Act = Literal["", "change", "undo", "redo"]
"""How an event came about: by itself, as an undoable change, as one taken back or made again."""
