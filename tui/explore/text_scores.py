"""How probable texts are after a step, without going into the tree."""

from collections.abc import Sequence

from tokexplore.models.api.questions import Describe, Encode, FindScores
from tokexplore.models.errors import UsageError
from tokexplore.models.scored_text import ScoredText, by_probability, scored_text
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.controller import Controller


class TextScores:
    """Texts after the step that the cursor is on now; the session keeps them by its node."""

    def __init__(self, controller: Controller) -> None:
        self._explorer, self._link = controller.explorer, controller.link
        self.node = self._explorer.before
        """The node that the texts follow."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Of the model that reads the texts."""
        return self._explorer.vocabulary

    @property
    def all(self) -> Sequence[ScoredText]:
        """In the order in which they were asked for last."""
        return self._explorer.scored_texts.get(self.node, ())

    def others_name(self, text: ScoredText) -> str:
        """The model that scored a text, where it is another one than that of `comparable`."""
        return "" if text.model == self._model else self._explorer.tree.provenance[text.model].model

    @property
    def comparable(self) -> list[ScoredText]:
        """Those that the present model scored, or the last one; the most probable first."""
        return by_probability([text for text in self.all if text.model == self._model])

    @property
    def _model(self) -> int:
        return len(self._explorer.tree.provenance) - 1

    async def score(self, text: str, *, literal: bool = False) -> ScoredText:
        """Ask for the probability of a text, and keep it.

        Args:
            literal: read the names of tokens in it as their characters.

        Raises:
            TokexploreError: it has no tokens or does not fit the context, nothing comes before it,
                or there is no engine that can tell.
        """
        link, path = self._link, self._explorer.tree.ids(self.node)
        if self.node == ROOT:
            raise UsageError("Nothing comes before this text: the model has no probability of it.")
        if link.absent:
            raise UsageError("The model is not loaded: it tells probabilities once it goes on.")
        link.check("the probability of a text", "prompt_scores")
        ids = await link.client.ask(Encode(text, continuation=True, literal=literal))
        if not ids:
            raise UsageError("There is no text yet: type one to see how probable it is.")
        length, context = len(path) + len(ids), link.client.info.context
        if 0 < context < length:
            raise UsageError(
                f"With this text the path has {length:,} tokens but the model's context holds "
                f"{context:,}: shorten it."
            )
        # Leaves the path in the engine's cache, where the next text finds it.
        await link.client.ask(Describe(path))
        standings = await link.client.ask(FindScores((*path, *ids), len(path)))
        scored = scored_text(text, standings, literal=literal, model=self._model)
        others = [
            t for t in self.all if (t.text, t.ids, t.model) != (text, scored.ids, self._model)
        ]
        self._explorer.scored_texts[self.node] = (*others, scored)
        return scored
