"""Drives an engine for an explorer: loading, streaming, taking tokens, questions about a step.

Knows no widget: it changes the explorer's state and calls `changed`; what the user should read
goes to `notify`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Literal, Protocol

import msgspec

from tokexplore.models.distribution import Distribution, Rows, Standing
from tokexplore.models.errors import EngineLostError, TokexploreError, UsageError
from tokexplore.models.events import Ended, Origin, Prompted, Scored
from tokexplore.models.options import PromptSpec
from tokexplore.models.protocol import (
    Chat,
    Described,
    DrawnToken,
    Message,
    Progress,
    ScoredToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.sampling import SamplerView, SamplingSettings
from tokexplore.models.tree import ROOT
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.explorer import Explorer
from tokexplore.tui.options import AppOptions, adopted

State = Literal["loading", "asking", "streaming", "paused", "lost"]
SCORE_AT_ONCE = 2_000_000
"""Logits (positions x vocabulary) up to which a prompt is scored in the pass that reads it."""
ENDINGS = {
    "eos": "the model ended the text",
    "stop": "a stop text was met",
    "length": "the length that was asked for is reached",
    "context": "the context is full",
}


class Notify(Protocol):
    """Says something to the user."""

    def __call__(
        self, text: str, *, severity: Literal["information", "warning", "error"] = ...
    ) -> None: ...


class Driver:
    """One engine, one explorer, one live stream at a time."""

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
        self.state: State = "loading"
        self.progress: Progress | None = None
        self.max_new_tokens = options.max_new_tokens
        self.single_step = False
        self.chat: Chat | None = None
        self.stream_leaf: int | None = None
        """The node that the live stream extends."""
        self.views: dict[tuple[int, int], SamplerView] = {}
        """By node and settings number: the sampler's view of distributions asked for."""
        self._changed = changed
        self._notify = notify
        self._stream: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[None]] = set()
        self._asked: set[tuple[int, int]] = set()
        self._times: deque[float] = deque(maxlen=64)

    # Life

    async def open(self) -> None:
        """Load the model, then take the first prompt up or ask for one."""
        self.state, self.progress = "loading", None
        try:
            await self.client.start(self._report)
        except EngineLostError as error:
            self.lose(error)
            return
        explorer = self.explorer
        explorer.vocabulary = self.client.vocabulary
        explorer.settings = self.options.starting_settings(self.client.info)
        self.state, self.progress = "asking", None
        for notice in self.client.info.notices:
            self._notify(notice)
        self._changed()

    def _report(self, progress: Progress) -> None:
        self.progress = progress
        self._changed()

    async def close(self) -> None:
        """End the stream and the engine."""
        for job in self._jobs:
            job.cancel()
        await self.client.close()

    async def restart(self, client: EngineClient) -> None:
        """Go on with a new engine process from the same node."""
        self.client, self.stream_leaf = client, None
        self._asked.clear()
        await self.open()
        if self.state == "asking" and self.explorer.nodes:
            self.state = "paused"
            self._changed()

    def lose(self, error: EngineLostError) -> None:
        """The engine's process is gone: say why, once; the tree stays."""
        if self.state != "lost":
            self.state, self.progress, self.stream_leaf = "lost", None, None
            self._notify(f"{error} Space starts it again.", severity="error")
            self._changed()

    def run(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Do a piece of work in the background; its errors become notices."""
        task = asyncio.create_task(self._guarded(work))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except EngineLostError as error:
            self.lose(error)
        except TokexploreError as error:
            self._notify(str(error), severity="error")
        self._changed()

    # Prompts

    async def prompt(self, spec: PromptSpec, *, go_on: bool = True) -> None:
        """Start a new root on a prompt; the old tree stays."""
        await self.pause()
        if spec.chat is not None:
            rendered = await self.client.render(spec.chat)
            ids, form = list(rendered.ids), "chat"
            if rendered.warning:
                self._notify(rendered.warning, severity="warning")
        else:
            ids, form = await self.client.encode(spec.text or ""), "text"
        self._check_length(ids)
        self.chat = spec.chat
        leaf = ROOT
        for token in ids:
            leaf = self.explorer.tree.take(leaf, token, "prompt")
        self.explorer.tree.append(Prompted(leaf, form))
        self.explorer.go_to(leaf)
        self.state = "paused"
        if go_on:
            self.play()

    def _check_length(self, ids: list[int]) -> None:
        context = self.client.info.context
        if context and len(ids) > context:
            raise UsageError(
                f"This prompt has {len(ids):,} tokens but the model's context holds {context:,}: "
                "shorten it."
            )

    async def add_turn(self, user: str) -> None:
        """Append the next user turn of a chat, then let the assistant answer."""
        if self.chat is None:
            raise UsageError("There is no chat here: start one with --chat, or type text instead.")
        await self.pause()
        explorer, said = self.explorer, self.explorer.prompt_length
        assert explorer.vocabulary is not None
        answer = self.chat.prefill + explorer.vocabulary.text(explorer.ids()[said:])
        messages = (*self.chat.messages, Message("assistant", answer))
        rendered = await self.client.next_turn(
            explorer.ids(), msgspec.structs.replace(self.chat, messages=messages, prefill=""), user
        )
        if rendered.warning:
            self._notify(rendered.warning, severity="warning")
        self.chat = msgspec.structs.replace(
            self.chat, messages=(*messages, Message("user", user)), prefill=""
        )
        self._give(rendered.ids, "prompt")
        self.play()

    def _give(self, ids: tuple[int, ...] | list[int], origin: Origin) -> None:
        tree, leaf = self.explorer.tree, self.explorer.leaf
        fork = bool(tree.children[leaf])
        number = tree.configure(self.explorer.settings)
        for index, token in enumerate(ids):
            known = tree.child(leaf, token)
            leaf = tree.take(leaf, token, origin, settings=number)
            if known is None and fork and not index:
                tree.note_branch(tree.branch_of[leaf])
        self.explorer.go_to(leaf)

    async def type_text(self, text: str) -> None:
        """Branch at the cursor with typed text: it takes the place of what was taken there."""
        await self.pause()
        explorer = self.explorer
        ids = await self.client.encode(text, continuation=True)
        if not ids:
            return
        keep = explorer.cursor
        explorer.go_to(explorer.before)
        start = len(explorer.nodes)
        self._give(ids, "typed")
        explorer.place(keep)
        await self._score(explorer.leaf, max(1, start))
        sums = [explorer.tree.logprob[n] for n in explorer.nodes[start:]]
        self._notify(
            f"{len(ids)} tokens typed; the model gave them {sum(sums):.2f} nats in all, "
            f"{sum(sums) / len(sums):.2f} a token."
        )
        self._changed()

    # Streaming

    @property
    def streaming(self) -> bool:
        return self.state == "streaming"

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
        if self.streaming or self.state in ("loading", "lost") or not explorer.nodes:
            return
        if explorer.tree.ended.get(explorer.leaf) == "context":
            self._notify("The context is full: branch earlier to go on.", severity="warning")
            return
        self._stream = self.run(self._play(count or (1 if self.single_step else None), draw))

    async def _play(self, count: int | None, draw: int) -> None:
        explorer, tree = self.explorer, self.explorer.tree
        ids, leaf = explorer.ids(), explorer.leaf
        prompt_length = len(ids) if tree.ended.get(leaf) == "stop" else explorer.prompt_length
        vocabulary = self.client.info.vocabulary
        request = StreamRequest(
            ids=ids,
            settings=explorer.settings,
            max_new_tokens=count or self.max_new_tokens,
            prompt_length=prompt_length,
            draw=draw,
            stop_texts=self.options.stop_texts,
            stop_ids=self.options.stop_ids,
            ignore_eos=self.options.ignore_eos,
            score_prompt=len(ids) * vocabulary <= SCORE_AT_ONCE
            and self._unscored(leaf) is not None,
            describe_end=True,
        )
        self.state, self.stream_leaf = "streaming", leaf
        self._times.clear()
        try:
            async for batch in self.client.stream(request):
                for event in batch:
                    self._apply(event)
                self._changed()
        finally:
            if self.state == "streaming":
                self.state = "paused"
            self.stream_leaf, self.progress = None, None
        self.run(self._score_rest())

    def _apply(self, event: StreamEvent) -> None:
        explorer, tree = self.explorer, self.explorer.tree
        leaf = self.stream_leaf
        if leaf is None:
            return
        match event:
            case Progress():
                self.progress = event if event.done < event.total else None
            case ScoredToken():
                self._scored(tree.path(leaf), event)
            case DrawnToken(_, distribution, standing, sampler, chosen_by, sampler_logprob, draw):
                self.progress = None
                self._times.append(time.monotonic())
                tree.tell(leaf, distribution)
                number = tree.configure(sampler.settings)
                forked, known = bool(tree.children[leaf]), tree.child(leaf, standing.token)
                node = tree.take(
                    leaf, standing.token, chosen_by,
                    settings=number, draw=draw, logprob=standing.logprob, rank=standing.rank,
                    sampler_logprob=sampler_logprob, sampler=sampler,
                )  # fmt: skip
                if forked and known is None:
                    explorer.touch(tree.depth[leaf] - 1)
                self.stream_leaf = node
                explorer.grown(node)
            case Described(_, distribution):
                tree.tell(leaf, distribution)
            case StreamEnded(_, reason, detail):
                self._end(leaf, reason, detail)

    def _end(self, leaf: int, reason: str, detail: str) -> None:
        self.explorer.tree.append(Ended(leaf, reason))
        if reason in ("eos", "stop", "context"):
            what = ENDINGS[reason] + (f": {detail!r}" if detail else "")
            more = "" if reason == "context" else "; space goes on"
            self._notify(f"Ended: {what}{more}.")

    async def pause(self) -> None:
        """Stop the live stream between two tokens and wait until it has stopped."""
        if self._stream is not None and not self._stream.done():
            self.client.cancel()
            await asyncio.wait([self._stream])

    def configure(self, settings: SamplingSettings, max_new_tokens: int) -> None:
        """New settings, from the next token on."""
        self.explorer.settings, self.max_new_tokens = settings.checked(), max_new_tokens
        if self.streaming:
            self.client.configure(self.explorer.settings)
        self._changed()

    def adopt_suggested(self) -> None:
        """Take the sampling settings that the model's makers suggest."""
        suggested = self.client.info.suggested
        if suggested is None:
            raise UsageError("This model suggests no sampling settings.")
        settings = adopted(self.explorer.settings, frozenset(), suggested)
        self.configure(settings, self.max_new_tokens)

    # Taking tokens

    async def take(self, token: int) -> None:
        """Take a token at the cursor's step and go on from there; a taken one is gone to."""
        await self.pause()
        explorer, tree = self.explorer, self.explorer.tree
        before, cursor = explorer.before, explorer.cursor
        known = tree.child(before, token)
        if known is not None:
            if tree.is_hidden(tree.branch_of[known]):
                explorer.unhide(tree.branch_of[known])
            explorer.go_to(explorer.tip_through(known), cursor)
            self._changed()
            return
        standing = await self._standing(before, token)
        forked = bool(tree.children[before])
        node = tree.take(
            before, token, "picked",
            settings=tree.configure(explorer.settings),
            logprob=standing.logprob, rank=standing.rank,
        )  # fmt: skip
        if forked:
            tree.note_branch(tree.branch_of[node])
        explorer.go_to(node)
        explorer.touch(cursor - 1)
        self.play()
        self._changed()

    async def _standing(self, node: int, token: int) -> Standing:
        distribution = self.explorer.tree.distribution.get(node)
        index = distribution.index_of(token) if distribution else None
        if distribution is None or index is None:
            return (await self.client.standings(self._ids(node), [token]))[0]
        return Standing(
            token, distribution.logit_view[index], distribution.logprob(index),
            distribution.rank(index), index, distribution.tied(index),
        )  # fmt: skip

    async def draw_again(self) -> None:
        """Draw the cursor's step once more, under the next draw number."""
        explorer, tree = self.explorer, self.explorer.tree
        if explorer.settings.greedy:
            raise UsageError(
                "Temperature 0 always takes the first candidate: set one above 0 (s) to draw."
            )
        await self.pause()
        before, cursor = explorer.before, explorer.cursor
        if before == ROOT:
            return
        draw = 1 + max((tree.draw[n] for n in tree.children[before]), default=-1)
        explorer.go_to(before)
        known = set(tree.children[before])
        self.play(1, draw=draw)
        if self._stream is not None:
            await asyncio.wait([self._stream])
        node = explorer.leaf
        if node in known:
            explorer.go_to(explorer.tip_through(node), cursor)
            self._notify(f"Draw {draw + 1} gave the same token as an earlier draw.")
        elif node != before:
            if known:
                tree.note_branch(tree.branch_of[node])
            self.play()
        self._changed()

    # Questions about a step

    def _ids(self, node: int) -> tuple[int, ...]:
        return tuple(self.explorer.tree.ids(node))

    def settings_at_cursor(self) -> int | None:
        """Number of the settings that the cursor's step is shown under; None for a prompt token."""
        explorer, tree = self.explorer, self.explorer.tree
        if explorer.taken is None:
            return tree.configure(explorer.settings)
        if tree.origin[explorer.taken] == "prompt":
            return None
        return tree.settings_of[explorer.taken]

    def sampler_view(self) -> SamplerView | None:
        """The sampler's view of the cursor's step, once known; asks for it where it is not."""
        explorer, tree = self.explorer, self.explorer.tree
        if explorer.taken is not None and explorer.taken in tree.sampler:
            return tree.sampler[explorer.taken]
        number, before = self.settings_at_cursor(), explorer.before
        if number is None or before == ROOT or before not in tree.distribution:
            return None
        view = self.views.get((before, number))
        if view is None:
            self._ask((before, number), self._reshape(before, number))
        return view

    def distribution(self) -> Distribution | None:
        """The distribution at the cursor's step, once known; asks for it where it is not."""
        before = self.explorer.before
        known = self.explorer.tree.distribution.get(before)
        if known is None and before != ROOT and not (self.streaming and before == self.stream_leaf):
            self._ask((before, -1), self._describe(before))
        return known

    def _ask(self, key: tuple[int, int], work: Coroutine[object, object, None]) -> None:
        if key in self._asked or self.state in ("loading", "lost"):
            work.close()
            return
        self._asked.add(key)
        self.run(work)

    async def _describe(self, node: int) -> None:
        self.explorer.tree.tell(node, await self.client.describe(self._ids(node)))
        if node == self.explorer.before:
            self.explorer.to_taken()

    async def _reshape(self, node: int, number: int) -> None:
        settings = self.explorer.tree.settings[number]
        self.views[node, number] = await self.client.reshape(self._ids(node), settings)

    async def rows(self, node: int, start: int, count: int) -> Rows:
        """A page of the whole candidate order after a node."""
        return await self.client.rows(self._ids(node), start, count)

    async def search(self, node: int, text: str, limit: int) -> Rows:
        """The most probable tokens after a node whose text holds `text`."""
        return await self.client.search(self._ids(node), text, limit)

    # Scores of given tokens

    def _unscored(self, leaf: int) -> int | None:
        """Position of the first token of a path that has no logprob yet and can have one."""
        tree = self.explorer.tree
        path = tree.path(leaf)
        return next((i for i in range(1, len(path)) if not tree.rank[path[i]]), None)

    async def _score_rest(self) -> None:
        leaf = self.explorer.leaf
        start = self._unscored(leaf)
        if start is not None and not self.streaming:
            await self._score(leaf, start)

    async def _score(self, leaf: int, start: int) -> None:
        path = self.explorer.tree.path(leaf)
        async for batch in self.client.score(self._ids(leaf), start):
            for event in batch:
                if isinstance(event, ScoredToken):
                    self._scored(path, event)
                else:
                    self.progress = event if event.done < event.total else None
            self._changed()
        self.progress = None

    def _scored(self, path: list[int], event: ScoredToken) -> None:
        tree, position, standing = self.explorer.tree, event.position, event.standing
        tree.tell(path[position - 1], event.distribution)
        if not tree.rank[path[position]]:
            tree.append(Scored(path[position], standing.logprob, standing.rank))
        self.explorer.touch(position)
