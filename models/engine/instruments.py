"""The workbench of a local engine: paths computed in other shapes, by other kernels."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property

import torch

from tokexplore.models.api.engine import (
    Control,
    DrawnToken,
    EndReason,
    StreamEnded,
    StreamRequest,
)
from tokexplore.models.api.instruments import Execution, Logits, Routing, Split, Summands
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.forward import kernels, logits_row, prefill, routing, split_sums
from tokexplore.models.engine.forward.branches import Branches
from tokexplore.models.engine.forward.kv_store import Path
from tokexplore.models.engine.forward.padded_batch import Batch, spans
from tokexplore.models.engine.stream import drawn, out_of_room
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.randomness import Uniforms
from tokexplore.models.sampling.stop_criteria import StopCriteria


class LocalBench:
    """Implements `api.instruments.Instruments`. The core's caches are neither read nor kept."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @cached_property
    def attentions(self) -> tuple[str, ...]:
        model, device = self._core.forward.model, self._core.info.device
        own = kernels.own(model)
        if own is None:
            return ()
        others = (name for name in kernels.here(device) if name != own)
        return own, *(name for name in others if kernels.takes(model, name))

    @cached_property
    def has_experts(self) -> bool:
        return routing.has_routers(self._core.forward.model)

    def run(
        self, request: StreamRequest, execution: Execution, control: Control
    ) -> Iterator[DrawnToken | StreamEnded]:
        self._check(request.ids, execution, request.max_new_tokens)
        settings = request.settings.checked()
        path, uniforms = Path(request.ids), Uniforms()
        stops = StopCriteria(self._core.info, self._core.vocabulary, request)
        batch = self._begun(path.ids, execution)
        reason = self._limit(path, request, control)
        while reason is None:
            row = logits_row.summarise(batch.logits, "executed")
            token = drawn(row, path, request, settings, uniforms)
            path.append(token.standing.token)
            yield token
            reason = stops.reason(token.standing.token) or self._limit(path, request, control)
            if reason is None:
                with self._computing(execution):
                    batch.feed(token.standing.token)
        yield StreamEnded(len(path), reason, stops.met if reason == "stop" else "")

    def trace(
        self, ids: Sequence[int], first: int, execution: Execution, control: Control, *,
        stepwise: bool,
    ) -> Iterator[tuple[int, Logits]]:  # fmt: skip
        self._check(ids[:first] if stepwise else ids, execution, len(ids) - first)
        if not stepwise:
            for last in self._core.probed.borders.ends(first, len(ids)):
                yield from self._prefilled(ids[:last], first, execution, control)
                first = last + 1
            return
        batch = self._begun(ids[:first], execution)
        yield first, batch.logits[None].numpy()  # [1, V]
        for done in range(first + 1, len(ids) + 1):
            if control.cancelled:
                return
            with self._computing(execution):
                batch.feed(ids[done - 1])
            yield done, batch.logits[None].numpy()

    def _prefilled(
        self, ids: Sequence[int], first: int, execution: Execution, control: Control
    ) -> Iterator[tuple[int, Logits]]:
        if execution.at_once > 1:
            raise UsageError("the logits along a prefill beside other rows are not to be had.")
        forward, probed = self._core.forward, self._core.probed
        leaf, path = prefill.fresh(forward, probed), array("I", ids)
        for start, end in spans(len(path), execution):
            if control.cancelled:
                return
            keep = max(1, end - max(start, first - 1))
            with self._computing(execution):
                if probed.whole(len(path)):
                    logits = forward(path[:end], 0, None, keep)
                else:
                    logits = prefill.extend(forward, probed, leaf, path[start:end], keep)
            if end >= first:
                yield end, logits.numpy()  # [keep, V]

    def summands(self, ids: Sequence[int]) -> Summands:
        self._core.check(ids)
        return split_sums.summands(self._core.forward, ids)

    def split(self, ids: Sequence[int], blocks: Iterable[int]) -> Iterator[Split]:
        self._core.check(ids)
        if self._core.info.weight_format:
            raise UsageError(
                f"{self._core.info.name} holds its weights as codes "
                f"({self._core.info.weight_format}): sums are split of weights in full only."
            )
        return split_sums.split(self._core.forward, ids, blocks)

    def routing(
        self, ids: Sequence[int], first: int, execution: Execution, control: Control, *,
        stepwise: bool,
    ) -> Routing | None:  # fmt: skip
        self._check(ids, execution)
        info = self._core.info
        if execution.beside:
            raise UsageError("the routing of a path beside other branches is not told.")
        if info.borders.between(first, len(ids)):
            raise UsageError(_across(info, "the routing of one path is not told"))
        routers = routing.routers_of(self._core.forward.model, info.name)
        record = routing.Record(routers)
        if not stepwise:
            with record.listening():
                for _ in self._prefilled(ids, first, execution, control):
                    pass
            return None if control.cancelled else record.routing(None, first)
        batch = self._begun(ids[:first], execution)
        with record.listening():
            for token in ids[first:]:
                if control.cancelled:
                    return None
                with self._computing(execution):
                    batch.feed(token)
        # Beside others a pass has one token a row; alone, without a cache, the whole path.
        return record.routing(execution.row if execution.batch > 1 else -1)

    def _begun(self, ids: Sequence[int], execution: Execution) -> Batch | Branches:
        with self._computing(execution):
            rows = Branches if execution.beside else Batch
            return rows(self._core.forward, self._core.probed, ids, execution)

    def _limit(self, path: Path, request: StreamRequest, control: Control) -> EndReason | None:
        """Why no token may be taken here."""
        if control.cancelled:
            return "interrupted"
        return out_of_room(path, request, request.max_new_tokens, self._core.info.context)

    def _check(self, ids: Sequence[int], execution: Execution, more: int = 0) -> None:
        """Refuse what this model cannot do with a path that grows by `more` tokens."""
        self._core.check(ids)
        info = self._core.info
        if execution.batch > 1 and not info.capabilities.batches:
            raise UsageError(f"{info.name} runs no batches: its cache is not only attention.")
        if (execution.chunk or execution.cached) and info.feed != "batched":
            raise UsageError(
                f"{info.name} takes a prompt in one pass only: {self._core.probed.words}."
            )
        lengths = [len(ids), *map(len, execution.mates)]
        if execution.batch > 1 and info.borders.between(min(lengths), max(lengths) + more):
            raise UsageError(_across(info, "rows on both sides share no batch"))
        if (execution.chunk or execution.cached) and info.borders.since(len(ids)) > 1:
            raise UsageError(_across(info, "a longer prompt goes in one pass only"))
        if not 0 <= execution.row < execution.batch:
            raise UsageError(f"row {execution.row} is not in a batch of {execution.batch}.")
        if execution.beside:
            self._check_branches(len(ids), execution, more)

    def _check_branches(self, length: int, execution: Execution, more: int) -> None:
        """Refuse branches beside a path that this model cannot run so."""
        info = self._core.info
        if not info.capabilities.shares:
            raise UsageError(f"{info.name} runs each branch by itself: it shares no prefix.")
        if execution.attention:
            raise UsageError(
                "beside branches a path runs with the kernel that shares their prefix."
            )
        if execution.mates:
            raise UsageError("beside branches of its own a path is in no batch of others.")
        if execution.beside >= info.vocabulary:
            raise UsageError(
                f"{execution.beside} other branches are not possible: {info.name} has "
                f"{info.vocabulary} tokens to begin with."
            )
        if info.borders.between(length, length + more):
            raise UsageError(_across(info, "branches on both sides share no pass"))

    @contextmanager
    def _computing(self, execution: Execution) -> Iterator[None]:
        """The kernels, threads and algorithms of an execution, for one pass."""
        with torch.inference_mode(), ExitStack() as stack:
            if execution.attention:
                stack.enter_context(
                    kernels.attending(self._core.forward.model, execution.attention)
                )
            if execution.experts:
                stack.enter_context(self._core.forward.experts.forced(execution.experts))
            # What a stream found faster has no part in an experiment.
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(execution.threads or self._core.threads.most)
            if execution.deterministic:
                before = torch.are_deterministic_algorithms_enabled()
                stack.callback(torch.use_deterministic_algorithms, before)
                torch.use_deterministic_algorithms(True, warn_only=True)
            if execution.capacity:
                forward = self._core.forward
                routers = routing.routers_of(forward.model, self._core.info.name)
                stack.enter_context(routing.limited(routers, forward, execution.capacity))
            yield


def _across(info: ModelInfo, why: str) -> str:
    """That a model's borders do not let something be."""
    last = " and ".join(f"{border:,}" for border in info.borders.lengths)
    return f"{info.name} follows other rules for texts of more than {last} tokens: {why}."
