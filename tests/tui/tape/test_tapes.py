"""The tapes that make the README's pictures still run, and draw what they always drew."""

import json
from pathlib import Path

import pytest
from support.kept_pictures import EXPECTED, ROOT, TAPES, drawn

TOLD = json.loads(EXPECTED.read_text(encoding="utf-8"))


def test_every_picture_of_the_readme_has_a_tape() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = (path for path in TAPES[0].parent.iterdir() if path.suffix in (".svg", ".gif"))
    shown = {path.stem for path in pictures if f"screenshots/{path.name}" in readme}
    assert shown
    assert shown <= {path.stem for path in TAPES}


@pytest.mark.parametrize("path", TAPES, ids=lambda path: path.stem)
async def test_the_tape_draws_the_same_to_the_last_byte(path: Path, tmp_path: Path) -> None:
    assert await drawn(path, tmp_path) == TOLD[path.stem]
