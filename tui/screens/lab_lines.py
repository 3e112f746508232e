"""The lab's screens in content: figures, the trie with its cursor, what is told of a line."""

from collections.abc import Iterable, Sequence

from textual.content import Content

from tokexplore.models.display import safe_text
from tokexplore.models.lab.forks import Summary
from tokexplore.models.lab.sides import Place
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.study import Fork, Study
from tokexplore.tui.report.readings_text import (
    COULD_FLIP,
    call_rows,
    columns_of,
    elsewhere_text,
    flips,
    next_knobs,
    noise_text,
    spread_text,
    token_text,
    tried_text,
)
from tokexplore.tui.report.repeat_text import (
    TrieRow,
    choices_text,
    condition_lines,
    control_line,
    fork_lines,
    grid_text,
    headline,
    mark_of,
    verdict_text,
)
from tokexplore.tui.report.step_text import spark
from tokexplore.tui.report.tables import aligned
from tokexplore.widgets.cell_text import cut
from tokexplore.widgets.char_width import width
from tokexplore.widgets.numbers import duration
from tokexplore.widgets.title_rule import Part


def figures(study: Study, summary: Summary, progress: tuple[int, int, float] | None) -> Content:
    """How many texts there are, the control or how far it is, and the curve: three lines.

    Args:
        progress: runs done, all runs and seconds left, while they are made.
    """
    if progress is not None:
        done, total, left = progress
        now = f"run {len(study.runs) + 1} of {study.planned}"
        if len(study.runs) >= study.planned:
            now = f"control {done - study.planned + 1} of {total - study.planned}"
        second = f"{now} · about {duration(left)} left · space stops"
    elif len(study.runs) < study.planned:
        second = f"stopped after {len(study.runs)} of {study.planned} runs"
        second += f" · {control_line(study)}" if study.controls else ""
    else:
        second = control_line(study)
    curve = Content.assemble(
        ("different beginnings of t tokens ", "$text-muted"),
        (spark(summary.curve), "$model-bar"),
        (f" 1 to {summary.unique}", "$text-muted"),
    )
    first = Content(safe_text(headline(summary)))
    return Content("\n").join([first, Content.styled(second, "$text-muted"), curve])


def trie(rows: Sequence[TrieRow], cursor: int, columns: int) -> Content:
    """A line for each part of the trie."""
    lines = []
    for index, row in enumerate(rows):
        here = index == cursor
        count, mark = f"×{len(row.segment.runs)} ", mark_of(row)
        room = columns - len(row.lead) - len(count) - len(mark) - 2
        lines.append(
            Content.assemble(
                ("› " if here else "  ", "bold $here"),
                (row.lead, "$rule"),
                (count, "bold $here" if here else "bold"),
                (cut(row.text, max(4, room)), "bold" if here else ""),
                (mark, "bold $here" if row.first else "$text-muted"),
            )
        )
    return Content("\n").join(lines)


def detail(
    study: Study, row: TrieRow, vocabulary: Vocabulary, *, running: bool
) -> tuple[list[Part], Content]:
    """The title and the content of what is told of a line: its fork, or its runs.

    Args:
        running: whether runs are being made.
    """
    if row.step is None:
        count = len(row.segment.runs)
        title = [Part(f"a text of {count} run{'s' if count > 1 else ''}", "here")]
        told = condition_lines(study) if study.served else runs_of(study, row.segment.runs)
        return title, Content("\n").join(map(_plain, told))
    title, fork = [Part(f"fork at step {row.step}", "here")], fork_of(study, row)
    if fork is None:
        when = (
            "are told once all runs are done" if running else "were not computed: r runs it again"
        )
        return title, Content(f"its logits {when}")
    title.append(Part(choices_text(fork, vocabulary), "text"))
    verdict, *rest = fork_lines(study, fork, vocabulary)
    lines = [Content.styled(safe_text(verdict), "bold"), *map(_plain, rest)]
    return title, Content("\n").join(lines)


def fork_of(study: Study, row: TrieRow) -> Fork | None:
    """The fork that a line ends in, where it is known."""
    if row.step is None:
        return None
    by = {run.number: run.ids for run in study.runs}
    before = by[row.segment.runs[0]][: row.step - 1]
    return next((fork for fork in study.forks if fork.before == before), None)


