"""The stretches of a path's text that were compared with a second model of other tokens."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tokexplore.models.diff.spans import Span


class Placed(NamedTuple):
    """A span on a path."""

    start: int
    """Index of its first token."""
    span: Span

    @property
    def stop(self) -> int:
        """Index behind its last token."""
        return self.start + len(self.span.first.ids)


def spans_along(spans: Mapping[int, Span], nodes: Sequence[int], start: int = 0) -> list[Placed]:
    """The spans that lie on a path, in its order; of those that overlap the one that ends last.

    Args:
        spans: by the node that each ends with.
        nodes: of the path.
        start: index from which on they are wanted: the first may begin before it.
    """
    found, stop = list[Placed](), len(nodes)
    while spans and stop > start:
        span = spans.get(nodes[stop - 1])
        stop -= 1 if span is None else len(span.first.ids)
        if span is not None:
            found.append(Placed(stop, span))
    return found[::-1]


def span_over(spans: Mapping[int, Span], nodes: Sequence[int], index: int) -> Placed | None:
    """The one of those that the token at an index is in; None where it is in none."""
    found = None
    for stop in range(index + 1, len(nodes) + 1 if spans else 0):
        span = spans.get(nodes[stop - 1])
        if span is None:
            continue
        if stop - len(span.first.ids) > index:
            break
        found = Placed(stop - len(span.first.ids), span)
    return found
