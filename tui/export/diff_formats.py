"""The formats of a comparison of two models, by name."""

from collections.abc import Callable, Iterator

from tokexplore.models.diff.comparison import Comparison
from tokexplore.tui.export.diff_lines import csv_lines, json_lines
from tokexplore.tui.export.html_diff import page
from tokexplore.tui.report.diff_text import report


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
