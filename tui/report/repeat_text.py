"""A repeat experiment in words and lines: for the command's report and the lab's screen."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tokexplore.models.api.traffic import Load
from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.models.lab.forks import Segment, Summary, summarise, trie
from tokexplore.models.lab.repeat import TOP
from tokexplore.models.numerics import LOW_PRECISION
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.study import Checked, Fork, StudiedRun, Study
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.widgets.numbers import percent

WORDS = 64
"""Cells of text that a line of the trie shows."""
CONDITIONS = ("condition", "runs", "texts", "as run 0", "first fork", "s a run", "at most")
_READINGS = 8
"""Different readings that a fork's table shows."""


class TrieRow(NamedTuple):
    """A line of the prefix trie."""

    segment: Segment
    lead: str
    """The branches of the tree before it."""
    text: str
    step: int | None
    """Number of the step at which its runs part; None where they end."""
    first: bool
    """It ends in the first fork of all."""


def trie_rows(study: Study, vocabulary: Vocabulary, words: int = WORDS) -> list[TrieRow]:
    """The prefix trie of all runs, from the top; the study has one run at least.

    Args:
        words: characters of text that a line may have.
    """
    first = study.forks[0].step if study.forks else 0
    return list(_rows(vocabulary, trie(study.runs), "", "", (first, words)))


def _rows(
    vocabulary: Vocabulary, segment: Segment, lead: str, below: str, layout: tuple[int, int]
) -> Iterator[TrieRow]:
    """A part of the trie and all below it; `layout` is the step of the first fork, and the room."""
    first, words = layout
    end = segment.start + len(segment.ids)
    step = end + 1 if len(segment.children) > 1 else None
    yield TrieRow(segment, lead, one_line(vocabulary, segment.ids, words), step, step == first)
    for child in segment.children:
        last = child is segment.children[-1]
        branch, through = ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield from _rows(vocabulary, child, below + branch, below + through, layout)


def trie_lines(study: Study, vocabulary: Vocabulary) -> Iterator[str]:
    """The prefix trie of all runs with their counts; the first fork is marked."""
    for row in trie_rows(study, vocabulary):
        yield f"{row.lead}×{len(row.segment.runs)} {row.text}{mark_of(row)}"


def mark_of(row: TrieRow) -> str:
    """Where the runs of a line part, after its text."""
    if row.step is None:
        return ""
    return f"  step {row.step}{' ◀ first fork' if row.first else ''}"


def headline(summary: Summary) -> str:
    """How many different texts there are, in a sentence."""
    if summary.unique == 1:
        return f"1 unique of {summary.runs}: every run said the same."
    counts = ", ".join(f"×{len(text.runs)}" for text in summary.texts[:8])
    more = ", ..." if len(summary.texts) > 8 else ""
    return (
        f"{summary.unique} unique of {summary.runs} ({counts}{more}); the first fork is at step "
        f"{summary.first_fork}; two texts share {percent(summary.shared)} on average."
    )


def control_line(study: Study) -> str:
    """What the positive control says."""
    controls = study.controls
    if not controls:
        return "control: not run."
    if study.served:
        return _asked_again(controls)
    bad = [control for control in controls if not control.same_logits]
    names = " and ".join(f"run {control.number}" for control in bad or controls)
    if not bad:
        return f"control: the identical batch of {names} again gave the same logits, bit for bit."
    same = all(control.same_tokens for control in bad)
    return (
        f"control FAILED: the identical batch of {names} again gave other logits"
        f"{' (the same tokens)' if same else ' and other tokens'}: this device is not "
        "deterministic even for the same shapes."
    )


def _asked_again(controls: Sequence[Checked]) -> str:
    """The same of a server, which may compute with other shapes though it is asked the same."""
    other = [control for control in controls if not control.same_logits]
    names = " and ".join(f"run {control.number}" for control in other or controls)
    again = f"control: {names} asked again under the same condition gave"
    if not other:
        return f"{again} the same logprobs, to the last digit that is sent."
    same = all(control.same_tokens for control in other)
    return f"{again} other logprobs{' (the same tokens)' if same else ' and other tokens'}."


def condition_rows(study: Study) -> list[tuple[str, ...]]:
    """How the runs of each condition of a server came out, with a head."""
    by: dict[str, list[StudiedRun]] = {}
    for run in study.runs:
        by.setdefault(run.condition, []).append(run)
    first = study.runs[0].ids
    rows: list[tuple[str, ...]] = [CONDITIONS]
    for condition, runs in by.items():
        summary = summarise(runs)
        fork = "–" if summary.first_fork is None else f"step {summary.first_fork}"
        alike = sum(run.ids == first for run in runs)
        rows.append(
            (condition, str(len(runs)), str(summary.unique), str(alike), fork,
             f"{summary.seconds:.2f}", _most(runs))
        )  # fmt: skip
    return rows


