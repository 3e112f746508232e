"""The engine's life, and how background work reports."""

import asyncio
import functools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Concatenate, Literal, ParamSpec, Protocol, TypeVar

from tokexplore.models.api.engine import Chat, ModelInfo, Progress
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.distribution import TokenRank
from tokexplore.models.errors import EngineLostError, ModelError, TokexploreError, UsageError
from tokexplore.models.sampling.logit_edits import LogitEdits
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.options import (
    MOST_WATCHED,
    AppOptions,
    check_token_ids,
    watched_tokens,
    with_texts,
)
from tokexplore.tui.explore.replay import Replay
from tokexplore.tui.terminal.shutdown import failure

Driving = TypeVar("Driving", bound="DriverBase")
Arguments = ParamSpec("Arguments")
State = Literal["replaying", "recorded", "loading", "asking", "streaming", "paused", "lost"]
"""`recorded`: a session is open and its model not yet asked for; `replaying`: it is lived again."""

MakeClient = Callable[[LoadOptions, Callable[[EngineLostError], None]], EngineClient]


def spawn_client(load: LoadOptions, on_lost: Callable[[EngineLostError], None]) -> EngineClient:
    """An engine in a child process."""
    return EngineClient(load, on_lost=on_lost)


class Notify(Protocol):
    """Says something to the user."""

    def __call__(
        self, text: str, *, severity: Literal["information", "warning", "error"] = ...
    ) -> None: ...


Method = Callable[Concatenate[Driving, Arguments], Coroutine[object, object, None]]


