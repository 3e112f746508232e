"""How many threads of the CPU a step is computed with: as many as are asked for, or what is faster.

The threads of a step wait for each other at the end of every operation, and they wait by spinning.
On a machine that does something else too, one of them is often not running, and the others spin
until it is: two threads can then take ten times as long as one.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean

import psutil
import torch

_WINDOW = 4
"""Steps whose mean stands for a number of threads that is in force."""
_TRIAL = 3
"""Steps that another number of threads is tried for."""
_SLOWER = 1.4
"""Times as long as usual, twice in a row: others are tried."""
_HOPELESS = 1.5
"""Times as long as the number in force: a trial ends."""
_GAIN = 0.9
"""Times as long as the number in force: another one takes its place."""
PATIENCE, _LONGEST_PATIENCE = 32, 512
"""Steps after which more threads are tried again: twice as many each time that they were slower."""
_SOONER = 8
"""Times as soon where the machine has the cores for them idle."""
_IDLE = 0.7
"""Cores that are idle on average for each thread more that could run on them."""
_LOOK_EVERY = 0.2
"""Seconds between two looks at idle cores: the system counts in hundredths."""


class Tuner:
    """Chooses among numbers of threads by the time that steps take; each trial is a real step.

    Args:
        counts: the numbers to choose from, falling; the first is where it begins.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self._counts = counts
        self._at = 0
        self._trial: int | None = None
        self._tried: list[float] = []
        self._queue: list[int] = []
        self._times: deque[float] = deque(maxlen=_WINDOW)
        """Of the last steps with the number in force."""
        self._usual = 0.0
        """Seconds of a step when the number in force was found best; 0 before any was."""
        self._steps, self._patience = 0, PATIENCE

    @property
    def count(self) -> int:
        """Threads for the next step."""
        return self._counts[self._at if self._trial is None else self._trial]

    @property
    def settled(self) -> bool:
        """Whether the number in force was held against its neighbours."""
        return self._trial is None and self._usual > 0

    @property
    def wants(self) -> int:
        """Threads more that could be tried next; 0 where there are all or a trial is on."""
        if self._trial is not None or not self._at:
            return 0
        return self._counts[self._at - 1] - self._counts[self._at]

    def took(self, seconds: float, *, idle: bool = False) -> None:
        """A step with `count` threads took so long.

        Args:
            idle: there are idle cores for as many threads as are wanted.
        """
        if len(self._counts) == 1:
            self._usual = seconds
        elif self._trial is not None:
            self._judge(self._trial, seconds)
        else:
            self._watch(seconds, self._patience // _SOONER if idle else self._patience)

    def _watch(self, seconds: float, patience: int) -> None:
        self._times.append(seconds)
        self._steps += 1
        slow = self._usual * _SLOWER
        if not self._usual:
            if len(self._times) == _WINDOW:
                self._try(self._at + 1)
        elif len(self._times) > 1 and min(self._times[-2], self._times[-1]) > slow:
            for _ in range(len(self._times) - 2):
                self._times.popleft()  # what was before is another state of the machine
            self._try(self._at + 1, self._at - 1)
        elif self._steps >= patience and len(self._times) == _WINDOW:
            self._try(self._at - 1)

    def _try(self, *places: int) -> None:
        """Try these places among the counts, those that there are, one after the other."""
        self._steps = 0
        self._queue = [place for place in places if 0 <= place < len(self._counts)]
        self._next()

    def _next(self) -> None:
        self._tried.clear()
        self._trial = self._queue.pop(0) if self._queue else None
        if self._trial is None:
            self._usual = fmean(self._times)

    def _judge(self, trial: int, seconds: float) -> None:
        self._tried.append(seconds)
        now = fmean(self._times)
        if seconds <= now * _HOPELESS and len(self._tried) < _TRIAL:
            return
        if fmean(self._tried) < now * _GAIN:
            further = 2 * trial - self._at
            self._at, self._patience = trial, PATIENCE
            self._times = deque(self._tried, maxlen=_WINDOW)
            self._try(further)
            return
        if trial < self._at:
            self._patience = min(2 * self._patience, _LONGEST_PATIENCE)
        self._next()


class Threads:
    """The threads of torch in this process.

    Args:
        most: threads at most, those that torch has by default; what they compute depends on their
            number in the last bits.
        auto: whether fewer are taken while that is faster.
    """

    def __init__(self, most: int = 0, auto: bool = False) -> None:
        counts = [most or torch.get_num_threads()]
        while auto and counts[-1] > 1:
            counts.append(counts[-1] // 2)
        self.counts = tuple(counts)
        self._tuner = Tuner(self.counts)
        self._looked: tuple[float, float] | None = None
        """When idle cores were looked at last, and the seconds that all were idle until then."""
        self._idle = False
        self._use(self.most)

    @property
    def most(self) -> int:
        """Threads at most."""
        return self.counts[0]

    @property
    def words(self) -> str:
        """The numbers that may be taken: `2`, or `auto 1-2`."""
        return f"auto 1-{self.most}" if len(self.counts) > 1 else str(self.most)

    @property
    def settled(self) -> bool:
        """Whether there is nothing to find out at present."""
        return self._tuner.settled or len(self.counts) == 1

    @property
    def now(self) -> int:
        """Threads that the last step was computed with."""
        return self._now

    def use_most(self) -> None:
        """Compute what follows with as many as may be taken."""
        self._use(self.most)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Compute one step of a stream in here."""
        self._use(self._tuner.count)
        began = time.perf_counter()
        yield
        self._tuner.took(time.perf_counter() - began, idle=self._are_idle())

    def _are_idle(self) -> bool:
        """Whether cores are idle for the threads that the tuner could try next."""
        wanted, now = self._tuner.wants, time.perf_counter()
        if not wanted:
            self._looked = None
            return False
        if self._looked is None or now - self._looked[0] >= _LOOK_EVERY:
            before, self._looked = self._looked, (now, psutil.cpu_times().idle)
            self._idle = before is not None and (
                (self._looked[1] - before[1]) / (now - before[0]) >= _IDLE * wanted
            )
        return self._idle

    def _use(self, count: int) -> None:
        self._now = count
        if torch.get_num_threads() != count:
            torch.set_num_threads(count)
