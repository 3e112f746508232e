"""A server against the same weights here: logprob by logprob along one path."""

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from tokexplore.models.api.engine import Control, DrawnToken, Engine, StreamRequest
from tokexplore.models.api.whole_row import whole_row
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.flips import could_flip, scale

Logprobs = np.ndarray[tuple[int], np.dtype[np.float64]]


class Compared(msgspec.Struct, frozen=True):
    """One step of the path as both have it; nats."""

    token: int
    """That the server took."""
    listed: int
    """Candidates that it listed with it."""
    streamed: float
    """Largest difference of a logprob among them."""
    whole: float | None
    """Largest difference over the vocabulary, of all candidates asked for at once; None where the
    server does not give them."""
    gap: float
    """Difference of the gap of the server's first two candidates, with its sign: here less there.
    """
    margin: float
    """The server's gap of its first two."""
    first: tuple[int, int]
    """The most probable token: the server's, and here."""


class Against(msgspec.Struct, frozen=True):
    """All steps of a path."""

    steps: tuple[Compared, ...]

    @property
    def sigma(self) -> float | None:
        """The noise of a gap (nats): see `flips.scale`."""
        return scale([step.gap for step in self.steps])

    @property
    def flipped(self) -> list[int]:
        """Numbers of the steps, from 1, at which another token is the first one here."""
        return [n for n, step in enumerate(self.steps, 1) if len(set(step.first)) > 1]

    @property
    def near(self) -> list[int]:
        """Numbers of the steps whose margin is within the noise."""
        sigma = self.sigma
        if sigma is None:
            return []
        return [n for n, step in enumerate(self.steps, 1) if could_flip(step.margin, sigma)]


def check_same(server: Engine, here: Engine) -> None:
    """Refuse to compare models whose tokens are not the same.

    Raises:
        UsageError: naming what differs.
    """
    theirs, ours = server.info.vocabulary, here.info.vocabulary
    if theirs != ours:
        raise UsageError(
            f"{here.info.name} has {ours:,} tokens and the server's model {theirs:,}: --against "
            "takes the weights that the server runs."
        )
    text = "The price of 3 apples is $42: naïve 国王."
    if server.encode(text, continuation=True) != here.encode(text, continuation=True):
        raise UsageError(
            f"{here.info.name} cuts texts into other tokens than the server's model: --against "
            "takes the weights that the server runs."
        )


def compare(
    server: Engine,
    here: Engine,
    request: StreamRequest,
    control: Control,
    report: Callable[[int, int], None],
) -> Against:
    """Let the server go on with a prompt and compute each of its steps here; those done where it is
    cancelled.

    Args:
        report: told how many steps are done of how many, once the server has written its text.
    """
    written = [e for e in server.stream(request, control) if isinstance(e, DrawnToken)]
    return Against(tuple(_steps(server, here, request.ids, written, control, report)))


def _steps(
    server: Engine,
    here: Engine,
    prompt: Sequence[int],
    written: Sequence[DrawnToken],
    control: Control,
    report: Callable[[int, int], None],
) -> Iterator[Compared]:
    path, whole = list(prompt), server.info.capabilities.whole_rows
    for done, drawn in enumerate(written, 1):
        ours = _logprobs(here, path)
        theirs = _logprobs(server, path) if whole else None
        yield _compared(drawn, ours, theirs)
        report(done, len(written))
        if control.cancelled:
            return
        path.append(drawn.standing.token)


def _compared(drawn: DrawnToken, ours: Logprobs, theirs: Logprobs | None) -> Compared:
    told = drawn.distribution
    ids = np.frombuffer(told.ids, np.uint32)
    gap = float(ours[ids[0]] - ours[ids[1]]) - told.margin if len(ids) > 1 else 0.0
    return Compared(
        token=drawn.standing.token,
        listed=len(told),
        streamed=float(np.abs(ours[ids] - _listed(told)).max()),
        whole=None if theirs is None else _largest(theirs - ours),
        gap=gap,
        margin=told.margin,
        first=(int(ids[0]), int(ours.argmax())),
    )


def _largest(differences: Logprobs) -> float:
    return float(np.abs(differences[np.isfinite(differences)]).max())


def _listed(told: Distribution) -> Logprobs:
    return np.frombuffer(told.logits, np.float32).astype(np.float64) - told.lse


def _logprobs(engine: Engine, ids: Sequence[int]) -> Logprobs:
    """Of the whole vocabulary after a path, by id: nats, shape [V]."""
    logits, lse = whole_row(engine, ids)
    return logits.astype(np.float64) - lse
