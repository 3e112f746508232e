"""The formats of a tree that grew by probability, by name."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from tokexplore.models.errors import UsageError
from tokexplore.tui.report.grow_text import Grown

FORMATS = ("text", "jsonl", "html", "dot")
_SUFFIXES = {
    ".txt": "text", ".jsonl": "jsonl", ".html": "html", ".htm": "html", ".dot": "dot", ".gv": "dot",
}  # fmt: skip
_MODULES = {
    "text": "tokexplore.tui.report.grow_text:report",
    "jsonl": "tokexplore.tui.export.grow_lines:json_lines",
    "html": "tokexplore.tui.export.html_grow:page_lines",
    "dot": "tokexplore.tui.export.grow_dot:dot_lines",
}
"""What makes the lines of each, imported when it is asked for."""


def format_of(name: str, output: str) -> str:
    """The format that was named, or that a file's name tells; text for standard output.

    Raises:
        UsageError: when neither tells one.
    """
    if name or not output:
        return name or "text"
    suffix = Path(output).suffix.lower()
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"{output!r} does not tell its format: end it with one of {', '.join(_SUFFIXES)}, or "
            "give --format."
        )
    return _SUFFIXES[suffix]


def written(grown: Grown, form: str, top: int) -> Iterator[bytes]:
    """The tree in a format, line by line.

    Args:
        top: texts that are listed or drawn, where not all are.
    """
    module, _, name = _MODULES[form].partition(":")
    lines: Callable[[Grown, int], Iterator[str]] = getattr(import_module(module), name)
    for line in lines(grown, top):
        yield f"{line}\n".encode("utf-8", "backslashreplace")
