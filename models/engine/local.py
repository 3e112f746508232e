"""The engine on a local model: streams, scores and answers questions about any path."""

import gc
import platform
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TypeVar

import torch
import transformers

from tokexplore import __version__
from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.engine import (
    Chat,
    Continuation,
    Control,
    ModelInfo,
    Progress,
    Rendered,
    ScoredToken,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.catalog.footprint import free_memory
from tokexplore.models.distribution import STORED_CANDIDATES, Distribution, Rows, TokenRank
from tokexplore.models.engine import batched_streams, sampler, sampler_effects
from tokexplore.models.engine.forward import logits_row, prefill
from tokexplore.models.engine.forward.cache_probe import probe
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.forward.kv_store import ROW_BYTES, Leaf, LeafStore, Path, RowStore
from tokexplore.models.engine.forward.logits_row import Row
from tokexplore.models.engine.instruments import LocalBench
from tokexplore.models.engine.loading import opening
from tokexplore.models.engine.loading.weights import blamed, explained
from tokexplore.models.engine.stream import Stream
from tokexplore.models.engine.text import chat as chats
from tokexplore.models.engine.text import encode as texts
from tokexplore.models.errors import OutOfMemoryError, UsageError
from tokexplore.models.sampling.effects import Draws, Effect
from tokexplore.models.sampling.logit_edits import changes_of
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary

_TRYING = 0.5
"""Seconds of loading in which numbers of threads are tried, where there is a choice."""
CACHE_SHARE = 0.4
"""Share of the memory that is free after loading that live caches may take."""


_Event = TypeVar("_Event", bound=StreamEvent)


class LocalEngine:
    """Implements `models.protocol.Engine` on a transformers model. For one thread at a time.

    Args:
        cache_bytes: limit of the live KV caches; a share of the free memory by default.
        row_bytes: limit of the full rows kept.
    """

    def __init__(
        self, loaded: opening.Loaded, *, cache_bytes: int | None = None, row_bytes: int = ROW_BYTES
    ) -> None:
        self._loaded = loaded
        self.forward = Forward(loaded.model, loaded.rows)
        self.leaves = LeafStore(cache_bytes or _share_of_free(loaded.model.device))
        self.rows_held = RowStore(row_bytes)
        self.threads = loaded.threads
        config = loaded.model.config.to_dict()
        with (
            explained(loaded.name, loaded.device),
            blamed(loaded.name, config),
            self._memory_guarded(),
        ):
            self.probed = probe(self.forward, loaded.context)

    @classmethod
    def open(cls, options: LoadOptions, report: Callable[[Progress], None]) -> "LocalEngine":
        """Load a model and find out how its cache may be used.

        Raises:
            UsageError: a device, dtype or name that is not here.
            ModelError: files that are not a model that can do the job.
        """
        loaded = opening.load(options, report)
        report(Progress("probe", 0, 1, "probes"))
        engine = cls(loaded)
        engine._try_threads()
        report(Progress("probe", 1, 1, "probes"))
        return engine

    @cached_property
    def info(self) -> ModelInfo:
        loaded, probed = self._loaded, self.probed
        return ModelInfo(
            name=loaded.name,
            source=loaded.source,
            revision=loaded.revision,
            family=loaded.family,
            parameters=loaded.parameters,
            layers=loaded.layers,
            heads=loaded.heads,
            hidden=loaded.hidden,
            vocabulary=loaded.rows,
            context=loaded.context,
            dtype=loaded.dtype,
            device=loaded.device,
            attention=getattr(loaded.model.config, "_attn_implementation", None) or "none",
            cache=probed.words,
            feed=probed.feed,
            bos_id=loaded.bos_id,
            eos_ids=loaded.eos_ids,
            chat_template=loaded.chat_template,
            turn_ids=loaded.turn_ids,
            adds_bos=loaded.adds_bos,
            suggested=loaded.suggested,
            weight_bytes=loaded.weight_bytes,
            kv_bytes_per_token=probed.kv_bytes_per_token,
            seconds=loaded.seconds,
            notices=(*loaded.notices, *([probed.notice] if probed.notice else [])),
            capabilities=Capabilities(batches=probed.croppable and probed.feed == "batched"),
            borders=probed.borders,
            config_hash=loaded.config_hash,
            threads=self.threads.words if "cpu" in loaded.device else "",
            versions={
                "tokexplore": __version__,
                "torch": str(torch.__version__),
                "transformers": transformers.__version__,
                "python": platform.python_version(),
            },
        )

    @property
    def vocabulary(self) -> Vocabulary:
        return self._loaded.vocabulary

    def encode(self, text: str, *, continuation: bool = False, literal: bool = False) -> list[int]:
        return texts.encode(self._loaded, text, continuation=continuation, literal=literal)

    def render(self, chat: Chat) -> Rendered:
        return chats.render(self._loaded, chat)

    def next_turn(self, ids: Sequence[int], chat: Chat, user: str) -> Rendered:
        return chats.next_turn(self._loaded, ids, chat, user)

    def stream(self, request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        self.check(request.ids)
        return self._guarded(Stream(self, request, control).events())

    def score(
        self, ids: Sequence[int], start: int, control: Control
    ) -> Iterator[Progress | ScoredToken]:
        self.check(ids)
        if start < 1:
            raise UsageError(f"scoring from position {start} is not possible: give 1 or more.")
        return self._guarded(self._score(ids, start, control))

    def describe(self, ids: Sequence[int]) -> Distribution:
        return logits_row.distribution(self._row(ids)[0], STORED_CANDIDATES)

    def rows(self, ids: Sequence[int], start: int, count: int) -> Rows:
        row, source = self._row(ids)
        return logits_row.page(row, start, count, source)

    def search(self, ids: Sequence[int], text: str, limit: int) -> Rows:
        row, source = self._row(ids)
        return logits_row.found(row, self._searcher.tokens(text), limit, source)

    def standings(self, ids: Sequence[int], tokens: Sequence[int]) -> list[TokenRank]:
        row, _ = self._row(ids)
        return [logits_row.standing(row, token) for token in tokens]

    def reshape(
        self, ids: Sequence[int], settings: SamplingSettings, prompt_length: int = 0
    ) -> SamplerView:
        changes = changes_of(settings, ids, prompt_length)
        return sampler.reshape(self._row(ids)[0], settings.checked(), changes).view

    def effects(
        self, ids: Sequence[int], settings: Sequence[SamplingSettings], prompt_length: int = 0
    ) -> list[Effect]:
        row, _ = self._row(ids)
        each = [chosen.checked() for chosen in settings]
        return [sampler_effects.effect(row, s, changes_of(s, ids, prompt_length)) for s in each]

    def continuations(
        self, request: StreamRequest, seeds: Sequence[int], control: Control
    ) -> list[Continuation]:
        if len(seeds) > 1 and not self.info.capabilities.batches:
            raise UsageError(f"{self.info.name} runs no batches: its cache is not only attention.")
        row, _ = self._row(request.ids)
        with self._memory_guarded():
            return batched_streams.continuations(self, request, seeds, row, control)

    def draws(
        self, ids: Sequence[int], settings: SamplingSettings, count: int, prompt_length: int = 0
    ) -> Draws:
        changes = changes_of(settings, ids, prompt_length)
        return sampler_effects.draws(self._row(ids)[0], settings.checked(), ids, count, changes)

    @cached_property
    def bench(self) -> LocalBench:
        return LocalBench(self)

    # What streams, questions and the bench share

    def begin(self, path: Path) -> prefill.Start:
        """The cache to feed `path` on; it holds all but one token where the row is to be had."""
        held = self.rows_held.get(path.key) is not None
        return self.start(path, len(path) if held else len(path) - 1)

    def start(self, path: Path, wanted: int) -> prefill.Start:
        """`prefill.start` of this model."""
        return prefill.start(self.forward, self.probed, self.leaves, path.ids, wanted)

    def keep(self, leaf: Leaf) -> None:
        """Put a leaf that holds something among the live ones."""
        if self.probed.feed != "whole" and len(leaf):
            self.leaves.put(leaf)

    def feed(
        self, leaf: Leaf, ids: "array[int]", *, score_from: int | None = None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """`prefill.feed` of this model."""
        return prefill.feed(self.forward, self.probed, leaf, ids, score_from=score_from)

    def step(self, leaf: Leaf, ids: "array[int]") -> torch.Tensor:
        """`prefill.step` of this model."""
        with self.threads.step():
            return prefill.step(self.forward, self.probed, leaf, ids)

    def _try_threads(self) -> None:
        """Find out how many threads are faster, for a moment; streams go on with it."""
        if "cpu" not in self._loaded.device:
            return
        leaf, ids = prefill.fresh(self.forward, self.probed), array("I")
        end = time.perf_counter() + _TRYING
        while not self.threads.settled and time.perf_counter() < end:
            if self._loaded.context and len(ids) == self._loaded.context:
                break
            ids.append(self._loaded.bos_id or 0)
            self.step(leaf, ids)

    def _row(self, ids: Sequence[int]) -> tuple[Row, str]:
        """The row after a path, and whether it was `stored` or `recomputed`."""
        path = Path(ids)
        row = self.rows_held.get(path.key)
        if row is not None:
            return row, "stored"
        self.check(ids)
        with self._memory_guarded():
            began = time.perf_counter()
            start = self.begin(path)
            leaf = start.leaf
            for _, logits in self.feed(leaf, path.ids):
                last = logits
            if start.own or len(path) - start.kept > 1:
                self.keep(leaf)
        source = "recomputed" if self.rows_held.seen(path.key) else start.source(len(path))
        row = logits_row.summarise(last[-1], source, time.perf_counter() - began)
        self.rows_held.put(path.key, row)
        return row, "recomputed"

    def _score(
        self, ids: Sequence[int], first: int, control: Control
    ) -> Iterator[Progress | ScoredToken]:
        path = Path(ids[:-1])
        if len(ids) <= first:
            return
        start = self.start(path, first - 1)
        leaf = start.leaf
        if start.own and start.kept:
            leaf = prefill.forked(leaf)
        total = len(ids) - first
        for done, logits in self.feed(leaf, path.ids, score_from=first - 1):
            if done >= first:
                yield from self.scored(ids, done, logits, STORED_CANDIDATES)
            yield Progress("scoring", max(0, done + 1 - first), total)
            if control.cancelled:
                return

    def scored(
        self,
        ids: Sequence[int],
        done: int,
        logits: torch.Tensor,
        top: int,
        watch: Sequence[int] = (),
    ) -> Iterator[ScoredToken]:
        """The tokens whose distributions are `logits` [k, V], those after ids[:done] last.

        The distribution after all of `ids` has no token to score.
        """
        for back in range(logits.shape[0]):
            position = done - logits.shape[0] + 1 + back
            if position < len(ids):
                row = logits_row.summarise(logits[back], "prefill")
                standing = logits_row.standing(row, ids[position])
                watched = tuple(logits_row.standing(row, token) for token in watch)
                yield ScoredToken(position, logits_row.distribution(row, top), standing, watched)

    @cached_property
    def _searcher(self) -> logits_row.Searcher:
        return logits_row.Searcher(self.vocabulary)

    def check(self, ids: Sequence[int]) -> None:
        """Refuse a path that this model cannot have.

        Raises:
            UsageError: it is empty, longer than the context, or has ids that are no tokens.
        """
        name, context = self._loaded.name, self._loaded.context
        if not ids:
            raise UsageError("an empty path has no distribution: give at least one token.")
        if 0 < context < len(ids):
            raise UsageError(
                f"the path is {len(ids)} tokens long and the context of {name} is {context}: "
                "shorten the prompt."
            )
        if bad := [token for token in ids if not 0 <= token < self._loaded.rows]:
            raise UsageError(f"token {bad[0]} is not in the vocabulary of {self._loaded.rows} ids.")

    def _guarded(self, events: Iterator[_Event]) -> Iterator[_Event]:
        with self._memory_guarded():
            yield from events

    @contextmanager
    def _memory_guarded(self) -> Iterator[None]:
        """Out of memory becomes a clear error, with every cache released."""
        try:
            yield
            return
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            error.__traceback__ = None  # its frames hold the tensors of the failed pass
        self.release()
        raise OutOfMemoryError(
            f"no memory is left on {self._loaded.device} for this path: the caches were released; "
            "try again, shorten the path, or use a smaller model or dtype."
        )

    def release(self) -> None:
        """Give back what live caches and rows hold."""
        self.leaves.clear()
        self.rows_held.clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """torch has a class for it on GPUs only; its CPU allocator raises a plain RuntimeError."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or "allocate memory" in str(error)


def _share_of_free(device: torch.device) -> int:
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    return int(free * CACHE_SHARE)
