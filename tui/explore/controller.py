"""One exploration over one engine. Whatever changes the path in view is a method here."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

from tokexplore.models.api.chat import Chat, Rendered
from tokexplore.models.api.engine import Progress
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.api.questions import Question
from tokexplore.models.errors import EngineLostError
from tokexplore.models.tree.conversation import before_given_answer
from tokexplore.models.tree.events import Hidden
from tokexplore.models.tree.undo import Step
from tokexplore.models.tree.visibility import hidden_by, shown_by
from tokexplore.tui.explore import sight
from tokexplore.tui.explore.branch_streams import BranchStream, BranchStreams
from tokexplore.tui.explore.engine_life import EngineLife
from tokexplore.tui.explore.engine_link import EngineLink, MakeClient
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.jobs import Jobs
from tokexplore.tui.explore.noise import NoiseMeter
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.path_ends import PathEnds
from tokexplore.tui.explore.picks import Picks
from tokexplore.tui.explore.prompts import Prompts
from tokexplore.tui.explore.queries import Queries
from tokexplore.tui.explore.replay import Replay
from tokexplore.tui.explore.scoring import Scorer
from tokexplore.tui.explore.second_model import SecondModel
from tokexplore.tui.explore.streams import FULL, Notify, Streams
from tokexplore.tui.explore.watchlist import Watchlist

State = Literal["replaying", "recorded", "loading", "asking", "streaming", "paused", "lost"]
"""`recorded`: a session is open and its model not yet asked for; `replaying`: it is lived again;
`asking`: the model is there and a prompt is not."""


class Controller:
    """Drives one engine for one explorer.

    A change of the path in view waits until the one before it is done, so that keys typed ahead
    act one after the other.

    Args:
        changed: called when there is something new to show.
        replay: a session to live again.
        play_name: the key or the command that goes on, as notices name it.
        began: called when a stream begins.
        clock: seconds by which the rate of a stream is measured.
    """

    def __init__(
        self,
        explorer: Explorer,
        options: AppOptions,
        make_client: MakeClient,
        changed: Callable[[], None],
        notify: Notify,
        *,
        replay: Replay | None = None,
        play_name: str = "space",
        began: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.explorer, self.options, self.replay = explorer, options, replay
        self._changed, self._notify = changed, notify
        self._turn = asyncio.Lock()
        self.jobs = jobs = Jobs(changed, self._failed)
        self.link = link = EngineLink(
            options.load, make_client, self._lost, changed,
            recorded=bool(explorer.nodes) or replay is not None,
        )  # fmt: skip
        self.watchlist = Watchlist(explorer, link, jobs, changed)
        self.scorer = Scorer(explorer, link, self.watchlist, changed)
        self.streams = Streams(
            options, explorer, link, self.watchlist, self.scorer, jobs, changed, notify,
            self._lost, began, play_name, clock,
        )  # fmt: skip
        self.queries = Queries(explorer, link, self.streams, jobs)
        self.noise = NoiseMeter(explorer, link, self.streams, jobs, changed)
        self.engine_life = EngineLife(
            options, explorer, link, self.watchlist, self.streams, self.queries, changed, notify,
            play_name,
        )  # fmt: skip
        self.branch_streams = BranchStreams(
            explorer, link, self.streams, jobs, changed, notify, clock
        )
        self._path_ends = PathEnds(explorer, notify, play_name)
        self.picks = Picks(
            explorer, link, self.streams, self.queries, notify, self._wake, play_name
        )
        self.prompts = Prompts(explorer, link, self.scorer, jobs, changed, notify)
        self.second = SecondModel(
            explorer, link, self.streams, jobs, make_client, changed, notify, options.against
        )

    # How things stand

    @property
    def state(self) -> State:
        """What the engine is at."""
        if self.replay is not None:
            return "replaying"
        if self.link.state != "ready":
            return self.link.state
        if self.streaming:
            return "streaming"
        return "paused" if self.explorer.nodes else "asking"

    @property
    def streaming(self) -> bool:
        """Whether the path in view streams."""
        return self.streams.live is not None or self._beside is not None

    @property
    def _beside(self) -> BranchStream | None:
        """The stream of a branch that came into view while it streamed."""
        return self.branch_streams.at(self.explorer.leaf)

    @property
    def rate(self) -> float | None:
        """Tokens a second of what extends the path in view; of streams beside it all together."""
        return self.streams.rate if self.streams.live else self.branch_streams.rate

    @property
    def live_leaves(self) -> tuple[int, ...]:
        """The nodes that are extended: that of the path in view, and those beside it."""
        own = () if self.streams.leaf is None else (self.streams.leaf,)
        return (*own, *self.branch_streams.leaves)

    @property
    def progress(self) -> Progress | None:
        """Of what takes long at present; a score waits for a stream."""
        other = self.streams if self.streaming else self.scorer
        return self.link.progress or other.progress

    @property
    def busy(self) -> bool:
        """Whether any piece of work is under way."""
        return self.jobs.count > 0

    @property
    def changing(self) -> bool:
        """Whether keys have to wait; not while a model is loaded, which takes its time."""
        return self.link.state != "loading" and self.jobs.changing

    @property
    def turn_is_taken(self) -> bool:
        """Whether a change of the path is under way."""
        return self._turn.locked()

    # The engine

    def _lost(self, error: EngineLostError) -> None:
        self.engine_life.lose(error)

    def _failed(self, error: Exception) -> None:
        self.engine_life.failed(error)

    async def _wake(self) -> None:
        """Load the model of a session that is open without it; a replay ends here."""
        self.end_replay()
        await self.engine_life.wake()

    async def close(self) -> None:
        """End all work and the engine."""
        self.jobs.halt()
        await self.second.close()
        await self.link.client.close()

    # A session that is lived again

    async def live_again(self, replay: Replay) -> None:
        """Live a session again, to its end or until its user goes on alone."""
        await replay.run()
        self.end_replay()

    def end_replay(self) -> None:
        """The replay is over, or its user goes on alone from where it is."""
        if self.replay is not None:
            ended = "is over" if self.replay.over else "is left"
            self.replay.leave()
            self.replay = None
            self._notify(f"The replay {ended}: what you do from here on is a session of its own.")
            self._changed()

    # Going on

    def play(self, count: int | None = None) -> None:
        """Go on from the leaf of the path in view, by `count` tokens or the set length."""
        if self.state == "recorded":
            self.jobs.run(self._wake_and_play(count))
        elif self.replay is None:
            self.streams.play(count)

    async def _wake_and_play(self, count: int | None) -> None:
        async with self._turn:
            await self._wake()
            finished = count is None and self.state == "paused" and self._path_ends.tell_loaded()
            if not finished:
                self.play(count)

    async def pause(self) -> None:
        """Stop what extends the path in view between two tokens."""
        await self.streams.pause()
        if self._beside is not None:
            await self.branch_streams.hold([self._beside])

    async def toggle(self, leaf: int) -> None:
        """Hold what extends a node, or extend it beside the path in view."""
        stream = self.branch_streams.at(leaf)
        if stream is not None:
            await self.branch_streams.hold([stream])
        elif leaf == self.streams.leaf:
            await self.streams.pause()
        elif self.explorer.tree.ended.get(leaf) == "context":
            self._notify(FULL, severity="warning")
        else:
            self.branch_streams.go_on(leaf)
            sight.show(self.explorer, leaf)
        self._changed()

    async def go_on(self, count: int | None = None) -> None:
        """Go on at the end of the path in view, or pause what came to stream meanwhile.

        Args:
            count: so many tokens, which are waited for; else the set length.
        """
        async with self._turn:
            if self.streaming:
                await self.pause()
                return
            self.explorer.follow()
            if count is None and self.state == "paused" and self._path_ends.tell_answered():
                return
            self.play(count)
            if count is not None:
                await self.streams.finished()

    # What changes the path in view

    @asynccontextmanager
    async def paused_turn(self, *, awake: bool = False) -> AsyncIterator[None]:
        """A turn in which nothing streams: for changes of the path in view.

        Args:
            awake: load the model first, where a session is open without it.
        """
        async with self._turn:
            if awake:
                await self._wake()
            await self.streams.pause()
            yield

    async def lead(self, *, second: bool) -> None:
        """Let a second model choose what is generated, or the first one again.

        Raises:
            UsageError: see `SecondModel.lead`.
        """
        async with self.paused_turn():
            self.second.lead(second)

    async def while_paused(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something for which the path in view has to stay as it is."""
        async with self.paused_turn():
            await work()

    async def take(self, token: int, before: int) -> None:
        """Take a token after the node `before` and go on from there; a taken one is gone to."""
        async with self.paused_turn():
            if await self.picks.take(token, before):
                self.play()
            self._changed()

    async def draw_again(self) -> None:
        """Draw the cursor's step once more, under the next draw number.

        Raises:
            UsageError: at temperature 0.
        """
        async with self._turn:
            self.picks.check_draws()
            await self._wake()
            await self.streams.pause()
            await self.picks.draw_again()
            self._changed()

    async def answer_again(self) -> None:
        """Generate the answer of the cursor's turn once more, under the next seed; of one that was
        given, the model's own.

        Raises:
            UsageError: at temperature 0, and where nothing is answered on this path.
        """
        given = before_given_answer(self.explorer.path, self.explorer.cursor)
        if given is not None:
            self._notify("The model's own answer, beside the one that was given.")
            await self.prompt(PromptSpec(chat=given))
            return
        async with self._turn:
            first = self.picks.answer_to_draw()
            await self._wake()
            await self.streams.pause()
            await self.picks.answer_again(first, self.jobs)
            self._changed()

    async def prompt(self, spec: PromptSpec, *, go_on: bool = True) -> None:
        """Start a new root on a prompt; the old tree stays.

        Raises:
            TokexploreError: see `Prompts.begin`.
        """
        async with self.paused_turn(awake=True):
            await self.prompts.begin(spec)
            if go_on:
                self.play()

    def rendering(self, chat: Chat) -> Question[Rendered]:
        """What asks for the tokens that a conversation adds to the path in view."""
        return self.prompts.rendering(chat)

    async def add_turn(self, user: str, *, literal: bool = False) -> None:
        """Append the next user turn of a chat, then let the assistant answer.

        Raises:
            TokexploreError: see `Prompts.add_turn`.
        """
        async with self._turn:
            self.prompts.chat_in_view()
            await self._wake()
            await self.streams.pause()
            await self.prompts.add_turn(user, literal=literal)
            self.play()

    async def type_text(
        self, text: str, *, literal: bool = False, place: tuple[int, int] | None = None
    ) -> None:
        """Branch with typed text at the cursor, or at a place: a leaf and a cursor.

        Raises:
            TokexploreError: see `Prompts.type_text`.
        """
        async with self.paused_turn(awake=True):
            if place is not None:
                self.explorer.show(*place)
            await self.prompts.type_text(text, literal=literal)

    async def switch(self, wanted: Callable[[], int | None], *, stay: bool = False) -> int | None:
        """Bring a branch into view that is looked for once it is this change's turn; its number.

        None where there is no such branch: then a live stream goes on.

        Args:
            stay: keep the cursor at its position instead of going to the branch's end.
        """
        async with self._turn:
            number = wanted()
            if number is not None:
                await self.streams.pause()
                self.explorer.switch(number, stay=stay)
            return number

    async def hide(self, number: int | None = None) -> int | None:
        """Hide a branch, the one in view by default; its number, None where none would be left."""
        async with self.paused_turn():
            hidden = sight.to_hide(self.explorer, number)
            if hidden is not None:
                gone = partial(hidden_by, self.explorer.tree, [Hidden(hidden)])
                await self.branch_streams.hold_on(gone)
                sight.hide(self.explorer, hidden)
            return hidden

    async def unhide(self, number: int) -> None:
        """Show a hidden branch again."""
        async with self.paused_turn():
            sight.unhide(self.explorer, number)

    async def undo(self) -> Step | None:
        """Take the last step back; that step, None where there is none."""
        tree = self.explorer.tree
        async with self.paused_turn():
            await self.branch_streams.hold_on(
                lambda: shown_by(tree, step.changes) if (step := tree.history.undoable) else ()
            )
            return sight.undo(self.explorer)

    async def redo(self) -> Step | None:
        """Make the last step again that was taken back; that step, None where there is none."""
        tree = self.explorer.tree
        async with self.paused_turn():
            await self.branch_streams.hold_on(
                lambda: hidden_by(tree, step.changes) if (step := tree.history.redoable) else ()
            )
            return sight.redo(self.explorer)

    async def back(self) -> bool:
        """Return to where the last jump or switch came from; whether there was one."""
        async with self.paused_turn():
            return self.explorer.back()

    async def go_to(self, node: int, through: int) -> None:
        """Stand on a node: on the path in view where it lies there, else on its branch.

        Args:
            through: a node from there on that the path has to hold too.
        """
        async with self._turn:
            explorer = self.explorer
            cursor = explorer.tree.depth[node] - 1
            if explorer.on_path(through):
                explorer.place(cursor, jump=True)
            else:
                await self.streams.pause()
                explorer.go_to(explorer.tip_through(through), cursor)
