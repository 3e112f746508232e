"""The lab as a page of its own in the HTML: texts, forks, readings, verdicts, conditions."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from tokexplore.models.display import NEWLINE, counted, safe_text
from tokexplore.models.lab.flips import SIGMAS
from tokexplore.models.lab.forks import Segment, Summary, summarise, trie
from tokexplore.models.lab.sides import Place, Sides, sides_of
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.study import CloseCalls, Fork, Study
from tokexplore.tui.export.lab_dots import Dots, call_dots, side_dots
from tokexplore.tui.export.markup import html_text
from tokexplore.tui.export.source import Scope, Source
from tokexplore.tui.export.study_fields import studies_of
from tokexplore.tui.report.readings_text import (
    call_rows,
    columns_of,
    flips,
    noise_text,
    spread_text,
    token_text,
)
from tokexplore.tui.report.repeat_text import choices_text, grid_text, verdict_text
from tokexplore.widgets.numbers import percent

PROMPT = 24
"""Tokens of the prompt's end that a title shows."""
DEEPEST = 40
"""Levels of the trie that are drawn inside each other."""


class _Page(NamedTuple):
    """One experiment and where it stands on the page."""

    study: Study
    vocabulary: Vocabulary
    name: str
    """Begins the ids of its parts."""


def lab_parts(source: Source, scope: Scope) -> Iterator[str]:
    """The section with all experiments on nodes of a scope; nothing where there are none."""
    found = studies_of(source, scope)
    if not found:
        return
    yield '<section id="lab">\n<p class="nav"><a href="#">‹ the tree</a></p>\n'
    number = 0
    for node, studies in found:
        ids = source.tree.ids(node)
        prompt = source.vocabulary.text(ids[-PROMPT:]).replace("\n", NEWLINE).strip()
        before = "…" * (len(ids) > PROMPT)
        for study in studies:
            number += 1
            yield f"<article>\n<h2>“{before}{html_text(prompt)}”, {len(study.runs)} times</h2>\n"
            yield from _study(_Page(study, source.vocabulary, f"lab{number}"))
            yield "</article>\n"
    yield "</section>\n"


def lab_link(source: Source, scope: Scope) -> str:
    """The way to that page; empty where there is none."""
    count = sum(len(studies) for _, studies in studies_of(source, scope))
    if not count:
        return ""
    many = counted(count, "experiment")
    return f'<p class="nav"><a href="#lab">the lab: {many} ›</a></p>\n'


def _study(page: _Page) -> Iterator[str]:
    study, summary = page.study, summarise(page.study.runs) if page.study.runs else None
    facts = [
        study.setting, study.dtype, f"{study.length} tokens a run",
        f"varied: {', '.join(study.varied) or 'nothing'}",
    ]  # fmt: skip
    yield f'<p class="facts">{html_text(" · ".join(facts))}</p>\n'
    for notice in study.notices or ():
        yield f'<p class="facts">{html_text(notice)}</p>\n'
    if summary is None:
        return
    yield _tiles(study, summary)
    yield "<h3>The texts <small>what runs said alike, and where they part</small></h3>\n"
    yield f'<ul class="trie">{"".join(_segment(page, trie(study.runs), 0))}</ul>\n'
    if study.forks:
        yield "<h3>The forks <small>both sides, as each way of computing read them</small></h3>\n"
        yield from (_fork(page, fork) for fork in study.forks)
    if calls := study.close_calls:
        yield from _close_calls(page, calls)
    yield _runs(study)


