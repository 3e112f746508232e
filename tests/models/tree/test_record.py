"""Events of an engine in the tree: what was said stands where it was said of."""

import pytest
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import (
    Control,
    DrawnToken,
    ScoredToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.events import Event, Opened, Scored
from tokexplore.models.tree.record import record
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.visibility import is_hidden

PROMPT = (0, 300, 310, 290)
HOT = SamplingSettings(temperature=1.2, seed=5)


@pytest.fixture
def tree() -> TokenTree:
    tree, leaf = TokenTree(), ROOT
    for token in PROMPT:
        leaf = tree.take(leaf, token, "prompt")
    return tree


def said(settings: SamplingSettings = HOT, *, draw: int = 0) -> list[StreamEvent]:
    request = StreamRequest(
        PROMPT, settings, 6, score_prompt=True, describe_end=True, ignore_eos=True, draw=draw
    )
    return list(FakeEngine().stream(request, Control()))


def put(tree: TokenTree, leaf: int, events: list[StreamEvent]) -> int:
    for event in events:
        leaf = record(tree, leaf, event)
    return leaf


def test_a_stream_becomes_a_path_with_all_that_was_said_of_it(tree: TokenTree) -> None:
    engine, events = FakeEngine(), said()
    leaf = put(tree, len(PROMPT), events)
    drawn = [event for event in events if isinstance(event, DrawnToken)]
    path = tree.path(leaf)
    assert tree.ids(leaf) == [*PROMPT, *(event.standing.token for event in drawn)]
    for node, event in zip(path[len(PROMPT) :], drawn, strict=True):
        assert (tree.logprob[node], tree.rank[node]) == (
            pytest.approx(event.standing.logprob),
            event.standing.rank,
        )
        assert tree.origin[node] == "sampled"
        assert tree.settings[tree.settings_of[node]] == HOT
        assert tree.sampler.get(node) == event.sampler
    for node in path:
        told = tree.distribution.get(node)
        assert told is not None
        assert told.logits == engine.describe(tree.ids(node)).logits
    assert all(tree.rank[node] for node in path[1:])
    assert tree.ended == {leaf: "length"}


def test_another_draw_is_a_branch_that_can_be_taken_back(tree: TokenTree) -> None:
    changes: list[Event] = []
    put(tree, len(PROMPT), said())
    tree.recorder = lambda event, act: changes.append(event) if act else None
    other = put(tree, len(PROMPT), said(draw=3))
    assert len(tree.branches) == 2
    assert changes == [Opened(tree.branch_of[other])]
    tree.history.undo()
    assert is_hidden(tree, tree.branch_of[other])


def test_scores_are_the_same_with_the_path_at_hand_and_only_the_first_counts(
    tree: TokenTree,
) -> None:
    scored: list[Event] = []
    tree.recorder = lambda event, _: scored.append(event) if isinstance(event, Scored) else None
    leaf = len(PROMPT)
    events = list(FakeEngine().score(PROMPT, 1, Control()))
    for path in (tree.path(leaf), []):
        for event in events:
            assert record(tree, leaf, event, path=path) == leaf
    standings = [event.standing for event in events if isinstance(event, ScoredToken)]
    assert scored == [
        Scored(node, standing.logprob, standing.rank)
        for node, standing in zip(tree.path(leaf)[1:], standings, strict=True)
    ]


def test_the_end_belongs_to_the_leaf(tree: TokenTree) -> None:
    assert record(tree, 2, StreamEnded(2, "interrupted")) == 2
    assert tree.ended == {2: "interrupted"}
