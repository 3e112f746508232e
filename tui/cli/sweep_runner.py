"""`tokexplore sweep`: one prompt under many settings, and temperature against top-p."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, TextIO

import msgspec

from tokexplore.models import opening
from tokexplore.models.api.engine import Control, Engine, Progress
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.grid import Grid, finding, grid, positions
from tokexplore.models.lab.sweep import Outcome, Plan, sweep
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli import sweep_grid_report, sweep_report
from tokexplore.tui.cli.common.own_engine import (
    Interruption,
    interruptible,
    opened,
    prompt_ids,
    turn_ids,
)
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.sweep import SweepOptions
from tokexplore.tui.cli.sweep_plots import check_plot, plot_grids, plot_sweep
from tokexplore.tui.explore.options import check_new, check_token_ids
from tokexplore.tui.export import json_fields
from tokexplore.widgets.numbers import duration


def run_sweep(
    options: SweepOptions,
    out: BinaryIO,
    *,
    open_engine: OpenEngine = opening.open_engine,
    errors: TextIO | None = None,
) -> int:
    """Run what was asked for, model by model; the exit code.

    Ctrl-C ends it with what is done.

    Raises:
        UsageError: no prompt, one that is too long, or settings that are not possible.
        TokexploreError: see `Engine`.
    """
    app = options.app
    if app.starting_prompt() is None:
        raise UsageError("sweep needs a prompt: --prompt TEXT or --prompt-file FILE.")
    if options.plot:
        check_new(options.plot, "--plot", "give another name")
        check_plot(options.plot)
    meter = Meter(errors or sys.stderr)
    grids: list[Grid] = []
    swept: list[tuple[str, Outcome]] = []
    with interruptible() as interruption, meter:
        for model in options.models:
            load = msgspec.structs.replace(app.load, model=model)
            engine = opened(load, open_engine, meter, interruption, app.prompt)
            if engine is None:
                break
            control = interruption.control = Control()
            if options.grid:
                grids += _grid(options, engine, control, meter)
            else:
                _write(out, _sweep(options, engine, control, meter, swept), meter)
            if interruption.code:
                break
        if grids:
            _write(out, _grid_lines(options, grids), meter)
        if options.plot and (grids or swept):
            if grids:
                plot_grids(grids, options.plot)
            else:
                plot_sweep(swept, options.plot)
        return _code(interruption, meter)


def _code(interruption: Interruption, meter: Meter) -> int:
    if interruption.code:
        meter.say("stopped: what was done until then is told.")
    return interruption.code


def _write(out: BinaryIO, lines: Iterator[str], meter: Meter) -> None:
    for line in lines:
        meter.clear()
        out.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        out.flush()


def _sweep(
    options: SweepOptions,
    engine: Engine,
    control: Control,
    meter: Meter,
    swept: list[tuple[str, Outcome]],
) -> Iterator[str]:
    app = options.app
    prompt = app.starting_prompt()
    assert prompt is not None
    check_token_ids(app, engine.info)
    ids = prompt_ids(engine, prompt, meter)
    settings = options.settings
    request = app.request(
        ids,
        settings[0],
        app.max_new_tokens,
        prompt_length=len(ids),
        turn_ids=turn_ids(engine, prompt),
    )
    batch = options.batch if engine.info.capabilities.batches else 1
    plan = Plan(ids, settings, options.runs, request, max(1, min(batch, options.runs)))
    outcomes = _remembered(
        sweep(engine, plan, control, _progress(meter, "runs", plan.total)), engine.info.name, swept
    )
    report = {
        "table": sweep_report.table,
        "jsonl": sweep_report.json_lines,
        "csv": sweep_report.spreadsheet,
    }[options.format]
    yield from report(engine, plan, outcomes, options.candidates)


def _remembered(
    outcomes: Iterator[Outcome], model: str, swept: list[tuple[str, Outcome]]
) -> Iterator[Outcome]:
    """The same outcomes, kept for a picture."""
    for outcome in outcomes:
        swept.append((model, outcome))
        yield outcome


def _grid(options: SweepOptions, engine: Engine, control: Control, meter: Meter) -> list[Grid]:
    prompt = options.app.starting_prompt()
    assert prompt is not None
    if why := engine.info.capabilities.why_not("sweep --grid", "whole_rows"):
        raise UsageError(why)
    ids = prompt_ids(engine, prompt, meter)
    steps = positions(len(ids), options.steps)
    if not steps:
        raise UsageError("one token is no text for a grid: give a longer one.")
    found = grid(engine, ids, steps, control, _progress(meter, "steps", len(steps)))
    return [found] if found else []


def _grid_lines(options: SweepOptions, grids: Sequence[Grid]) -> Iterator[str]:
    if options.format == "jsonl":
        for found in grids:
            yield json_fields.text_line({"type": "grid", **msgspec.to_builtins(found)})
        yield json_fields.text_line({"type": "finding", "text": finding(grids)})
    elif options.format == "csv":
        yield from sweep_grid_report.spreadsheet(grids)
    else:
        yield from sweep_grid_report.table(grids)


def _progress(meter: Meter, stage: str, total: int) -> Callable[[int], None]:
    """Shows how far it is, and how long it still takes."""
    began = time.monotonic()

    def report(done: int) -> None:
        left = (time.monotonic() - began) / done * (total - done)
        detail = f"{done} of {total} · {duration(left)} left"
        meter.show(Progress(stage, done, total, detail=detail))

    return report
