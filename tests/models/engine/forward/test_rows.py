"""What a mask leaves of each of several rows."""

import pytest
import torch

from tokexplore.models.engine.forward.growing_layer import Block, Buffer, Segment
from tokexplore.models.engine.forward.rows import Plan, masked
from tokexplore.models.engine.forward.shared_parts import Part

INF = float("inf")


def rows(*lengths: int) -> list[tuple[Segment, ...]]:
    """Each with memory of its own."""
    states = torch.zeros(1, 1, 1, 1)
    return [(Segment(Buffer(Block(1, 8, states, states), 0, 1, n), n),) for n in lengths]


@pytest.mark.parametrize("kind", ["bool", "added"])
def test_masks_are_read_by_the_rows_own_positions(kind: str) -> None:
    # Rows of 6 and 4 positions, both with a window of 3.
    open_to = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]).bool()[:, None, None]
    mask = open_to if kind == "bool" else torch.where(open_to, 0.0, -INF)
    first, free, bias = masked(mask, [0, 2])
    assert (first, free) == (1, 3)
    assert bias.tolist() == [[-INF, -INF], [0, 0]]


def test_a_mask_that_leaves_everything_adds_nothing() -> None:
    mask = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]]).bool()[:, None, None]
    first, free, _ = masked(mask, [0, 2])
    assert (first, free) == (0, 0)


def test_a_mask_of_each_head_is_refused() -> None:
    with pytest.raises(ValueError, match="mask of shape"):
        masked(torch.zeros(2, 4, 1, 6), [0, 0])


def test_what_a_mask_takes_part_in_is_read_apart_from_the_rest() -> None:
    mask = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]).bool()[:, None, None]
    held = rows(6, 4)
    pieces = Plan([0, 2]).pieces(held, mask)
    assert [(piece.part[:4], piece.level) for piece in pieces] == [
        ((0, 1, 1, 3), 0), ((1, 2, 1, 3), 0), ((0, 1, 3, 6), 1), ((1, 2, 3, 4), 1),
    ]  # fmt: skip
    assert [piece.bias is None for piece in pieces] == [False, False, True, True]


def test_a_plan_is_made_anew_for_a_layer_that_holds_otherwise() -> None:
    plan, apart = Plan([0, 2]), rows(4, 6)
    memory = apart[1][0].buffer
    shared = [(Segment(memory, 4),), (Segment(memory, 6),)]
    whole = [Part(0, 2, 0, 4, 0, 0), Part(1, 2, 4, 6, 0, 4)]
    alone = [Part(0, 1, 0, 4, 0, 0), Part(1, 2, 0, 6, 0, 0)]
    for held, expected in [(shared, whole), (apart, alone), (shared, alone)]:
        assert [piece.part for piece in plan.pieces(held, None)] == expected
    longer = [(Segment(memory, 5),), (Segment(memory, 6),)]
    assert plan.pieces(longer, None)[0].part == Part(0, 2, 0, 5, 0, 0)
