"""`tokexplore run`: the engine in this process, its tokens on standard output."""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TextIO

import msgspec

from tokexplore.models import opening
from tokexplore.models.api.chat import Rendered
from tokexplore.models.api.engine import Control, Engine, StreamEvent
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.catalog.catalog import suggestion
from tokexplore.models.distribution import STORED_CANDIDATES
from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.common.app_options import app_options, check_start
from tokexplore.tui.cli.common.option_groups import add_session_file, add_shared
from tokexplore.tui.cli.common.option_types import count
from tokexplore.tui.cli.common.own_engine import (
    interruptible,
    opened,
    rendered_prompt,
    turn_ids,
)
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.common.prompt_input import (
    Prompted,
    piped_stdin,
    prompt_arguments,
    read_prompt,
)
from tokexplore.tui.cli.common.screen_options import add_recording, recording_fields
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.cli.run_writers import JsonWriter, Output, TextWriter, Writer, write_events
from tokexplore.tui.explore.options import (
    AppOptions,
    check_token_ids,
    watched_tokens,
    with_texts,
)
from tokexplore.tui.export import json_fields
from tokexplore.tui.terminal.exit_codes import FAILURE, OK
from tokexplore.tui.terminal.stdio import private_stdout

if TYPE_CHECKING:
    from tokexplore.tui.cli.run_recorder import RunSession

_AT_LEAST = 2
"""Candidates to ask for at least: the margin needs two."""


class RunOptions(msgspec.Struct, frozen=True):
    """What `tokexplore run` adds."""

    app: AppOptions = AppOptions()
    candidates: int = 10
    """Candidates to list for each step."""
    format: Literal["text", "jsonl"] = "text"


def _parser() -> Parser:
    parser = Parser(
        "tokexplore run",
        "Generate without the screen; every step is told with its exact distribution.",
        usage="tokexplore run [MODEL] [options]",
    )
    add_shared(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format",
        choices=("text", "jsonl"),
        default="text",
        help="text: the text, then a table for each step; jsonl: one JSON object a line, the "
        "prompt's positions too (%(default)s)",
    )
    output.add_argument(
        "--candidates",
        type=count,
        default=RunOptions().candidates,
        metavar="K",
        help="candidates to list for each step (%(default)s)",
    )
    add_recording(output, "record what is written to this new file, as it is written")
    add_session_file(parser, "default: it is not kept")
    return parser


def _options(given: argparse.Namespace) -> Prompted[RunOptions]:
    app = app_options(given, **recording_fields(given))
    options = RunOptions(app, candidates=given.candidates, format=given.format)
    return Prompted(options, prompt_arguments(given))


def _run(asked: Prompted[RunOptions], open_engine: OpenEngine) -> int:
    app = asked.options.app
    check_start(app)
    app = msgspec.structs.replace(app, prompt=read_prompt(asked.prompt, piped_stdin()))
    return write_run(msgspec.structs.replace(asked.options, app=app), open_engine)


def write_run(options: RunOptions, open_engine: OpenEngine) -> int:
    """Generate on standard output, which is recorded where that was asked for; the exit code.

    Raises:
        TokexploreError: see `run`; UsageError also for a recording that cannot be made.
    """
    with private_stdout() as out:
        if not options.app.record:
            return run(options, out, open_engine=open_engine)
        return _recorded(options, out, open_engine)


def _recorded(options: RunOptions, out: BinaryIO, open_engine: OpenEngine) -> int:
    from tokexplore.tui.recording.cast import CastWriter
    from tokexplore.tui.recording.tee import RecordedOutput

    app = options.app
    cast = CastWriter(
        Path(app.record), shutil.get_terminal_size(), version=app.cast_version,
        idle_cap=app.cast_idle_cap,
    )  # fmt: skip
    try:
        return run(options, RecordedOutput(out, cast), open_engine=open_engine)
    finally:
        cast.close()


