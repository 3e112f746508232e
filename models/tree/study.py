"""What is kept of a repeat experiment: every text and every fork, without the distributions."""

from typing import Literal

import msgspec


class Reading(msgspec.Struct, frozen=True):
    """What some runs read at a fork: the same logits to the last bit."""

    runs: tuple[int, ...]
    logits: tuple[float | None, ...]
    """Of the fork's tokens; None where one is not among the candidates that were kept."""
    taken: tuple[int, ...]
    """The tokens that these runs took, each once."""


class Verdict(msgspec.Struct, frozen=True):
    """Why runs part at a fork."""

    kind: Literal["sampler", "arithmetic"]
    probability: float | None = None
    """That the sampler takes the second token there; None for greedy, where nothing is drawn."""
    explained: bool = True
    """For arithmetic: the noise can part the runs. Greedy ones where it is at least the margin,
    sampled ones where there is any; True where it is not known."""


class Fork(msgspec.Struct, frozen=True):
    """A place where runs that said the same so far take different tokens."""

    step: int
    """Number of the step, from 1."""
    before: tuple[int, ...]
    """What the runs had added when they came here."""
    choices: tuple[tuple[int, tuple[int, ...]], ...]
    """Tokens that were taken and the runs that took them, the most frequent first."""
    tokens: tuple[int, ...]
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
    ids: tuple[int, ...]
    """The tokens that it added."""
    ended: str
    seconds: float


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
