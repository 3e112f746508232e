"""The lab's screen in content: figures, the trie with its cursor, and what is told of a line."""

from collections.abc import Sequence

from textual.content import Content

from tokexplore.models.display import safe_text
from tokexplore.models.lab.forks import Summary
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.study import Fork, Study
from tokexplore.tui.report.repeat_text import (
    TrieRow,
    choices_text,
    control_line,
    fork_lines,
    headline,
    mark_of,
)
from tokexplore.tui.report.step_text import spark
from tokexplore.widgets.cell_text import cut
from tokexplore.widgets.title_rule import Part


def figures(study: Study, summary: Summary, progress: tuple[int, int, float] | None) -> Content:
    """How many texts there are, the control or how far it is, and the curve: three lines.

    Args:
        progress: runs done, all runs and seconds left, while they are made.
    """
    if progress is not None:
        done, total, left = progress
        second = f"run {done + 1} of {total} · about {left:.0f} s left · space stops"
    elif len(study.runs) < study.planned:
        second = f"stopped after {len(study.runs)} of {study.planned} runs"
        second += f" · {control_line(study.controls)}" if study.controls else ""
    else:
        second = control_line(study.controls)
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
        return title, Content("\n").join(map(_plain, _run_lines(study, row)))
    title, fork = [Part(f"fork at step {row.step}", "here")], _fork_of(study, row)
    if fork is None:
        when = (
            "are told once all runs are done" if running else "were not computed: r runs it again"
        )
        return title, Content(f"its logits {when}")
    title.append(Part(choices_text(fork, vocabulary), "text"))
    verdict, *rest = fork_lines(study, fork, vocabulary)
    lines = [Content.styled(safe_text(verdict), "bold"), *map(_plain, rest)]
    return title, Content("\n").join(lines)


def _fork_of(study: Study, row: TrieRow) -> Fork | None:
    """The fork that a line ends in, where it is known."""
    if row.step is None:
        return None
    by = {run.number: run.ids for run in study.runs}
    before = by[row.segment.runs[0]][: row.step - 1]
    return next((fork for fork in study.forks if fork.before == before), None)


def _run_lines(study: Study, row: TrieRow) -> list[str]:
    """The runs of a text and how each was computed."""
    by = {run.number: run for run in study.runs}
    runs = [by[number] for number in row.segment.runs]
    return [
        f"run {run.number:>3}  {run.condition} · {len(run.ids)} tokens"
        f"{f' in {run.seconds:.2f} s' if run.seconds else ''} · {run.ended}"
        for run in runs
    ]


def _plain(text: str) -> Content:
    return Content(safe_text(text))
