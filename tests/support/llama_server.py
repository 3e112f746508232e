"""llama.cpp's own server, as a wheel from PyPI has it, on SmolLM2-135M-Instruct or another file."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokexplore.models.catalog.located import packaged

_SMOLLM2 = packaged()
assert _SMOLLM2 is not None, "make .venv/installed-dev installs it"
GGUF = _SMOLLM2.directory
READY = 90.0
"""Seconds that it may take to start on a busy machine."""
_SERVE = """
import sys, time, xllamacpp
parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.hostnames, parameters.port = ["127.0.0.1"], 0
parameters.n_ctx, parameters.n_parallel = 1024, 2
parameters.warmup = False
parameters.cpuparams.n_threads = 1
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def serving(model: Path = GGUF) -> Iterator[str]:
    """Serve a model on a free port of this machine; the address."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = (line.strip() for line in process.stdout)
        url = next(line for line in lines if line.startswith("http://"))
        _wait(url)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait(url: str) -> None:
    end = time.monotonic() + READY
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError("llama.cpp's server did not start in time")
