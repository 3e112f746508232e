"""Texts that were scored beside the tree, as JSON in a session's file."""

from collections.abc import Mapping

import msgspec

from tokexplore.models.scored_text import Number, ScoredText
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT

Texts = dict[int, tuple[ScoredText, ...]]
"""By the node that they follow, in the order in which they were asked for."""
_TEXTS = msgspec.json.Decoder(dict[Number, tuple[ScoredText, ...]])


def texts_json(texts: Mapping[int, tuple[ScoredText, ...]]) -> str:
    """They as a file has them; empty for none."""
    return msgspec.json.encode(texts).decode() if texts else ""


def read_texts(stored: str | None, tree: TokenTree) -> tuple[Texts, bool]:
    """What a file tells of them, and whether all of it can be: the nodes and models are there."""
    try:
        found: Texts = _TEXTS.decode(stored or "{}")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}, False
    possible = {
        node: texts
        for node, texts in found.items()
        if ROOT < node < len(tree) and all(t.model < len(tree.provenance) for t in texts)
    }
    return possible, len(possible) == len(found)
