"""What is kept of a repeat experiment: every text and every fork, without the distributions."""

from itertools import chain
from typing import Annotated, Literal

import msgspec

from tokexplore.models.api.traffic import Load

Number = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class Reading(msgspec.Struct, frozen=True):
    """What some runs read at a fork: the same logits to the last bit."""

    runs: tuple[Number, ...]
    logits: tuple[float | None, ...]
    """Of the fork's tokens; None where one is not among the candidates that were kept."""
    taken: tuple[Number, ...]
    """The tokens that these runs took, each once."""
    lse: tuple[float, ...] | msgspec.UnsetType = msgspec.UNSET
    """Of each run, in their order: log-sum-exp of its raw logits there (nats)."""

    def __post_init__(self) -> None:
        if not self.runs or (self.lse is not msgspec.UNSET and len(self.lse) != len(self.runs)):
            raise ValueError("a reading without runs, or without one figure for each")


class Verdict(msgspec.Struct, frozen=True):
    """Why runs part at a fork."""

    kind: Literal["sampler", "arithmetic", "untold"]
    """`untold`: a server draws by itself, and the runs' seeds differ."""
    probability: float | None = None
    """That the sampler takes the second token there; None for greedy, where nothing is drawn."""
    explained: bool = True
    """For arithmetic: the noise can part the runs. Greedy ones where it is at least the margin,
    sampled ones where there is any; True where it is not known."""


class Fork(msgspec.Struct, frozen=True):
    """A place where runs that said the same so far take different tokens."""

    step: int
    """Number of the step, from 1."""
    before: tuple[Number, ...]
    """What the runs had added when they came here."""
    choices: tuple[tuple[Number, tuple[Number, ...]], ...]
    """Tokens that were taken and the runs that took them, the most frequent first."""
    tokens: tuple[Number, ...]
    """Of the readings: the first two are the fork's two most frequent choices."""
    readings: tuple[Reading, ...]
    """The most frequent first."""
    margin: float | None
    """Logit gap (nats) of the first two tokens as most runs read it: the size of it.

    None where no run has both among the candidates that were kept."""
    noise: float | None
    """How far readings of that gap lie apart at most, nats; None where there is no margin."""
    grid: float | None
    """Step of the dtype's grid at the first token's logit; None where it has none."""
    verdict: Verdict

    def __post_init__(self) -> None:
        _check_readings(self.tokens, self.readings)
        if self.step != len(self.before) + 1 or len(self.choices) < 2:
            raise ValueError("a fork that is not at its step, or has no two sides")
        if (self.margin is None) != (self.noise is None):
            raise ValueError("a fork's margin without its noise, or noise without a margin")


class CloseCall(msgspec.Struct, frozen=True):
    """A step at which the runs of one text were close to another one."""

    step: int
    """Number of the step, from 1."""
    tokens: tuple[Number, Number]
    """The first two candidates of the run that the others are held against."""
    readings: tuple[Reading, ...]
    """The most frequent first."""
    margin: float
    """Logit gap (nats) of the two as that run read it: 0 or more."""
    noise: float
    """How far readings of that gap lie apart at most, nats."""
    grid: float | None
    """Step of the dtype's grid at the first token's logit; None where it has none."""

    def __post_init__(self) -> None:
        _check_readings(self.tokens, self.readings)


class CloseCalls(msgspec.Struct, frozen=True):
    """Where runs that all gave one text were closest to another one."""

    calls: tuple[CloseCall, ...]
    """The smallest margins first."""
    against: Number
    """Number of the run that the others are held against: the first."""
    sigma: float | None
    """The noise of a gap (nats): the root mean square, over all steps, of its differences from the
    first run, of the run in which that is largest. None for too few steps."""
    noisiest: Number | None
    """Number of that run."""
    decisive: bool
    """Whether the first of the raw logits is what was taken: greedy, and nothing changes them."""


def _check_readings(tokens: tuple[int, ...], readings: tuple[Reading, ...]) -> None:
    if len(tokens) < 2 or not readings:
        raise ValueError("readings of no two tokens")
    if any(len(reading.logits) != len(tokens) for reading in readings):
        raise ValueError("a reading that does not fit its tokens")


class Checked(msgspec.Struct, frozen=True, tag="control"):
    """The positive control: one run's identical batch once more."""

    number: int
    same_tokens: bool
    same_logits: bool
    """Of every step, bit for bit."""


class StudiedRun(msgspec.Struct, frozen=True):
    """One run, as far as it is kept."""

    number: int
    condition: str
    """In words."""
    seed: int
    ids: tuple[Number, ...]
    """The tokens that it added."""
    ended: str
    seconds: float
    load: Load | msgspec.UnsetType = msgspec.UNSET
    """What a server said of itself meanwhile."""


class Study(msgspec.Struct, frozen=True):
    """A repeat experiment that was done, or as far as it was done."""

    setting: str
    """The sampling settings, in words."""
    dtype: str
    """The model's: its logits are numbers of it."""
    length: int
    """Tokens that a run could add."""
    planned: int
    """Runs that were asked for."""
    varied: tuple[str, ...]
    runs: tuple[StudiedRun, ...] = ()
    controls: tuple[Checked, ...] = ()
    forks: tuple[Fork, ...] = ()
    close_calls: CloseCalls | msgspec.UnsetType = msgspec.UNSET
    """Where all runs gave one text."""
    notices: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """What this model could not vary, a sentence each."""
    offered: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """What the model could vary of this request without being loaded anew."""
    served: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether a server made the runs: what they read are then logprobs of the first candidates, not
    logits."""

    def __post_init__(self) -> None:
        there = {run.number for run in self.runs}
        calls = () if self.close_calls is msgspec.UNSET else self.close_calls.calls
        readings = chain(*(f.readings for f in self.forks), *(c.readings for c in calls))
        named = {number for reading in readings for number in reading.runs}
        named |= {number for fork in self.forks for _, runs in fork.choices for number in runs}
        if len(there) != len(self.runs) or not named <= there:
            raise ValueError("a study of runs that are not in it, or of two of one number")
