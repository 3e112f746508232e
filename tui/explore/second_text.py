"""A second model with tokens of its own, which reads the text of the path in view along: compared
where tokens of both end at one byte."""

import asyncio

from tokexplore.models.api.questions import Encode, FindReadings
from tokexplore.models.diff.growing import MARGIN, GrowingText
from tokexplore.models.diff.spans import Span
from tokexplore.models.errors import EngineLostError, TokexploreError, UsageError
from tokexplore.models.tree.events import Spanned
from tokexplore.models.worker.async_engine import AsyncEngine
from tokexplore.tui.explore.engine_link import EngineLink
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.streams import Notify, Streams

_TOKENS = 64
"""That it reads at a time, so that figures come while it reads a long text."""


class SecondText:
    """Reads the text of the path from its start, and puts into the tree what both say of its spans.

    The text is that of the path's tokens: of a plain one from behind the special tokens that it
    begins with, of a chat all that its template wrote but BOS, and special tokens at the end left
    out. The second reads the name of a special token as the one that it has of that name, or else
    as characters: spans that one of the two alone reads with a special token are not compared.
    Where the path has none, names in it are characters to both.

    Args:
        client: the second model.
    """

    def __init__(
        self,
        explorer: Explorer,
        link: EngineLink,
        client: AsyncEngine,
        streams: Streams,
        notify: Notify,
    ) -> None:
        self._explorer, self._link, self._client = explorer, link, client
        self._streams, self._notify = streams, notify
        self._text = GrowingText(explorer.vocabulary, client.vocabulary, client.info.name)
        self.ended = False
        """It was taken away: nothing more of it is put into the tree."""
        self._nodes: list[int] = []
        """The path as it was when the text was taken of it."""
        self._taken: tuple[int, bool] | None = None
        """Its leaf, and whether a stream was live then: its end may change with what comes."""
        self._done: set[int] = set()
        """Leaves of paths of which all is told that can be."""
        self._refused: set[int] = set()
        """Leaves of paths that it could not read."""

    @property
    def is_due(self) -> bool:
        """Whether something of the path in view is to be read, or can be told."""
        explorer = self._explorer
        if not explorer.nodes or explorer.leaf in self._done or self._is_refused:
            return False
        return self._taken != self._now or (bool(self._unread) or self._text.can_tell(self._firsts))

    @property
    def _now(self) -> tuple[int, bool]:
        return self._explorer.leaf, self._streams.live is not None

    @property
    def _goes_on(self) -> bool:
        """Whether the path in view begins with the one that the text was taken of."""
        return self._nodes == self._explorer.nodes[: len(self._nodes)]

    @property
    def _is_refused(self) -> bool:
        """Whether the path in view goes on with one that could not be read."""
        return bool(self._refused) and not self._refused.isdisjoint(self._explorer.nodes)

    @property
    def _unread(self) -> range:
        return self._text.unread(self._client.info.context)

    async def read(self) -> None:
        """Read what is due next: the text as it is now, or some of its tokens.

        Raises:
            EngineLostError: the second one is gone.
        """
        try:
            unread, is_stale = self._unread, self._taken != self._now
            if unread and (self._goes_on or not is_stale):
                await self._read_tokens(unread[:_TOKENS])
            elif is_stale:
                await self._spell()
        except EngineLostError:
            raise
        except TokexploreError as error:
            self._refused.add(self._nodes[-1])
            self._notify(f"The second model cannot read on: {error}", severity="warning")
            return
        if not self.ended:
            self._tell()

    async def _spell(self) -> None:
        now, ids, self._nodes = self._now, self._explorer.ids(), list(self._explorer.nodes)
        begin, stop = self._inside(ids)
        await asyncio.to_thread(self._text.take, ids[:stop], begin)
        spelled = list[int]()
        if self._text.text:
            literal = self._explorer.vocabulary.special.isdisjoint(ids[begin:stop])
            spelled = await self._client.ask(Encode(self._text.text, literal=literal))
        margin = MARGIN if now[1] else 0
        try:
            await asyncio.to_thread(self._text.spell, spelled, margin=margin)
        except UsageError:
            # What a tokenizer does to the end of a text it need not do to one that goes on.
            if not now[1]:
                raise
        self._taken = now

    def _inside(self, ids: tuple[int, ...]) -> tuple[int, int]:
        """Where the text begins among the path's tokens, and where it ends."""
        special, first = self._explorer.vocabulary.special, self._link.info
        stop = next((n for n in range(len(ids), 0, -1) if ids[n - 1] not in special), 0)
        if self._explorer.path.chat is None:
            return next((n for n in range(stop) if ids[n] not in special), stop), stop
        # A template may use the same token as BOS and to begin a turn: that is part of the text.
        bos = None if first is None else first.bos_id
        return int(ids[:1] == (bos,) and bos not in ids[1:]), stop

    async def _read_tokens(self, places: range) -> None:
        ids = self._text.ids_until(places.stop)
        readings = await self._client.ask(FindReadings(ids, places.start))
        self._text.read([reading.logprob for reading in readings])

    def _firsts(self, places: range) -> dict[int, float]:
        """The first's logprobs of the path's tokens, as far as they are recorded."""
        tree, nodes = self._explorer.tree, self._nodes
        return {at: tree.logprob[nodes[at]] for at in places if tree.is_scored(nodes[at])}

    def _tell(self) -> None:
        tree, text = self._explorer.tree, self._text
        number = len(tree.seconds) - 1
        told = text.told(self._firsts) if text.can_tell(self._firsts) else []
        for stretch, span in told:
            node = self._nodes[stretch.first.stop - 1]
            if not _is_told(tree.spans.get(node), span):
                tree.append(Spanned(node, number, span))
                self._explorer.touch(min(text.changed_from, stretch.first.start))
        if self._taken and not (self._taken[1] or self._unread or text.waiting):
            self._done.add(self._taken[0])


def _is_told(before: Span | None, span: Span) -> bool:
    """Whether the same tokens of both were compared before: the first figures stay."""
    return before is not None and (before.start, before.first.ids, before.second.ids) == (
        span.start,
        span.first.ids,
        span.second.ids,
    )
