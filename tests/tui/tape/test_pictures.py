"""The tapes that make the README's pictures still run."""

from pathlib import Path

import pytest
from support.connect import in_thread
from support.fake_engine import FakeEngine

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.cli.tape_run import app_options
from tokexplore.tui.tape.player import play
from tokexplore.tui.tape.script import read_script

FOLDER = Path(__file__).parents[3] / "screenshots"
TAPES = sorted(FOLDER.glob("*.tape"))


def fake(load: LoadOptions, on_lost: object) -> EngineClient:
    return EngineClient(load, connect=in_thread(FakeEngine.open), on_lost=on_lost)  # type: ignore[arg-type]


def test_every_picture_of_the_readme_has_a_tape() -> None:
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    pictures = (path for path in FOLDER.iterdir() if path.suffix in (".svg", ".gif"))
    shown = {path.stem for path in pictures if f"screenshots/{path.name}" in readme}
    assert shown
    assert shown <= {path.stem for path in TAPES}


@pytest.mark.parametrize("path", TAPES, ids=lambda path: path.stem)
async def test_the_tape_runs(path: Path, tmp_path: Path) -> None:
    script = read_script(path)
    await play(script, app_options(script), pictures=tmp_path, make_client=fake)
    names = {step.text for step in script.steps if step.name == "Screenshot"}
    assert {picture.stem for picture in tmp_path.glob("*.svg")} == names