def _most(runs: Sequence[StudiedRun]) -> str:
    """The most that the server had to do in some runs, as it said itself."""
    loads = [run.load for run in runs if run.load]
    most = [
        max((v for load in loads if (v := getattr(load, name)) is not None), default=None)
        for name in ("running", "waiting", "cache")
    ]
    return Load(*most).words()


def condition_lines(study: Study) -> Iterator[str]:
    """The same, in lines."""
    yield from aligned(condition_rows(study), "<>>>>><")


def fork_lines(study: Study, fork: Fork, vocabulary: Vocabulary) -> Iterator[str]:
    """A fork: who took what, both logits as each condition read them, and why."""
    shown = [vocabulary.show(token) for token in fork.tokens]
    yield verdict_text(fork)
    yield gap_text(fork, "" if "dtype" in study.varied else study.dtype)
    rows = [("runs", *shown, "first − second", "took", "such as")]
    words = {run.number: run.condition for run in study.runs}
    for reading in fork.readings[:_READINGS]:
        a, b = reading.logits[:2]
        rows.append(
            (
                f"×{len(reading.runs)}",
                *(logit_text(logit) for logit in reading.logits),
                "" if a is None or b is None else f"{a - b:+.4g}",
                ", ".join(vocabulary.show(token) for token in reading.taken),
                cut(words[reading.runs[0]], WORDS),
            )
        )
    yield from aligned(rows, "<" + ">" * (len(shown) + 1) + "<<")
    if len(fork.readings) > _READINGS:
        yield f"{len(fork.readings) - _READINGS} more readings"


def choices_text(fork: Fork, vocabulary: Vocabulary) -> str:
    """Which tokens were taken, and how often."""
    return " · ".join(f"“{vocabulary.show(token)}” ×{len(runs)}" for token, runs in fork.choices)


def verdict_text(fork: Fork) -> str:
    """Why runs part there, in a sentence."""
    verdict = fork.verdict
    if verdict.kind == "untold":
        return "verdict: not told; the server draws by itself, and the runs' seeds differ"
    if verdict.kind == "sampler":
        return f"verdict: sampler draw (P = {percent(verdict.probability or 0.0)})"
    chance = ""
    if verdict.probability is not None:
        chance = f"; no draw explains it (P = {verdict.probability:.3g})"
    if not verdict.explained:
        return (
            f"verdict: arithmetic, but the noise of these raw logits is below their margin{chance}"
        )
    if fork.margin is None or fork.noise is None:
        return f"verdict: arithmetic{chance}"
    if fork.noise < fork.margin:
        return f"verdict: arithmetic (noise {fork.noise:.4g} moves where the draw falls){chance}"
    return f"verdict: arithmetic (noise {fork.noise:.4g} ≥ margin {fork.margin:.4g} nats){chance}"


def gap_text(fork: Fork, dtype: str) -> str:
    """Margin and noise, and how they stand to the dtype's grid; an empty dtype has none."""
    if fork.margin is None:
        return f"margin not known: the two are not both among the {TOP} candidates that are kept"
    parts = f"margin {fork.margin:.4g} nats, noise {fork.noise:.4g}", grid_text(fork, dtype)
    return "; ".join(filter(None, parts))


def grid_text(fork: Fork, dtype: str) -> str:
    """How the margin stands to the dtype's grid; empty where it has none."""
    if fork.margin is None or not fork.grid or dtype not in LOW_PRECISION:
        return ""
    steps = fork.margin / fork.grid
    text = f"{dtype} has steps of {fork.grid:g} there: the margin is {steps:.3g} of them"
    return text if steps else f"{text}, an exact tie, which goes to the lower id"


def logit_text(logit: float | None) -> str:
    return "" if logit is None else f"{logit:.6g}"


def one_line(vocabulary: Vocabulary, ids: Sequence[int], words: int = WORDS) -> str:
    """A text on one line, cut in the middle where it is longer than so many characters."""
    text = safe_text(vocabulary.text(ids).replace("\n", NEWLINE))
    if len(text) <= words:
        return text
    half = words // 2 - 2
    return f"{text[:half]} … {text[-half:]}"
