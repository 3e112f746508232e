"""JSON lines as they are written: of the model that we ship, and the fields of all others.

python -m support.kept_lines    from `tests`: writes down anew what is expected
"""

import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support.fake_engine import FakeEngine
from tokexplore import __version__
from tokexplore.models.api.engine import Engine
from tokexplore.tui.cli.dispatch import main

FOLDER = Path(__file__).parents[1] / "data" / "lines"
FIELDS = FOLDER / "fields.json"
NEAR = 1e-4
"""How far two CPUs may be apart in a computed number."""

_ASKED = (
    "--prompt", "Once upon a time there was a fox", "--device", "cpu", "--threads", "1",
    "--top-p", "0.9", "--candidates", "3", "--format", "jsonl",
)  # fmt: skip
"""With these seeds no draw lies within 1e-3 of another token, and no rank of the next."""
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": (
        "run", *_ASKED, "--temperature", "0.8", "--seed", "6", "--max-new-tokens", "10",
        "--session", "run.tokx",
    ),
    "export": ("export", "run.tokx", "--candidates", "3", "--format", "jsonl", "--scope", "all"),
    "sweep": (
        "sweep", *_ASKED, "--temperature", "0,0.8", "--seed", "5", "--max-new-tokens", "6",
        "--runs", "2", "--batch", "2",
    ),
}  # fmt: skip
"""On the embedded model, in this order in one folder."""

_OWN = ("--dtype", "own", "--device", "cpu", "--threads", "1")
_FEW = ("--prompt", "Once upon a time", "--max-new-tokens", "4", "--format", "jsonl")
OTHERS: dict[str, tuple[str, ...]] = {
    "chat": ("run", "--user", "who", "--watch", " king", *_FEW[2:]),
    "score": ("score", "text.txt", "--format", "jsonl"),
    "diff": ("diff", "embedded", "embedded", "--prompt-file", "text.txt", "--format", "jsonl"),
    "why": (
        "why",
        "--prompt-file",
        "text.txt",
        "--lens",
        "--positions",
        "2",
        "--layers",
        "--words",
        "--gradients",
        "--points",
        "2",
        "--attention",
        "--against",
        " king",
        "--format",
        "jsonl",
    ),
    "grow": ("grow", *_FEW[:2], "--budget", "3", "--watch-text", "king", *_FEW[4:]),
    "grid": ("sweep", "--grid", *_FEW[:2], "--format", "jsonl"),
    "repeat": ("lab", "repeat", *_FEW, "--runs", "10"),
    "noise": ("lab", "noise", *_FEW),
    "sums": ("lab", "sums", *_OWN, *_FEW),
}
"""Of which the fields alone are pinned: on the fake engine where no model is needed."""
COMPUTED = ("sums",)
"""Those that ask for what a model computes within."""


def written(
    arguments: tuple[str, ...], folder: Path, open_engine: Callable[..., Engine]
) -> list[dict[str, Any]]:
    """The lines that a command line writes to standard output, run in a folder."""
    sys.stdout.flush()
    before, kept = Path.cwd(), os.dup(1)
    with tempfile.TemporaryFile() as file:
        os.chdir(folder)
        os.dup2(file.fileno(), 1)
        try:
            code = main(arguments, open_engine=open_engine)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.chdir(before)
        assert code == 0, arguments
        file.seek(0)
        return [steady(json.loads(line)) for line in file]


def steady(line: dict[str, Any]) -> dict[str, Any]:
    """A line without our version."""
    return line | {"version": ""} if line.get("version") == __version__ else line


def embedded(folder: Path, engine: Engine) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The lines of each command on the embedded model."""
    for name, arguments in COMMANDS.items():
        yield name, written(arguments, folder, lambda *_: engine)


def unlike(found: object, expected: object, where: str = "") -> str:
    """Where two values differ by more than CPUs do: names, their order, texts, whole numbers."""
    if isinstance(expected, float) and isinstance(found, float):
        same = math.isclose(found, expected, rel_tol=NEAR, abs_tol=NEAR)
        return "" if same else f"{where}: {found}, not {expected}"
    if isinstance(expected, dict) and isinstance(found, dict):
        if list(found) != list(expected):
            return f"{where} has {list(found)}, not {list(expected)}"
        found, expected = [*found.items()], [*expected.items()]
        pairs = [(n, a, b) for (n, a), (_, b) in zip(found, expected, strict=True)]
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = [(str(n), a, b) for n, (a, b) in enumerate(zip(found, expected, strict=True))]
    else:
        same = type(found) is type(expected) and found == expected
        return "" if same else f"{where}: {found!r}, not {expected!r}"
    return next(filter(None, (unlike(a, b, f"{where}.{n}") for n, a, b in pairs)), "")


def names(value: object) -> str:
    """The names of fields in a value, in their order; a list is told of by its first element."""
    if isinstance(value, dict):
        return " ".join(
            f"{name}({inner})" if (inner := names(held)) else name for name, held in value.items()
        )
    return names(value[0]) if isinstance(value, list) and value else ""


def fields(folder: Path) -> dict[str, dict[str, str]]:
    """The fields of the first line of each type that each other command writes."""
    from tokexplore.models.opening import open_engine

    (folder / "text.txt").write_text("Once upon a time there was")
    found: dict[str, dict[str, str]] = {}
    for name, arguments in OTHERS.items():
        opening = open_engine if name in COMPUTED else FakeEngine.open
        lines = written(arguments, folder, opening)
        found[name] = {line["type"]: names(line) for line in reversed(lines)}
    return found


def expected(name: str) -> list[dict[str, Any]]:
    """The lines that a command wrote."""
    text = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def remake() -> None:
    """Write down what is expected."""
    from tokexplore.models.api.options import LoadOptions
    from tokexplore.models.engine.local import LocalEngine

    FOLDER.mkdir(parents=True, exist_ok=True)
    engine = LocalEngine.open(LoadOptions(device="cpu", threads=1), lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        for name, lines in embedded(Path(folder), engine):
            text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
            (FOLDER / f"{name}.jsonl").write_text(text, encoding="utf-8")
        text = json.dumps(fields(Path(folder)), indent=1)
    FIELDS.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    remake()
