"""The engine on a server: shows what the server gives, and refuses what it does not give."""

from collections.abc import Callable, Iterator, Sequence
from functools import partialmethod
from typing import NoReturn

import msgspec

from tokexplore.models.api.capabilities import Need
from tokexplore.models.api.chat import Chat, Rendered
from tokexplore.models.api.engine import (
    Continuation,
    Control,
    DrawnToken,
    ModelInfo,
    Progress,
    ScoredToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.distribution import Distribution
from tokexplore.models.engine.text import chat as chats
from tokexplore.models.engine.text import encode as texts
from tokexplore.models.errors import UsageError
from tokexplore.models.server import looks
from tokexplore.models.server.served import Served
from tokexplore.models.server.stream import ServerStream
from tokexplore.models.tokens import Vocabulary


class ServerEngine:
    """Implements `models.api.engine.Engine` on a model behind a server.

    Args:
        top: candidates that are asked for at every step.
    """

    def __init__(self, served: Served, top: int) -> None:
        self._served, self._dialect, self._top = served, served.dialect, top
        self.info: ModelInfo = served.info
        self.vocabulary: Vocabulary = served.vocabulary

    @classmethod
    def open(cls, options: LoadOptions, report: Callable[[Progress], None]) -> "ServerEngine":
        """Find out what answers at an address, and what it can do.

        Raises:
            UsageError: an address, a key or a name of a model that is not possible.
            ModelError: what answers there cannot do the job.
        """
        served = looks.look(options, report)
        return cls(served, served.info.capabilities.listed)

    def encode(self, text: str, *, continuation: bool = False, literal: bool = False) -> list[int]:
        return texts.encode(self._served, text, continuation=continuation, literal=literal)

    def render(self, chat: Chat) -> Rendered:
        return chats.render(self._served, chat)

    def append_turns(self, ids: Sequence[int], chat: Chat, known: int) -> Rendered:
        return chats.append_turns(self._served, ids, chat, known)

    def stream(self, request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        self.info.check(request.ids)
        if request.score_prompt and not self.info.capabilities.prompt_scores:
            self._refuse("a prompt's score", "prompt_scores")
        top = min(request.top, self._top)
        return ServerStream(
            self._dialect, self.info, self.vocabulary, request, control, top
        ).events()

    def score(
        self, ids: Sequence[int], start: int, control: Control
    ) -> Iterator[Progress | ScoredToken]:
        if not self.info.capabilities.prompt_scores:
            self._refuse("score", "prompt_scores")
        self.info.check(ids)
        if start < 1:
            raise UsageError(f"scoring from position {start} is not possible: give 1 or more.")
        for scored in self._dialect.scores(ids, start, self._top):
            if control.cancelled:
                return
            yield scored

    def describe(self, ids: Sequence[int]) -> Distribution:
        self.info.check(ids)
        return self._dialect.describe(ids, self._top)

    def continuations(
        self, request: StreamRequest, seeds: Sequence[int], control: Control
    ) -> list[Continuation]:
        if len(seeds) > 1:
            raise UsageError(f"{self._dialect.program} is asked for one continuation at a time.")
        return [self._continued(request, seed, control) for seed in seeds]

    def _continued(self, request: StreamRequest, seed: int, control: Control) -> Continuation:
        settings = msgspec.structs.replace(request.settings, seed=seed)
        request = msgspec.structs.replace(request, settings=settings)
        events = list(self.stream(request, control))
        drawn = [event for event in events if isinstance(event, DrawnToken)]
        (ended,) = (event for event in events if isinstance(event, StreamEnded))
        return Continuation(
            seed,
            tuple(event.standing.token for event in drawn),
            tuple(event.standing.logprob for event in drawn),
            tuple(None for _ in drawn),
            ended.reason,
        )

    @property
    def bench(self) -> NoReturn:
        self._refuse("the lab", "instruments")

    def _refuse(self, what: str, need: Need, *_: object) -> NoReturn:
        raise UsageError(self.info.capabilities.why_not(what, need))

    rows = partialmethod(_refuse, "a candidate further down", "lists_all")
    search = partialmethod(_refuse, "a search", "lists_all")
    standings = partialmethod(_refuse, "a token's rank", "lists_all")
    reshape = partialmethod(_refuse, "the sampler's view", "lists_all")
    effects = partialmethod(_refuse, "the sampler's figures", "lists_all")
    draws = partialmethod(_refuse, "drawing", "lists_all")
