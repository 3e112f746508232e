"""Work that a stranger's file decides on, in a copy of this process that can be ended."""

import json
import os
import resource
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

import psutil

SECONDS = 5
"""CPU time that such a piece of work may take."""
_OVERDUE = 120
"""Seconds after which it is ended whatever it used; late, for machines that are busy."""
BYTES = 1 << 30
"""Memory that it may take beside what the process has."""
LONGEST = 1 << 24
"""Characters that it may write."""


class WorkError(Exception):
    """The work failed; its own words."""


class FenceError(Exception):
    """The work wanted more than it may have: what, to be read after its name."""


def fenced(work: Callable[[], str]) -> str:
    """The text that a piece of work makes in a fork of this process.

    Raises:
        WorkError: it failed.
        FenceError: it took more time, memory or text than it may.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        _be_child(work, theirs)
    os.close(theirs)
    # What waits uses no CPU time: a lock that a thread of this process held at the fork, say.
    overdue = threading.Timer(_OVERDUE, os.kill, (child, signal.SIGKILL))
    overdue.start()
    try:
        with os.fdopen(ours, "rb") as answer:
            data = answer.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        overdue.cancel()
        _, status = os.waitpid(child, 0)
    if not data:
        late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
        raise FenceError(f"takes more than {SECONDS} seconds" if late else "ends its process")
    text, failed, fence = json.loads(data)
    if failed:
        raise WorkError(failed)
    if fence:
        raise FenceError(fence)
    return str(text)


def _be_child(work: Callable[[], str], pipe: int) -> NoReturn:
    """Work within limits and tell what came of it; nothing of the process that was copied ends."""
    try:
        _limit(resource.RLIMIT_CPU, SECONDS)
        _limit(resource.RLIMIT_AS, psutil.Process().memory_info().vms + BYTES)
        _limit(resource.RLIMIT_CORE, 0)
        outcome = _outcome(work)
        with os.fdopen(pipe, "wb") as answer:
            answer.write(json.dumps(outcome).encode())
    finally:
        os._exit(0)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, hard))


def _outcome(work: Callable[[], str]) -> tuple[str, str, str]:
    """What the work made, why it failed, and which fence it met; two of them empty."""
    try:
        text = work()
    except MemoryError:
        return "", "", f"takes more than {BYTES >> 20:,} MB"
    except Exception as error:
        return "", " ".join(str(error).split()) or type(error).__name__, ""
    if len(text) > LONGEST:
        return "", "", f"writes more than {LONGEST:,} characters"
    return text, "", ""
