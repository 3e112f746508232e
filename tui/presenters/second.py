"""What is said of a second model that reads along."""

from itertools import takewhile

from tokexplore.models.diff.steps import Step
from tokexplore.models.display import counted
from tokexplore.models.tree.spanned import Placed, span_over, spans_along
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.presenters.path import PathView
from tokexplore.widgets.numbers import count, percent, unit_of
from tokexplore.widgets.title_rule import Part


def compared_on_path(explorer: Explorer) -> list[Step]:
    """What was compared of the path in view, in its order."""
    compared = explorer.tree.compared
    return [compared[node] for node in explorer.nodes if node in compared]


def spans_on_path(explorer: Explorer) -> list[Placed]:
    """The same of a second model with tokens of its own."""
    return spans_along(explorer.tree.spans, explorer.nodes)


def second_parts(controller: Controller, view: PathView, *, bits: bool) -> list[Part]:
    """Which one it is, how far it is, and what both come to on the path in view."""
    second, explorer = controller.second, controller.explorer
    name = second.name
    if second.state == "loading":
        progress = second.progress
        done = f" {progress.done / progress.total:.0%}" if progress and progress.total else ""
        asked = second.load.model if second.load else ""
        return [Part(f"second model {asked}: loading{done}", "here")]
    if not name:
        return []
    lost = {"lost": ", gone", "absent": ", not loaded"}.get(second.state, "")
    if second.has_other_tokens:
        costs = _span_parts(controller, view)
        return [Part(f"against {name}{lost}", "text"), *costs, Part("other tokens")]
    leads = ", which chooses" if second.leads else ""
    parts = [Part(f"against {name}{lost}{leads}", "here" if leads else "text")]
    told = view.comparisons.summary()
    if not told.steps:
        return parts
    behind = len(explorer.nodes) - 1 - told.steps
    if behind > 0 and second.is_there:
        parts.append(Part(f"read {count(told.steps)} of {count(told.steps + behind)}"))
    if told.kl is not None:
        unit, nats = unit_of(bits=bits)
        parts.append(Part(f"mean KL {told.kl / nats:.3g} {unit}"))
    agree = f"{percent(1 - told.parted / told.steps)} same first choice"
    return [*parts, Part(agree), *[Part("> shows the others")] * bool(told.parted)]


def _span_parts(controller: Controller, view: PathView) -> list[Part]:
    """How far one with tokens of its own is, and what the text costs both."""
    explorer, placed, totals = controller.explorer, view.placed, view.totals
    if not placed:
        return []
    nodes, token = explorer.nodes, explorer.tree.token
    is_mark = lambda node: token[node] in explorer.vocabulary.special  # noqa: E731
    begin = min(placed[0].start, sum(1 for _ in takewhile(is_mark, nodes)))
    end = len(nodes) - sum(1 for _ in takewhile(is_mark, reversed(nodes)))
    one, other = totals.bits_per_byte
    parts = [Part(f"bits per byte {one:.2f} / {other:.2f}")]
    reached = placed[-1].stop
    if reached < end and controller.second.is_there:
        parts.append(Part(f"read {count(reached - begin)} of {counted(end - begin, 'token')}"))
    if left := reached - begin - totals.tokens[0]:
        parts.append(Part(f"{counted(left, 'token')} left out"))
    unlike = any(each.span.delta for each in placed)
    return [*parts, Part("> next of the spans")] if unlike else parts


def step_parts(explorer: Explorer, *, bits: bool) -> list[str]:
    """What two models say of the cursor's step, beside its other figures."""
    unit, per = unit_of(bits=bits)
    placed = span_over(explorer.tree.spans, explorer.nodes, explorer.cursor)
    if placed is not None:
        one, other = placed.span.first, placed.span.second
        lengths = f"{len(one.ids)} / {counted(len(other.ids), 'token')}"
        costs = " / ".join(f"{(0.0 - (side.logprob or 0.0)) / per:.2f}" for side in (one, other))
        return [f"span of {lengths}: {costs} {unit}"]
    step = None if explorer.taken is None else explorer.tree.compared.get(explorer.taken)
    if step is None:
        return []
    parts = [] if step.kl is None else [f"KL {step.kl / per:.3g}"]
    if step.acceptance is not None:
        parts.append(f"accepts {percent(step.acceptance)}")
    return parts
