"""A tree that grows by probability: its figures, the texts that are watched, the likely texts."""

from collections.abc import Sequence

from tokexplore.models.display import counted, safe_text
from tokexplore.models.grow.growth import Growth
from tokexplore.models.grow.node import Leaf
from tokexplore.models.grow.watch import Watch
from tokexplore.models.tokens import Vocabulary
from tokexplore.tui.explore.growing import Growing
from tokexplore.tui.report.grow_text import exact, likely, text_of, why_over
from tokexplore.widgets.bars import bar
from tokexplore.widgets.cell_text import cut, width
from tokexplore.widgets.numbers import duration, percent
from tokexplore.widgets.role_lines import Piece, Role, Row

SHOWN = 300
"""Texts that are listed at most."""
_BAR = 10
"""Cells of a text's bar; the most probable one fills it."""
_WATCHED = 28
"""Cells of what is watched."""


def likely_texts(growth: Growth | None) -> list[Leaf]:
    """The most probable texts so far, those that are over and those that go on."""
    return likely(growth, SHOWN) if growth else []


def figures(growing: Growing, columns: int, most_watched: int) -> list[Row]:
    """The mass told apart, how far it is, and the watched texts: in so many rows at most the last
    of them, and how many there are before."""
    growth = growing.growth
    if growth is None:
        return [[Piece("…", "muted")]]
    rows: list[Row] = [_masses(growth), _mass_bar(growth, columns), *_progress(growing, growth)]
    watches = growth.watches
    if len(watches) > most_watched:
        hidden = len(watches) - (most_watched - 1)
        watches = watches[hidden:]
        rows.append([Piece(f"… {hidden} more before these", "muted")])
    return [*rows, *(_watched(watch, columns) for watch in watches), []]


def _masses(growth: Growth) -> Row:
    covered, left, cut_off = growth.covered, growth.open, growth.cut
    return [
        Piece("covered ", "muted"), Piece(exact(covered), "bold"),
        Piece(" · open ", "muted"), Piece(exact(left), "bold"),
        Piece(" · cut by the budget ", "muted"), Piece(exact(cut_off), "bold"),
        Piece(f" · together {covered + left + cut_off:.6f}", "muted"),
    ]  # fmt: skip


def _mass_bar(growth: Growth, columns: int) -> Row:
    """Covered, cut and open mass side by side over all columns."""
    covered = round(columns * growth.covered)
    cut_off = round(columns * (growth.covered + growth.cut)) - covered
    left = max(0, columns - covered - cut_off)
    return [Piece("█" * covered, "bar"), Piece("▒" * cut_off, "close"), Piece("░" * left, "rule")]


def _progress(growing: Growing, growth: Growth) -> list[Row]:
    """Whether it grows and within what; how far it is."""
    state: Piece
    if growing.running:
        state = Piece("▶ grows", "sampler")
    elif growing.is_over:
        state = Piece("■ " + why_over(growth, late=growing.is_late), "bold")
    else:
        state = Piece("‖ stopped", "bold")
    within = f" · {growing.budget.words()} · by the {growing.by}'s probability"
    words = [counted(len(growth.nodes), "node"), f"largest open {percent(growth.largest)}"]
    if rate := growing.rate:
        words.append(f"{rate:.0f} tok/s")
    if (left := growing.seconds_left) is not None and growing.running:
        words.append(f"{duration(left)} left")
    return [[state, Piece(within, "muted")], [Piece(" · ".join(words), "muted")]]


def _watched(watch: Watch, columns: int) -> Row:
    low, high = watch.bounds
    name = cut(safe_text(watch.words), max(8, columns // 5))
    told = [
        Piece(" at least "), Piece(exact(low), "bold"),
        Piece(" and at most "), Piece(exact(high), "bold"),
        Piece(f", {exact(1 - (high - low))} seen", "muted"),
    ]  # fmt: skip
    room = min(40, columns - width(name) - 1 - sum(len(piece.text) for piece in told))
    if room < 4:
        return [Piece(name, "bold"), *told]
    start, end = round(room * low), round(room * high)
    bars = [
        Piece("█" * start, "bar"), Piece("▒" * (end - start), "close"),
        Piece("·" * (room - end), "rule"),
    ]  # fmt: skip
    return [Piece(f"{name} ", "bold"), *bars, *told]


def text_rows(leaves: Sequence[Leaf], vocabulary: Vocabulary, columns: int) -> list[Row]:
    """A row for each text: its probability, as a bar too, how it stands, and what it says."""
    most = leaves[0].mass if leaves else 1.0
    return [_text_row(leaf, vocabulary, columns, leaf.mass / most) for leaf in leaves]


def _text_row(leaf: Leaf, vocabulary: Vocabulary, columns: int, share: float) -> Row:
    roles: dict[str, Role] = {"open": "sampler", "cut": "close"}
    head = f"{percent(leaf.mass):>7} "
    fate = f" {leaf.fate:<11} "
    shown = text_of(leaf, vocabulary)
    room = max(8, columns - len(head) - _BAR - len(fate))
    return [
        Piece(head), Piece(bar(share, _BAR), "bar"), Piece(fate, roles.get(leaf.fate, "bold")),
        Piece(cut(shown, room)),
    ]  # fmt: skip