def _tiles(study: Study, summary: Summary) -> str:
    many = "" if summary.unique == 1 else "s"
    planned = "" if len(study.runs) == study.planned else f", {study.planned} were planned"
    tiles = [(str(summary.unique), f"text{many} of {summary.runs} runs{planned}", "")]
    if summary.first_fork is not None:
        tiles.append((f"step {summary.first_fork}", "where the first two part", ""))
        tiles.append((percent(summary.shared), "is common to two texts", ""))
    if study.close_calls and study.close_calls.calls:
        call = study.close_calls.calls[0]
        tiles.append((f"{call.margin:.3g} nats", f"the smallest margin, at step {call.step}", ""))
    if study.close_calls and study.close_calls.sigma is not None:
        tiles.append((f"{study.close_calls.sigma:.2g} nats", "σ of the noise of margins", ""))
    if study.controls:
        good = all(control.same_logits for control in study.controls)
        said = "the identical batch, run again"
        tiles.append(("bit for bit" if good else "not the same", said, "" if good else "bad"))
    cells = (
        f'<div class="{kind}"><b>{big}</b>{html_text(small)}</div>' for big, small, kind in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>\n'


def _segment(page: _Page, segment: Segment, depth: int) -> Iterator[str]:
    """A part of the trie and all below it; one that is too deep stands beside its parent."""
    study, count = page.study, len(segment.runs)
    share = count / len(study.runs)
    text = safe_text(page.vocabulary.text(segment.ids).replace("\n", NEWLINE))
    begun = len(page.vocabulary.text(segment.ids[:1]).replace("\n", NEWLINE)) if depth else 0
    words = f"<b>{escape(text[:begun])}</b>{escape(text[begun:])}" if begun else escape(text)
    step = segment.start + len(segment.ids) + 1
    fork = None
    if len(segment.children) > 1:
        before = next(run.ids for run in study.runs if run.number == segment.runs[0])[: step - 1]
        fork = next((one for one in study.forks if one.before == before), None)
    pill = f" {_pill(page, fork, step)}" if len(segment.children) > 1 else ""
    yield (
        f'<li><div><span class="count">×{count}<i style="width:{100 * share:.0f}%"></i></span>'
        f'<span class="text">{words}{pill}</span></div>'
    )
    inside = "".join(
        part for child in segment.children for part in _segment(page, child, depth + 1)
    )
    if depth < DEEPEST and inside:
        yield f"<ul>{inside}</ul></li>"
    else:
        yield f"</li>{inside}"


def _pill(page: _Page, fork: Fork | None, step: int) -> str:
    """A fork at the end of its text, with the way to its readings."""
    if fork is None:
        return f'<span class="pill">step {step} · not told</span>'
    kind = fork.verdict.kind
    place = f"{page.name}-{page.study.forks.index(fork)}"
    return f'<a class="pill {kind}" href="#{place}">step {step} · {_verdict(fork)}</a>'


def _verdict(fork: Fork) -> str:
    return "sampler draw" if fork.verdict.kind == "sampler" else "arithmetic"


def _fork(page: _Page, fork: Fork) -> str:
    study, vocabulary = page.study, page.vocabulary
    sides = sides_of(fork)
    dots = [Dots(s.margin, _side(fork, s), len(s.runs)) for s in sides if s.margin is not None]
    first, second = (token_text(vocabulary, token) for token in fork.tokens[:2])
    grid = grid_text(fork, "" if "dtype" in study.varied else study.dtype)
    sentences = [spread_text(fork, vocabulary), *([grid] if grid else [])]
    return (
        f'<div class="card" id="{page.name}-{study.forks.index(fork)}">'
        f"<h4>step {fork.step} <span>{html_text(choices_text(fork, vocabulary))}</span>"
        f'<span class="pill {fork.verdict.kind}">{_verdict(fork)}</span></h4>\n'
        f'<p class="why">{html_text(verdict_text(fork))}</p>\n'
        f"{side_dots(dots, safe_text(first), safe_text(second)) if dots else ''}"
        f"<p>{'<br>'.join(map(html_text, sentences))}</p>\n{_readings(page, fork)}</div>\n"
    )


def _side(fork: Fork, sides: Sides) -> int:
    """Which side these runs took; where draws took several, the first."""
    taken = sides.taken[:1]
    return next((at for at, token in enumerate(fork.tokens[:2]) if taken == (token,)), 2)


def _readings(page: _Page, place: Place) -> str:
    """Logits, logprobs and margins, with the runs that read them."""
    shown, sides = columns_of(place, page.vocabulary), sides_of(place)
    words = {run.number: run.condition for run in page.study.runs}
    first, second = (f"<code>{html_text(token)}</code>" for token in shown.tokens)
    heads = ("runs", f"{first} logit", "logprob", f"{second} logit", "logprob", "margin", "took",
             "computed so")  # fmt: skip
    rows = []
    for cells, one in zip(shown.rows, sides, strict=True):
        several = len(one.runs) - 1
        such = words[one.runs[0]] + (f" · and {several} more" if several else "")
        title = "run " + ", ".join(map(str, one.runs))
        rows.append((*map(html_text, cells), f'<span title="{title}">{html_text(such)}</span>'))
    return _table(heads, rows, {0: "left", 6: "left", 7: "wrap"})


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], kinds: dict[int, str]) -> str:
    """A table of cells that are HTML already."""

    def cells(tag: str, row: Sequence[str]) -> str:
        classes = [f' class="{kinds[at]}"' if at in kinds else "" for at in range(len(row))]
        pairs = zip(classes, row, strict=True)
        return "".join(f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in pairs)

    body = "".join(f"<tr>{cells('td', row)}</tr>\n" for row in rows)
    return f'<div class="wide"><table><tr>{cells("th", heads)}</tr>\n{body}</table></div>\n'


def _close_calls(page: _Page, calls: CloseCalls) -> Iterator[str]:
    """What came closest to another text, with the reach of the noise."""
    yield "<h3>The closest calls <small>margins of the first two tokens, nats</small></h3>\n"
    yield f'<div class="card"><p class="why">{html_text(noise_text(calls))}</p>\n'
    lines = []
    for call in calls.calls:
        pair = " | ".join(token_text(page.vocabulary, token) for token in call.tokens)
        read = [Dots(abs(s.margin), 1, len(s.runs)) for s in sides_of(call) if s.margin is not None]
        lines.append((safe_text(f"{call.step}  {pair}"), read))
    band = SIGMAS * calls.sigma if calls.decisive and calls.sigma is not None else None
    yield call_dots(lines, band)
    head, *rows = call_rows(calls, page.vocabulary)
    marked = []
    for call, row in zip(calls.calls, rows, strict=True):
        cells = list(map(html_text, row))
        if cells[-1]:
            kind = " flip" if flips(calls, call) else ""
            cells[-1] = f'<span class="pill{kind}">{cells[-1]}</span>'
        marked.append(cells)
    yield _table(head, marked, {1: "left", 2: "left", 7: "left"})
    yield "</div>\n"
    for call in calls.calls:
        pair = " or ".join(token_text(page.vocabulary, token) for token in call.tokens)
        title = f"step {call.step}: {html_text(pair)}, as every run read it"
        yield f"<details><summary>{title}</summary>"
        yield f"{_readings(page, call)}</details>\n"


def _runs(study: Study) -> str:
    """Every run, folded: how it was computed and what came of it."""
    rows = [
        (str(run.number), html_text(run.condition), str(run.seed), str(len(run.ids)),
         html_text(run.ended), f"{run.seconds:.2f}")
        for run in study.runs
    ]  # fmt: skip
    heads = ("run", "computed so", "seed", "tokens", "ended", "seconds")
    table = _table(heads, rows, {1: "wrap", 4: "left"})
    title = f"{len(rows)} runs, and how each was computed"
    return f"<details><summary>{title}</summary>{table}</details>\n"
