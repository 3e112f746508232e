"""What an editable install hides: packages and files that the wheel would miss."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_every_package_is_named() -> None:
    folders = {
        "tokexplore." + ".".join(init.parent.relative_to(ROOT).parts)
        for room in ("tui", "widgets", "models")
        for init in (ROOT / room).rglob("__init__.py")
    }
    named = set(SETUPTOOLS["packages"]) - {"tokexplore"}
    assert named == folders - {"tokexplore.tui.launch"}


def test_every_folder_with_code_is_a_package() -> None:
    for room in ("tui", "widgets", "models"):
        for file in (ROOT / room).rglob("*.py"):
            assert (file.parent / "__init__.py").exists(), file


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "README.md"]
)
@pytest.mark.parametrize(("folder", "most"), [("embedded", 25e6), ("embedded_experts", 10e6)])
def test_the_models_that_are_shipped_are_whole_and_small(name: str, folder: str, most: int) -> None:
    home = ROOT / "models" / folder
    assert (home / name).stat().st_size > 0
    assert sum(path.stat().st_size for path in home.glob("*.*")) <= most


def test_torch_is_pinned_and_every_direct_dependency_too() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().split()
    }
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().split()
    wanted = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["dev"]
    for requirement in wanted:
        name = requirement.split(">=")[0].split("[")[0].lower().replace("_", "-")
        assert name in pinned, requirement


def test_nothing_but_engine_and_training_imports_torch_or_transformers() -> None:
    top = [f"tokexplore.models.{file.stem}" for file in (ROOT / "models").glob("[a-z]*.py")]
    code = (
        f"import sys, tokexplore.tui.app, tokexplore.tui.cli.dispatch, {', '.join(top)};"
        "print([m for m in ('torch', 'transformers', 'accelerate') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_stated_in_one_place() -> None:
    import tokexplore

    version = PROJECT["project"]["version"]
    assert tokexplore.__version__ == version
    for room in ("tui", "widgets", "models"):
        for file in (ROOT / room).rglob("*.py"):
            assert f'"{version}"' not in file.read_text(encoding="utf-8"), file


def test_the_version_is_looked_up_only_where_it_is_asked_for() -> None:
    code = (
        "import sys, tokexplore.tui.cli.dispatch, tokexplore.tui.cli.app;"
        "tokexplore.tui.cli.app.app_parser().format_help();"
        "print('importlib.metadata' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_there_is_nothing_else_in_the_program_s_own_module() -> None:
    import tokexplore

    with pytest.raises(AttributeError, match="'version'"):
        tokexplore.version  # noqa: B018


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("README.md", r"torch==([\d.]+)"),
        (".github/workflows/ci.yml", r"torch==([\d.]+)"),
        (".pre-commit-config.yaml", r"(?s)ruff-pre-commit\n +rev: v([\d.]+)"),
    ],
)
def test_versions_are_those_of_the_constraints(name: str, pattern: str) -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    found = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"))
    assert found is not None
    assert found[1] == pins["ruff" if "ruff" in pattern else "torch"]
