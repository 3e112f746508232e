"""The engine on a local model: streams, scores and answers questions about any path."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NoReturn

import torch

from tokexplore.models.api.chat import Chat, Rendered
from tokexplore.models.api.engine import (
    Continuation,
    Control,
    Held,
    Progress,
    ScoredToken,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.instruments import Logits
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.distribution import STORED_CANDIDATES, Distribution
from tokexplore.models.engine import batched_streams, rows_of_paths
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.forward import logits_row, prefill
from tokexplore.models.engine.forward.kv_store import Path
from tokexplore.models.engine.forward.logits_row import Row
from tokexplore.models.engine.instruments import LocalBench
from tokexplore.models.engine.interpret.interpreter import LocalInterpreter
from tokexplore.models.engine.loading import opening
from tokexplore.models.engine.row_questions import RowQuestions
from tokexplore.models.engine.stream import Stream
from tokexplore.models.engine.text import chat as chats
from tokexplore.models.engine.text import encode as texts
from tokexplore.models.errors import UsageError
from tokexplore.models.tokens import Vocabulary


class LocalEngine(RowQuestions):
    """Implements `models.api.engine.Engine` on a transformers model. For one thread at a time.

    Args:
        kv_bytes: how much is kept of paths at most; None is what there is room for.
    """

    def __init__(self, loaded: opening.Loaded, *, kv_bytes: int | None = None) -> None:
        self.core = Core(loaded, kv_bytes=kv_bytes)

    @classmethod
    def open(cls, options: LoadOptions, report: Callable[[Progress], None]) -> "LocalEngine":
        """Load a model and find out how its cache may be used.

        Raises:
            UsageError: a device, dtype or name that is not here.
            ModelError: files that are not a model that can do the job.
        """
        loaded = opening.load(options, report)
        report(Progress("probe", 0, 1, "probes"))
        engine = cls(loaded, kv_bytes=int(options.kv_memory * 1e9) or None)
        engine.core.try_threads()
        report(Progress("probe", 1, 1, "probes"))
        return engine

    @property
    def info(self) -> ModelInfo:
        return self.core.info

    @property
    def vocabulary(self) -> Vocabulary:
        return self.core.vocabulary

    def encode(self, text: str, *, continuation: bool = False, literal: bool = False) -> list[int]:
        return texts.encode(self.core.loaded, text, continuation=continuation, literal=literal)

    def render(self, chat: Chat) -> Rendered:
        return chats.render(self.core.loaded, chat)

    def append_turns(self, ids: Sequence[int], chat: Chat, known: int) -> Rendered:
        return chats.append_turns(self.core.loaded, ids, chat, known)

    def stream(self, request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        self.core.check(request.ids)
        return self.core.guarded(Stream(self.core, request, control).events())

    def score(
        self, ids: Sequence[int], start: int, control: Control
    ) -> Iterator[Progress | ScoredToken]:
        self._check_start(ids, start)
        return self.core.guarded(self._score(ids, start, control))

    def logits(self, ids: Sequence[int], start: int, control: Control) -> Iterator[Logits]:
        self._check_start(ids, start)
        return self._logits(ids, start, control)

    def read(self, ids: Sequence[int], start: int) -> Logits:
        self._check_start(ids, start)
        return self.core.read(ids, start)

    def row(self, ids: Sequence[int]) -> tuple[Row, str]:
        return self.core.row(ids)

    def rows_of(self, paths: Sequence[Sequence[int]]) -> list[Row]:
        return rows_of_paths.rows_of(self.core, paths)

    def held(self, ids: Sequence[int]) -> Held:
        return self.core.held(ids)

    def describe(self, ids: Sequence[int], *, whole: bool = False) -> Distribution:
        del whole  # it always is
        return logits_row.distribution(self.core.row(ids)[0], STORED_CANDIDATES)

    def continuations(
        self, request: StreamRequest, seeds: Sequence[int], control: Control
    ) -> list[Continuation]:
        if len(seeds) > 1 and not self.info.capabilities.batches:
            raise UsageError(f"{self.info.name} runs no batches: its cache is not only attention.")
        self.core.row(request.ids)
        with self.core.memory_guarded():
            return batched_streams.continuations(self.core, request, seeds, control)

    @property
    def requests(self) -> NoReturn:
        raise UsageError("requests that run at once need a server: --api URL.")

    @cached_property
    def interpreter(self) -> LocalInterpreter:
        return LocalInterpreter(self.core)

    @cached_property
    def bench(self) -> LocalBench:
        return LocalBench(self.core)

    def _check_start(self, ids: Sequence[int], start: int) -> None:
        self.core.check(ids)
        if start < 1:
            raise UsageError(f"scoring from position {start} is not possible: give 1 or more.")

    def _score(
        self, ids: Sequence[int], first: int, control: Control
    ) -> Iterator[Progress | ScoredToken]:
        total = len(ids) - first
        for done, logits in self._fed(ids, first):
            if done >= first:
                yield from self.core.scored(ids, done, logits, STORED_CANDIDATES)
            yield Progress("scoring", max(0, done + 1 - first), total)
            if control.cancelled:
                return

    def _logits(self, ids: Sequence[int], first: int, control: Control) -> Iterator[Logits]:
        fed = self._fed(ids, first)
        while not control.cancelled:
            self.core.threads.use_most()  # another engine may have set its own number
            with self.core.memory_guarded():
                chunk = next(fed, None)
            if chunk is None:
                return
            done, logits = chunk
            if done >= first:
                yield logits.numpy()  # [k, V]

    def _fed(self, ids: Sequence[int], first: int) -> Iterator[tuple[int, torch.Tensor]]:
        """`Core.feed` of all but the last token; every distribution after ids[:first] or more."""
        path = Path(ids[:-1])
        if len(ids) <= first:
            return
        start = self.core.start(path, first - 1)
        leaf = start.leaf
        if start.own and start.cached:
            leaf = prefill.forked(leaf)
        yield from self.core.feed(leaf, path.ids, score_from=first - 1)
