"""The line mode's life: load, stream, read a command, do it, until the end."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import BinaryIO

from tokexplore.models.errors import TokexploreError, UsageError
from tokexplore.tui.explore.engine_link import MakeClient, spawn_client
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.session_recorder import LOOK_EVERY, OpenSession
from tokexplore.tui.line_mode.commands import Commands, find_command
from tokexplore.tui.line_mode.stdin import LineReader
from tokexplore.tui.terminal.exit_codes import BY_SIGNAL, INTERRUPTED
from tokexplore.tui.terminal.shutdown import ENDED, TWICE

PROMPT = "tokexplore> "
_REPORT_EVERY = 5.0
"""Seconds between lines that tell how far loading is."""


class LineSession(Commands):
    """Reads commands from a descriptor, tells lines to `out`.

    On a terminal a line that comes in while text is streaming stops it; from a pipe or a file
    each command waits until the one before is done.
    """

    def __init__(
        self,
        options: AppOptions,
        make_client: MakeClient,
        out: BinaryIO,
        descriptor: int = 0,
        kept: OpenSession | None = None,
    ) -> None:
        super().__init__(options, make_client, out, kept)
        self._kept = kept
        self._typed = os.isatty(descriptor)
        self._reader = LineReader(descriptor, self.moved)
        self._code: int | None = None
        self._interrupted = -TWICE
        self._reported = time.monotonic()

    async def run(self) -> int:
        """Until the user leaves; the exit code.

        Raises:
            TokexploreError: the model, or the prompt that was asked for, cannot be had.
        """
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt, task)
        for number, code in BY_SIGNAL.items():
            loop.add_signal_handler(number, self._end, task, code)
        keep = asyncio.create_task(self._keep())
        ended = "crashed"
        try:
            await (self._open_kept(self._kept) if self._kept else self._open())
            self._reader.start()
            await self._converse()
            ended = "quit"
        except asyncio.CancelledError:
            if self._code is None:
                raise
        finally:
            keep.cancel()
            self._reader.stop()
            self.controller.jobs.halt()
            self.keeping.look()
            said = self.keeping.close(ENDED.get(self._code or 0, ended))
            if said:
                self.say(said)
            with suppress(TokexploreError, TimeoutError):
                await asyncio.wait_for(self.controller.close(), 5)
        return self._code or 0

    async def _keep(self) -> None:
        """Keep where the user stands, again and again."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.keeping.look()

    async def _open_kept(self, kept: OpenSession) -> None:
        """Tell a session as it was left; its model is loaded when it is to go on."""
        self.say(
            f"{kept.session.path.name}, recorded with {self.controller.explorer.recorded_model}"
        )
        self.tell_from(0)
        self.tell()
        self.say("go loads the model and goes on; help lists the commands")

    def _end(self, task: "asyncio.Task[int]", code: int) -> None:
        self._code, self.ended = code, True
        task.cancel()  # which a wait that is just over may swallow: the loops look at `ended`

    def _interrupt(self, task: "asyncio.Task[int]") -> None:
        """Stop the work that is going on; twice, or before there is any, leaves."""
        now = time.monotonic()
        if self.controller.state == "loading" or now - self._interrupted < TWICE:
            self._end(task, INTERRUPTED)
            return
        self._interrupted = now
        if self.controller.streaming:
            self.controller.jobs.run(self.controller.streams.pause())
        else:
            self.say("ctrl+c again leaves; so does quit")

    async def _open(self) -> None:
        """Load the model, then start on the prompt, where there is one."""
        controller = self.controller
        self.say(f"loading {self.options.load.model}")
        loading = asyncio.ensure_future(controller.open())
        loading.add_done_callback(lambda _: self.moved.set())
        while not loading.done():
            self._report()
            await self._wait()
            if self.ended:
                return
        await loading
        self.say_notices()
        if controller.link.info is None:
            self._code = 1
            self.ended = True
            return
        self.introduce()
        self.say("help lists the commands")
        spec = self.options.starting_prompt()
        if spec is None:
            self.say("There is no prompt yet: prompt TEXT gives one.")
            return
        await controller.prompt(spec, go_on=spec.chat is None)
        self.tell_from(0)
        if spec.chat is not None:
            self.tell()
            self.say("This is the rendered template; go goes on.")

    def _report(self) -> None:
        progress, now = self.controller.progress, time.monotonic()
        if progress and progress.total and now - self._reported >= _REPORT_EVERY:
            self._reported = now
            self.say(f"{progress.stage} {progress.done / progress.total:.0%}")

    async def _converse(self) -> None:
        while not self.ended:
            await self._follow()
            if self._typed and not self._reader.waiting and not self.ended:
                self.ask(PROMPT)
            while not self._reader.waiting and not self.ended:
                await self._wait()
                self.say_notices()
            try:
                line = None if self.ended else self._reader.take()
            except UsageError as error:
                self.say(str(error))
                continue
            while self._reader.notices:
                self.say(self._reader.notices.pop(0))
            if line is None:
                return
            if not self._typed:
                self.say(f"{PROMPT}{line}")
            await self._do(line)

    async def _follow(self) -> None:
        """Tell what streams until it ends, or until a line comes in that stops it."""
        streamed = False
        while self.controller.busy and not self.ended:
            streamed = streamed or self.controller.streaming
            self.tell()
            if self.controller.streaming and self._typed and self._reader.waiting:
                await self.controller.streams.pause()
            await self._wait()
        self.tell()
        if streamed:
            explorer = self.explorer
            reason = explorer.tree.ended.get(explorer.leaf, "stopped")
            self.say(f"[{reason}, step {explorer.step(len(explorer.nodes) - 1)}]")
        self.say_notices()

    async def _wait(self) -> None:
        """Until something moves, but not for long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.moved.wait(), 1)
        self.moved.clear()

    async def _do(self, line: str) -> None:
        word, _, rest = line.lstrip().partition(" ")
        if not word:
            return
        try:
            command = find_command(word)
            await command.run(self, rest if command.verbatim else rest.strip())
        except TokexploreError as error:
            self.say(str(error))


def run_lines(options: AppOptions, out: BinaryIO, kept: OpenSession | None = None) -> int:
    """Run the line mode on standard input; its exit code.

    Args:
        kept: a session to go on with.
    """

    async def session() -> int:
        return await LineSession(options, spawn_client, out, kept=kept).run()

    return asyncio.run(session())
