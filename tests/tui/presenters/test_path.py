"""The path as its widgets show it: redone only where it changed, and right all the same."""

import numpy as np
import pytest
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.presenters.path import PathView
from tokexplore.widgets.heat import COLOURINGS, Colouring


@pytest.fixture
def explorer() -> Explorer:
    """A path of a prompt and 40 generated tokens, all with their distributions."""
    engine, explorer = FakeEngine(), Explorer(SamplingSettings(), 0.5)
    explorer.vocabulary = engine.vocabulary
    leaf = ROOT
    for token in engine.encode("Once upon a time"):
        leaf = explorer.tree.take(leaf, token, "prompt")
    request = StreamRequest(tuple(explorer.tree.ids(leaf)), SamplingSettings(), 40, ignore_eos=True)
    for event in engine.stream(request, Control()):
        if isinstance(event, DrawnToken):
            explorer.tree.record_distribution(leaf, event.distribution)
            standing = event.standing
            leaf = explorer.tree.take(
                leaf, standing.token, "greedy", logprob=standing.logprob, rank=standing.rank
            )
    explorer.go_to(leaf)
    return explorer


def fresh(explorer: Explorer, colouring: Colouring) -> PathView:
    view = PathView(explorer, {})
    view.recolour(colouring)
    view.update()
    return view


def levels(view: PathView) -> list[int]:
    return [view.level(index) for index in range(len(view.cells))]


@pytest.mark.parametrize("colouring", COLOURINGS)
def test_recolouring_changes_levels_and_nothing_else(
    explorer: Explorer, colouring: Colouring
) -> None:
    view = fresh(explorer, "surprisal")
    view.recolour(colouring)
    assert view.update() == len(view.cells)
    expected = fresh(explorer, colouring)
    assert (view.cells, levels(view)) == (expected.cells, levels(expected))
    assert len(set(levels(view))) > 1


def test_recolouring_and_another_path_in_one_frame(explorer: Explorer) -> None:
    view = fresh(explorer, "surprisal")
    middle = explorer.nodes[20]
    explorer.go_to(explorer.tree.take(middle, 300, "picked"))
    view.recolour("entropy")
    assert view.update() == 20, "it is a fork now"
    expected = fresh(explorer, "entropy")
    assert (view.cells, levels(view)) == (expected.cells, levels(expected))
    assert np.array_equal(view.entropies, expected.entropies, equal_nan=True)
    assert view.close == expected.close
