"""The line mode's life: load, stream, read a command, do it, until the end."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import BinaryIO

import msgspec

from tokexplore.models.errors import TokexploreError, UsageError
from tokexplore.tui.explore.engine_link import MakeClient, spawn_client
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.session_recorder import LOOK_EVERY, OpenSession
from tokexplore.tui.line_mode.commands import Commands, find_command
from tokexplore.tui.line_mode.printer import LinePrinter
from tokexplore.tui.line_mode.stdin import LineReader
from tokexplore.tui.terminal.exit_codes import BY_SIGNAL, INTERRUPTED
from tokexplore.tui.terminal.shutdown import ENDED, TWICE

PROMPT = "tokexplore> "
_REPORT_EVERY = 5.0
"""Seconds between lines that tell how far loading is."""


class LineSession:
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
        opened: OpenSession | None = None,
    ) -> None:
        self._lines = LinePrinter(options, make_client, out, opened)
        self._commands = Commands(self._lines)
        self._options, self._opened = options, opened
        self._controller, self._explorer = self._lines.controller, self._lines.explorer
        self._typed = os.isatty(descriptor)
        self._reader = LineReader(descriptor, self._lines.moved)
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
            await (self._show_opened(self._opened) if self._opened else self._open())
            self._reader.start()
            await self._converse()
            ended = "quit"
        except asyncio.CancelledError:
            if self._code is None:
                raise
        finally:
            keep.cancel()
            self._reader.stop()
            self._controller.jobs.halt()
            self._lines.recorder.look()
            problem = self._lines.recorder.close(ENDED.get(self._code or 0, ended))
            if problem:
                self._lines.say(problem)
            with suppress(TokexploreError, TimeoutError):
                await asyncio.wait_for(self._controller.close(), 5)
        return self._code or 0

    async def _keep(self) -> None:
        """Keep where the user stands, again and again."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self._lines.recorder.look()

    async def _show_opened(self, opened: OpenSession) -> None:
        """Tell a session as it was left; its model is loaded when it is to go on."""
        self._lines.say(
            f"{opened.session.path.name}, recorded with {self._controller.explorer.recorded_model}"
        )
        self._lines.tell_from(0)
        self._lines.tell()
        self._lines.say(
            "go loads the model and goes on, once more past a finished end; help lists the commands"
        )

    def _end(self, task: "asyncio.Task[int]", code: int) -> None:
        self._code, self._commands.ended = code, True
        task.cancel()  # which a wait that is just over may swallow: the loops look at `ended`

    def _interrupt(self, task: "asyncio.Task[int]") -> None:
        """Stop the work that is going on; twice, or before there is any, leaves."""
        now = time.monotonic()
        if self._controller.state == "loading" or now - self._interrupted < TWICE:
            self._end(task, INTERRUPTED)
            return
        self._interrupted = now
        if self._controller.streaming:
            self._controller.jobs.run(self._controller.streams.pause())
        else:
            self._lines.say("ctrl+c again leaves; so does quit")

    async def _open(self) -> None:
        """Load the model, then start on the prompt, where there is one."""
        controller = self._controller
        self._lines.say(f"loading {self._options.load.model}")
        loading = asyncio.ensure_future(controller.engine_life.open())
        loading.add_done_callback(lambda _: self._lines.moved.set())
        while not loading.done():
            self._report()
            await self._wait()
            if self._commands.ended:
                return
        await loading
        self._lines.say_notices()
        if controller.link.info is None:
            self._code = 1
            self._commands.ended = True
            return
        self._commands.introduce()
        self._lines.say("help lists the commands")
        spec = self._options.starting_prompt()
        if spec is None:
            self._lines.say("There is no prompt yet: prompt TEXT gives one.")
            return
        await controller.prompt(spec)
        self._lines.tell_from(0)

    def _report(self) -> None:
        progress, now = self._controller.progress, time.monotonic()
        if progress and progress.total and now - self._reported >= _REPORT_EVERY:
            self._reported = now
            self._lines.say(f"{progress.stage} {progress.done / progress.total:.0%}")

    async def _converse(self) -> None:
        while not self._commands.ended:
            await self._follow()
            if self._typed and not self._reader.waiting and not self._commands.ended:
                self._lines.ask(PROMPT)
            while not self._reader.waiting and not self._commands.ended:
                await self._wait()
                self._lines.say_notices()
            try:
                line = None if self._commands.ended else self._reader.take()
            except UsageError as error:
                self._lines.say(str(error))
                continue
            while self._reader.notices:
                self._lines.say(self._reader.notices.pop(0))
            if line is None:
                return
            if not self._typed:
                self._lines.say(f"{PROMPT}{line}")
            self._interrupted = -TWICE
            await self._do(line)

    async def _follow(self) -> None:
        """Tell what streams until it ends, or until a line comes in that stops it."""
        streamed = False
        while self._controller.busy and not self._commands.ended:
            streamed = streamed or self._controller.streaming
            self._lines.tell()
            if self._controller.streaming and self._typed and self._reader.waiting:
                await self._controller.streams.pause()
            await self._wait()
        self._lines.tell()
        if streamed:
            explorer = self._explorer
            reason = explorer.tree.ended.get(explorer.leaf, "stopped")
            self._lines.say(f"[{reason}, step {explorer.step(len(explorer.nodes) - 1)}]")
        self._lines.say_notices()

    async def _wait(self) -> None:
        """Until something moves, but not for long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._lines.moved.wait(), 1)
        self._lines.moved.clear()

    async def _do(self, line: str) -> None:
        word, _, rest = line.lstrip().partition(" ")
        if not word:
            return
        try:
            command = find_command(word)
            await command.run(self._commands, rest if command.verbatim else rest.strip())
        except TokexploreError as error:
            self._lines.say(str(error))


def run_lines(options: AppOptions, out: BinaryIO, opened: OpenSession | None = None) -> int:
    """Run the line mode on standard input; its exit code.

    Args:
        opened: a session to go on with.
    """

    options = msgspec.structs.replace(options, shipped_defaults=True)

    async def session() -> int:
        return await LineSession(options, spawn_client, out, opened=opened).run()

    return asyncio.run(session())
