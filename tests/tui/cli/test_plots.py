"""Pictures of sweeps: drawn where they can be, refused before anything is computed."""

import importlib.util
from pathlib import Path

import pytest
from PIL import Image
from support.fake_engine import FakeEngine
from support.sweeps import sweep_told

from tokexplore.models.errors import UsageError


@pytest.mark.parametrize("more", [("--temperature", "0,1,2", "--runs", "2"), ("--grid",)])
def test_a_picture_of_a_sweep_is_drawn(tmp_path: Path, more: tuple[str, ...]) -> None:
    svg, png = tmp_path / "sweep.svg", tmp_path / "sweep.png"
    sweep_told(*more, "--max-new-tokens", "6", "--plot", str(svg))
    sweep_told(*more, "--max-new-tokens", "6", "--plot", str(png))
    text = svg.read_text()
    assert text.count("<path") > 30
    with Image.open(png) as picture:
        assert picture.width > 700
        assert len(set(picture.convert("L").tobytes())) > 30


def test_what_cannot_be_drawn_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    (tmp_path / "there.svg").write_text("mine")
    for file, said in (
        ("a.txt", "no picture that can be drawn"),
        (str(tmp_path / "there.svg"), "is there already"),
        (str(tmp_path / "no" / "a.svg"), "there is no folder"),
    ):
        with pytest.raises(UsageError, match=said):
            sweep_told("--plot", file, engine=engine)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    with pytest.raises(UsageError, match=r"tokexplore\[plots\]"):
        sweep_told("--plot", str(tmp_path / "b.svg"), engine=engine)
    assert engine.passes == 0
    assert (tmp_path / "there.svg").read_text() == "mine"
