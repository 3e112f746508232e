"""A real child process with a fake engine: the worker's `__main__` with another engine in it.

Arguments: a JSON object of settings, then the socket's number. `engine` holds arguments of
`FakeEngine`; `print` is printed on stdout and stderr while loading; with `compute` a stream is
followed by a computation that outlasts any test; with `repeat` a stream repeats its first token.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import numpy as np

from support.fake_engine import FakeEngine
from tokexplore.models.api.engine import Control, Progress, StreamEnded, StreamEvent, StreamRequest
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.worker.child import serve

CONFIG = json.loads(sys.argv[1])


class Computing(FakeEngine):
    """After a stream it is lost in a long computation that releases the GIL, as torch does."""

    def stream(self, request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        yield from super().stream(request, control)
        square = np.ones((3000, 3000))
        while True:
            square = square @ square
            square /= square.max()


class Repeating(FakeEngine):
    """Sends one distribution again and again, as fast as it can."""

    def stream(self, request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        events = super().stream(request, control)
        first = next(events)
        yield from [first] * request.max_new_tokens
        yield StreamEnded(len(request.ids) + request.max_new_tokens, "length")


KINDS = {"compute": Computing, "repeat": Repeating}


def open_engine(options: LoadOptions, report: Callable[[Progress], None]) -> FakeEngine:
    if "print" in CONFIG:
        print(CONFIG["print"])
        print(CONFIG["print"], file=sys.stderr)
    kind = next((KINDS[name] for name in CONFIG if name in KINDS), FakeEngine)
    failures = {int(n): failure for n, failure in CONFIG.get("failures", {}).items()}
    return kind.open(options, report, failures=failures, **CONFIG.get("engine", {}))


signal.signal(signal.SIGINT, signal.SIG_IGN)
serve(socket.socket(fileno=int(sys.argv[2])), open_engine, leave=lambda: os._exit(0))
