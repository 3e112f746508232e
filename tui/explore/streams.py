"""The live stream: starting it, putting what arrives into the tree, stopping it."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from tokexplore.models.api.engine import (
    Described,
    DrawnToken,
    EndReason,
    Progress,
    ScoredToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.errors import EngineLostError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.sampling.stop_criteria import StopCriteria
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.record import record
from tokexplore.models.worker.async_engine import AsyncEngine, Handle
from tokexplore.tui.explore.engine_link import EngineLink
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.jobs import Jobs
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.scoring import Scorer
from tokexplore.tui.explore.watchlist import Watchlist

SCORE_AT_ONCE = 2_000_000
"""Logits (positions x vocabulary) up to which a prompt is scored in the pass that reads it."""
ENDINGS = {
    "eos": "the model ended the text",
    "end of turn": "the assistant's turn is over",
    "stop": "a stop text was met",
    "context": "the context is full",
}
FULL = "The context is full: branch earlier to go on."
ANSWERED = frozenset(("eos", "end of turn"))
"""Those after which it is the user's turn in a chat."""
ENDED = "Ended: "
"""How a notice begins that says so."""


class Notify(Protocol):
    """Says something to the user."""

    def __call__(
        self, text: str, *, severity: Literal["information", "warning", "error"] = ...
    ) -> None: ...


class LiveStream:
    """A stream that extends a branch.

    Args:
        leaf: the node that it extends.
        limited: whether it was asked for a number of tokens of its own.
        led: whether a second model chooses.
    """

    def __init__(self, leaf: int, began: float, *, limited: bool, led: bool) -> None:
        self.leaf, self.began, self.limited, self.led = leaf, began, limited, led
        self.handle: Handle[StreamEvent] | None = None
        """Once the engine has it."""
        self.times: deque[float] = deque(maxlen=64)
        """When its last tokens came."""


