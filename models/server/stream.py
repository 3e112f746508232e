"""One running stream on a server: whose sampler draws, what comes, and why it ends."""

import contextlib
import math
from collections.abc import Generator, Sequence
from typing import NamedTuple

import msgspec

from tokexplore.models.api.engine import (
    Control,
    Described,
    DrawnToken,
    EndReason,
    Progress,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import ServerError
from tokexplore.models.sampling.bounds import BoundedView, bounded_view
from tokexplore.models.sampling.randomness import Uniforms
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.sampling.stop_criteria import StopCriteria
from tokexplore.models.server.dialect import (
    Ask,
    Dialect,
    Step,
    Steps,
    UnaskedError,
    UnseenEndError,
    check_sampler,
    standing_in,
)
from tokexplore.models.tokens import Vocabulary

LOOK_EVERY = 0.05
"""Seconds after which a stream that waits for its server gives the turn to others."""
_SEEDS = 2**31
"""A server's seed is made of a node's uniform number, so that each node and each draw has one."""


class Manner(NamedTuple):
    """How a stream is run, beside what is asked."""

    ours: bool = True
    """Our sampler draws where the listed candidates are enough; else the server's, with the seed of
    the settings."""
    cold: bool = False
    """The server's prefix cache has nothing for it."""
    patience: float = LOOK_EVERY
    """Seconds after which it gives the turn to others while nothing comes."""


PLAIN = Manner()


class ServerStream:
    """The state of one `Engine.stream` call."""

    def __init__(
        self,
        dialect: Dialect,
        info: ModelInfo,
        vocabulary: Vocabulary,
        request: StreamRequest,
        control: Control,
        top: int,
        manner: Manner = PLAIN,
    ) -> None:
        self._manner = manner
        self._dialect, self._info, self._request, self._control = dialect, info, request, control
        self._path, self._top = list(request.ids), top
        self._uniforms, self._came = Uniforms(), 0
        self._stops, self._special = StopCriteria(info, vocabulary, request), vocabulary.special
        self._steps: Steps | None = None
        """The server's stream, where one runs."""
        self._said_end = False
        """Whether its last words were that the text ends, at whatever token."""
        self._asked: SamplingSettings | None = None
        self._settings = request.settings

    def events(self) -> Generator[StreamEvent]:
        """All of them, `StreamEnded` last."""
        self._in_force()
        try:
            if self._request.score_prompt:
                yield from self._dialect.scores(self._path, 1, self._top)
            reason = yield from self._tokens()
            if self._request.describe_end and reason not in ("context", "interrupted"):
                told = None
                with contextlib.suppress(UnaskedError):
                    told = self._described()
                if told is not None:
                    yield Described(len(self._path), told)
            detail = self._stops.met if reason == "stop" else ""
            yield StreamEnded(len(self._path), reason, detail)
        finally:
            self._hang_up()

    def _tokens(self) -> Generator[Progress | DrawnToken, None, EndReason]:
        while True:
            if (reason := self._limit()) is not None:
                return reason
            if self._in_force():
                self._hang_up()
            step = self._own() if self._draws_here else (yield from self._theirs())
            if step is None:
                if self._said_end and not self._request.ignore_eos:
                    return "eos"
                self._said_end = False
                continue
            drawn, ends = step
            self._path.append(drawn.standing.token)
            yield drawn
            reason = self._stops.reason(drawn.standing.token)
            if reason is None and ends and not self._request.ignore_eos:
                reason = "eos"
            if reason is not None:
                return reason

    @property
    def _draws_here(self) -> bool:
        """Whether our sampler draws where it can: each token is then a request of its own."""
        settings = self._settings
        ours = self._manner.ours and self._info.capabilities.prefill
        return ours and not settings.greedy and not settings.looks_back

    def _own(self) -> tuple[DrawnToken, bool] | None:
        """A token by our sampler, where the listed candidates are all that it keeps; else by the
        server's, or None where that ends the text unseen. Which of the two does not depend on the
        number that is drawn."""
        settings, number = self._settings, self._number()
        step = self._taken()
        told = self._described() if step is None else step.distribution
        view = None if told is None else bounded_view(told, settings)
        if told is None or view is None or view.figures(told) is None:
            if step is None:
                self._end_unseen()
                return None
            return self._by_server(step), step.ends
        index = _drawn(view, number)
        token = told.id_view[index]
        drawn = DrawnToken(
            position=len(self._path),
            distribution=told,
            standing=standing_in(told, token, told.logprob(index)),
            settings=settings,
            sampler=None,
            chosen_by="sampled",
            sampler_logprob=_log_share(view, index),
            draw=self._draw(),
            uniform=number,
        )
        return self._watched(drawn), self._ends(step, token)

    def _taken(self) -> Step | None:
        """The server's next token; None where it ends the text unseen."""
        try:
            return self._dialect.step(self._ask())
        except UnseenEndError:
            return None

    def _ask(self, *, cold: bool = False) -> Ask:
        return Ask(tuple(self._path), self._top, self._settings, self._seed(), cold)

    def _described(self) -> Distribution | None:
        """The candidates that come next; None where the server lists none, as the text ends."""
        try:
            return self._dialect.describe(self._path, self._top)
        except UnseenEndError:
            return None

    def _end_unseen(self) -> None:
        """Raises:
        ServerError: the text is to go on.
        """
        if self._request.ignore_eos:
            raise ServerError("the server ends the text here, at a token that it does not show.")
        self._said_end = True

    def _ends(self, step: Step | None, token: int) -> bool:
        """Whether the server holds that the text ends with our token, where it may have taken
        another itself."""
        if step is not None and token == step.token:
            return step.ends
        return token in self._special and self._dialect.ends(self._path, token)

    def _theirs(self) -> Generator[Progress, None, tuple[DrawnToken, bool] | None]:
        """A token of the server's stream; None where it has ended and another is to begin, or the
        caller has something to say."""
        if self._steps is None:
            length = self._length() - (len(self._path) - len(self._request.ids))
            self._steps = self._dialect.steps(self._ask(cold=self._manner.cold), length)
            self._came = 0
        step = self._steps.next(self._manner.patience)
        if step is not None:
            self._came += 1
            return self._by_server(step), step.ends
        if self._steps.over:
            ends, self._steps = self._steps.ends, None
            if self._came:
                self._said_end = ends
            elif ends:
                self._end_unseen()
            else:
                raise ServerError("the server ended the stream without a token: space tries again.")
            return None
        yield Progress("server", 0, 1, "answers", "waiting for the server")
        return None

    def _by_server(self, step: Step) -> DrawnToken:
        settings, distribution = self._settings, step.distribution
        standing = standing_in(distribution, step.token, step.logprob)
        greedy = settings.greedy and not settings.looks_back and standing.rank == 1
        drawn = DrawnToken(
            position=len(self._path),
            distribution=distribution,
            standing=standing,
            settings=settings,
            sampler=None,
            chosen_by="greedy" if greedy else "server",
            sampler_logprob=0.0 if greedy else None,
            draw=self._draw(),
        )
        return self._watched(drawn)

    def _watched(self, drawn: DrawnToken) -> DrawnToken:
        told = drawn.distribution
        places = [(token, told.index_of(token)) for token in self._request.watch]
        watched = tuple(
            standing_in(told, token, told.logprob(index))
            for token, index in places
            if index is not None
        )
        return msgspec.structs.replace(drawn, watched=watched) if watched else drawn

    def _draw(self) -> int:
        return self._request.draw if len(self._path) == len(self._request.ids) else 0

    def _number(self) -> float:
        return self._uniforms.after(self._path, self._settings.seed, self._draw())

    def _seed(self) -> int:
        return int(self._number() * _SEEDS) if self._manner.ours else self._settings.seed

    def _length(self) -> int:
        return self._control.max_new_tokens or self._request.max_new_tokens

    def _limit(self) -> EndReason | None:
        if self._control.cancelled:
            return "interrupted"
        if len(self._path) - len(self._request.ids) >= self._length():
            return "length"
        context = self._info.context
        return "context" if context and len(self._path) >= context else None

    def _in_force(self) -> bool:
        """Take the settings that are asked for; whether they are others than before.

        Raises:
            UsageError: the server's sampler has not what they ask for.
        """
        asked = self._control.settings or self._request.settings
        if asked is self._asked:
            return False
        self._asked, self._settings = asked, asked.checked()
        check_sampler(self._dialect, self._settings)
        return True

    def _hang_up(self) -> None:
        if self._steps is not None:
            self._steps.close()
            self._steps = None


def _drawn(view: BoundedView, number: float) -> int:
    """The place on which a uniform number falls: inverse of the cumulative sum over what is kept,
    most probable first, as the engine's own sampler has it."""
    kept = view.weights[: int(view.kept.high)]
    return place_of(kept, number)


def place_of(weights: Sequence[float], number: float) -> int:
    """The first place at which the running sum of the weights exceeds `number` times all."""
    sums, total = [], 0.0
    for weight in weights:
        total += weight
        sums.append(total)
    wanted = number * total
    return next((i for i, reached in enumerate(sums) if reached > wanted), len(sums) - 1)


def _log_share(view: BoundedView, index: int) -> float:
    return math.log(view.share(index).low)
