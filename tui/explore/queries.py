"""Questions about a step: its distribution, the sampler's view, any row of the vocabulary."""

from array import array
from collections.abc import Coroutine

from tokexplore.models.distribution import Distribution, Rows
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.bounds import BoundedView, bounded_view
from tokexplore.models.sampling.logit_edits import NO_CHANGES, changes_of
from tokexplore.models.sampling.randomness import path_key, uniform
from tokexplore.models.sampling.sampler_view import SamplerView, StepView
from tokexplore.models.tree.events import DistributionRecomputed
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.explorer import NEAR
from tokexplore.tui.explore.streaming import Streaming


class Questions(Streaming):
    """Answers at once where it is known, else asks the engine once and lets the screen follow."""

    def settings_at_cursor(self) -> int | None:
        """Number of the settings that the cursor's step is shown under; None for a prompt token.

        None too for the open end of a replay: looking at it must add nothing to what is lived.
        """
        explorer, tree = self.explorer, self.explorer.tree
        if explorer.taken is None:
            return None if self.replay is not None else tree.configure(explorer.settings)
        if explorer.is_given(explorer.cursor) or tree.origin[explorer.taken] == "prompt":
            return None
        return tree.settings_of[explorer.taken]

    def sampler_view(self) -> StepView | BoundedView | None:
        """The sampler's view of the cursor's step, once known; asks for it where it is not.

        Without an engine to ask it is bounds, or nothing where not even those are known.
        """
        explorer, tree = self.explorer, self.explorer.tree
        number, before, taken = self.settings_at_cursor(), explorer.before, explorer.taken
        if number is None or before == ROOT:
            return None
        known = tree.sampler.get(taken) if taken is not None else None
        if known is None:
            if before not in tree.distribution:
                return None
            known = self.views.get((before, number))
        if known is None and self.absent:
            distribution = tree.distribution.get(before)
            return bounded_view(distribution, tree.settings[number]) if distribution else None
        if known is None:
            self._ask((before, number), self._reshape(before, number))
            return None
        return self._step_view(before, number, known)

    def _step_view(self, node: int, number: int, view: SamplerView) -> StepView:
        """A view with the changes of its path, which are worked out once a step."""
        if not view.settings.looks_back:
            return StepView(view, NO_CHANGES)
        if (node, number) not in self._changes:
            length = self.explorer.tree.prompt_length(node)
            changes = changes_of(view.settings, self.ids_of(node), length)
            self._changes = {(node, number): changes}
        return StepView(view, self._changes[node, number])

    def uniform_at_cursor(self) -> float | None:
        """The number in [0, 1) that the cursor's token was drawn with; None if it was not."""
        tree, taken = self.explorer.tree, self.explorer.taken
        if taken is None or tree.origin[taken] != "sampled":
            return None
        seed = tree.settings[tree.settings_of[taken]].seed
        return uniform(path_key(seed, self.ids_of(tree.parent[taken])), tree.draw[taken])

    def distribution(self) -> Distribution | None:
        """The distribution at the cursor's step, once known; asks for it where it is not."""
        before = self.explorer.before
        known = self.explorer.tree.distribution.get(before)
        told = self.streaming and before == self.stream_leaf
        stopped = self.explorer.tree.ended.get(before) == "interrupted"
        if known is None and before != ROOT and not told and not stopped:
            self._ask((before, -1), self._describe(before))
        elif known is not None and self.differs and not self.streaming:
            self._compare(before)
        return known

    @property
    def awaits_distribution(self) -> bool:
        """Whether the distribution at the cursor's step was asked for and is still to come."""
        unknown = self.distribution() is None
        task = self._asked.get((self.explorer.before, -1))
        return unknown and task is not None and not task.done()

    def _compare(self, node: int) -> None:
        """Compute a distribution of another model's again, so that both can be shown."""
        tree = self.explorer.tree
        figures = tree.distribution.figures(node)
        ours = figures is None or figures.model == len(tree.provenance) - 1
        if node != ROOT and not ours and node not in tree.retold:
            self._ask((node, -2), self._describe_again(node))

    async def _describe_again(self, node: int) -> None:
        again = await self.client.describe(self.ids_of(node))
        self.explorer.tree.append(DistributionRecomputed(node, again))

    def _ask(self, key: tuple[int, int], work: Coroutine[object, object, None]) -> None:
        if key in self._asked or self.absent:
            work.close()
            return
        self._asked[key] = self.run(work)

    async def _describe(self, node: int) -> None:
        self.explorer.tree.tell(node, await self.client.describe(self.ids_of(node)))
        if node == self.explorer.before:
            self.explorer.to_taken(within=NEAR)

    async def _reshape(self, node: int, number: int) -> None:
        settings = self.explorer.tree.settings[number]
        length = self.explorer.tree.prompt_length(node)
        self.views[node, number] = await self.client.reshape(self.ids_of(node), settings, length)

    async def rows(self, node: int, start: int, count: int) -> Rows:
        """A page of the whole candidate order after a node."""
        return await self.client.rows(self.ids_of(node), start, count)

    async def search(self, node: int, text: str, limit: int) -> Rows:
        """The most probable tokens after a node whose text holds `text`.

        Without an engine to ask, of those that are stored.
        """
        if self.absent:
            return self._search_stored(node, text, limit)
        return await self.client.search(self.ids_of(node), text, limit)

    def _search_stored(self, node: int, text: str, limit: int) -> Rows:
        distribution, vocabulary = (
            self.explorer.tree.distribution.get(node),
            self.explorer.vocabulary,
        )
        if distribution is None or vocabulary is None:
            raise UsageError("Nothing is recorded at this step: space loads the model.")
        sought = text.casefold()
        hits = [
            index
            for index, token in enumerate(distribution.id_view)
            if sought in vocabulary.bytes_of(token).decode("utf-8", "replace").casefold()
        ]
        shown = hits[:limit]
        return Rows(
            ids=array("I", [distribution.id_view[i] for i in shown]).tobytes(),
            logits=array("f", [distribution.logit_view[i] for i in shown]).tobytes(),
            indices=array("I", shown).tobytes(),
            ranks=array("I", [distribution.rank(i) for i in shown]).tobytes(),
            total=len(hits),
            lse=distribution.lse,
            of=len(distribution),
        )
