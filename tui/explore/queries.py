"""Questions about a step: its distribution, the sampler's view, any row of the vocabulary."""

import asyncio
from array import array
from collections.abc import Coroutine

from tokexplore.models.api.engine import Held
from tokexplore.models.api.questions import Describe, FindHeld, FindRows, Reshape, Search
from tokexplore.models.distribution import Distribution, Rows, TokenRank
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.bounds import BoundedView, bounded_view
from tokexplore.models.sampling.logit_edits import NO_CHANGES, LogitEdits, changes_of
from tokexplore.models.sampling.randomness import path_key, uniform
from tokexplore.models.sampling.sampler_view import SamplerView, StepView
from tokexplore.models.tree.events import DistributionCompleted, DistributionRecomputed
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.engine_link import EngineLink
from tokexplore.tui.explore.explorer import NEAR, Explorer
from tokexplore.tui.explore.jobs import Jobs
from tokexplore.tui.explore.streams import Streams


class Queries:
    """Answers at once where it is known, else asks the engine once and lets the screen follow."""

    def __init__(self, explorer: Explorer, link: EngineLink, streams: Streams, jobs: Jobs) -> None:
        self._explorer, self._link = explorer, link
        self._streams, self._jobs = streams, jobs
        self.views: dict[tuple[int, int], SamplerView] = {}
        """By node and settings number: the sampler's view of distributions asked for."""
        self.recomputes = False
        """Whether what another model gave is computed again, for both to be shown."""
        self._edits: dict[tuple[int, int], LogitEdits] = {}
        """What the path changes at the step that was shown last."""
        self._asked: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._completing: dict[int, asyncio.Task[None]] = {}
        """By node: what brings all candidates of a step of which the first are listed."""

    def settings_at_cursor(self) -> int | None:
        """Number of the settings that the cursor's step is shown under; None for a prompt token.

        None too for the open end of a replay: looking at it must add nothing to what is lived.
        """
        explorer, tree = self._explorer, self._explorer.tree
        if explorer.taken is None:
            return None if self._explorer.is_replayed else tree.configure(explorer.settings)
        if explorer.is_given(explorer.cursor) or tree.origin[explorer.taken] == "prompt":
            return None
        return tree.settings_of[explorer.taken]

    def sampler_view(self) -> StepView | BoundedView | None:
        """The sampler's view of the cursor's step, once known; asks for it where it is not.

        Where there is none to ask for it, it is bounds, or nothing where not even those are known.
        """
        explorer, tree = self._explorer, self._explorer.tree
        number, before, taken = self.settings_at_cursor(), explorer.before, explorer.taken
        if number is None or before == ROOT:
            return None
        view = tree.sampler.get(taken) if taken is not None else None
        if view is None:
            if before not in tree.distribution:
                return None
            view = self.views.get((before, number))
        if view is not None:
            return self._step_view(before, number, view)
        distribution = tree.distribution.get(before)
        asks = self._link.can("whole_rows")
        if distribution is not None and not (asks and distribution.complete):
            return bounded_view(distribution, tree.settings[number])
        if asks:
            self._ask((before, number), self._reshape(before, number))
        return None

    def _step_view(self, node: int, number: int, view: SamplerView) -> StepView:
        """A view with the changes of its path, which are worked out once a step."""
        if not view.settings.looks_back:
            return StepView(view, NO_CHANGES)
        if (node, number) not in self._edits:
            length = self._explorer.tree.prompt_length(node)
            changes = changes_of(view.settings, self._explorer.tree.ids(node), length)
            self._edits = {(node, number): changes}
        return StepView(view, self._edits[node, number])

    def uniform_at_cursor(self) -> float | None:
        """The number in [0, 1) that the cursor's token was drawn with; None if it was not."""
        tree, taken = self._explorer.tree, self._explorer.taken
        if taken is None or tree.origin[taken] != "sampled":
            return None
        seed = tree.settings[tree.settings_of[taken]].seed
        return uniform(
            path_key(seed, self._explorer.tree.ids(tree.parent[taken])), tree.draw[taken]
        )

    def distribution(self) -> Distribution | None:
        """The distribution at the cursor's step, once known; asks for it where it is not."""
        before = self._explorer.before
        found = self._explorer.tree.distribution.get(before)
        live = self._streams.live
        comes = live is not None and live.leaf == before and not live.led
        if found is None and before != ROOT and not comes and self._can_ask(before):
            self._ask((before, -1), self._describe(before))
        elif found is not None and self.recomputes and not self._streams.live:
            self._compare(before)
        return found

    def _can_ask(self, node: int) -> bool:
        """Whether the engine is asked unbidden what comes after a node: not where it was stopped,
        nor where a server of chats cannot be asked."""
        ended, tree = self._explorer.tree.ended.get(node), self._explorer.tree
        if self._link.limit("plain_prompts") and ended in ("eos", "end of turn"):
            return False
        begun = node not in tree.prompts and bool(self._link.limit("prefill"))
        return ended != "interrupted" and not begun

    def stored_rank(self, node: int, token: int) -> TokenRank | None:
        """How a token stands after a node, where it is one of the stored candidates."""
        distribution = self._explorer.tree.distribution.get(node)
        index = distribution.index_of(token) if distribution else None
        if distribution is None or index is None:
            return None
        return TokenRank(
            token, distribution.logit_view[index], distribution.logprob(index),
            distribution.rank(index), index, distribution.tied(index),
        )  # fmt: skip

    @property
    def awaits_distribution(self) -> bool:
        """Whether the distribution at the cursor's step was asked for and is still to come."""
        unknown = self.distribution() is None
        task = self._asked.get((self._explorer.before, -1))
        return unknown and task is not None and not task.done()

    def _compare(self, node: int) -> None:
        """Compute a distribution of another model's again, so that both can be shown."""
        tree = self._explorer.tree
        figures = tree.distribution.figures(node)
        ours = figures is None or figures.model == len(tree.provenance) - 1
        if node != ROOT and not ours and node not in tree.recomputed:
            self._ask((node, -2), self._describe_again(node))

    async def _describe_again(self, node: int) -> None:
        again = await self._link.client.ask(Describe(self._explorer.tree.ids(node)))
        self._explorer.tree.append(DistributionRecomputed(node, again))

    def _ask(self, key: tuple[int, int], work: Coroutine[object, object, None]) -> None:
        if key in self._asked or self._link.absent:
            work.close()
            return
        self._asked[key] = self._jobs.run(work)

    async def _describe(self, node: int) -> None:
        tree = self._explorer.tree
        tree.record_distribution(node, await self._link.client.ask(Describe(tree.ids(node))))
        if node == self._explorer.before:
            self._explorer.to_taken(within=NEAR)

    async def _reshape(self, node: int, number: int) -> None:
        settings = self._explorer.tree.settings[number]
        length = self._explorer.tree.prompt_length(node)
        question = Reshape(self._explorer.tree.ids(node), settings, length)
        self.views[node, number] = await self._link.client.ask(question)

    def can_complete(self, node: int) -> bool:
        """Whether the engine has listed the first candidates after a node, and gives all of them
        when asked."""
        tree = self._explorer.tree
        figures = tree.distribution.figures(node)
        listed = figures is not None and figures.entropy is None
        ours = figures is not None and figures.model == len(tree.provenance) - 1
        return listed and ours and self._link.can("whole_rows")

    def completes(self, node: int) -> bool:
        """Whether all candidates after a node are asked for and still to come."""
        return node in self._completing

    async def complete(self, node: int) -> None:
        """Ask for all candidates after a node, of which the first are listed; those who give up
        waiting leave it to the others."""
        if node not in self._completing:
            self._completing[node] = asyncio.ensure_future(self._complete(node))
        await asyncio.shield(self._completing[node])

    async def _complete(self, node: int) -> None:
        try:
            question = Describe(self._explorer.tree.ids(node), whole=True)
            whole = await self._link.client.ask(question)
            self._explorer.tree.append(DistributionCompleted(node, whole))
        finally:
            del self._completing[node]

    def forget_asked(self) -> None:
        """Ask anew: another engine answers."""
        self._asked.clear()

    @property
    def knows_held(self) -> bool:
        """Whether there is an engine that says what it keeps of paths."""
        return not self._link.absent and bool(self._link.info and self._link.info.kv_limit)

    async def held(self) -> Held:
        """What the engine keeps of paths, and how much of the one in view."""
        return await self._link.client.ask(FindHeld(self._explorer.ids()))

    async def rows(self, node: int, start: int, count: int) -> Rows:
        """A page of the whole candidate order after a node.

        Raises:
            UsageError: the engine has no others than the first candidates.
        """
        self._link.check("a candidate further down", "whole_rows")
        return await self._link.client.ask(FindRows(self._explorer.tree.ids(node), start, count))

    async def search(self, node: int, text: str, limit: int) -> Rows:
        """The most probable tokens after a node whose text holds `text`.

        Of those that are stored, where no others can be had.
        """
        distribution = self._explorer.tree.distribution.get(node)
        if distribution is None and not self._link.absent:
            await self._describe(node)
            distribution = self._explorer.tree.distribution.get(node)
        if self.can_complete(node):
            await self.complete(node)
            distribution = self._explorer.tree.distribution.get(node)
        if not self._link.can("whole_rows") or (distribution and not distribution.complete):
            return self._search_stored(node, text, limit)
        return await self._link.client.ask(Search(self._explorer.tree.ids(node), text, limit))

    def _search_stored(self, node: int, text: str, limit: int) -> Rows:
        distribution, vocabulary = (
            self._explorer.tree.distribution.get(node),
            self._explorer.vocabulary,
        )
        if distribution is None:
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
            source="stored" if distribution.complete else "listed",
            of=len(distribution),
        )
