"""Which tokens of a path are prompt.

That belongs to the way that was walked, not to its nodes: what one path was given, another may have
generated. A path is kept as its turns, the depths after which it changes between the two, beginning
with prompt; `(5, 8)` is five tokens of prompt, three generated, then prompt again.
"""

from bisect import bisect_left
from collections.abc import Iterator

Turns = tuple[int, ...]


def is_given(turns: Turns, depth: int) -> bool:
    """Whether the token at a depth (from 1) of a path with these turns is prompt."""
    return bisect_left(turns, depth) % 2 == 0


def given_until(turns: Turns, depth: int) -> int:
    """Tokens up to the last prompt token among the first `depth` of a path with these turns."""
    place = bisect_left(turns, depth)
    return turns[place - 1] if place % 2 else depth


def steps_until(turns: Turns, depth: int) -> int:
    """How many of the first `depth` tokens of a path with these turns are not prompt."""
    return sum(len(stretch) for stretch in stretches(turns, depth))


def stretches(turns: Turns, depth: int) -> Iterator[range]:
    """The indices of the first `depth` tokens that are not prompt, those in a row together."""
    for at, begin in enumerate(turns[::2]):
        end = turns[2 * at + 1] if 2 * at + 1 < len(turns) else depth
        yield range(begin, min(end, depth))


def turns_after(turns: Turns, depth: int, *, given: bool) -> Turns:
    """The turns of a path of `depth` tokens with these turns, once it has another token.

    Args:
        given: whether that one is prompt.
    """
    return turns if given == (len(turns) % 2 == 0) else (*turns, depth)
