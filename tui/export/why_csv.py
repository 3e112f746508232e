"""Why a model said what it said as CSV: one view, a row as soon as it is known."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from tokexplore.models.api.interpreter import LENS_TOP, LensStep, LogitSplit
from tokexplore.models.distribution import TokenRank
from tokexplore.models.interpret.occlusion import Occluded
from tokexplore.tui.export.csv_table import spreadsheet_text
from tokexplore.tui.export.why_lines import METHODS, unit_fields
from tokexplore.tui.report.tables import csv_line
from tokexplore.tui.report.why_layers_text import part_name
from tokexplore.tui.report.why_values import Asked, Section, Worded, taken_at

_UNIT = ("kind", "role", "start", "end", "text", "bytes", "effect")
_ESTIMATES = (*METHODS, "attention")
Row = Sequence[object]


def csv_lines(asked: Asked, sections: Iterable[Section]) -> Iterator[str]:
    """A head and the rows of a view."""
    for section in sections:
        for row in _SECTIONS[section.view](asked, section):
            yield csv_line(row)


def _lens(asked: Asked, section: Section) -> Iterator[Row]:
    places = range(1, LENS_TOP + 1)
    yield (
        "position", "layer", "taken_id", "taken_text", "taken_logprob", "taken_rank",
        "token_logprob", "token_rank", "against_logprob", "against_rank", "entropy", "kl",
        *(f"top{n}_{what}" for n in places for what in ("id", "text", "logprob")),
    )  # fmt: skip
    for step in section.findings:
        if isinstance(step, LensStep):
            yield from _step(asked, step)


def _step(asked: Asked, step: LensStep) -> Iterator[Row]:
    show, count = asked.vocabulary.show, len(asked.named)
    taken = taken_at(step, asked)
    for layer, reading in enumerate(step.layers):
        own = None if taken is None else reading.asked[0]
        token, against = (*reading.asked[-count:], None)[:2]
        yield (
            step.position,
            layer,
            taken,
            "" if taken is None else spreadsheet_text(show(taken)),
            *_figures(own),
            *_figures(token),
            *_figures(against),
            reading.entropy,
            reading.divergence,
            *(
                cell
                for each in reading.top
                for cell in (each.token, spreadsheet_text(show(each.token)), each.logprob)
            ),
        )


def _figures(of: TokenRank | None) -> tuple[float | None, int | None]:
    return (None, None) if of is None else (of.logprob, of.rank)


def _layers(asked: Asked, section: Section) -> Iterator[Row]:
    del asked
    yield ("part", "kind", "layer", "name", "head", "difference", "token_logit", "against_logit")
    for split in section.findings:
        if isinstance(split, LogitSplit):
            for part in split.parts:
                yield (
                    spreadsheet_text(part_name(part)), part.kind, part.layer or None,
                    spreadsheet_text(part.name), part.head, part.difference, *part.logits,
                )  # fmt: skip


def _words(asked: Asked, section: Section) -> Iterator[Row]:
    yield (*_UNIT, "token_logprob", "against_logprob", *_ESTIMATES)
    found, pieces = Worded(), asked.pieces
    for finding in section.findings:
        found.add(finding)
        if isinstance(finding, Occluded):
            fields = unit_fields(asked, pieces, found, finding)
            fields["text"] = spreadsheet_text(str(fields["text"]))
            fields["role"] = spreadsheet_text(finding.unit.role)
            token, against = (*finding.logprobs, None)[:2]
            yield (
                *(fields[name] for name in _UNIT), token, against,
                *(fields[name] for name in _ESTIMATES),
            )  # fmt: skip


_SECTIONS: dict[str, Callable[[Asked, Section], Iterator[Row]]] = {
    "lens": _lens,
    "layers": _layers,
    "words": _words,
}
