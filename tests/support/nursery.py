"""Engines that start at once: a process that has imported torch forks for each of them.

    python -u -P -X utf8 nursery.py SOCKET    until its standard input ends

Importing torch and transformers is nearly all that the start of a small engine costs. Each engine
runs the worker's own `main` in a process of its own, forked from one that never ran a model, so
none knows of another. `warm/sitecustomize.py` is the other side.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "TOKEXPLORE_NURSERY"
"""Names the socket to the programs under test."""
WARM = Path(__file__).with_name("warm")
"""The folder that has to be on their PYTHONPATH."""
_LAST = 30.0
"""Seconds that a nursery has to end."""


@contextlib.contextmanager
def nursery() -> Iterator[str]:
    """A nursery beside this process; the path of its socket. It imports nothing before it must."""
    with tempfile.TemporaryDirectory(prefix="tokexplore-") as folder:
        path = f"{folder}/nursery"
        # Without NVML a look for a GPU would leave what no forked process can use.
        environment = {**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
        command = [sys.executable, "-u", "-P", "-X", "utf8", __file__, path]
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
            try:
                yield path
            finally:
                assert process.stdin is not None
                process.stdin.close()
                try:
                    process.wait(_LAST)
                except subprocess.TimeoutExpired:
                    process.kill()


def serve(path: str) -> None:
    """Fork an engine for each that asks, until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        while True:
            ready, _, _ = select.select([listener, 0], [], [])
            if 0 in ready:
                break
            asking, _ = listener.accept()
            prepare()
            if not os.fork():
                listener.close()
                mind(asking)
            asking.close()
            reap(os.WNOHANG)
    reap(0)


def prepare() -> None:
    """Import all that an engine does; once."""
    import tokexplore.models.engine.local
    import tokexplore.models.worker.__main__  # noqa: F401

    gc.freeze()  # what is there already is looked at by no collection of an engine's


def reap(how: int) -> None:
    """Take leave of the children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, how)[0]:
            pass


def mind(asking: socket.socket) -> None:
    """Start an engine and stay until it ends, or the one who asked for it is gone."""
    length, files, _, _ = socket.recv_fds(asking, 4, 4)
    left = int.from_bytes(length, "big")
    told = asking.recv(left, socket.MSG_WAITALL)
    if not left or len(told) < left:
        os._exit(0)
    living, alive = os.pipe()  # ends with the engine, which alone holds the other side
    pid = os.fork()
    if not pid:
        asking.close()
        os.close(living)
        become(told.decode("utf-8", "surrogateescape"), files)
    os.close(alive)
    for file in files:
        os.close(file)
    ready, _, _ = select.select([living, asking], [], [])
    if living not in ready:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):
        asking.sendall(str(code).encode())
    os._exit(0)


def become(told: str, files: list[int]) -> None:
    """Be the engine's process, as `spawn_process` starts it."""
    from tokexplore.models.worker.__main__ import main

    os.setsid()
    for number, file in enumerate(files[:3]):
        os.dup2(file, number)
        os.close(file)
    os.environ.update(pair.split("=", 1) for pair in told.split("\0"))
    os.chdir(os.environ["PWD"])
    sys.argv[1:] = [str(files[3])]
    try:
        main()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
