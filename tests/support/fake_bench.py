"""The fake engine's workbench: the same numbers whatever the execution, but for planted noise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tokexplore.models.api.engine import Control, DrawnToken, StreamEnded, StreamRequest
from tokexplore.models.api.instruments import Execution, Logits

if TYPE_CHECKING:
    from support.fake_engine import FakeEngine

Noise = Callable[[Execution, tuple[int, ...]], Mapping[int, float]]
"""What an execution adds to the logits of some tokens after a path."""


class FakeBench:
    """Implements `models.api.instruments.Instruments`."""

    def __init__(self, engine: "FakeEngine") -> None:
        self._engine = engine
        self.noise: Noise = lambda _execution, _ids: {}
        self.ran: list[Execution] = []

    @property
    def attentions(self) -> tuple[str, ...]:
        return "sdpa", "eager"

    @property
    def has_experts(self) -> bool:
        return False

    def run(
        self, request: StreamRequest, execution: Execution, control: Control
    ) -> Iterator[DrawnToken | StreamEnded]:
        self.ran.append(execution)
        engine, noise = self._engine, self.noise
        plain = engine._logits

        def noisy(ids: Sequence[int], key: bytes) -> np.ndarray:
            logits = plain(ids, key)
            for token, more in noise(execution, tuple(ids)).items():
                logits[token] += np.float32(more)
            return logits

        events = engine.stream(request, control)
        while True:
            engine._logits = noisy  # type: ignore[method-assign]
            try:
                event = next(events, None)
            finally:
                engine._logits = plain  # type: ignore[method-assign]
            if event is None:
                return
            if isinstance(event, DrawnToken | StreamEnded):
                yield event

    def trace(
        self, ids: Sequence[int], first: int, execution: Execution, control: Control, *,
        stepwise: bool,
    ) -> Iterator[tuple[int, Logits]]:  # fmt: skip
        del stepwise
        for done in range(first, len(ids) + 1):
            if control.cancelled:
                return
            path = tuple(ids[:done])
            logits = self._engine.full(path)
            for token, more in self.noise(execution, path).items():
                logits[token] += np.float32(more)
            yield done, logits[None]
