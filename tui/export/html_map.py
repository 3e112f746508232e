"""The maps of an HTML page: an icicle for each prompt after which the tree forks."""

from collections.abc import Iterator, Sequence

import msgspec

from tokexplore.models.tree.icicle import Icicle
from tokexplore.tui.export.map_svg import icicle_of, starts_of, words_before
from tokexplore.tui.export.markup import html_text
from tokexplore.tui.export.source import Scope, Source
from tokexplore.widgets.heat import level

Rows = list[list[float]]
"""By block, each after the one before it: node, place of the row before it, top and height as
shares of that one's, level of its colour, and the share that was not explored after it."""
_DIGITS = 12
"""Of shares, which are below 1."""


def maps_of(source: Source, scope: Scope) -> list[Rows]:
    """The maps of a scope."""
    icicle = icicle_of(source, scope)
    maps = (_rows(icicle, start) for start in starts_of(source, scope))
    return [rows for rows in maps if _forks(rows)]


def _rows(icicle: Icicle, start: int) -> Rows:
    logprob = icicle.tree.logprob
    rows: Rows = [[start, -1, 0.0, 1.0, -1, round(icicle.after(start).rest, _DIGITS)]]
    for place, row in enumerate(rows):  # which grow meanwhile
        for share in icicle.after(int(row[0])).shares:
            heat = level("surprisal", -logprob[share.node]) if share.known else -1
            rest = icicle.after(share.node).rest
            shares = (round(value, _DIGITS) for value in (share.top, share.height))
            rows.append([share.node, place, *shares, heat, round(rest, _DIGITS)])
    return rows


def _forks(rows: Rows) -> bool:
    """Whether a row has two after it."""
    before = [row[1] for row in rows]
    return len(set(before)) < len(before)


def map_parts(source: Source, maps: Sequence[Rows]) -> Iterator[str]:
    """The places where the script draws them."""
    yield '<section id="map">\n'
    for rows in maps:
        words = html_text(words_before(source, int(rows[0][0])))
        yield (
            f'<div class="map" hidden>\n<p><b>{words}</b> <span class="at"></span> '
            '<button type="button" disabled>back</button></p>\n<div class="steps"></div>\n'
            '<div class="icicle" tabindex="0"></div>\n<p class="told">The map: steps from left to '
            "right, height is the model's probability, what was not explored is hatched. Click a "
            "block to make it the whole height.</p>\n</div>\n"
        )
    yield "</section>\n"


def map_data(source: Source, maps: Sequence[Rows]) -> bytes:
    """What the script draws: numbers alone."""
    path = source.tree.path(source.leaf)
    return msgspec.json.encode({"maps": maps, "path": path})
