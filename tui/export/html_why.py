"""Why a model said what it said as one HTML page: layers as heat and bars, the text itself coloured
by what its words did."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

from tokexplore.models.api.interpreter import LogitSplit
from tokexplore.models.interpret.agreement import nested
from tokexplore.models.interpret.occlusion import Occluded
from tokexplore.tui.export.html_diff import level, ramp
from tokexplore.tui.export.html_page import page_head
from tokexplore.tui.export.markup import html_text, token_html
from tokexplore.tui.report import why_layers_text as of_layers
from tokexplore.tui.report import why_lens_text as of_lens
from tokexplore.tui.report import why_words_text as of_words
from tokexplore.tui.report.why_layers_text import Order, signed
from tokexplore.tui.report.why_text import facts
from tokexplore.tui.report.why_values import Asked, Lensed, Section, Worded
from tokexplore.widgets.numbers import percent

_SHARES = (0.05, 0.2, 0.4, 0.6, 0.8)
"""Probabilities from which the lens' colours hold."""


def page(asked: Asked, sections: Iterable[Section], *, top: int, order: Order) -> Iterator[str]:
    """The whole page, each view as soon as it is whole."""
    title = f"Why {asked.vocabulary.show(asked.token.token)}"
    yield page_head(title, ["html_diff.css", "html_why.css"])
    yield f"<header>\n<h1>{html_text(title)}</h1>\n"
    for line in facts(asked):
        yield f'<p class="facts">{html_text(line)}</p>\n'
    yield "</header>\n"
    for section in sections:
        yield '<section class="why">\n'
        yield from _section(asked, section, top, order)
        yield "</section>\n"
    yield "</body>\n</html>\n"


def _section(asked: Asked, section: Section, top: int, order: Order) -> Iterator[str]:
    if section.view == "lens":
        lensed = Lensed()
        for finding in section.findings:
            lensed.add(finding, asked)
        yield from _lens(asked, lensed)
    elif section.view == "layers":
        for finding in section.findings:
            if isinstance(finding, LogitSplit):
                yield from _layers(asked, finding, order)
    else:
        worded = Worded()
        for finding in section.findings:
            worded.add(finding)
        yield from _words(asked, worded, top)


def _lens(asked: Asked, found: Lensed) -> Iterator[str]:
    yield f"<h2>{html_text(of_lens.TITLE)}</h2>\n"
    legend = "".join(f'<b class="h{n}">{share:.0%}</b>' for n, share in enumerate((0, *_SHARES)))
    yield f'<div class="legend">probability from {legend}</div>\n'
    if found.last is not None:
        sides = of_lens.lens_sides(asked, found.last)
        tops = [[each.logprob for each in layer.top] for layer in found.last.layers]
        yield from _table(of_lens.lens_table(asked, found.last), sides, _heat(tops))
    if len(found.grid) > 1 or found.last is None:
        yield "<h3>At each of the steps</h3>\n"
        rows = of_lens.grid_rows(asked, found.grid)
        count = len(found.grid[0].layers)
        said = [[step.layers[n][1] for step in found.grid] for n in range(count)]
        yield from _table(rows, ">" + "<" * len(found.grid), _heat([[], *said]))
    yield from _notes(of_lens.lens_notes(asked, found))


def _layers(asked: Asked, split: LogitSplit, order: Order) -> Iterator[str]:
    yield f"<h2>{html_text(of_layers.layers_title(asked, split))}</h2>\n"
    largest = of_layers.largest_difference(split)
    parts = of_layers.in_order(split, order)
    bars = [_bar(part.difference, largest) for part in parts]
    yield from _table(of_layers.layers_table(asked, split, order), "<>>>", bars=bars)
    yield from _notes(of_layers.layers_notes(split))


