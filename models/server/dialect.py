"""What the engine needs of a kind of server, and how its rows become distributions."""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from tokexplore.models.api.engine import ScoredToken
from tokexplore.models.api.traffic import Load
from tokexplore.models.distribution import Distribution, TokenRank
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.sampling.settings import STAGES, SamplingSettings

Logprobs = np.ndarray[tuple[int], np.dtype[np.float32]]

SUM_ERROR = 1e-3
"""How far the probabilities of listed candidates may add up to more than 1: servers round."""


class Ask(NamedTuple):
    """What a server's sampler is asked for after a path: by default the most probable token."""

    ids: Sequence[int]
    """The path."""
    top: int
    """Candidates that are told of each step."""
    settings: SamplingSettings = SamplingSettings()
    seed: int = 0
    cold: bool = False
    """The server's prefix cache has nothing for it."""

    @property
    def plain(self) -> "Ask":
        """The same of the model alone: greedy, and nothing changes its logits."""
        return Ask(self.ids, self.top, cold=self.cold)


class Step(NamedTuple):
    """One token that a server took, and the distribution before it."""

    distribution: Distribution
    token: int
    logprob: float
    """The model's (nats), before any sampling."""
    ends: bool = False
    """Whether the server says that the text ends with it; of a stream's steps that is said after
    them (`Steps.ends`)."""


class UnseenEndError(ServerError):
    """A text ends at a token that the server does not show, and of that step it tells nothing."""


class UnaskedError(UsageError):
    """A path that the server cannot be asked for, though it may have led there itself."""


class Steps(Protocol):
    """A stream of tokens that a server takes."""

    ends: bool
    """Whether the server has said that the text ends with the last step."""

    @property
    def over(self) -> bool:
        """Whether the server has ended it and all of it was taken."""

    def next(self, seconds: float) -> Step | None:
        """The next step; None where none comes in time, and at the end.

        Raises:
            ServerError: the stream broke off.
        """

    def close(self) -> None:
        """Let the server stop."""


class Dialect(Protocol):
    """A server of a kind, with one of its models."""

    program: str
    """Its name and version, as it says them."""
    samples: frozenset[str]
    """The fields of `SamplingSettings` that its own sampler has, as ours has them."""
    apart: frozenset[str]
    """Those of which it has one at a time as ours has them, and several otherwise."""

    def describe(self, ids: Sequence[int], top: int) -> Distribution:
        """The first candidates after a path.

        Raises:
            UnseenEndError: there are none, as the text ends.
            ServerError: there is no answer.
        """

    def logprobs(self, ids: Sequence[int]) -> Logprobs:
        """Those of the whole vocabulary after a path (nats), by id: f32, shape [V].

        As the server states them: their probabilities add up to 1 as nearly as it rounds.

        Raises:
            ServerError: there is no answer, or not all of them are in it.
        """

    def step(self, ask: Ask) -> Step:
        """One token by the server's sampler.

        Raises:
            UnseenEndError: it ends the text instead.
            ServerError: there is no answer.
        """

    def steps(self, ask: Ask, length: int) -> Steps:
        """As many as `length` tokens by the server's sampler."""

    def streams(self, settings: SamplingSettings) -> bool:
        """Whether a stream under these settings is one request; else each token is one."""

    def load(self) -> Load:
        """What it says of itself now."""

    def ends(self, ids: Sequence[int], token: int) -> bool:
        """Whether a text ends with this token after a path: not all that do are named."""

    def scores(self, ids: Sequence[int], start: int, top: int) -> Iterator[ScoredToken]:
        """How the tokens of ids[start:] stand.

        Raises:
            UsageError: the server gives no logprobs of tokens that it is given.
        """


def by_id(ids: Iterable[int], logprobs: Iterable[float], vocabulary: int) -> Logprobs:
    """The logprobs of a whole vocabulary in the order of its ids.

    Raises:
        ServerError: they are not those of every token, once each, or no logprobs.
    """
    tokens, values = np.fromiter(ids, np.int64), np.fromiter(logprobs, np.float32)
    whole = len(tokens) == vocabulary and bool(np.all((tokens >= 0) & (tokens < vocabulary)))
    ordered = np.full(vocabulary, np.nan, np.float32)
    if whole:
        ordered[tokens] = values
    if not abs(float(np.exp(ordered, dtype=np.float64).sum()) - 1) <= SUM_ERROR:
        raise ServerError(
            f"the server does not list each of the {vocabulary:,} tokens once, with logprobs of "
            "one distribution."
        )
    return ordered


def listed(
    rows: Iterable[tuple[int, float]], vocabulary: int, top: int, seconds: float
) -> Distribution:
    """The distribution of which a server lists (id, logprob), in candidate order.

    Raises:
        ServerError: what it lists are no logprobs of tokens.
    """
    known = {token: logprob for token, logprob in rows if logprob > -math.inf}
    sound = all(
        0 <= token < vocabulary and logprob <= SUM_ERROR for token, logprob in known.items()
    )
    if not known or not sound or math.fsum(map(math.exp, known.values())) > 1 + SUM_ERROR:
        raise ServerError(
            "the server lists candidates that cannot be: ids outside the vocabulary, or numbers "
            "that are no logprobs."
        )
    order = sorted(known.items(), key=lambda row: (-row[1], row[0]))[:top]
    return Distribution(
        ids=array("I", [token for token, _ in order]).tobytes(),
        logits=array("f", [logprob for _, logprob in order]).tobytes(),
        vocabulary=vocabulary,
        lse=0.0,
        entropy=None,
        source="server",
        seconds=seconds,
    )


def standing_in(distribution: Distribution, token: int, logprob: float) -> TokenRank:
    """Where a token stands: its rank and place only where it is listed."""
    index = distribution.index_of(token)
    if index is None:
        return TokenRank(token, logprob, logprob, 0, -1)
    return TokenRank(
        token, logprob, logprob, distribution.rank(index), index, distribution.tied(index)
    )


def _mass(logprobs: Iterable[float]) -> float:
    return math.fsum(map(math.exp, logprobs))


def check_sampler(dialect: Dialect, settings: SamplingSettings) -> None:
    """Refuse settings that the server's sampler does not have.

    Raises:
        UsageError: naming the first.
    """
    inert = {stage.field for stage in STAGES if settings.greedy and stage.inert_in_greedy}
    on = settings.on - inert
    for stage in STAGES:
        if stage.field in on - dialect.samples and stage.kind != "draw":
            raise UsageError(
                f"{dialect.program} has no {stage.name} as we have it: leave it out (its sampler "
                "draws where ours would need candidates that are not listed)."
            )
    several = [stage.name for stage in STAGES if stage.field in on & dialect.apart]
    if len(several) > 1:
        raise UsageError(
            f"{dialect.program} has {' and '.join(several)} together otherwise than we have them: "
            "leave one out."
        )
    for name, sequences in (
        ("bias", [tokens for tokens, _ in settings.bias]),
        ("ban", list(settings.banned)),
    ):
        if any(len(tokens) > 1 for tokens in sequences):
            raise UsageError(
                f"{dialect.program} knows a {name} of single tokens only: leave out those of "
                "several."
            )
