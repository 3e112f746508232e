"""What the line mode says of a step, of the branches and of how they differ."""

import math
from collections.abc import Collection, Iterable

from tokexplore.models.display import safe_text, visible
from tokexplore.models.distribution import Distribution
from tokexplore.models.tree.visibility import is_out_of_sight
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.presenters.branches import BranchRows
from tokexplore.tui.presenters.candidates import Share, View, share_of
from tokexplore.tui.presenters.compare import chosen, compare
from tokexplore.tui.presenters.status import kept, of_listed
from tokexplore.tui.report.step_text import (
    LONGEST_TOKEN,
    SHOWN_BEFORE,
    entropy_words,
    margin_words,
    number,
    percent,
)
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.widgets.numbers import mass_text

_HEADER = ("row", "rank", "token", "id", "logprob", "model", "sampler", "")
_SIDES = "><" + "<>>>><"


def place(explorer: Explorer) -> str:
    """Where the cursor stands, in one line."""
    node = explorer.taken
    if not explorer.nodes:
        return "no prompt yet"
    number = explorer.number(explorer.cursor)
    step = f"step {number}" if number else "a token of the prompt"
    if node is None:
        step += ", the open end"
    elif number:
        step += f" of {explorer.step(len(explorer.nodes) - 1)}"
    words = explorer.path.words(max(0, explorer.cursor - SHOWN_BEFORE), explorer.cursor)
    branch = explorer.branch
    number_of = f"branch {branch.number}{of_listed(explorer, branch)}, " if branch else ""
    after = visible(words.encode("utf-8", "surrogatepass"))
    return f'{number_of}{step}, position {explorer.cursor}, after "{after}"'


def step_lines(
    explorer: Explorer, distribution: Distribution | None, view: View | None, count: int
) -> Iterable[str]:
    """The candidates of the cursor's step, numbered as `pick` takes them."""
    yield place(explorer)
    if distribution is None:
        yield "No distribution is known here: the first token follows nothing."
        return
    sampler = ""
    if view is not None and not view.settings.greedy:
        sampler = f", sampler {kept(view, distribution.vocabulary)}"
    yield (
        f"{entropy_words(distribution)}, margin {margin_words(distribution)}"
        f"{' nats' if math.isfinite(distribution.margin) else ''}{sampler}"
    )
    yield from aligned([_HEADER, *_rows(explorer, distribution, view, count)], _SIDES)
    shown = min(count, len(distribution))
    rest = distribution.vocabulary - shown
    if rest:
        mass = mass_text(distribution.tail_mass(shown))
        yield f"{rest:,} more hold {mass} of the model's probability"


def _rows(
    explorer: Explorer, distribution: Distribution, view: View | None, count: int
) -> Iterable[tuple[str, ...]]:
    tree, vocabulary, taken = explorer.tree, explorer.vocabulary, explorer.taken
    ids = distribution.id_view[:count]
    for index, token in enumerate(ids):
        logprob = distribution.logprob(index)
        share = share_of(view, index, token, distribution.logit_view[index])
        rank = f"{distribution.rank(index)}{'=' if distribution.tied(index) else ''}"
        notes = [*_branch_note(explorer, token), *([f"cut by {share.cut}"] if share.cut else [])]
        yield (
            str(index + 1), rank, cut(vocabulary.show(token), LONGEST_TOKEN), str(token),
            number(logprob), percent(logprob), _sampler(share), ", ".join(notes),
        )  # fmt: skip
    if taken is not None and tree.token[taken] not in ids and tree.is_scored(taken):
        token, logprob = tree.token[taken], tree.logprob[taken]
        drawn = tree.sampler_logprob[taken]
        yield (
            "", str(tree.rank[taken] or "?"),
            cut(vocabulary.show(token), LONGEST_TOKEN), str(token),
            number(logprob), percent(logprob), "" if math.isnan(drawn) else percent(drawn), "taken",
        )  # fmt: skip


def _sampler(share: Share) -> str:
    """The sampler's probability, or the bounds within which it lies."""
    if share.sampler is None:
        return "cut" if share.cut else ""
    low, high = (mass_text(s) for s in (share.sampler, share.sampler_high or share.sampler))
    return low if low == high else f"{low} to {high}"


def _branch_note(explorer: Explorer, token: int) -> list[str]:
    tree = explorer.tree
    child = tree.child(explorer.before, token)
    if child is None or is_out_of_sight(tree, child):
        return []
    return ["taken" if child == explorer.taken else f"branch {tree.branch_of[child]}"]


def branch_lines(explorer: Explorer, live: Collection[int]) -> Iterable[str]:
    """The tree as a list: a line for each branch, indented under the one that it leaves."""
    rows = BranchRows(explorer)
    rows.update(live)
    for row in rows:
        mean = "" if row.mean_logprob is None else f", {row.mean_logprob:.2f} nats a token"
        step = "" if row.fork_step is None else f" at step {row.fork_step}"
        if row.fork_position is not None:
            step = f" at position {row.fork_position}, in the prompt,"
        fork = f" leaves{step} with {row.token}" if row.token else ""
        state = [w for w, holds in (("in view", row.current), ("hidden", row.hidden)) if holds]
        name = f" {safe_text(row.name)}" if row.name else ""
        note = f" ({', '.join([*state, *([row.ended] if row.ended else [])])})"
        yield (
            f"{'  ' * row.depth}branch {row.number}{name}{fork}, {row.length} tokens{mean}"
            f"{note if note != ' ()' else ''}: {cut(safe_text(row.words), 48)}"
        )


def comparison_lines(explorer: Explorer, others: list[int]) -> Iterable[str]:
    """The texts of the branch in view and of others from where they part, one after the other."""
    here = [explorer.branch.number] if explorer.branch else []
    numbers = [*here, *(n for n in others if n not in here)] if others else chosen(explorer)
    if len(numbers) < 2:
        yield "There is no second branch yet: pick another candidate first."
        return
    found = compare(explorer, numbers, ())
    yield f"the same for {found.shared_tokens} tokens, then:"
    for column in found.columns:
        figures = "" if column.mean is None else f", {column.mean:.2f} nats a token"
        figures += "" if column.sum is None else f", {column.sum:.2f} in all"
        left_out = "".join(f", {what}" for what in column.left_out)
        yield f"branch {column.number}, {column.size}{figures}{left_out}:"
        yield "  " + safe_text("".join(c.text for c in column.cells).replace("\n", "⏎"))
    for places in found.meets:
        at = [
            f"token {place + 1} of branch {column.number}"
            for place, column in zip(places, found.columns, strict=True)
            if place is not None
        ]
        yield f"the same again from {' and '.join(at)}"
