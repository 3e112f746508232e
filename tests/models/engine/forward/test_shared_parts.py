"""Which rows read which memory together."""

import torch

from tokexplore.models.engine.forward.growing_layer import Block, Buffer, Segment
from tokexplore.models.engine.forward.shared_parts import Part, by_level, in_order, parts

STATES = torch.zeros(1, 1, 1, 1)


def buffers(count: int = 1) -> list[Buffer]:
    """Some that lie side by side."""
    block = Block(count, 64, STATES, STATES)
    return [Buffer(block, place, 1, 64) for place in range(count)]


def test_each_part_of_a_tree_is_read_once_by_all_its_rows() -> None:
    (trunk, edge, one, two, other, owner) = (buffers()[0] for _ in range(6))
    rows = [
        (Segment(trunk, 40), Segment(edge, 10), Segment(one, 1)),
        (Segment(trunk, 40), Segment(edge, 10), Segment(two, 2)),
        (Segment(trunk, 40), Segment(edge, 12)),
        (Segment(trunk, 40), Segment(other, 5)),
        (Segment(trunk, 43),),
        (Segment(owner, 9),),
    ]
    found = parts(rows)
    assert found == [
        Part(0, 5, 0, 40, 0, 0),
        Part(0, 3, 40, 50, 1, 0),
        Part(0, 1, 50, 51, 2, 0),
        Part(1, 2, 50, 52, 2, 0),
        Part(2, 3, 50, 52, 1, 10),
        Part(3, 4, 40, 45, 1, 0),
        Part(4, 5, 40, 43, 0, 40),
        Part(5, 6, 0, 9, 0, 0),
    ]
    assert all(part.fits(rows) for part in found)
    assert [[(p.first, p.last) for p in level] for level in by_level(found)] == [
        [(0, 5), (5, 6)],
        [(0, 3), (3, 4), (4, 5)],
        [(0, 1), (1, 2), (2, 3)],
    ]


def test_rows_whose_own_lie_side_by_side_are_read_in_one_product() -> None:
    (trunk,), own = buffers(), buffers(5)
    rows = [(Segment(trunk, 40), Segment(buffer, 7)) for buffer in own]
    rows[2] = (Segment(trunk, 40), Segment(own[2], 8))  # one token more
    assert parts(rows) == [
        Part(0, 5, 0, 40, 0, 0),
        Part(0, 2, 40, 47, 1, 0, each=True),
        Part(2, 3, 40, 48, 1, 0),
        Part(3, 5, 40, 47, 1, 0, each=True),
    ]


def test_a_place_that_was_left_stays_out() -> None:
    (trunk,), own = buffers(), buffers(3)
    rows = [(Segment(trunk, 40), Segment(own[place], 7)) for place in (0, 2)]
    assert [(part.first, part.last) for part in parts(rows)] == [(0, 2), (0, 1), (1, 2)]


def test_rows_that_start_elsewhere_read_by_themselves() -> None:
    (trunk,), own = buffers(), buffers(2)
    rows = [(Segment(trunk, 40), Segment(own[0], 7)), (Segment(trunk, 41), Segment(own[1], 7))]
    assert [(p.first, p.last, p.start, p.end) for p in parts(rows)] == [
        (0, 2, 0, 40), (0, 1, 40, 47), (1, 2, 40, 41), (1, 2, 41, 48),
    ]  # fmt: skip


def test_rows_out_of_order_read_less_together_and_nothing_wrong() -> None:
    (trunk,) = buffers()
    rows = [(Segment(trunk, 43),), (Segment(trunk, 40),)]
    assert parts(rows) == [Part(0, 1, 0, 43, 0, 0), Part(1, 2, 0, 40, 0, 0)]
    assert in_order(rows) == [1, 0]


def test_the_order_is_that_of_the_places() -> None:
    own = buffers(4)
    assert in_order([(Segment(own[place], 3),) for place in (2, 0, 3, 1)]) == [1, 3, 0, 2]


def test_a_part_fits_no_rows_that_hold_another_memory() -> None:
    (trunk,), (other,), own = buffers(), buffers(), buffers(2)
    shared, each = Part(0, 2, 0, 40, 0, 0), Part(0, 2, 0, 40, 0, 0, each=True)
    assert shared.fits([(Segment(trunk, 40),), (Segment(trunk, 41),)])
    assert not shared.fits([(Segment(trunk, 40),), (Segment(other, 40),)])
    assert not shared.fits([(Segment(trunk, 40),), (Segment(trunk, 39),)])
    assert not shared.fits([(Segment(own[0], 40),), (Segment(own[1], 40),)])
    assert each.fits([(Segment(own[0], 40),), (Segment(own[1], 40),)])
    assert not each.fits([(Segment(own[1], 40),), (Segment(own[0], 40),)])
    assert not each.fits([(Segment(own[0], 40),), ()])


def test_a_part_is_cut_where_a_window_begins() -> None:
    part = Part(0, 2, 40, 50, 0, 2)
    assert part.between(44, 50) == part._replace(start=44, offset=6)
    assert part.between(3, 45) == part._replace(end=45)
    assert part.between(60, 70).end == part.between(60, 70).start
