"""A second model that reads the path in view along, in a process of its own: what it says of each
token beside the first, and of each candidate of the step in view."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Literal

import msgspec

from tokexplore.models.api.engine import ModelInfo, Progress
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.questions import (
    Compare,
    FindLogits,
    FindReadings,
)
from tokexplore.models.diff.steps import Reading, Step
from tokexplore.models.diff.vocabularies import Shared, shared_ids
from tokexplore.models.errors import EngineLostError, ModelError, TokexploreError, UsageError
from tokexplore.models.tree.events import Compared
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.worker.async_engine import AsyncEngine
from tokexplore.tui.explore.engine_link import EngineLink, MakeClient
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.jobs import Jobs
from tokexplore.tui.explore.second_candidates import Beside, SecondCandidates
from tokexplore.tui.explore.second_text import SecondText
from tokexplore.tui.explore.streams import Notify, Streams

SecondState = Literal["absent", "loading", "ready", "lost"]

_ROW_BYTES = 2 * 2**20
"""Of logits that go from one process to the other at a time: what the event loop copies in a
millisecond or two."""
_MOST_ROWS = 64
_AT_LEAST, _EVERY = 8, 0.5
"""Tokens of a live stream, or seconds, that it lets come before it reads on: a pass over several
costs it little more than over one."""


class SecondModel:
    """One second model at a time. The first one's engine, tree and session know nothing of it but
    the figures.

    Args:
        make_client: makes an engine that is not started yet.
        changed: called when there is something new to show.
        wanted: a second model to be loaded as soon as the first is there.
    """

    def __init__(
        self,
        explorer: Explorer,
        link: EngineLink,
        streams: Streams,
        jobs: Jobs,
        make_client: MakeClient,
        changed: Callable[[], None],
        notify: Notify,
        wanted: LoadOptions | None,
    ) -> None:
        self._wanted = wanted
        self._explorer, self._link, self._streams = explorer, link, streams
        self._jobs = jobs
        self._make_client, self._changed, self._notify = make_client, changed, notify
        self.state: SecondState = "absent"
        self.load: LoadOptions | None = None
        """How it is loaded, or was before it was lost."""
        self.info: ModelInfo | None = None
        self.progress: Progress | None = None
        """Of loading."""
        self._client: AsyncEngine | None = None
        self._shared: Shared | None = None
        self._text: SecondText | None = None
        """Of one with tokens of its own."""
        self._candidates: SecondCandidates | None = None
        """Of one with the first one's tokens."""
        self._reading = False
        self._read_at = 0.0
        """When it read last: seconds of the live stream."""
        self._read = (ROOT, 0)
        """A node of the path in view up to which all is read, and its depth."""
        self._refused: set[int] = set()
        """Nodes that it could not read."""

    @property
    def name(self) -> str:
        """What it is called beside the first: also how it is held, where the name alone is the
        first's.

        Of a session whose second model is not loaded, the recorded name; empty where there is none.
        """
        seconds, first = self._explorer.tree.seconds, self._link.info
        if self.info is None:
            return seconds[-1].model if seconds else ""
        same = first is not None and first.name == self.info.name
        how = (self.load.quantize if self.load else "") or self.info.dtype
        return f"{self.info.name} in {how}" if same else self.info.name

    @property
    def client(self) -> AsyncEngine | None:
        """Its engine; None where there is none."""
        return self._client

    @property
    def is_there(self) -> bool:
        """Whether it can be asked."""
        return self.state == "ready"

    @property
    def is_busy(self) -> bool:
        """Whether it is loaded, reads or is asked: what it comes to shows by itself."""
        wanted = self._wanted is not None and not self._link.absent
        asking = self._candidates is not None and self._candidates.asking
        return wanted or self.state == "loading" or self._reading or asking

    @property
    def has_other_tokens(self) -> bool:
        """Whether it has tokens of its own: only what the text costs both is compared."""
        if self.is_there:
            return self._text is not None
        return bool(self._explorer.tree.spans)

    @property
    def leads(self) -> bool:
        """Whether it chooses the tokens, and the first one reads along."""
        return self._client is not None and self._streams.leader is self._client

    def lead(self, leads: bool) -> None:
        """Let it choose the tokens from the next stream on, or the first one again.

        Raises:
            UsageError: there is none, or its choice may be a token that the first does not have.
        """
        if leads and self.state == "loading":
            raise UsageError("The second model is still loading.")
        if leads and (not self.is_there or self._client is None):
            raise UsageError("No second model is loaded: & loads one.")
        if leads and (self._shared is None or not self._shared.complete):
            raise UsageError(f"{self.name} has tokens that the model in view does not have.")
        self._streams.leader = self._client if leads else None
        self._changed()

    # Its life

    async def open(self, load: LoadOptions) -> None:
        """Load a second model; one that is there gives way.

        Raises:
            TokexploreError: it cannot be loaded, or can tell nothing of what the first reads.
        """
        await self.close()
        self.load, self.state, self.progress = load, "loading", None
        beside = msgspec.structs.replace(load, beside=True)
        self._client = client = self._make_client(beside, self._lose)
        self._changed()
        try:
            await client.start(self._report)
            # Unlike ones are compared token by token.
            ours = self._explorer.vocabulary
            shared = await asyncio.to_thread(shared_ids, ours, client.vocabulary)
            if self._client is client:
                self._begin(client, shared)
        except TokexploreError as error:
            if self._client is client:
                await self.close()
            if isinstance(error, EngineLostError):  # not the first one's
                raise ModelError(f"{load.model} as a second model: {error}") from None
            raise

    def _begin(self, client: AsyncEngine, shared: Shared | None) -> None:
        """Read along from here on.

        Raises:
            UsageError: it, or the first, has no ids of its own, or it can tell nothing of tokens
                that are given.
        """
        for can in (client.info.capabilities, self._link.client.info.capabilities):
            if why := can.why_not(f"{client.info.name} as a second model", "own_ids"):
                raise UsageError(why)
        can = client.info.capabilities
        if not (can.lists_all or can.prompt_scores or can.whole_rows):
            raise UsageError(can.why_not(f"{client.info.name} as a second model", "prompt_scores"))
        explorer, streams = self._explorer, self._streams
        if shared is None:
            self._text = SecondText(explorer, self._link, client, streams, self._notify)
        else:
            self._candidates = SecondCandidates(explorer, streams, self._jobs, client)
        self.info, self._shared, self.state, self.progress = client.info, shared, "ready", None
        self._explorer.tree.load_second(client.info.provenance)
        self._explorer.touch(0)
        self._changed()

    def _report(self, progress: Progress) -> None:
        self.progress = progress
        self._changed()

    def _lose(self, error: EngineLostError) -> None:
        self.state, self.progress, self._streams.leader = "lost", None, None
        self._notify(f"The second model: {error} The first goes on without it.", severity="error")
        self._changed()

    async def close(self) -> None:
        """Take it away; its figures stay."""
        client, self._client, self._streams.leader = self._client, None, None
        self.state, self.info, self.progress = "absent", None, None
        self._read = (ROOT, 0)
        if self._text is not None:
            self._text.ended, self._text = True, None
        self._refused.clear()
        self._candidates = None
        if client is not None:
            await client.close()
        self._changed()

    # Reading along

    def read_on(self) -> None:
        """Load the second model that is wanted; read what it has not read of the path in view,
        unless that is under way."""
        if self._wanted is not None and not self._link.absent:
            wanted, self._wanted = self._wanted, None
            self._jobs.run(self.open(wanted))
        ready = self.is_there and not self._link.absent and not self._explorer.is_replayed
        if ready and not self._reading and self._has_more:
            self._reading = True
            self._jobs.run(self._read_path())

    @property
    def _has_more(self) -> bool:
        """Whether there is something of the path in view to be read now."""
        if self._lets_come:
            return False
        return self._span() is not None if self._text is None else self._text.is_due

    @property
    def _lets_come(self) -> bool:
        """Whether more tokens of a live stream are to come first."""
        streams = self._streams
        if streams.seconds < self._read_at:
            self._read_at = 0.0  # another stream
        few = len(self._explorer.nodes) - self._read[1] < _AT_LEAST
        return streams.live is not None and few and streams.seconds < self._read_at + _EVERY

    async def _read_path(self) -> None:
        try:
            while self.is_there and not self._link.absent and self._has_more:
                if self._text is not None:
                    await self._text.read()
                elif span := self._span():
                    await self._read_span(span)
                self._read_at = self._streams.seconds
                self._changed()
            if self._candidates is not None:
                await self._candidates.ask_for_newest()
        except EngineLostError:
            pass  # whoever lost it says so
        finally:
            self._reading = False

    async def _read_span(self, span: range) -> None:
        nodes = [self._explorer.nodes[at] for at in span]
        number = len(self._explorer.tree.seconds) - 1
        client = self._client
        try:
            steps = await self._steps(span, self._explorer.ids(span.stop))
        except EngineLostError:
            raise
        except TokexploreError as error:
            self._refused.update(nodes)
            self._notify(f"The second model cannot read on: {error}", severity="warning")
            return
        if client is not self._client:
            return
        tree = self._explorer.tree
        for node, step in zip(nodes, steps, strict=True):
            tree.append(Compared(node, number, step))

    async def _steps(self, span: range, ids: Sequence[int]) -> list[Step]:
        client, info, first = self._client, self.info, self._link.info
        assert client is not None
        assert info is not None
        assert first is not None
        assert self._shared is not None
        if self._lists_all:
            logits = await self._link.client.ask(FindLogits(ids, span.start))
            names = first.name, info.name
            return await client.ask(Compare(ids, span.start, logits, self._shared, names))
        ours = [self._reading_of(at) for at in span]
        theirs = await client.ask(FindReadings(ids, span.start))
        both = zip(span, ours, theirs, strict=True)
        return [Step(at, ids[at], one, other) for at, one, other in both if one is not None]

    @property
    def _lists_all(self) -> bool:
        """Whether both models tell their whole distributions."""
        infos = (self.info, self._link.info)
        return all(info is not None and info.capabilities.lists_all for info in infos)

    def _span(self) -> range | None:
        """The next positions of the path in view to be read; None where there are none."""
        nodes, (node, done) = self._explorer.nodes, self._read
        start = done if 0 < done <= len(nodes) and nodes[done - 1] == node else 1
        while start < len(nodes) and self._is_done(nodes[start]):
            start += 1
        if nodes:
            self._read = nodes[start - 1], start
        while start < len(nodes) and not self._is_due(start):
            start += 1
        rows = max(1, _ROW_BYTES // (4 * max(1, self._explorer.vocabulary.rows)))
        stop = start
        while stop < min(len(nodes), start + min(rows, _MOST_ROWS)) and self._is_due(stop):
            stop += 1
        return range(start, stop) if stop > start else None

    def _is_done(self, node: int) -> bool:
        """Whether nothing more is to be read of a node."""
        return node in self._explorer.tree.compared or node in self._refused

    def _is_due(self, at: int) -> bool:
        """Whether a position of the path is to be read, and can be."""
        info = self.info
        if self._is_done(self._explorer.nodes[at]):
            return False
        if info is not None and info.context and at >= info.context:
            return False
        return self._lists_all or self._reading_of(at) is not None

    def _reading_of(self, at: int) -> Reading | None:
        """What the first says of the token at a position, as far as it is recorded."""
        tree, nodes = self._explorer.tree, self._explorer.nodes
        told = tree.distribution.get(nodes[at - 1])
        if told is None or not tree.is_scored(nodes[at]):
            return None
        margin = told.margin if told.margin_known else None
        return Reading(tree.logprob[nodes[at]], tree.rank[nodes[at]], told.id_view[0], margin)

    # The step in view

    def beside(self, node: int, tokens: Collection[int]) -> Beside | None:
        """See `SecondCandidates.after`; None of one that is not there, or has other tokens."""
        return self._candidates.after(node, tokens) if self._candidates is not None else None
