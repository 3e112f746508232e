"""What was explored after a node, as sums."""

import math
from typing import NamedTuple

from tokexplore.models.numerics import log_sum_exp
from tokexplore.models.tree.icicle import Icicle


class Subtree(NamedTuple):
    """All that is in sight after a node."""

    nodes: int
    """Tokens."""
    leaves: int
    """Ends of its branches."""
    log_mass: float
    """Logprob (nats) of going on from the node along one of the branches to its end: of the sum
    over the leaves of the product of the model's probabilities since the node, which no float can
    hold where the branches are long. Minus infinity where no leaf is in it."""
    unknown: int
    """Leaves that are not in `log_mass`, because the probability of a token is not known."""
    entropy: float | None
    """Mean entropy (nats) of the steps at which its tokens were taken; None where none is known."""


def subtree_of(icicle: Icicle, node: int) -> Subtree:
    """The sums over what an icicle has after a node."""
    tree = icicle.tree
    nodes = leaves = unknown = 0
    logprobs, entropies = list[float](), list[float]()
    stack = [(node, 0.0)]
    while stack:
        at, logprob = stack.pop()
        shares = icicle.after(at).shares
        if shares:
            nodes += len(shares)
            figures = tree.distribution.figures(at)
            if figures is not None and figures.entropy is not None:
                entropies.append(figures.entropy)
            stack += [(share.node, logprob + tree.logprob[share.node]) for share in shares]
        elif at != node:
            leaves += 1
            if math.isnan(logprob):
                unknown += 1
            else:
                logprobs.append(logprob)
    entropy = math.fsum(entropies) / len(entropies) if entropies else None
    return Subtree(nodes, leaves, log_sum_exp(logprobs), unknown, entropy)