def run(
    options: RunOptions,
    out: Output,
    *,
    open_engine: OpenEngine = opening.open_engine,
    errors: TextIO | None = None,
) -> int:
    """Generate, and write what was asked for.

    Args:
        out: standard output.
        errors: standard error; progress is shown there where it is a terminal.

    Returns:
        The exit code: 0, 1 where the session could not be written, 130 after Ctrl-C, 143 after
        SIGTERM.

    Raises:
        BrokenPipeError: nobody reads `out` any more.
        TokexploreError: see `Engine`; UsageError also for a prompt that is missing or too long.
    """
    app, meter = options.app, Meter(errors or sys.stderr)
    prompt = app.starting_prompt()
    if prompt is None:
        raise UsageError(
            f"{app.load.model} needs a prompt: give --prompt TEXT, --prompt-file FILE, --user TEXT "
            f"or a pipe on standard input.{suggestion(app.load.model)}"
        )
    with interruptible() as interruption, meter:
        engine = opened(app.load, open_engine, meter, interruption, prompt)
        if engine is None:
            meter.clear()
            _end_unbegun(options, out)
            return interruption.code
        check_token_ids(app, engine.info)
        rendered = rendered_prompt(engine, prompt, meter)
        ids = rendered.ids
        texts = {t: engine.encode(t, continuation=True) for t in app.token_texts}
        settings = with_texts(app.starting_settings(engine.info), app, texts)
        control = interruption.control = Control(settings)
        whole = options.format == "jsonl" or bool(app.session)
        request = app.request(
            ids,
            settings,
            app.max_new_tokens,
            prompt_length=len(ids),
            turn_ids=turn_ids(engine, prompt),
            score_prompt=whole and engine.info.capabilities.prompt_scores,
            describe_end=bool(app.session),
            watch=tuple(watched_tokens(app, texts, engine.vocabulary)),
            top=STORED_CANDIDATES if app.session else max(options.candidates, _AT_LEAST),
        )
        writer = _writer(options, out, engine, ids, settings)
        session = _session(app, engine, rendered, settings, prompt)
        # On a terminal the text and the meter's line would be in each other's way.
        shown = (lambda _: None) if out.isatty() else meter.show
        events = engine.stream(request, control)
        if session is None:
            write_events(writer, events, meter, shown)
            return interruption.code
        try:
            write_events(writer, _stored(events, session), meter, shown)
        finally:
            if problem := session.close():
                meter.say(problem)
        return interruption.code or (FAILURE if problem else OK)


def _session(
    app: AppOptions,
    engine: Engine,
    rendered: Rendered,
    settings: SamplingSettings,
    prompt: PromptSpec,
) -> "RunSession | None":
    """What keeps this run, where that was asked for."""
    if not app.session:
        return None
    from tokexplore.tui.cli.run_recorder import RunSession

    return RunSession(Path(app.session), engine, app.load, rendered, settings, prompt)


def _stored(events: Iterator[StreamEvent], session: "RunSession") -> Iterator[StreamEvent]:
    """The same events, each kept before it is told."""
    for event in events:
        session.add(event)
        yield event


def _end_unbegun(options: RunOptions, out: Output) -> None:
    """The end of a run that was interrupted while its model was loaded."""
    text = b"end: interrupted after 0 tokens\n"
    out.write(json_fields.end_line("interrupted", "") if options.format == "jsonl" else text)
    out.flush()


def _writer(
    options: RunOptions,
    out: Output,
    engine: Engine,
    ids: tuple[int, ...],
    settings: SamplingSettings,
) -> Writer:
    if options.format == "jsonl":
        return JsonWriter(out, engine, ids, settings, options.candidates)
    return TextWriter(out, engine, ids, options.candidates)


SUBCOMMAND = Subcommand(
    name="run",
    takes="[MODEL] ...",
    summary="the same engine without the screen: text or JSON lines",
    parser=_parser,
    options=_options,
    run=_run,
)
