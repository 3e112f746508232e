"""What all work on one loaded model shares: its passes, its caches and rows, its limits."""

import gc
import platform
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from typing import TypeVar

import numpy as np
import torch
import transformers

from tokexplore import __version__
from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.engine import Held, ScoredToken
from tokexplore.models.api.instruments import Logits
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.catalog.footprint import free_memory
from tokexplore.models.engine.forward import logits_row, prefill
from tokexplore.models.engine.forward.cache_probe import probe
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.forward.free_memory import give_back_free_memory
from tokexplore.models.engine.forward.kv_store import ROW_BYTES, Leaf, LeafStore, Path, RowStore
from tokexplore.models.engine.forward.logits_row import Row
from tokexplore.models.engine.loading.opening import Loaded
from tokexplore.models.engine.loading.weights import blamed, explained
from tokexplore.models.engine.text.reasoning import reasoning_marks, template_options
from tokexplore.models.engine.turns import Turns
from tokexplore.models.errors import OutOfMemoryError
from tokexplore.models.tokens import Vocabulary

_TRYING = 0.5
"""Seconds of loading in which numbers of threads are tried, where there is a choice."""
KV_BYTES, FREE_SHARE = 2 * 10**9, 0.4
"""What is kept of paths unless the user says how much: so many bytes, or this share of the memory
that is free after loading where that is less."""
_ROW_SHARE = 8
"""One in so many of those bytes may be full rows."""

_Event = TypeVar("_Event")


