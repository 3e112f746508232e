"""What `tokexplore grow` does: opens an engine in this process, lets the tree grow, writes it."""

import sys
import time
from pathlib import Path
from typing import BinaryIO, TextIO

from tokexplore.models import opening
from tokexplore.models.api.engine import Control, Engine, Progress, StreamRequest
from tokexplore.models.catalog.catalog import suggestion
from tokexplore.models.errors import UsageError
from tokexplore.models.grow.growth import Growth
from tokexplore.models.grow.watch import Watch
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.own_engine import (
    interruptible,
    opened,
    prefill,
    rendered_prompt,
    turn_ids,
)
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.grow import GrowOptions
from tokexplore.tui.explore.options import check_token_ids, with_texts
from tokexplore.tui.export.grow_formats import format_of, written
from tokexplore.tui.export.to_file import new_file
from tokexplore.tui.report.grow_text import Grown, exact
from tokexplore.widgets.numbers import duration


def write_tree(
    options: GrowOptions,
    out: BinaryIO,
    *,
    open_engine: OpenEngine = opening.open_engine,
    errors: TextIO | None = None,
) -> int:
    """Let the tree grow and write it; the exit code. Ctrl-C ends it with what is done.

    Raises:
        UsageError: no prompt, one that is too long, a file that is there, an engine that cannot do
            what it takes; once the tree is written, an expression that took too long to match.
        TokexploreError: see `Engine`.
    """
    app, form = options.app, format_of(options.format, options.output)
    if options.output and Path(options.output).exists() and not options.force:
        raise UsageError(f"{options.output} is there already: give another name, or --force.")
    prompt = app.starting_prompt()
    if prompt is None:
        raise UsageError(
            f"{app.load.model} needs a prompt to grow a tree after: give --prompt TEXT, "
            "--prompt-file FILE, --user TEXT or a pipe on standard input."
            f"{suggestion(app.load.model)}"
        )
    with interruptible() as interruption, Meter(errors or sys.stderr) as meter:
        engine = opened(app.load, open_engine, meter, interruption, prompt)
        if engine is None:
            return interruption.code
        _check(options, engine)
        ids = rendered_prompt(engine, prompt, meter).ids
        texts = {t: engine.encode(t, continuation=True) for t in app.token_texts}
        settings = with_texts(app.starting_settings(engine.info), app, texts)
        request = app.request(
            ids, settings, 0, prompt_length=len(ids), turn_ids=turn_ids(engine, prompt)
        )
        control = interruption.control = Control()
        prefill(engine, ids, control, meter)
        grown = _grown(options, engine, request, control, meter)
        parts = written(grown, form, options.top)
        if options.output:
            with new_file(options.output, force=options.force) as file:
                file.writelines(parts)
        else:
            meter.clear()
            out.writelines(parts)
            out.flush()
        if interruption.code:
            meter.say("stopped: what had grown until then is told.")
        if refused := grown.growth.refused:
            raise UsageError(" ".join(refused))
        return interruption.code


def _check(options: GrowOptions, engine: Engine) -> None:
    """Refuse an engine that cannot do what it takes."""
    capabilities = engine.info.capabilities
    sampler = "growing a tree by the sampler's probability"
    refused = capabilities.why_not("growing a tree", "prefill")
    if options.by == "sampler":
        refused = refused or capabilities.why_not(sampler, "whole_rows")
    if refused:
        raise UsageError(refused)
    check_token_ids(options.app, engine.info)


def _grown(
    options: GrowOptions, engine: Engine, request: StreamRequest, control: Control, meter: Meter
) -> Grown:
    """The tree as far as the budget and the user let it grow."""
    watches = [Watch(words) for words in options.watch]
    growth = Growth(request, options.by, engine.info, engine.vocabulary, options.budget, watches)
    began, budget = time.monotonic(), options.budget
    late = False
    while not (control.cancelled or late):
        due = growth.due()
        if not due.nodes:
            break
        told = engine.describe_all(
            [growth.ids(node) for node in due.nodes], growth.settings, request.prompt_length,
            start=due.start,
        )  # fmt: skip
        growth.take_in(due, told)
        seconds = time.monotonic() - began
        late = bool(budget.seconds) and seconds >= budget.seconds
        _show(growth, seconds, meter)
    return Grown(growth, engine.info, time.monotonic() - began, late, control.cancelled)


def _show(growth: Growth, seconds: float, meter: Meter) -> None:
    """How far it is: of the budget whose share is used up most."""
    budget, steps = growth.budget, len(growth.nodes)
    rate = steps / seconds if seconds else None
    words = f"{steps:,} nodes · covered {exact(growth.covered)} · open {exact(growth.open)}"
    if rate:
        words += f" · {rate:.0f} tok/s"
    if (left := budget.seconds_left(steps, seconds, rate)) is not None:
        words += f" · {duration(left)} left"
    shares = [(steps, budget.tokens), (int(1000 * seconds), int(1000 * budget.seconds))]
    done, total = max(shares, key=lambda pair: pair[0] / pair[1] if pair[1] else 0.0)
    meter.show(Progress("growing", done, total, detail=words))
