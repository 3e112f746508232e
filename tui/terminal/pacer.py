"""When the next frame may be sent: as fast as the line answers, or as a fixed budget allows."""

from collections import deque
from typing import Generic, NamedTuple, TypeVar

Mark = TypeVar("Mark")

FRAMES_PER_SECOND = 60
IN_FLIGHT = 2
"""Frames that may be unanswered."""
GIVE_UP = 1.5
"""Seconds after which no answer is awaited any more."""
BUDGET_FRAMES, BUDGET_BYTES = 8, 40_000
"""A second, where the line cannot be asked: what a slow line takes without falling behind."""
_WINDOW = 3.0
"""Seconds that the figures look back."""


class Figures(NamedTuple):
    """What the line does at present."""

    frames: float
    """A second."""
    bytes: float
    """A second."""
    round_trip: float | None
    """Seconds from a frame's end to its answer, of the last one; None where none came."""
    asked: bool
    """Whether the line is asked; else the fixed budget holds."""


class Pacer(Generic[Mark]):
    """Counts frames and answers; the caller brings the clock (seconds, monotonic).

    Args:
        asks: a request for the cursor's position follows each frame. The far terminal answers
            when it has drawn all before it, so answers tell how fast the line is.
        mark: what the user sees before the first frame; each frame brings its own.
    """

    def __init__(self, *, asks: bool, mark: Mark) -> None:
        self.asks = asks
        self.seen = mark
        """The mark of the last frame that the user has before them, as far as is known.

        A key that comes in after an answer was pressed after that answer's frame was drawn.
        """
        self._unanswered: deque[tuple[float, Mark]] = deque()
        self._free_at = 0.0
        self._sent: deque[tuple[float, int]] = deque()
        self._round_trip: float | None = None
        self._given_up = 0

    def wait(self, now: float) -> float:
        """Seconds until a frame may be sent if nothing is answered; 0 for now."""
        while self._unanswered and now - self._unanswered[0][0] >= GIVE_UP:
            self._give_up()
        wait = self._free_at - now
        if len(self._unanswered) >= IN_FLIGHT:
            wait = max(wait, self._unanswered[0][0] + GIVE_UP - now)
        return max(0.0, wait)

    def _give_up(self) -> None:
        _, self.seen = self._unanswered.popleft()
        self._given_up += 1
        if self._round_trip is None and self._given_up >= IN_FLIGHT:
            self.asks = False
            self._unanswered.clear()

    def sent(self, now: float, size: int, mark: Mark) -> None:
        """A frame of `size` bytes was sent, with its request where the line is asked."""
        self._sent.append((now, size))
        if self.asks:
            self._unanswered.append((now, mark))
            self._free_at = now + 1 / FRAMES_PER_SECOND
        else:
            self.seen = mark
            self._free_at = now + max(1 / BUDGET_FRAMES, size / BUDGET_BYTES)

    def unchanged(self, mark: Mark) -> None:
        """What the last frame shows is what a frame of this mark would show."""
        if self._unanswered:
            self._unanswered[-1] = (self._unanswered[-1][0], mark)
        else:
            self.seen = mark

    def answered(self, now: float) -> None:
        """The oldest request was answered."""
        if self._unanswered:
            sent, self.seen = self._unanswered.popleft()
            self._round_trip = now - sent
            self._given_up = 0

    def forget(self) -> None:
        """Await no answer any more."""
        self._unanswered.clear()

    @property
    def awaits(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._unanswered)

    def figures(self, now: float) -> Figures:
        """Frames and bytes a second over the last seconds, and the last round trip."""
        while self._sent and now - self._sent[0][0] > _WINDOW:
            self._sent.popleft()
        size = sum(size for _, size in self._sent)
        return Figures(len(self._sent) / _WINDOW, size / _WINDOW, self._round_trip, self.asks)
