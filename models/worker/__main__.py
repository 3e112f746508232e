"""The engine's process: `python -P -m tokexplore.models.worker FD`, started by the client."""

import faulthandler
import os
import signal
import socket
import sys
from collections.abc import Callable

from tokexplore.models.api.engine import Engine, Progress
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.worker.child import serve


def open_engine(options: LoadOptions, report: Callable[[Progress], None]) -> Engine:
    """Open the local engine; importing it takes seconds, so it is reported as a stage."""
    report(Progress("libraries", 0, 1, "imports"))
    from tokexplore.models.engine.local import LocalEngine

    report(Progress("libraries", 1, 1, "imports"))
    return LocalEngine.open(options, report)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    link = socket.socket(fileno=int(sys.argv[1]))
    link.set_inheritable(False)
    serve(link, open_engine, leave=lambda: os._exit(0))


if __name__ == "__main__":
    main()
