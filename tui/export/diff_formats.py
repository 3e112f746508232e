"""The formats of a comparison of two models, by name and by the ends of files' names."""

from collections.abc import Callable, Iterator
from pathlib import Path

from tokexplore.models.diff.comparison import Comparison
from tokexplore.models.errors import UsageError
from tokexplore.tui.export.diff_lines import csv_lines, json_lines
from tokexplore.tui.export.html_diff import page
from tokexplore.tui.report.diff_text import report

_SUFFIXES = {".txt": "text", ".jsonl": "jsonl", ".csv": "csv", ".html": "html", ".htm": "html"}


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


def written(found: Comparison, form: str, top: int) -> Iterator[bytes]:
    """A comparison in a format.

    Args:
        top: steps, or spans of the text, to list where not all are.
    """
    yield from _FORMATS[form](found, top)


def _encoded(lines: Callable[[Comparison, int], Iterator[str]]) -> "_Format":
    def parts(found: Comparison, top: int) -> Iterator[bytes]:
        for line in lines(found, top):
            yield f"{line}\n".encode("utf-8", "backslashreplace")

    return parts


_Format = Callable[[Comparison, int], Iterator[bytes]]
_FORMATS: dict[str, _Format] = {
    "text": _encoded(report),
    "jsonl": _encoded(lambda found, _: json_lines(found)),
    "csv": _encoded(lambda found, _: csv_lines(found)),
    "html": page,
}
