"""Work that a stranger's file decides on, in a copy of this process that can be ended."""

import json
import math
import os
import pickle
import resource
import signal
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Generic, NoReturn, TypeVar

import psutil

SECONDS = 5
"""CPU time that such a piece of work may take."""
_OVERDUE = 120
"""Seconds after which it is ended whatever it used; late, for machines that are busy."""
BYTES = 1 << 30
"""Memory that it may take beside what the process has."""
LONGEST = 1 << 24
"""Characters that it may write."""
_LENGTH = struct.Struct("<Q")
"""Before each question and each answer: its bytes."""
_ENDS = "ends its process"

Given = TypeVar("Given")


class WorkError(Exception):
    """The work failed; its own words."""


class FenceError(Exception):
    """The work wanted more than it may have: what, to be read after its name."""


class Fence(Generic[Given]):
    """A fork of this process that does one piece of work after the other, until it is left.

    Each piece has the CPU time and the text of one; the memory is that of all. After a piece that
    ended the fork the next one has a new one.

    Args:
        work: makes a text of what it is given.
    """

    def __init__(self, work: Callable[[Given], str]) -> None:
        self._work = work
        self._child: _Child | None = None

    def __enter__(self) -> "Fence[Given]":
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def make(self, given: Given) -> str:
        """The text that the work makes of this.

        Raises:
            WorkError: it failed.
            FenceError: it took more time, memory or text than it may.
        """
        child = self._child = self._child or _Child(self._work)
        try:
            data = child.ask(pickle.dumps(given))
        except BaseException:
            self.__exit__()
            raise
        if not data:
            self._child = None
            raise FenceError(f"takes more than {SECONDS} seconds" if child.is_late() else _ENDS)
        text, failed, fence = json.loads(data)
        if failed:
            raise WorkError(failed)
        if fence:
            raise FenceError(fence)
        return str(text)


def fenced(work: Callable[[], str]) -> str:
    """The text that a piece of work makes in a fork of this process.

    Raises:
        WorkError: it failed.
        FenceError: it took more time, memory or text than it may.
    """
    with Fence[None](lambda _: work()) as fence:
        return fence.make(None)


class _Child:
    """The fork, as this process has it."""

    def __init__(self, work: Callable[[Given], str]) -> None:
        asked, ask = os.pipe()
        answers, answer = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(ask)
            os.close(answers)
            _be_child(work, asked, answer)
        os.close(asked)
        os.close(answer)
        self._ask, self._answers = os.fdopen(ask, "wb"), os.fdopen(answers, "rb")

    def ask(self, question: bytes) -> bytes:
        """What it answers; empty where it ended instead."""
        # What waits uses no CPU time: a lock that a thread of this process held at the fork, say.
        overdue = threading.Timer(_OVERDUE, os.kill, (self._pid, signal.SIGKILL))
        overdue.start()
        try:
            _put(self._ask, question)
            return _taken(self._answers)
        except BrokenPipeError:
            return b""
        finally:
            overdue.cancel()

    def is_late(self) -> bool:
        """Of one that ended by itself: whether that was for a limit of time."""
        _, status = os.waitpid(self._pid, 0)
        self._close()
        late = (signal.SIGXCPU, signal.SIGKILL)
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) in late

    def end(self) -> None:
        """End it; it has nothing to lose."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._close()

    def _close(self) -> None:
        self._answers.close()
        with suppress(BrokenPipeError):
            self._ask.close()


def _put(pipe: BinaryIO, data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _taken(pipe: BinaryIO) -> bytes:
    """The next question or answer; empty where the other side ended instead."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return b""
    (length,) = _LENGTH.unpack(head)
    data = pipe.read(length)
    return data if len(data) == length else b""


def _be_child(work: Callable[[Given], str], asked: int, answer: int) -> NoReturn:
    """Work within limits and tell what came of it; nothing of the process that was copied ends."""
    try:
        _limit(resource.RLIMIT_AS, psutil.Process().memory_info().vms + BYTES)
        _limit(resource.RLIMIT_CORE, 0)
        with os.fdopen(asked, "rb") as questions, os.fdopen(answer, "wb") as answers:
            while question := _taken(questions):
                _limit_time()
                _put(answers, json.dumps(_outcome(work, question)).encode())
    finally:
        os._exit(0)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, hard))


def _limit_time() -> None:
    """So many seconds from now on."""
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    _limit(resource.RLIMIT_CPU, math.ceil(used) + SECONDS)


def _outcome(work: Callable[[Given], str], given: bytes) -> tuple[str, str, str]:
    """What the work made, why it failed, and which fence it met; two of them empty."""
    try:
        text = work(pickle.loads(given))
    except MemoryError:
        return "", "", f"takes more than {BYTES >> 20:,} MB"
    except Exception as error:
        return "", " ".join(str(error).split()) or type(error).__name__, ""
    if len(text) > LONGEST:
        return "", "", f"writes more than {LONGEST:,} characters"
    return text, "", ""
