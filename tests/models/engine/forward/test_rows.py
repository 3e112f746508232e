"""Which rows read which memory together, and what a mask leaves of each."""

import pytest
import torch

from tokexplore.models.engine.forward.growing_layer import Buffer, Segment
from tokexplore.models.engine.forward.rows import Masks, Piece, _pieces

INF = float("inf")


def buffer() -> Buffer:
    return Buffer(torch.zeros(1, 1, 64, 1), torch.zeros(1, 1, 64, 1), 64)


def held(pieces: list[Piece]) -> list[tuple[int, int, int, int, Buffer, int]]:
    """First and last row, start and end, memory and offset of each."""
    return [(p.first, p.last, p.start, p.end, p.segment.buffer, p.offset) for p in pieces]


def test_each_part_of_a_tree_is_read_once_by_all_its_rows() -> None:
    trunk, edge, one, two, other, owner = (buffer() for _ in range(6))
    rows = [
        (Segment(trunk, 40), Segment(edge, 10), Segment(one, 1)),
        (Segment(trunk, 40), Segment(edge, 10), Segment(two, 2)),
        (Segment(trunk, 40), Segment(edge, 12)),
        (Segment(trunk, 40), Segment(other, 5)),
        (Segment(trunk, 43),),
        (Segment(owner, 9),),
    ]
    assert held(list(_pieces(rows, 0, len(rows)))) == [
        (0, 5, 0, 40, trunk, 0),
        (0, 3, 40, 50, edge, 0),
        (0, 1, 50, 51, one, 0),
        (1, 2, 50, 52, two, 0),
        (2, 3, 50, 52, edge, 10),
        (3, 4, 40, 45, other, 0),
        (4, 5, 40, 43, trunk, 40),
        (5, 6, 0, 9, owner, 0),
    ]


def test_rows_out_of_order_read_less_together_and_nothing_wrong() -> None:
    trunk = buffer()
    rows = [(Segment(trunk, 43),), (Segment(trunk, 40),)]
    assert held(list(_pieces(rows, 0, 2))) == [
        (0, 1, 0, 43, trunk, 0),
        (1, 2, 0, 40, trunk, 0),
    ]


def test_a_piece_is_cut_where_a_window_begins() -> None:
    piece = Piece(0, 2, 40, 50, Segment(buffer(), 12), 2)
    assert piece.since(44) == piece._replace(start=44, offset=6)
    assert piece.since(3) == piece


@pytest.mark.parametrize("kind", ["bool", "added"])
def test_masks_are_read_by_the_rows_own_positions(kind: str) -> None:
    # Rows of 6 and 4 positions, both with a window of 3.
    open_to = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]).bool()[:, None, None]
    mask = open_to if kind == "bool" else torch.where(open_to, 0.0, -INF)
    first, bias = Masks([0, 2]).read(mask)
    assert first == 1
    assert bias is not None
    assert bias[:, 0].tolist() == [[-INF, -INF, 0, 0, 0], [0, 0, 0, 0, 0]]


def test_a_mask_that_leaves_everything_adds_nothing() -> None:
    mask = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]]).bool()[:, None, None]
    assert Masks([0, 2]).read(mask) == (0, None)
    assert Masks([0, 2]).read(None) == (0, None)


def test_a_mask_of_each_head_is_refused() -> None:
    with pytest.raises(ValueError, match="mask of shape"):
        Masks([0, 0]).read(torch.zeros(2, 4, 1, 6))
