"""The subcommands: each is an object in its own file, imported only where it is asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

from tokexplore.tui import cli
from tokexplore.tui.cli.registry import APP, SUBCOMMANDS, find, load


def test_every_subcommand_is_in_the_registry() -> None:
    (folder,) = map(Path, cli.__path__)
    files = [*folder.glob("*.py"), *folder.glob("*/__init__.py")]
    have = [file for file in files if "SUBCOMMAND" in file.read_text(encoding="utf-8").split()]
    names = {file.parent.name if file.stem == "__init__" else file.stem for file in have}
    assert names == {APP, *SUBCOMMANDS}


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_a_subcommand_is_found_by_its_first_word(name: str) -> None:
    found, arguments = find([name, "a", "--help"])
    assert found is load(name)
    assert found.name == name
    assert arguments == ["a", "--help"]
    program = "tokexplore" if name == "examples" else f"tokexplore {name}"
    assert found.parser().prog == program


def test_anything_else_is_for_the_app() -> None:
    for line in ([], ["--seed", "1"], ["./run"], ["app"], ["a", "run"]):
        assert find(line) == (load(APP), line)


def test_the_help_names_every_subcommand_once_and_in_order() -> None:
    _, _, commands = load(APP).parser().format_help().partition("commands:\n")
    lines = commands.splitlines()
    assert lines.pop().startswith("  (each has its own --help")
    assert [line.split()[1] for line in lines] == list(SUBCOMMANDS)
    assert all(load(line.split()[1]).summary in line for line in lines)


@pytest.mark.parametrize("name", ["", "run", "models", "tape"])
def test_no_other_subcommand_is_imported(name: str) -> None:
    code = (
        "import sys\n"
        "from tokexplore.tui.cli.registry import APP, SUBCOMMANDS, find\n"
        "found, _ = find(sys.argv[1:])\n"
        "found.parser()\n"
        "names = [APP, *SUBCOMMANDS]\n"
        "print([n for n in names if f'tokexplore.tui.cli.{n}' in sys.modules])"
    )
    command = [sys.executable, "-c", code, *name.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([name or APP])