class Streams:
    """Extends the path in view, one stream at a time.

    Args:
        play_name: the key or the command that goes on, as notices name it.
        lost: called where the engine turns out to be gone.
        began: called when a stream begins.
        clock: seconds by which the rate of a stream is measured.
    """

    def __init__(
        self,
        options: AppOptions,
        explorer: Explorer,
        link: EngineLink,
        watchlist: Watchlist,
        scorer: Scorer,
        jobs: Jobs,
        changed: Callable[[], None],
        notify: Notify,
        lost: Callable[[EngineLostError], None],
        began: Callable[[], None],
        play_name: str,
        clock: Callable[[], float],
    ) -> None:
        self._options, self._explorer, self._link = options, explorer, link
        self._watchlist, self._scorer, self._jobs = watchlist, scorer, jobs
        self._changed, self._notify, self._lost, self._began = changed, notify, lost, began
        self._play_name, self._clock = play_name, clock
        self.max_new_tokens = options.max_new_tokens
        self.single_step = False
        self.threads = 0
        """Threads of the CPU that the newest token was computed with; 0 where none is known."""
        self.leader: AsyncEngine | None = None
        """A second model that chooses the tokens in place of the first."""
        self.live: LiveStream | None = None
        self.last: LiveStream | None = None
        """The live stream, or the one that was live last."""
        self.progress: Progress | None = None
        """Of prefill."""
        self._following: asyncio.Task[None] | None = None

    @property
    def source(self) -> AsyncEngine:
        """The engine that the live stream comes from, or would."""
        led = self.live is not None and self.live.led
        return self.leader if led and self.leader is not None else self._link.client

    @property
    def leaf(self) -> int | None:
        """The node that the live stream extends."""
        return self.live.leaf if self.live else None

    @property
    def seconds(self) -> float:
        """Since the live stream began; 0 without one."""
        return self._clock() - self.live.began if self.live else 0.0

    @property
    def rate(self) -> float | None:
        """Tokens a second over the last tokens of the live stream, or of the last one."""
        times = self.last.times if self.last else deque[float]()
        if len(times) < 2 or times[-1] == times[0]:
            return None
        return (len(times) - 1) / (times[-1] - times[0])

    @property
    def turn_ids(self) -> tuple[int, ...]:
        """The tokens that end the assistant's turn, where the path in view is a chat."""
        return self._link.client.info.turn_ids if self._explorer.path.chat is not None else ()

    def request(
        self,
        ids: Sequence[int],
        settings: SamplingSettings,
        length: int,
        *,
        prompt_length: int,
        **more: Any,
    ) -> StreamRequest:
        """A stream of `length` tokens after a path that ends as those of the path in view do.

        Args:
            more: see `AppOptions.request`.
        """
        return self._options.request(
            tuple(ids),
            settings,
            length,
            prompt_length=prompt_length,
            turn_ids=self.turn_ids,
            **more,
        )

    def play(self, count: int | None = None, *, draw: int = 0) -> None:
        """Go on from the leaf of the path in view, by `count` tokens or the set length."""
        explorer = self._explorer
        if self._link.state == "lost":
            self._notify(f"The engine is gone: {self._play_name} starts it again.")
        if self.live or self._link.absent or not explorer.nodes:
            return
        if explorer.tree.ended.get(explorer.leaf) == "context":
            self._notify(FULL, severity="warning")
            return
        limited = count is not None or self.single_step
        length = count or (1 if self.single_step else self.max_new_tokens)
        request = self.extension(explorer.leaf, length, draw)
        leader = self.leader
        stream = LiveStream(explorer.leaf, self._clock(), limited=limited, led=leader is not None)
        self.live = self.last = stream
        self._began()
        # The request is under way from here on, so that a pause always has something to end.
        try:
            stream.handle = (leader or self._link.client).stream(request)
        except EngineLostError as error:
            if leader is None:
                self._lost(error)
            else:
                self.drop(stream)
            return
        self._following = self._jobs.run(self._follow(stream, stream.handle))

    def extension(self, leaf: int, count: int, draw: int = 0) -> StreamRequest:
        """A stream of `count` tokens after a node, that ends as those of the path in view do."""
        explorer, tree = self._explorer, self._explorer.tree
        ids, prompt = tree.ids(leaf), tree.prompt_length(leaf)
        short = len(ids) * self._link.client.info.vocabulary <= SCORE_AT_ONCE
        scored_at_once = short and self.leader is None
        return self.request(
            ids,
            explorer.settings,
            count,
            prompt_length=prompt,
            stops_from=len(ids) if tree.ended.get(leaf) == "stop" else prompt,
            draw=draw,
            score_prompt=scored_at_once and self._scorer.unscored(leaf) is not None,
            describe_end=True,
            watch=() if self.leader else tuple(self._watchlist.tokens),
        )

    def end_at(self, node: int) -> EndReason | None:
        """Why a stream that had drawn the token of a node would have ended with it; None where it
        would have gone on."""
        tree, client = self._explorer.tree, self._link.client
        before = self.extension(tree.parent[node], 1)
        criteria = StopCriteria(client.info, client.vocabulary, before)
        full = 0 < client.info.context <= tree.depth[node]
        return criteria.reason(tree.token[node]) or ("context" if full else None)

    async def _follow(self, stream: LiveStream, handle: Handle[StreamEvent]) -> None:
        try:
            async for batch in handle:
                for event in batch:
                    if stream is self.live:
                        self._apply(stream, event)
                self._changed()
        except EngineLostError:
            if not stream.led:
                raise
        finally:
            self.drop(stream)
        self._jobs.run(self._score_rest())

    async def _score_rest(self) -> None:
        leaf = self._explorer.leaf
        start = self._scorer.unscored(leaf)
        if start is not None and not self.live:
            await self._scorer.score(leaf, start)

    def drop(self, stream: LiveStream | None) -> None:
        """Apply nothing more of a stream."""
        if self.live is stream:
            self.live, self.progress = None, None

    async def finished(self) -> None:
        """Wait until the live stream, if there is one, has ended."""
        if self._following is not None and not self._following.done():
            await asyncio.wait([self._following])

    async def pause(self) -> None:
        """Stop the live stream between two tokens and wait until it has stopped."""
        if self.last and self.last.handle:
            self.last.handle.cancel()
        await self.finished()

    def configure(self, settings: SamplingSettings, max_new_tokens: int) -> None:
        """New settings, from the next token on."""
        explorer = self._explorer
        explorer.settings, self.max_new_tokens = settings.checked(), max_new_tokens
        explorer.tree.configure(explorer.settings)
        if self.live and self.live.handle:
            length = None if self.live.limited else max_new_tokens
            self.live.handle.configure(explorer.settings, length)
        self._changed()

    def _apply(self, stream: LiveStream, event: StreamEvent) -> None:
        explorer, tree, leaf = self._explorer, self._explorer.tree, stream.leaf
        match event:
            case Progress():
                self.progress = event if event.done < event.total else None
            case ScoredToken():
                self._scorer.add(tree.path(leaf), event)
            case DrawnToken():
                self.progress = None
                stream.times.append(self._clock())
                stream.leaf = self._add_led(leaf, event) if stream.led else self.add(leaf, event)
                explorer.grown(stream.leaf)
            case Described():
                if not stream.led:
                    record(tree, leaf, event)
            case StreamEnded(_, "context") if stream.led:
                self._notify("The second model's context is full.", severity="warning")
            case StreamEnded(_, reason, detail):
                record(tree, leaf, event)
                self._tell_end(reason, detail)

    def add(self, leaf: int, event: DrawnToken, *, extends: bool = False) -> int:
        """Put a drawn token and all that is known of its step into the tree; its node.

        Args:
            extends: as for `exploring.explore`.
        """
        explorer, tree = self._explorer, self._explorer.tree
        self.threads = event.threads
        self._watchlist.record(leaf, event.watched)
        shape = tree.shape
        node = record(tree, leaf, event, extends=extends)
        if tree.shape != shape:
            explorer.touch(tree.depth[leaf] - 1)
        return node

    def _add_led(self, leaf: int, event: DrawnToken) -> int:
        """Put a token into the tree that a second model drew: what it said of the step is not the
        model's; its node."""
        explorer, tree = self._explorer, self._explorer.tree
        shape, settings = tree.shape, tree.configure(event.settings)
        token = event.standing.token
        node = explore(tree, leaf, [token], "second", settings=settings, draw=event.draw)
        if tree.shape != shape:
            explorer.touch(tree.depth[leaf] - 1)
        return node

    def _tell_end(self, reason: str, detail: str) -> None:
        if reason in ENDINGS:
            what = ENDINGS[reason] + (f": {detail!r}" if detail else "")
            answered = reason in ANSWERED and self._explorer.path.chat is not None
            more = "" if reason == "context" or answered else f"; {self._play_name} goes on"
            self._notify(f"{ENDED}{what}{more}.")