def _words(asked: Asked, found: Worded, top: int) -> Iterator[str]:
    yield f"<h2>{html_text(of_words.words_title(asked))}</h2>\n"
    yield from _notes(of_words.estimate_lines(found))
    if not found.occluded:
        return
    largest = of_words.largest_effect(found)
    yield _legend(asked, largest)
    yield f'<p class="story">{_story(asked, found, largest)}</p>\n'
    yield "<h3>Strongest of the finest stretches</h3>\n"
    strongest, pieces = of_words.strongest(found, top), asked.pieces
    listed = [(signed(e.effect), of_words.unit_name(asked, pieces, e.unit)) for e in strongest]
    yield from _table([("effect", "stretch"), *listed], "><")
    yield f"<h3>In reading order ({html_text(of_words.direction(asked))})</h3>\n"
    head = of_words.columns(asked, found)
    rows = list(of_words.rows(asked, found))
    table = [(*head, "stretch"), *((*r.figures, "  " * r.depth + r.name) for r in rows)]
    bars = [_bar(row.occluded.effect, largest) for row in rows]
    yield from _table(table, ">" * len(head) + "<", bars=bars)
    yield from _notes(of_words.words_notes(found))


def _legend(asked: Asked, largest: float) -> str:
    if not largest:
        return '<div class="legend">no stretch did anything</div>\n'
    less, more = ramp(largest)
    token = html_text(asked.vocabulary.show(asked.token.token))
    return (
        f'<div class="legend">pushed against {less}{more} nats, towards {token} · each token in '
        "the colour of the finest stretch that was hidden with it · hover for its figures</div>\n"
    )


def _story(asked: Asked, found: Worded, largest: float) -> str:
    """The path's text; the last token, which is never hidden, and what no stretch holds without a
    colour."""
    holders: list[Occluded | None] = [None] * len(asked.ids)
    for each, _, _ in nested(found.occluded):
        for place in each.unit.tokens:
            holders[place] = each
    pieces = asked.pieces
    return "".join(
        _token(asked, pieces, holder, piece, largest)
        for holder, piece in zip(holders, pieces, strict=True)
    )


def _token(
    asked: Asked, pieces: list[str], holder: Occluded | None, piece: str, largest: float
) -> str:
    if holder is None:
        return f'<span class="t prompt">{token_html(piece)}</span>'
    hidden = ", ".join(
        f"{asked.vocabulary.show(each.token)} {percent(math.exp(logprob))}"
        for each, logprob in zip(asked.named, holder.logprobs, strict=True)
    )
    lines = (
        of_words.unit_name(asked, pieces, holder.unit),
        f"{signed(holder.effect)} nats; with it hidden {hidden}",
    )
    kinds = " ".join(filter(None, ("t", level(holder.effect, largest))))
    title = "&#10;".join(map(html_text, lines))
    return f'<span class="{kinds}" title="{title}">{token_html(piece)}</span>'


Classes = Callable[[int, int], str]


def _heat(logprobs: Sequence[Sequence[float]]) -> Classes:
    """Classes of cells by the probability of the token in them: of the rows below the head, the
    columns behind the first."""

    def kind(row: int, column: int) -> str:
        cells = logprobs[row]
        if not 0 < column <= len(cells):
            return ""
        return f"said h{bisect_right(_SHARES, math.exp(cells[column - 1]))}"

    return kind


def _table(
    rows: Iterable[Sequence[str]],
    sides: str,
    classes: Classes = lambda *_: "",
    bars: Sequence[str] = (),
) -> Iterator[str]:
    """Rows, the first one the head, each followed by its bar."""
    head, *body = rows
    kinds = ["n" if side == ">" else "" for side in sides]
    yield "<table><tr>"
    yield "".join(f'<th class="{k}">{html_text(c)}</th>' for k, c in zip(kinds, head, strict=True))
    yield "</tr>\n"
    for number, row in enumerate(body):
        cells = "".join(
            f'<td class="{classes(number, column) or kind}">{html_text(cell)}</td>'
            for column, (kind, cell) in enumerate(zip(kinds, row, strict=True))
        )
        yield f"<tr>{cells}{bars[number] if bars else ''}</tr>\n"
    yield "</table>\n"


def _bar(value: float, largest: float) -> str:
    """A cell with a bar from the middle; the number stands in the row."""
    share = min(1.0, abs(value) / largest) if largest else 0.0
    side = "less" if value < 0 else "more"
    return (
        f'<td><div class="bar" aria-hidden="true"><i class="{side}" style="width: {share:.1%}">'
        "</i></div></td>"
    )


def _notes(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f'<p class="facts">{html_text(line)}</p>\n'
