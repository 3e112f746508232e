"""The logit lens and tuned lenses: what the model would say of the states of its layers."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch

from tokexplore.models.api.engine import Control
from tokexplore.models.api.interpreter import LayerReading, LayerStates, LensStep
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.forward import prefill
from tokexplore.models.engine.forward.kv_store import Path
from tokexplore.models.engine.interpret.layer_reading import readings
from tokexplore.models.engine.interpret.residual_stream import ResidualStream
from tokexplore.models.engine.interpret.tuned_lens import TunedLens
from tokexplore.models.errors import UsageError

_LOGIT_BYTES = 16 * 2**20
"""Most bytes of the layers' logits at one time; their sums take four times that beside them."""


class LogitLens:
    """Of one loaded model."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def steps(
        self,
        ids: Sequence[int],
        first: int,
        last: int,
        control: Control,
        *,
        tokens: Sequence[int],
        top: int,
        tuned: str,
    ) -> Iterator[LensStep]:
        """See `Interpreter.lens`."""
        self._check(ids, first, last, tokens, top)
        layers, size = len(self._stream.layers), self._stream.size
        lens = TunedLens(tuned, layers, size) if tuned else None
        position = first
        for states, own in self._passes(ids[:last], first):
            read = lens.translated(states) if lens else states
            asked = [(*ids[at : at + 1], *tokens) for at in range(position, position + len(own))]
            found = self._readings(read, own, asked, top, control)
            for step, (told, error) in zip(asked, found, strict=False):  # fewer where cancelled
                yield LensStep(position, step, told, error)
                position += 1
            if control.cancelled:
                return

    def states(self, ids: Sequence[int]) -> LayerStates:
        """See `Interpreter.states`."""
        for states, own in self._passes(ids, len(ids)):
            rows = states[:, -1]  # [layers + 1, H]
            logits = torch.cat([self._stream.logits(piece) for piece in rows.split(self._rows)])
            self._stream.check(logits[-1], own[-1])
        shape = (len(rows), self._stream.size, logits.shape[1])
        held = rows.to("cpu", torch.float32)
        return LayerStates(shape, held.numpy().tobytes(), logits.numpy().tobytes())

    def _passes(
        self, ids: Sequence[int], first: int
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """States [layers + 1, k, H] and the model's own logits [k, V], f32 on the CPU, of k steps
        at a time, from the step `first` on."""
        path = Path(ids)
        start = self._core.start(path, first - 1)
        leaf = prefill.forked(start.leaf) if start.own and start.cached else start.leaf
        fed = self._core.feed(leaf, path.ids, score_from=first - 1)
        try:
            while True:
                with self._stream.heard() as heard:  # in a pass only: others may come between
                    chunk = next(fed, None)
                if chunk is None:
                    return
                done, logits = chunk
                if done >= first:
                    yield self._stream.stacked(heard), logits
        finally:
            self._core.keep(leaf)

    def _readings(
        self,
        states: torch.Tensor,
        own: torch.Tensor,
        asked: Sequence[Sequence[int]],
        top: int,
        control: Control,
    ) -> Iterator[tuple[tuple[LayerReading, ...], float]]:
        """Each step's readings and the error of its last, of states [layers + 1, k, H] and own
        logits [k, V]."""
        flat = states.transpose(0, 1).flatten(0, 1)  # [k * (layers + 1), H]: step after step
        begin, read = 0, list[LayerReading]()
        for piece in flat.split(self._rows):
            if control.cancelled:
                return
            logits = self._stream.logits(piece)  # [rows, V]
            for step, rows in _by_step(begin, len(piece), len(states)):
                logprobs = own[step].double().log_softmax(-1)  # [V]
                read += readings(logits[rows], logprobs, asked[step], top)
                if len(read) == len(states):
                    yield tuple(read), self._stream.check(logits[rows][-1], own[step])
                    read = []
            begin += len(piece)

    def _check(
        self, ids: Sequence[int], first: int, last: int, tokens: Sequence[int], top: int
    ) -> None:
        if not 1 <= first <= last <= len(ids):
            raise UsageError(
                f"steps {first} to {last} are not on a path of {len(ids)} tokens: give steps from "
                f"1 to {len(ids)}."
            )
        if top < 1:
            raise UsageError(f"the first {top} tokens of a layer is none: give 1 or more.")
        rows = self._core.forward.rows
        for token in tokens:
            if not 0 <= token < rows:
                raise UsageError(f"token {token} is not in the vocabulary of {rows} ids.")

    @cached_property
    def _stream(self) -> ResidualStream:
        return ResidualStream(self._core)

    @property
    def _rows(self) -> int:
        """States that are read at one time."""
        return max(1, _LOGIT_BYTES // (4 * self._core.forward.rows))


def _by_step(begin: int, count: int, layers: int) -> Iterator[tuple[int, slice]]:
    """Rows `begin` to `begin + count`, `layers` to a step: each step, and its rows from `begin`."""
    at = begin
    while at < begin + count:
        step = at // layers
        end = min((step + 1) * layers, begin + count)
        yield step, slice(at - begin, end - begin)
        at = end