def one_text(
    study: Study, others: Sequence[Study], vocabulary: Vocabulary, model: str, columns: int
) -> tuple[list[Part], Content]:
    """What is told where all runs gave one text: the closest calls, the noise, what to vary next.

    Args:
        others: the experiments on this request.
        model: the one in view, as the command line names it.
        columns: cells that a line may have.
    """
    calls = study.close_calls
    assert calls
    head, *rows = aligned(call_rows(calls, vocabulary), "><<>>>><")
    lines = [Content.styled(head, "$text-muted")]
    for call, line in zip(calls.calls, rows, strict=True):
        lines.append(Content.styled(safe_text(line), "bold $close" if flips(calls, call) else ""))
    lines += [Content.styled(noise_text(calls), "bold"), Content("")]
    lines.append(_muted(f"so far     {tried_text(study, others)}"))
    keys = [f"{number} {knob}" for number, knob in enumerate(next_knobs(study, others), 1)]
    if not study.offered:
        lines.append(_muted("what this model could vary was not kept: r runs it again"))
    else:
        every = "nothing is left: e makes longer runs, another prompt has other margins"
        head = "vary next  "
        for row in in_rows(keys or [every], columns - len(head)):
            lines.append(Content.assemble((head, "$text-muted"), (row, "$here")))
            head = " " * len(head)
    if study.served:
        lines += [Content(""), *map(_plain, condition_lines(study))]
    else:
        lines.append(_muted(elsewhere_text(model)))
    title = [Part(f"one text of {len(study.runs)} runs", "here"), Part("its closest calls", "text")]
    return [*title, Part("margins in nats, as run 0 read them")], Content("\n").join(lines)


def in_rows(parts: Sequence[str], cells: int) -> list[str]:
    """Parts beside each other, as many in a row as have room."""
    rows = list[str]()
    for part in parts:
        if rows and width(rows[-1]) + 2 + width(part) <= cells:
            rows[-1] += f"  {part}"
        else:
            rows.append(part)
    return rows


def place_title(place: Place, vocabulary: Vocabulary) -> list[Part]:
    """Which step it is, and which tokens were taken there or were close."""
    if isinstance(place, Fork):
        words = choices_text(place, vocabulary)
        return [Part(f"fork at step {place.step}", "here"), Part(words, "text")]
    words = " or ".join(token_text(vocabulary, token) for token in place.tokens)
    return [Part(f"close call at step {place.step}", "here"), Part(words, "text")]


def place_lines(study: Study, place: Place, vocabulary: Vocabulary) -> Content:
    """Why runs part there, or whether they could, and how their margins lie."""
    if isinstance(place, Fork):
        first = verdict_text(place)
        last = grid_text(place, "" if "dtype" in study.varied else study.dtype)
    else:
        assert study.close_calls
        first = COULD_FLIP if flips(study.close_calls, place) else "the noise does not reach it"
        last = noise_text(study.close_calls)
    lines = [_plain(spread_text(place, vocabulary)), *([_plain(last)] if last else [])]
    return Content("\n").join([Content.styled(safe_text(first), "bold"), *lines])


def readings_table(place: Place, vocabulary: Vocabulary, cursor: int, columns: int) -> Content:
    """Two lines of heads and a line for each different reading; dots where there is room."""
    shown = columns_of(place, vocabulary)
    first, second = (cut(token, 10) for token in shown.tokens)
    rows = [("", first, "", second, "", "nats", ""), shown.heads, *shown.rows]
    lines = aligned([[*row[:-1], cut(row[-1], 10)] for row in rows], "<>>>>><")
    room = columns - max(map(width, lines)) - 5
    dots = columns_of(place, vocabulary, min(61, room)).dots if room > 8 else ()
    cells = ["", "│ is a tie" if any(dots) else "", *(dots or [""] * len(shown.rows))]
    content = []
    for index, (line, dot) in enumerate(zip(lines, cells, strict=True), -2):
        style = "$text-muted" if index < 0 else "bold" if index == cursor else ""
        padded = line + " " * (max(map(width, lines)) - width(line) + 3)
        mark = "› " if index == cursor else "  "
        content.append(
            Content.assemble(
                (mark, "bold $here"), (safe_text(padded), style), *_dotted(dot, index < 0)
            )
        )
    return Content("\n").join(content)


def _dotted(axis: str, head: bool) -> Iterable[tuple[str, str]]:
    """An axis with its dot in colour."""
    if head:
        return [(axis, "$text-muted")]
    before, dot, after = axis.partition("●")
    return [(before, "$rule"), (dot, "bold $here"), (after, "$rule")]


def runs_of(study: Study, numbers: Iterable[int]) -> list[str]:
    """Some runs and how each was computed."""
    by = {run.number: run for run in study.runs}
    runs = [by[number] for number in numbers]
    return [
        f"run {run.number:>3}  {run.condition} · {len(run.ids)} tokens"
        f"{f' in {run.seconds:.2f} s' if run.seconds else ''} · {run.ended}"
        for run in runs
    ]


def _muted(text: str) -> Content:
    return Content.styled(safe_text(text), "$text-muted")


def _plain(text: str) -> Content:
    return Content(safe_text(text))
