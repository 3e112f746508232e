"""The engine on a server: shows what the server gives, and refuses what it does not give."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

import msgspec
import torch

from tokexplore.models.api.capabilities import Need
from tokexplore.models.api.chat import Chat, Rendered
from tokexplore.models.api.engine import (
    Continuation,
    Control,
    DrawnToken,
    Held,
    Progress,
    ScoredToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.next_tokens import NextTokens, of_listed
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.distribution import STORED_CANDIDATES, Distribution
from tokexplore.models.engine.forward import logits_row
from tokexplore.models.engine.forward.kv_store import Path, RowStore
from tokexplore.models.engine.forward.logits_row import Row
from tokexplore.models.engine.row_questions import RowQuestions
from tokexplore.models.engine.text import chat as chats
from tokexplore.models.engine.text import encode as texts
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server import looks
from tokexplore.models.server.asking.served import Served
from tokexplore.models.server.requests import ServerRequests
from tokexplore.models.server.stream import ServerStream
from tokexplore.models.tokens import Vocabulary


class ServerEngine(RowQuestions):
    """Implements `models.api.engine.Engine` on a model behind a server.

    Args:
        top: candidates that are asked for at every step.
    """

    def __init__(self, served: Served, top: int) -> None:
        self._served, self._dialect, self._top = served, served.dialect, top
        self.info: ModelInfo = served.info
        self._rows = RowStore()

    @classmethod
    def open(cls, options: LoadOptions, report: Callable[[Progress], None]) -> "ServerEngine":
        """Find out what answers at an address, and what it can do.

        Raises:
            UsageError: an address, a key or a name of a model that is not possible.
            ModelError: what answers there cannot do the job.
        """
        served = looks.look(options, report)
        return cls(served, served.info.capabilities.listed)

    @property
    def vocabulary(self) -> Vocabulary:
        return self._served.vocabulary

    def encode(self, text: str, *, continuation: bool = False, literal: bool = False) -> list[int]:
        return texts.encode(self._served, text, continuation=continuation, literal=literal)

    def render(self, chat: Chat) -> Rendered:
        rendered = chats.render(self._served, chat)
        self._served.hear(chat)
        return rendered

    def append_turns(self, ids: Sequence[int], chat: Chat, known: int) -> Rendered:
        rendered = chats.append_turns(self._served, ids, chat, known)
        self._served.hear(chat)
        return rendered

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

    def read(self, ids: Sequence[int], start: int) -> NoReturn:
        del ids, start
        self._refuse("read", "lists_all")

    def logits(self, ids: Sequence[int], start: int, control: Control) -> NoReturn:
        del ids, start, control
        self._refuse("logits", "lists_all")

    def held(self, ids: Sequence[int]) -> Held:
        del ids
        return Held()

    def describe(self, ids: Sequence[int], *, whole: bool = False) -> Distribution:
        if whole:
            return logits_row.distribution(self.row(ids)[0], STORED_CANDIDATES)
        self.info.check(ids)
        return self._dialect.describe(ids, self._top)

    def row(self, ids: Sequence[int]) -> tuple[Row, str]:
        path = Path(ids)
        if (held := self._rows.get(path.key)) is not None:
            return held, "stored"
        if not self.info.capabilities.whole_rows:
            self._refuse("what is asked", "whole_rows")
        self.info.check(ids)
        began = time.perf_counter()
        logprobs = torch.from_numpy(self._dialect.logprobs(ids))
        row = logits_row.summarise(logprobs, "server, whole", time.perf_counter() - began)
        self._rows.put(path.key, row)
        return row, "recomputed"

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
            return super().describe_all(paths, settings, prompt_length, start=start, count=count)
        if settings is not None or start:
            self._refuse("what is asked", "whole_rows")
        return [of_listed(self.describe(ids), count) for ids in paths]

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
    def requests(self) -> ServerRequests:
        return ServerRequests(self._dialect, self.info, self.vocabulary)

    @property
    def interpreter(self) -> NoReturn:
        self._refuse("why", "inside")

    @property
    def bench(self) -> NoReturn:
        self._refuse("the lab", "instruments")

    def _refuse(self, what: str, need: Need) -> NoReturn:
        raise UsageError(self.info.capabilities.why_not(what, need))
