"""The live stream: starting, applying what arrives, stopping."""

import asyncio
from collections.abc import AsyncIterator

from tokexplore.models.api.engine import (
    Described,
    DrawnToken,
    Progress,
    ScoredToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.errors import EngineLostError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.events import Ended
from tokexplore.tui.explore.options import adopted
from tokexplore.tui.explore.scoring import Scoring

SCORE_AT_ONCE = 2_000_000
"""Logits (positions x vocabulary) up to which a prompt is scored in the pass that reads it."""
ENDINGS = {
    "eos": "the model ended the text",
    "end of turn": "the assistant's turn is over",
    "stop": "a stop text was met",
    "context": "the context is full",
}


class Streaming(Scoring):
    """Extends the path in view."""

    _limited = False
    """Whether the live stream was asked for a number of tokens of its own."""

    _began = 0.0

    @property
    def streams_for(self) -> float:
        """Seconds since the live stream began; 0 without one."""
        return self.clock() - self._began if self.streaming else 0.0

    @property
    def rate(self) -> float | None:
        """Tokens a second over the last tokens of the live stream."""
        times = self._times
        if len(times) < 2 or times[-1] == times[0]:
            return None
        return (len(times) - 1) / (times[-1] - times[0])

    def play(self, count: int | None = None, *, draw: int = 0) -> None:
        """Go on from the leaf of the path in view, by `count` tokens or the set length."""
        explorer = self.explorer
        if self.state == "recorded":
            self.run(self._wake_and_play(count, draw))
        if self.streaming or self.absent or not explorer.nodes:
            return
        if explorer.tree.ended.get(explorer.leaf) == "context":
            self._notify("The context is full: branch earlier to go on.", severity="warning")
            return
        self._limited = count is not None or self.single_step
        request = self._request(count or (1 if self.single_step else self.max_new_tokens), draw)
        self.state, self.stream_leaf = "streaming", explorer.leaf
        self._began = self.clock()
        self._times.clear()
        # The request is under way from here on, so that a pause always has something to end.
        try:
            batches = self.client.stream(request)
        except EngineLostError as error:
            self.lose(error)
            return
        self._stream = self.run(self._follow(batches))

    async def _wake_and_play(self, count: int | None, draw: int) -> None:
        async with self.turn:
            await self.wake()
            self.play(count, draw=draw)

    def _request(self, count: int, draw: int) -> StreamRequest:
        explorer = self.explorer
        ids, leaf = explorer.ids(), explorer.leaf
        scored_at_once = len(ids) * self.client.info.vocabulary <= SCORE_AT_ONCE
        prompt = explorer.prompt_length
        return self.options.request(
            ids,
            explorer.settings,
            count,
            prompt_length=prompt,
            stops_from=len(ids) if explorer.tree.ended.get(leaf) == "stop" else prompt,
            draw=draw,
            turn_ids=self.turn_ids,
            score_prompt=scored_at_once and self.unscored(leaf) is not None,
            describe_end=True,
            watch=tuple(self.watched),
        )

    async def _follow(self, batches: AsyncIterator[list[StreamEvent]]) -> None:
        try:
            async for batch in batches:
                for event in batch:
                    self._apply(event)
                self._changed()
        finally:
            if self.state == "streaming":
                self.state = "paused"
            self.stream_leaf, self.progress = None, None
        self.run(self.score_rest())

    async def finished(self) -> None:
        """Wait until the live stream, if there is one, has ended."""
        if self._stream is not None and not self._stream.done():
            await asyncio.wait([self._stream])

    def _apply(self, event: StreamEvent) -> None:
        explorer, tree = self.explorer, self.explorer.tree
        leaf = self.stream_leaf
        if leaf is None:
            return
        match event:
            case Progress():
                self.progress = event if event.done < event.total else None
            case ScoredToken():
                self.scored(tree.path(leaf), event)
            case DrawnToken():
                self.progress = None
                self._times.append(self.clock())
                self.stream_leaf = self.take_drawn(leaf, event)
                explorer.grown(self.stream_leaf)
            case Described(_, distribution):
                tree.tell(leaf, distribution)
            case StreamEnded(_, reason, detail):
                self._end(leaf, reason, detail)

    def take_drawn(self, leaf: int, event: DrawnToken, *, extends: bool = False) -> int:
        """Put a drawn token and all that is known of its step into the tree; its node.

        Args:
            extends: as for `TokenTree.explore`.
        """
        explorer, tree, standing = self.explorer, self.explorer.tree, event.standing
        self.threads = event.threads
        tree.tell(leaf, event.distribution)
        self.remember(leaf, event.watched)
        number = tree.configure(event.sampler.settings)
        shape = tree.shape
        node = tree.explore(
            leaf, [standing.token], event.chosen_by, extends=extends,
            settings=number, draw=event.draw, logprob=standing.logprob, rank=standing.rank,
            sampler_logprob=event.sampler_logprob, sampler=event.sampler,
        )  # fmt: skip
        if tree.shape != shape:
            explorer.touch(tree.depth[leaf] - 1)
        return node

    def _end(self, leaf: int, reason: str, detail: str) -> None:
        self.explorer.tree.append(Ended(leaf, reason))
        if reason in ENDINGS:
            what = ENDINGS[reason] + (f": {detail!r}" if detail else "")
            more = "" if reason == "context" else f"; {self.play_name} goes on"
            self._notify(f"Ended: {what}{more}.")

    async def pause(self) -> None:
        """Stop the live stream between two tokens and wait until it has stopped."""
        if self._stream is not None and not self._stream.done():
            self.client.cancel()
        await self.finished()

    def configure(self, settings: SamplingSettings, max_new_tokens: int) -> None:
        """New settings, from the next token on."""
        self.explorer.settings, self.max_new_tokens = settings.checked(), max_new_tokens
        self.explorer.tree.configure(self.explorer.settings)
        if self.streaming:
            length = None if self._limited else max_new_tokens
            self.client.configure(self.explorer.settings, length)
        self._changed()

    def adopt_suggested(self) -> None:
        """Take the sampling settings that the model's makers suggest, where there are any."""
        self.configure(self.suggestion(self.explorer.settings), self.max_new_tokens)

    def suggestion(self, settings: SamplingSettings) -> SamplingSettings:
        """These settings as the model's makers suggest them, where they do."""
        return adopted(settings, frozenset(), self.suggested)
