"""An engine as one behind an API is: it lists the first candidates of a step, and no others."""

from array import array
from collections.abc import Iterator, Sequence
from functools import partialmethod
from typing import Any, NoReturn

import msgspec

from support.fake_engine import FakeEngine
from tokexplore.models.api.capabilities import Capabilities, Need
from tokexplore.models.api.chat import Chat, Rendered
from tokexplore.models.api.engine import (
    Continuation,
    Control,
    Described,
    DrawnToken,
    Progress,
    ScoredToken,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.next_tokens import NextTokens, of_listed
from tokexplore.models.distribution import STORED_CANDIDATES, Distribution, TokenRank
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary

LISTED = 20


def first_of(told: Distribution, count: int = LISTED) -> Distribution:
    """The first candidates of a distribution with their logprobs, and nothing of the rest."""
    logprobs = array("f", [told.logprob(index) for index in range(min(count, len(told)))])
    ids = told.ids[: 4 * len(logprobs)]
    return Distribution(ids, logprobs.tobytes(), told.vocabulary, 0.0, None, told.source)


class FirstCandidates:
    """An `Engine` with a whole model at the server's side, of which it passes on what it can.

    What it was asked for all the same, though its capabilities say no, is in `asked`.

    Args:
        abilities: fields of its `Capabilities`.
    """

    def __init__(
        self, *, abilities: dict[str, bool] | None = None, model: FakeEngine | None = None
    ) -> None:
        self._model = model or FakeEngine()
        can = {"prompt_scores": False, "forced_tokens": False, **(abilities or {})}
        capabilities = Capabilities(listed=LISTED, instruments=False, **can)
        self.info: ModelInfo = msgspec.structs.replace(self._model.info, capabilities=capabilities)
        self.vocabulary: Vocabulary = self._model.vocabulary
        self.asked: list[str] = []

    def encode(self, text: str, *, continuation: bool = False, literal: bool = False) -> list[int]:
        return self._model.encode(text, continuation=continuation, literal=literal)

    def render(self, chat: Chat) -> Rendered:
        return self._model.render(chat)

    def append_turns(self, ids: Sequence[int], chat: Chat, known: int) -> Rendered:
        return self._model.append_turns(ids, chat, known)

    def stream(self, request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        if request.score_prompt and not self.info.capabilities.prompt_scores:
            self._refuse("score_prompt", "prompt_scores")
        for event in self._model.stream(request, control):
            known = isinstance(event, DrawnToken | Described | ScoredToken)
            yield _listed(event) if known else event

    def score(
        self, ids: Sequence[int], start: int, control: Control
    ) -> Iterator[Progress | ScoredToken]:
        if not self.info.capabilities.prompt_scores:
            self._refuse("score", "prompt_scores")
        for event in self._model.score(ids, start, control):
            yield _listed(event) if isinstance(event, ScoredToken) else event

    def logits(self, ids: Sequence[int], start: int, control: Control) -> NoReturn:
        del ids, start, control
        self._refuse("logits", "lists_all")

    def read(self, ids: Sequence[int], start: int) -> NoReturn:
        del ids, start
        self._refuse("read", "lists_all")

    def describe(self, ids: Sequence[int], *, whole: bool = False) -> Distribution:
        return self._whole("describe", ids) if whole else first_of(self._model.describe(ids))

    def describe_all(
        self,
        paths: Sequence[Sequence[int]],
        settings: SamplingSettings | None = None,
        prompt_length: int = 0,
        *,
        start: int = 0,
        count: int = STORED_CANDIDATES,
    ) -> list[NextTokens]:
        if self.info.capabilities.whole_rows:
            return self._model.describe_all(
                paths, settings, prompt_length, start=start, count=count
            )
        if settings is not None or start:
            self._refuse("describe_all", "whole_rows")
        return [of_listed(self.describe(ids), count) for ids in paths]

    def continuations(
        self, request: StreamRequest, seeds: Sequence[int], control: Control
    ) -> list[Continuation]:
        if len(seeds) > 1:
            self.asked.append("continuations")
            raise UsageError("This engine runs no batches.")
        return self._model.continuations(request, seeds, control)

    @property
    def bench(self) -> NoReturn:
        self._refuse("bench", "instruments")

    @property
    def requests(self) -> NoReturn:
        return self._model.requests

    def _refuse(self, what: str, need: Need, *_: object) -> NoReturn:
        self.asked.append(what)
        raise UsageError(self.info.capabilities.why_not(what, need))

    def _whole(self, what: str, *arguments: Any) -> Any:
        if not self.info.capabilities.whole_rows:
            self._refuse(what, "whole_rows")
        return getattr(self._model, what)(*arguments)

    rows = partialmethod(_whole, "rows")
    search = partialmethod(_whole, "search")
    standings = partialmethod(_whole, "standings")
    reshape = partialmethod(_whole, "reshape")
    effects = partialmethod(_whole, "effects")
    draws = partialmethod(_whole, "draws")


def _listed(event: DrawnToken | Described | ScoredToken) -> DrawnToken | Described | ScoredToken:
    """An event without what only the other candidates could tell."""
    told = first_of(event.distribution)
    event = msgspec.structs.replace(event, distribution=told)
    if isinstance(event, Described):
        return event
    watched = tuple(rank for rank in event.watched if told.index_of(rank.token) is not None)
    standing = event.standing
    if told.index_of(standing.token) is None:
        standing = TokenRank(standing.token, standing.logprob, standing.logprob, 0, -1)
    event = msgspec.structs.replace(event, standing=standing, watched=watched)
    if isinstance(event, DrawnToken) and not event.settings.greedy:
        return msgspec.structs.replace(event, sampler=None, sampler_logprob=None)
    return event
