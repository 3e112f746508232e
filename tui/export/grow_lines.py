"""A tree that grew by probability as JSON lines: its nodes, its texts, the bounds, the mass."""

import math
from collections.abc import Iterator

import msgspec

import tokexplore
from tokexplore.models.grow.node import GrownNode, Leaf
from tokexplore.tui.export.json_fields import TokenFields, model_fields, sampling_fields, text_line
from tokexplore.tui.report.grow_text import Grown

LISTED = 1e-6
"""Paths that are no nodes are told from this probability on, those that are over all of them."""


def json_lines(grown: Grown, _top: int) -> Iterator[str]:
    """What grew, a line for each node in the order in which they came, one for each text, one for
    each that is watched, and how the mass is told apart."""
    growth = grown.growth
    tokens = TokenFields(growth.vocabulary)
    yield text_line(
        {
            "type": "grow",
            **model_fields(grown.info),
            "version": tokexplore.__version__,
            "prompt_ids": list(growth.request.ids),
            "by": growth.by,
            "sampling": sampling_fields(growth.request.settings) if growth.settings else None,
            "budget": msgspec.to_builtins(growth.budget),
        }
    )
    numbers = {id(node): number for number, node in enumerate(growth.nodes)}
    for node in growth.nodes:
        yield text_line(_node(node, numbers, tokens))
    for leaf in growth.leaves():
        if leaf.mass >= LISTED or leaf.node.is_over(leaf.place):
            yield text_line(_leaf(leaf, numbers, tokens))
    for watch in growth.watches:
        low, high = watch.bounds
        yield text_line({"type": "watch", "text": watch.words, "at_least": low, "at_most": high})
    yield text_line(
        {
            "type": "end", "nodes": len(growth.nodes), "covered": growth.covered,
            "open": growth.open, "cut": growth.cut, "largest_open": growth.largest,
            "seconds": grown.seconds, "why": grown.why, "interrupted": grown.stopped,
        }
    )  # fmt: skip


def _node(node: GrownNode, numbers: dict[int, int], tokens: TokenFields) -> dict[str, object]:
    token = {"id": None, "text": "", "bytes": ""} if node.parent is None else tokens.of(node.token)
    return {
        "type": "node",
        "node": numbers[id(node)],
        "parent": None if node.parent is None else numbers[id(node.parent)],
        "depth": node.depth,
        **token,
        "mass": node.mass,
        "logprob": math.log(node.mass),
        "entropy": node.distribution.entropy if node.distribution else None,
        "listed": len(node.ids),
        "rest": node.rest,
    }


def _leaf(leaf: Leaf, numbers: dict[int, int], tokens: TokenFields) -> dict[str, object]:
    ids = leaf.tokens()
    return {
        "type": "text", "parent": numbers[id(leaf.node)], **tokens.of(leaf.token),
        "mass": leaf.mass, "stands": leaf.fate, "ids": ids, "generated": tokens.text(ids),
    }  # fmt: skip
