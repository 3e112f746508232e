"""The tapes of the README's pictures, played on the fake engine, and what comes of them.

    python -m support.kept_pictures [FOLDER]    from `tests`: writes down anew what is expected

With a folder, the pictures are written there too.
"""

import asyncio
import hashlib
import json
import sys
import tempfile
from pathlib import Path

from support.connect import in_thread
from support.fake_engine import FakeEngine
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.cli.tape_run import opened
from tokexplore.tui.tape.player import play
from tokexplore.tui.tape.script import read_script

ROOT = Path(__file__).parents[2]
TAPES = sorted((ROOT / "screenshots").glob("*.tape"))
EXPECTED = ROOT / "tests" / "data" / "pictures.json"


def fake(load: LoadOptions, on_lost: object) -> EngineClient:
    return EngineClient(load, connect=in_thread(FakeEngine.open), on_lost=on_lost)  # type: ignore[arg-type]


async def drawn(tape: Path, folder: Path) -> dict[str, str]:
    """Play a tape; the SHA-256 of each of its pictures, by name."""
    script = read_script(tape)
    with tempfile.TemporaryDirectory() as scratch:
        begun = opened(script, tape.parent, Path(scratch))
        await play(script, begun.options, pictures=folder, make_client=fake)
    names = [step.text for step in script.steps if step.name == "Screenshot"]
    files = ((folder / f"{name}.svg").read_bytes() for name in names)
    return {name: hashlib.sha256(data).hexdigest() for name, data in zip(names, files, strict=True)}


def main(folder: Path) -> None:
    """Write down what is expected, and the pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {tape.stem: asyncio.run(drawn(tape, folder)) for tape in TAPES}
    EXPECTED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
