"""What all experiments of the command line do alike: models one after the other, progress, ends."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, TextIO

import msgspec

from tokexplore.models import opening
from tokexplore.models.api.capabilities import Need
from tokexplore.models.api.engine import Control, DrawnToken, Engine, Progress, StreamRequest
from tokexplore.models.api.instruments import Execution
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.conditions import PLAIN, Condition
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.own_engine import (
    Interruption,
    interruptible,
    opened,
    prompt_ids,
    turn_ids,
)
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.lab.subcommand import LabOptions
from tokexplore.tui.explore.options import check_token_ids, with_texts
from tokexplore.widgets.numbers import duration

Lines = Callable[["LabRunner"], Iterator[str]]
"""An experiment: the lines that it writes, each as soon as it is known."""


class Subject(NamedTuple):
    """A model on the bench, and what it is asked."""

    engine: Engine
    load: LoadOptions
    """How it was opened."""
    request: StreamRequest
    control: Control

    def written(self, length: int) -> Iterator[DrawnToken]:
        """What the model goes on with, so many tokens at most, computed alone and plainly."""
        asked = msgspec.structs.replace(self.request, max_new_tokens=length, top=2)
        for event in self.engine.bench.run(asked, Execution(), self.control) if length else ():
            if isinstance(event, DrawnToken):
                yield event


class LabRunner:
    """The models of one command, one after the other."""

    def __init__(
        self, options: LabOptions, open_engine: OpenEngine, meter: Meter, interruption: Interruption
    ) -> None:
        self.options = options
        self._open, self._meter, self._interruption = open_engine, meter, interruption

    @property
    def interrupted(self) -> bool:
        return bool(self._interruption.code)

    def need_tokens(self) -> None:
        """Refuse runs of no token.

        Raises:
            UsageError: that is what was asked for.
        """
        if not self.options.app.max_new_tokens:
            raise UsageError("--max-new-tokens 0 leaves nothing to run: give 1 or more.")

    def subjects(self, *needs: Need) -> Iterator[Subject]:
        """Every model with its prompt; none after an interruption.

        Args:
            needs: what a model must have; the instruments where nothing is said.
        """
        app = self.options.app
        prompt = app.starting_prompt()
        if prompt is None:
            raise UsageError(f"lab {self.options.experiment} needs a prompt: --prompt TEXT.")
        for model in self.options.models:
            load = msgspec.structs.replace(app.load, model=model)
            engine = self.open(load, prompt)
            if engine is None:
                return
            what = f"lab {self.options.experiment}"
            if why := engine.info.capabilities.why_not(
                what, *(needs or ("lists_all", "instruments"))
            ):
                raise UsageError(why)
            check_token_ids(app, engine.info)
            ids = prompt_ids(engine, prompt, self._meter)
            texts = {t: engine.encode(t, continuation=True) for t in app.token_texts}
            settings = with_texts(app.starting_settings(engine.info), app, texts)
            request = app.request(
                ids,
                settings,
                app.max_new_tokens,
                prompt_length=len(ids),
                turn_ids=turn_ids(engine, prompt),
            )
            control = self._interruption.control = Control()
            yield Subject(engine, load, request, control)
            if self.interrupted:
                return

    def open(self, options: LoadOptions, prompt: PromptSpec | None = None) -> Engine | None:
        """A model, also beside another; None where the user interrupts.

        Args:
            prompt: what it is opened for, where that is not known to be possible.
        """
        return opened(options, self._open, self._meter, self._interruption, prompt)

    def progress(self, stage: str) -> Callable[[int, int], None]:
        """Shows how many of all are done, and how long the rest takes."""
        began = time.monotonic()

        def report(done: int, total: int) -> None:
            left = (time.monotonic() - began) / max(1, done) * (total - done)
            detail = f"{done} of {total} · {duration(left)} left"
            self._meter.show(Progress(stage, done, total, detail=detail))

        return report

    def say(self, text: str) -> None:
        """Tell something beside the report."""
        self._meter.say(text)


class Engines:
    """The model as it is, and as other conditions want it loaded; each is opened once."""

    def __init__(self, bench: LabRunner, subject: Subject) -> None:
        self._bench, self._load = bench, subject.load
        self._engines = {(PLAIN.dtype, PLAIN.device): subject.engine}

    def of(self, condition: Condition) -> Engine | None:
        """The engine of a condition; None where the user interrupts its loading."""
        key, load = (condition.dtype, condition.device), self._load
        if key not in self._engines:
            other = msgspec.structs.replace(
                load, dtype=condition.dtype or load.dtype, device=condition.device or load.device
            )
            opened = self._bench.open(other)
            if opened is None:
                return None
            self._engines[key] = opened
        return self._engines[key]


def run_lab(
    options: LabOptions,
    lines: Lines,
    out: BinaryIO,
    *,
    open_engine: OpenEngine = opening.open_engine,
    errors: TextIO | None = None,
) -> int:
    """Run an experiment and write what it says; the exit code. Ctrl-C ends it with what is done.

    Raises:
        UsageError: no prompt, or one that is too long, or what a model cannot do.
        TokexploreError: see `Engine`.
    """
    meter = Meter(errors or sys.stderr)
    with interruptible() as interruption, meter:
        bench = LabRunner(options, open_engine, meter, interruption)
        for line in lines(bench):
            meter.clear()
            out.write(f"{line}\n".encode("utf-8", "backslashreplace"))
            out.flush()
        if interruption.code:
            meter.say("stopped: what was done until then is told.")
        return interruption.code
