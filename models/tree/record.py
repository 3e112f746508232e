"""What an engine says along a path, put into the tree: the one fold of its events."""

from collections.abc import Sequence

from tokexplore.models.api.engine import (
    Described,
    DrawnToken,
    ScoredToken,
    StreamEnded,
    StreamEvent,
)
from tokexplore.models.tree.events import Ended, Scored
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.tree import TokenTree


def record(
    tree: TokenTree,
    leaf: int,
    event: StreamEvent,
    *,
    path: Sequence[int] = (),
    extends: bool = False,
) -> int:
    """Put an event of a stream or a score into the tree; the leaf that the path has then.

    Args:
        leaf: the node at the end of the path so far.
        path: the nodes to `leaf`, where they are at hand: scored tokens are looked up in them.
        extends: as for `exploring.explore`.
    """
    match event:
        case ScoredToken(position, distribution, standing):
            nodes = path or tree.path(leaf)
            tree.record_distribution(nodes[position - 1], distribution)
            if not tree.is_scored(nodes[position]):
                tree.append(Scored(nodes[position], standing.logprob, standing.rank))
        case DrawnToken(_, distribution, standing):
            tree.record_distribution(leaf, distribution)
            return explore(
                tree, leaf, [standing.token], event.chosen_by, extends=extends,
                settings=tree.configure(event.settings), draw=event.draw,
                logprob=standing.logprob, rank=standing.rank,
                sampler_logprob=event.sampler_logprob, sampler=event.sampler,
            )  # fmt: skip
        case Described(_, distribution):
            tree.record_distribution(leaf, distribution)
        case StreamEnded(_, reason):
            tree.append(Ended(leaf, reason))
    return leaf