def in_turn(method: Method[Driving, Arguments]) -> Method[Driving, Arguments]:
    """Let a method wait until what changed the path before it is done."""

    @functools.wraps(method)
    async def waits(self: Driving, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        async with self.turn:
            await method(self, *args, **kwargs)

    return waits


class DriverBase:
    """One engine, one explorer, one live stream at a time."""

    play_name = "space"
    """The key or the command that goes on, as notices name it."""

    def __init__(
        self,
        explorer: Explorer,
        options: AppOptions,
        client: EngineClient,
        changed: Callable[[], None],
        notify: Notify,
    ) -> None:
        self.explorer = explorer
        self.options = options
        self.client = client
        self.state: State = "recorded" if explorer.nodes else "loading"
        self.info: ModelInfo | None = None
        """What is loaded, or was before the engine was lost; None before the first load."""
        self.progress: Progress | None = None
        self.memory = ""
        """What the model needs and what is free, as told before loading."""
        self.threads = 0
        """Threads of the CPU that the newest token was computed with; 0 where none is known."""
        self.max_new_tokens = options.max_new_tokens
        self.single_step = False
        self.stream_leaf: int | None = None
        """The node that the live stream extends."""
        self.views: dict[tuple[int, int], SamplerView] = {}
        """By node and settings number: the sampler's view of distributions asked for."""
        self._changes: dict[tuple[int, int], LogitEdits] = {}
        """What the path changes at the step that was shown last."""
        self.watched: list[int] = []
        """Tokens that are followed at every step."""
        self.standings: dict[tuple[int, int], TokenRank] = {}
        """By node and token: how watched tokens stand in the distribution after the node."""
        self._watching = False
        self.gaps: dict[int, float] = {}
        """By node: how far one prefill pass moved the gap of its first two candidates (nats)."""
        self._measured: set[int] = set()
        """Leaves whose path was measured, or has nothing to measure."""
        self.turn = asyncio.Lock()
        """Held by whatever changes the path, so that keys typed ahead act one after the other."""
        self._changed = changed
        self._notify = notify
        self._stream: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[None]] = set()
        self._changes_of_path: set[asyncio.Task[None]] = set()
        self._asked: dict[tuple[int, int], asyncio.Task[None]] = {}
        self.goes_on = False
        """A stream was live when the engine was lost."""
        self._times: deque[float] = deque(maxlen=64)
        self.clock: Callable[[], float] = time.monotonic
        """Seconds by which the rate of a stream and a key's second press are measured."""
        self.replay: Replay | None = None
        self.differs = False
        """The model is another than the one that most of the session was recorded with."""

    @property
    def absent(self) -> bool:
        """Whether there is no engine to ask."""
        return self.state in ("replaying", "recorded", "loading", "lost")

    @property
    def recorded_name(self) -> str:
        """The model that the session was recorded with last; empty where there is none."""
        provenance = self.explorer.tree.provenance
        return provenance[-1].model if provenance else ""

    async def open(self) -> None:
        """Load the model, then take the first prompt up or ask for one."""
        self.state, self.progress = "loading", None
        try:
            await self.client.start(self._report)
        except EngineLostError as error:
            self.lose(error)
            return
        self._check_vocabulary()
        first, self.info = self.info is None, self.client.info
        self.state, self.progress = "paused" if self.explorer.nodes else "asking", None
        if first:
            self._introduce(self.info)
            await self._name_tokens()
        self.explorer.tree.load(self.info.provenance)
        self._changed()

    async def _name_tokens(self) -> None:
        """Find the tokens of the texts that are biased or banned."""
        options, client = self.options, self.client
        ids = {t: await client.encode(t, continuation=True) for t in options.token_texts}
        self.explorer.settings = with_texts(self.explorer.settings, options, ids)
        self.watched = self.watched or watched_tokens(options, ids, client.vocabulary)
        if len(self.watched) > MOST_WATCHED:
            raise UsageError(
                f"{len(self.watched)} tokens are to be watched, and the screen can follow "
                f"{MOST_WATCHED}: name fewer (run --watch takes any number)."
            )

    def _check_vocabulary(self) -> None:
        """Take the engine's vocabulary, which has to be the one that the tree was made with."""
        explorer, vocabulary = self.explorer, self.client.vocabulary
        known = explorer.vocabulary
        if explorer.nodes and known is not None and not known.agrees_with(vocabulary):
            raise ModelError(
                f"{self.options.load.model} has another vocabulary than this session was recorded "
                "with: M opens it in a session of its own."
            )
        explorer.vocabulary = vocabulary

    def _introduce(self, info: ModelInfo) -> None:
        """Start with the settings that were asked for, and say what the user should know."""
        check_token_ids(self.options, info)
        recorded = self.explorer.tree.provenance
        if not self.explorer.nodes:
            self.explorer.settings = self.options.starting_settings(info)
        elif recorded and (others := recorded[-1].differences(info.provenance)):
            self.differs = True
            self._notify(
                f"Not as recorded: {'; '.join(others)}. What was recorded stays; a step that is "
                "looked at is computed again and both are shown.",
                severity="warning",
            )
        for notice in info.notices:
            self._notify(notice)

    def begin_replay(self, replay: Replay) -> None:
        """Live a session again."""
        self.replay, self.state = replay, "replaying"
        self.run(self._live(replay))

    async def _live(self, replay: Replay) -> None:
        await replay.run()
        self.take_over()

    def take_over(self) -> None:
        """The replay is over, or its user goes on alone from where it is."""
        if self.state == "replaying" and self.replay is not None:
            ended = self.replay.over
            self.replay.leave()
            self.replay, self.state = None, "recorded"
            said = "The replay is over" if ended else "The replay is left"
            self._notify(f"{said}: what you do from here on is a session of its own.")
            self._changed()

    async def wake(self) -> None:
        """Load the model of a session that is open without it.

        Raises:
            TokexploreError: see `EngineClient.start`; ModelError also where it cannot go on with
                this session.
        """
        self.take_over()
        if self.state != "recorded":
            return
        try:
            await self.open()
        except TokexploreError:
            self.state, self.progress = "lost", None
            raise

    def _report(self, progress: Progress) -> None:
        self.memory = progress.detail or self.memory
        self.progress = progress
        self._changed()

    def halt(self) -> None:
        """Let nothing more happen to the tree, but what the caller itself may do."""
        for job in self._jobs - {asyncio.current_task()}:
            job.cancel()

    async def close(self) -> None:
        """End the stream and the engine."""
        self.halt()
        await self.client.close()

    async def restart(self, client: EngineClient) -> None:
        """Go on with a new engine process from the same node."""
        self.client, self.stream_leaf, self.state = client, None, "loading"
        self._asked.clear()
        try:
            await self.open()
        except TokexploreError:
            self.state, self.progress = "lost", None
            raise

    def lose(self, error: EngineLostError) -> None:
        """The engine's process is gone: say why, once; the tree stays."""
        if self.state != "lost":
            self.goes_on = self.streaming
            self.state, self.progress, self.stream_leaf = "lost", None, None
            self._notify(
                f"{error} {self.play_name.capitalize()} starts it again.", severity="error"
            )
            self._changed()

    def run(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Do a piece of work in the background; its errors become notices."""
        task = asyncio.create_task(self._guarded(work))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    def change(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Change what is in view in the background: keys wait for it, as it is what they act on."""
        task = self.run(work)
        self._changes_of_path.add(task)
        task.add_done_callback(self._changes_of_path.discard)
        return task

    @property
    def changing(self) -> bool:
        """Whether keys have to wait; not while a model is loaded, which takes its time."""
        return self.state != "loading" and any(not t.done() for t in self._changes_of_path)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except EngineLostError as error:
            if self.state == "lost":
                self._notify(
                    f"The engine is gone: {self.play_name} starts it again.", severity="error"
                )
            self.lose(error)
        except TokexploreError as error:
            self._notify(str(error), severity="error")
        except Exception as error:
            self._notify(failure(error), severity="error")
        self._changed()

    def remember(self, node: int, found: Iterable[TokenRank]) -> None:
        """Keep how watched tokens stand after a node."""
        for standing in found:
            self.standings[node, standing.token] = standing

    def ids_of(self, node: int) -> tuple[int, ...]:
        """The token ids of the path to a node."""
        return tuple(self.explorer.tree.ids(node))

    @property
    def suggested(self) -> SamplingSettings | None:
        """The sampling settings that the model's makers suggest."""
        return self.info.suggested if self.info else None

    @property
    def jobs(self) -> int:
        """How many pieces of work are under way."""
        return sum(not job.done() for job in self._jobs)

    @property
    def busy(self) -> bool:
        """Whether any piece of work is under way."""
        return self.jobs > 0

    @property
    def streaming(self) -> bool:
        """Whether a stream is live."""
        return self.state == "streaming"

    @property
    def chat(self) -> Chat | None:
        """The conversation that the path in view belongs to."""
        nodes, chats = reversed(self.explorer.nodes), self.explorer.tree.chats
        return next((chats[n] for n in nodes if n in chats), None)

    @property
    def turn_ids(self) -> tuple[int, ...]:
        """The tokens that end the assistant's turn, where the path in view is a chat."""
        return self.client.info.turn_ids if self.chat is not None else ()
