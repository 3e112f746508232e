"""The formats of what `why` tells, by name."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from tokexplore.tui.export.html_why import page
from tokexplore.tui.export.why_csv import csv_lines
from tokexplore.tui.export.why_lines import json_lines
from tokexplore.tui.report.why_layers_text import Order
from tokexplore.tui.report.why_text import report
from tokexplore.tui.report.why_values import Asked, Section


def written(
    asked: Asked,
    sections: Iterator[Section],
    form: str,
    *,
    top: int,
    order: Order,
    stopped: Callable[[], bool],
) -> Iterator[bytes]:
    """What comes of it in a format: JSON lines and rows as they come, all else view by view.

    Nothing is written where the first view is refused.

    Args:
        top: stretches in the list of the strongest.
        order: of the layers' parts.
        stopped: whether it was interrupted.
    """
    first = next(sections, None)
    every = sections if first is None else chain((first,), sections)
    for part in _parts(asked, every, form, top, order, stopped):
        yield part.encode("utf-8", "backslashreplace")


def _parts(
    asked: Asked,
    sections: Iterable[Section],
    form: str,
    top: int,
    order: Order,
    stopped: Callable[[], bool],
) -> Iterator[str]:
    if form == "html":
        yield from page(asked, sections, top=top, order=order)
        return
    if form == "text":
        lines = report(asked, sections, top=top, order=order)
    else:
        lines = (
            csv_lines(asked, sections) if form == "csv" else json_lines(asked, sections, stopped)
        )
    for line in lines:
        yield f"{line}\n"
