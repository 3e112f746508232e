"""A directory that holds no model is refused at a glance, in the words of who would load it."""

import sys
from pathlib import Path

import pytest
from support.written_models import make, make_sharded

from tokexplore.models.catalog import checkpoint
from tokexplore.models.catalog.glance import check_files
from tokexplore.models.catalog.located import Located
from tokexplore.models.errors import ModelError


def located(path: Path, origin: str = "directory") -> Located:
    return Located(path.name, str(path), origin, path)  # type: ignore[arg-type]


def test_a_directory_without_a_config_or_weights_is_refused(tmp_path: Path) -> None:
    empty, bare, broken = tmp_path / "empty", make(tmp_path / "bare"), make(tmp_path / "broken")
    empty.mkdir()
    (bare / "model.safetensors").unlink()
    (broken / "config.json").write_text("{")
    pointer = make(tmp_path / "pointer")
    (pointer / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    for path, why in (
        (empty, "empty has no config.json; it has no weights"),
        (bare, "bare has no weights"),
        (broken, "broken has a config.json that is not valid JSON"),
        (pointer, "pointer has git-lfs pointers"),
    ):
        with pytest.raises(ModelError, match=f"^{why}"):
            check_files(located(path))


def test_what_may_be_a_model_is_not_looked_at_any_closer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = make(tmp_path / "whole"), make_sharded(tmp_path / "parts")
    index = parts / "model.safetensors.index.json"
    index.write_text(index.read_text() + " " * 2000)
    monkeypatch.setitem(sys.modules, checkpoint.__name__, None)  # type: ignore[arg-type]
    check_files(located(whole))
    check_files(located(parts))


def test_what_the_hub_can_complete_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "part").mkdir()
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    check_files(located(tmp_path / "part", "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="has no config"):
        check_files(located(tmp_path / "part", "hub"))
    check_files(Located("none", "o/none", "hub", None))
