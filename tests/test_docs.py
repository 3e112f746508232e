"""The pages say what is so: links lead somewhere; keys, options, fields are those of the code."""

import importlib.util
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tokexplore.tui.cli.registry import SUBCOMMANDS
from tokexplore.tui.keys import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
ROOMS = (path for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._")
PAGES = sorted([*ROOT.glob("*.md"), *(page for room in ROOMS for page in room.rglob("*.md"))])
LINES = ROOT / "tests" / "data" / "lines"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(path: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def links(path: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(path)):
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path, make: ModuleType) -> None:
    for target in links(page):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", text_of(file), re.M)
            assert anchor in map(make.slug, headings), target


def test_every_page_of_docs_is_in_its_index() -> None:
    docs = ROOT / "docs"
    named = set(links(docs / "README.md"))
    assert {path.name for path in docs.glob("*.md")} - {"README.md"} <= named


@pytest.mark.parametrize("columns", ["", "40"])
def test_keys_options_and_typed_commands_are_those_of_the_code(
    make: ModuleType, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    for name, page in make.PAGES.items():
        text = (make.HERE / name).read_text(encoding="utf-8")
        assert text == make.filled(text, page()), f"{name}: run `python docs/make.py`"


def test_a_page_that_is_stale_is_told_and_mended(
    make: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(make.HERE, tmp_path / "docs"))
    monkeypatch.setattr(make, "HERE", folder)
    page = folder / "keys.md"
    right = page.read_text(encoding="utf-8")
    page.write_text(right.replace("Ten tokens on.", "Nine."), encoding="utf-8")
    assert make.main(["--check"]) == 1
    assert "Nine." in page.read_text(encoding="utf-8")
    assert make.main([]) == 0
    assert page.read_text(encoding="utf-8") == right
    assert make.main(["--check"]) == 0


def test_every_command_is_on_the_page_of_options(make: ModuleType) -> None:
    told = {name.split()[0] for name in make.parsers()}
    assert told == {"tokexplore", *SUBCOMMANDS} - {"examples"}


def test_the_keys_of_the_readme_do_what_it_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    labels = {key: c.label for c in COMMANDS for key in [c.shown, *c.shown.split()]}
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", readme, re.M)
    keys = [(key, says) for cell, says in rows for key in re.findall(r"`(.+?)`", cell)]
    assert len(keys) >= 12
    for key, says in keys:
        assert labels[key] in says, key


def sections(level: int, text: str) -> dict[str, str]:
    """The text below each heading of a level, by its title."""
    parts = re.split(rf"^{'#' * level} (.*)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def told_fields(section: str) -> set[str]:
    cells = re.findall(r"^\| (`.*?) \|", section, re.M)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def kept_lines() -> Iterator[tuple[str, str, set[str]]]:
    """Command, type and fields of the lines that were kept."""
    for path in LINES.glob("*.jsonl"):
        for text in path.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            yield path.stem, line["type"], set(line)
    for name, by_type in json.loads((LINES / "fields.json").read_text(encoding="utf-8")).items():
        for kind, fields in by_type.items():
            while "(" in fields:  # fields of what a field holds
                fields = re.sub(r"\([^()]*\)", "", fields)
            yield name, kind, set(fields.split())


_PATH = "`run`, `score`, and `export` of one path"
PLACES = {
    "run": _PATH,
    "chat": _PATH,
    "score": _PATH,
    "diff": "`diff`",
    "why": "`why`",
    "grow": "`grow`",
    "export": "`export` of a tree",
    "sweep": "`sweep`",
    "grid": "`sweep --grid`",
    "repeat": "`lab repeat`",
    "noise": "`lab noise`",
    "sums": "`lab sums`",
}
"""Where the page tells of the lines that each command wrote."""


def test_every_field_of_json_lines_is_told() -> None:
    pages = sections(2, (ROOT / "docs" / "jsonl.md").read_text(encoding="utf-8"))
    for command, kind, fields in kept_lines():
        places = ["run", "export"] if command == "export" else [command]
        told = {
            name
            for place in places
            for title, section in sections(3, pages[PLACES[place]]).items()
            if f"`{kind}`" in title
            for name in told_fields(section)
        }
        assert fields <= told, (command, kind, fields - told)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_that_a_page_imports_are_there(page: Path) -> None:
    blocks = re.findall(r"^```python$(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    for module in re.findall(r"^from (tokexplore[\w.]*) import", "\n".join(blocks), re.M):
        assert importlib.util.find_spec(module) is not None, module
