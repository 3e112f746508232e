"""A tree that grew by probability, in words and tables."""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.display import NEWLINE, counted, safe_text
from tokexplore.models.grow.growth import Growth
from tokexplore.models.grow.node import Leaf
from tokexplore.models.grow.watch import Watch
from tokexplore.models.tokens import Vocabulary
from tokexplore.widgets.bars import bar
from tokexplore.widgets.numbers import percent

BAR = 12
"""Cells of a text's bar; the most probable one fills it."""


class Grown(NamedTuple):
    """A tree, and how it came about."""

    growth: Growth
    info: ModelInfo
    seconds: float
    """For which it grew."""
    late: bool
    """Whether the time was over."""
    stopped: bool
    """Whether it was interrupted."""

    @property
    def why(self) -> str:
        """Why it grows no more."""
        return "stopped" if self.stopped else why_over(self.growth, late=self.late)


def exact(share: float) -> str:
    """A mass with two decimals of a percent."""
    return f"{100 * max(0.0, share):.2f}%"


def why_over(growth: Growth, *, late: bool) -> str:
    """Why nothing grows any more.

    Args:
        late: whether the time is over.
    """
    if late:
        return "the time is over"
    if not growth.tokens_left():
        return "the tokens are used up"
    if growth.open > 1e-9:
        return "what is still open is not listed by this engine"
    return "what is left is cut by the budget" if growth.cut > 1e-9 else "all is seen"


def whose(growth: Growth) -> str:
    """Whose probability it grew by."""
    if growth.by == "model":
        return "the model's own probability"
    return f"the sampler's probability ({growth.request.settings.short(with_seed=False)})"


def likely(growth: Growth, count: int) -> list[Leaf]:
    """The most probable texts, those that are over and those that go on."""
    return list(islice(growth.leaves(), count))


def text_of(leaf: Leaf, vocabulary: Vocabulary) -> str:
    """What a text says, on one line; its last token's name where it says nothing."""
    text = vocabulary.text(leaf.tokens())
    return safe_text(text.replace("\n", NEWLINE)) or vocabulary.show(leaf.token)


def facts(grown: Grown) -> Iterator[str]:
    """What grew, by what, how far, and how the mass is told apart."""
    growth = grown.growth
    yield f"A tree by {whose(growth)}, within {growth.budget.words()}: {grown.why}"
    rate = f", {len(growth.nodes) / grown.seconds:.0f} tok/s" if grown.seconds else ""
    yield (
        f"{counted(len(growth.nodes), 'node')} in {grown.seconds:.1f} s{rate}; the largest open "
        f"path has {percent(growth.largest)}"
    )
    yield (
        f"covered {exact(growth.covered)} (texts that are over) + open {exact(growth.open)} + cut "
        f"by the budget {exact(growth.cut)} = {growth.covered + growth.open + growth.cut:.6f}"
    )


def watch_line(watch: Watch) -> str:
    """A text's probability as bounds: `with 93.10% of the mass seen, ...`."""
    low, high = watch.bounds
    return (
        f"with {exact(1 - (high - low))} of the mass seen, the text holds {safe_text(watch.words)} "
        f"in at least {exact(low)} and at most {exact(high)}"
    )


def report(grown: Grown, top: int) -> Iterator[str]:
    """Facts, bounds, and the most probable texts."""
    growth = grown.growth
    yield from facts(grown)
    if growth.watches:
        yield ""
        yield from map(watch_line, growth.watches)
    if leaves := likely(growth, top):
        yield ""
        yield "The most probable texts:"
        for leaf in leaves:
            share = bar(leaf.mass / leaves[0].mass, BAR)
            text = text_of(leaf, growth.vocabulary)
            yield f"{percent(leaf.mass):>7}  {share}  {leaf.fate:<11}  {text}"
