"""What is said of a second model that reads along."""

from tokexplore.models.diff.steps import Step, totals
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.widgets.numbers import count, percent
from tokexplore.widgets.title_rule import Part


def compared_on_path(explorer: Explorer) -> list[Step]:
    """What was compared of the path in view, in its order."""
    compared = explorer.tree.compared
    return [compared[node] for node in explorer.nodes if node in compared]


def second_parts(controller: Controller) -> list[Part]:
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
    leads = ", which chooses" if second.leads else ""
    parts = [Part(f"against {name}{lost}{leads}", "here" if leads else "text")]
    steps = compared_on_path(explorer)
    if not steps:
        return parts
    behind = len(explorer.nodes) - 1 - len(steps)
    if behind > 0 and second.is_there:
        parts.append(Part(f"read {count(len(steps))} of {count(len(steps) + behind)}"))
    told = totals(steps)
    if told.kl is not None:
        parts.append(Part(f"mean KL {told.kl:.3g} nats"))
    agree = f"{percent(told.agreement)} same first choice"
    return (
        [*parts, Part(agree), Part("> shows the others")] if told.parted else [*parts, Part(agree)]
    )


def step_parts(explorer: Explorer) -> list[str]:
    """What two models say of the cursor's step, beside its other figures."""
    step = None if explorer.taken is None else explorer.tree.compared.get(explorer.taken)
    if step is None:
        return []
    parts = [] if step.kl is None else [f"KL {step.kl:.3g}"]
    if step.acceptance is not None:
        parts.append(f"accepts {percent(step.acceptance)}")
    return parts
