"""A path of the tree as text: its tokens in order, and what was given of it."""

from collections.abc import Sequence
from functools import cached_property

from tokexplore.models.api.chat import Chat
from tokexplore.models.partial_characters import LONGEST_CHARACTER
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.events import Prompted
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.turns import Turns, is_given


class TokenPath:
    """The nodes from the first token to a leaf.

    Args:
        nodes: all of them, the root left out.
    """

    def __init__(self, tree: TokenTree, vocabulary: Vocabulary, nodes: Sequence[int]) -> None:
        self.tree, self.vocabulary, self.nodes = tree, vocabulary, nodes

    @property
    def leaf(self) -> int:
        """The last node."""
        return self.nodes[-1] if self.nodes else ROOT

    def __contains__(self, node: int) -> bool:
        depth = self.tree.depth[node]
        return 0 < depth <= len(self.nodes) and self.nodes[depth - 1] == node

    @cached_property
    def prompts(self) -> list[Prompted]:
        """How its prompts were given, in its order."""
        prompts, depth = self.tree.prompts, self.tree.depth
        return [prompts[node] for node in sorted(prompts, key=depth.__getitem__) if node in self]

    @property
    def chat(self) -> Chat | None:
        """The conversation that it belongs to, as it was given last."""
        return next((p.chat for p in reversed(self.prompts) if p.chat is not None), None)

    def given(self, index: int) -> bool:
        """Whether the token at an index is prompt on this path."""
        return is_given(self._turns, index + 1)

    @cached_property
    def _turns(self) -> Turns:
        return self.tree.turns(self.leaf)

    @cached_property
    def _pieces(self) -> list[str]:
        token = self.tree.token
        return self.vocabulary.pieces([token[node] for node in self.nodes])

    def pieces(self, start: int, stop: int) -> Sequence[str]:
        """What the tokens from one index up to another add to the running text."""
        return self._pieces[start:stop]

    def words(self, start: int, stop: int) -> str:
        """The running text from one index up to another, its characters whole, special tokens left
        out."""
        special, token = self.vocabulary.special, self.tree.token
        early = max(0, start - LONGEST_CHARACTER)
        ids = [token[node] for node in self.nodes[early:stop]]
        pieces = self.vocabulary.pieces(ids)[start - early :]
        shown = zip(ids[start - early :], pieces, strict=True)
        return "".join(piece for token, piece in shown if token not in special)
