"""The engine's process: `python -P -m tokexplore.models.worker FD`, started by the client."""

import faulthandler
import os
import signal
import socket
import sys

from tokexplore.models.opening import open_engine
from tokexplore.models.temporary import ensure_temporary
from tokexplore.models.worker.child import serve


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    ensure_temporary()
    link = socket.socket(fileno=int(sys.argv[1]))
    link.set_inheritable(False)
    serve(link, open_engine, leave=lambda: os._exit(0))


if __name__ == "__main__":
    main()
