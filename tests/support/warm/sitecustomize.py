"""An engine's process that is asked of the nursery, in place of importing torch itself.

Python imports this before anything else where its folder is on PYTHONPATH. The process of an engine
hands its socket and its output over, and then stands for the one that has them: it ends as that one
ends, and takes it along when it is killed.
"""

import os
import sys


def stand_for_an_engine(nursery: str) -> None:
    """Have the nursery start what this process was started for, and end with it."""
    import signal
    import socket

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(nursery)
        link = int(sys.orig_argv[-1])
        given = [*os.environ.items(), ("PWD", os.getcwd())]
        told = "\0".join("=".join(pair) for pair in given).encode("utf-8", "surrogateescape")
        socket.send_fds(asking, [len(told).to_bytes(4, "big")], [0, 1, 2, link])
        asking.sendall(told)
        os.close(link)
        code = int(asking.recv(16))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if "tokexplore.models.worker" in sys.orig_argv:
    stand_for_an_engine(os.environ["TOKEXPLORE_NURSERY"])