class Core:
    """A loaded model with its KV caches and its full rows. For one thread at a time.

    Args:
        kv_bytes: how much is kept of paths at most, in KV caches and full rows; None is what there
            is room for.
    """

    def __init__(self, loaded: Loaded, *, kv_bytes: int | None = None) -> None:
        self.loaded = loaded
        self.forward = Forward(loaded.model, loaded.rows)
        self._kv_limit = kv_bytes or room_for_paths(loaded.model.device)
        self.rows_held = RowStore(min(ROW_BYTES, self._kv_limit // _ROW_SHARE))
        self.leaves = LeafStore(self._kv_limit - self.rows_held.limit)
        self.threads = loaded.threads
        config = loaded.model.config.to_dict()
        with (
            explained(loaded.name, loaded.device),
            blamed(loaded.name, config),
            self.memory_guarded(),
        ):
            self.probed = probe(self.forward, loaded.context)
        self.turns = Turns(self.steps)

    @cached_property
    def info(self) -> ModelInfo:
        loaded, probed = self.loaded, self.probed
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
            reasoning_marks=reasoning_marks(loaded.tokenizer),
            template_options=template_options(loaded.tokenizer),
            adds_bos=loaded.adds_bos,
            suggested=loaded.suggested,
            weight_bytes=loaded.weight_bytes,
            kv_bytes_per_token=probed.kv_bytes_per_token,
            kv_limit=self._kv_limit,
            seconds=loaded.seconds,
            notices=(*loaded.notices, *([probed.notice] if probed.notice else [])),
            capabilities=Capabilities(
                batches=probed.croppable and probed.feed == "batched", shares=probed.shares
            ),
            borders=probed.borders,
            config_hash=loaded.config_hash,
            adapters=loaded.adapters,
            weight_format=loaded.held.format,
            weights=loaded.held.words,
            threads=self.threads.words if "cpu" in loaded.device else "",
            versions={
                "tokexplore": __version__,
                "torch": str(torch.__version__),
                "transformers": transformers.__version__,
                "python": platform.python_version(),
                **({"peft": version("peft")} if loaded.adapters else {}),
                **({loaded.codes_by: version(loaded.codes_by)} if loaded.codes_by else {}),
            },
        )

    @property
    def vocabulary(self) -> Vocabulary:
        return self.loaded.vocabulary

    def begin(self, path: Path) -> prefill.Start:
        """The cache to feed `path` on; it holds all but one token where the row is to be had."""
        return self.start(path, self._wanted(path))

    def _wanted(self, path: Path) -> int:
        """How many tokens of a path a cache has to hold to go on from its end: the row that is not
        held comes of its last token."""
        return len(path) if self.rows_held.get(path.key) is not None else len(path) - 1

    def start(self, path: Path, wanted: int) -> prefill.Start:
        """`prefill.start` of this model."""
        return prefill.start(self.forward, self.probed, self.leaves, path.ids, wanted)

    def held(self, ids: Sequence[int]) -> Held:
        """See `Engine.held`."""
        path = Path(ids)
        tokens = prefill.held(self.probed, self.leaves, path.ids, self._wanted(path)) if ids else 0
        used = self.leaves.bytes + self.rows_held.bytes
        return Held(used, self._kv_limit, len(self.leaves), tokens)

    def keep(self, *leaves: Leaf) -> None:
        """Put leaves that hold something among the live ones."""
        filled = [leaf for leaf in leaves if len(leaf)]
        if self.probed.feed != "whole" and filled and self.leaves.put(*filled):
            give_back_free_memory()

    def is_a_step(self, leaf: Leaf, length: int) -> bool:
        """Whether a leaf lacks the last token of a path alone, and was made under its rules."""
        alike = leaf.since == self.probed.borders.since(length)
        return 0 < len(leaf) == length - 1 and alike and not self.probed.whole(length)

    def feed(
        self, leaf: Leaf, ids: "array[int]", *, score_from: int | None = None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """`prefill.feed` of this model."""
        return prefill.feed(self.forward, self.probed, leaf, ids, score_from=score_from)

    def step(self, leaf: Leaf, ids: "array[int]") -> torch.Tensor:
        """`prefill.step` of this model."""
        with self.threads.step():
            return prefill.step(self.forward, self.probed, leaf, ids)

    def steps(self, leaves: Sequence[Leaf], tokens: "array[int]") -> torch.Tensor:
        """`prefill.steps` of this model."""
        with self.threads.step():
            return prefill.steps(self.forward, self.probed, leaves, tokens)

    def try_threads(self) -> None:
        """Find out how many threads are faster, for a moment; streams go on with it."""
        if "cpu" not in self.loaded.device:
            return
        leaf, ids = prefill.fresh(self.forward, self.probed), array("I")
        end = time.perf_counter() + _TRYING
        while not self.threads.settled and time.perf_counter() < end:
            if self.loaded.context and len(ids) == self.loaded.context:
                break
            ids.append(self.loaded.bos_id or 0)
            self.step(leaf, ids)

    def row(self, ids: Sequence[int]) -> tuple[Row, str]:
        """The row after a path, and whether it was `stored` or `recomputed`."""
        path = Path(ids)
        row = self.rows_held.get(path.key)
        if row is not None:
            return row, "stored"
        self.check(ids)
        with self.memory_guarded():
            began = time.perf_counter()
            start = self.begin(path)
            leaf = start.leaf
            for _, logits in self.feed(leaf, path.ids):
                last = logits
            if start.own or len(path) - start.cached > 1:
                self.keep(leaf)
        source = "recomputed" if self.rows_held.seen(path.key) else start.source(len(path))
        row = logits_row.summarise(last[-1], source, time.perf_counter() - began)
        self.rows_held.put(path.key, row)
        return row, "recomputed"

    def read(self, ids: Sequence[int], start: int) -> Logits:
        """See `Engine.read`."""
        path, rows = Path(ids[:start]), list[Logits]()
        for token in ids[start:]:
            held = self.rows_held.get(path.key)
            if held is None:
                break
            rows.append(held.logits[None])
            path.append(token)
        if (first := start + len(rows)) < len(ids):
            path = Path(ids[:-1])
            with self.memory_guarded():
                leaf = self.start(path, first - 1).leaf
                fed = self.feed(leaf, path.ids, score_from=first - 1)
                rows += [logits.numpy() for done, logits in fed if done >= first]
                self.keep(leaf)
            # The newest step is the one that is looked at.
            self.rows_held.put(
                path.key, logits_row.summarise(torch.from_numpy(rows[-1][-1]), "prefill")
            )
        return np.concatenate(rows)  # [len(ids) - start, V]

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

    def check(self, ids: Sequence[int]) -> None:
        """See `ModelInfo.check`."""
        self.info.check(ids)

    def guarded(self, events: Iterator[_Event]) -> Iterator[_Event]:
        """Events in which out of memory becomes a clear error."""
        with self.memory_guarded():
            yield from events

    @contextmanager
    def memory_guarded(self) -> Iterator[None]:
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
            f"no memory is left on {self.loaded.device} for this path: the caches were released; "
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
    by_class = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return by_class or "allocate memory" in str(error)


def room_for_paths(device: torch.device) -> int:
    """Bytes that are kept of paths where the user does not say how many."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    return min(KV_BYTES, int(free * FREE_SHARE))
