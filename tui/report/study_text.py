"""All of a repeat experiment in lines to read: texts, forks with their readings, closest calls."""

from collections.abc import Iterator

from tokexplore.models.lab.conditions import Knob
from tokexplore.models.lab.forks import Summary, summarise
from tokexplore.models.lab.sides import untried
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.study import Study
from tokexplore.tui.report.readings_text import call_lines, readings_lines
from tokexplore.tui.report.repeat_text import (
    choices_text,
    condition_lines,
    control_line,
    fork_lines,
    headline,
    trie_lines,
)
from tokexplore.tui.report.step_text import spark


def study_lines(study: Study, vocabulary: Vocabulary) -> Iterator[str]:
    """What became of one run or more."""
    summary = summarise(study.runs)
    yield headline(summary)
    yield control_line(study)
    yield ""
    if study.served:
        yield from condition_lines(study)
        yield ""
    yield from trie_lines(study, vocabulary)
    yield ""
    yield from _curve_lines(summary)
    for number, fork in enumerate(study.forks):
        yield ""
        name = "fork" if number else "first fork"
        yield f"{name} at step {fork.step}: {choices_text(fork, vocabulary)}"
        yield from (f"  {line}" for line in fork_lines(study, fork, vocabulary))
        yield from (f"  {line}" for line in readings_lines(study, fork, vocabulary))
    if calls := study.close_calls:
        yield ""
        yield "closest calls, margins of the first two in nats as run 0 read them:"
        yield from (f"  {line}" for line in call_lines(calls, vocabulary))
        yield f"  not varied yet: {', '.join(_left(study)) or 'nothing is left'}"


LOADED_ANEW: tuple[Knob, ...] = ("dtype", "device")
"""What varies only where the model is loaded once more."""


def _left(study: Study) -> tuple[str, ...]:
    """What another call could vary."""
    anew = () if study.served else LOADED_ANEW
    loaded = (knob for knob in anew if knob not in study.varied)
    return *untried(study, [study]), *loaded


def _curve_lines(summary: Summary) -> Iterator[str]:
    yield f"unique beginnings of t tokens  {spark(summary.curve)}  1 to {summary.unique}"
    if summary.divergences:
        left = ", ".join(f"step {step}: {count}" for step, count in summary.divergences)
        yield f"runs that leave run 0 at       {left}"
    ended = ", ".join(f"{reason} {count}" for reason, count in summary.ended)
    yield f"ended                          {ended}; {summary.seconds:.2f} s a run"
