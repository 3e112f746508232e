"""`tokexplore run`: the engine in this process, its tokens on standard output."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from tokexplore.models import opening
from tokexplore.models.api.engine import (
    Control,
    DrawnToken,
    Engine,
    Progress,
    ScoredToken,
    StreamEnded,
    StreamEvent,
)
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.catalog.catalog import suggestion
from tokexplore.models.display import RunningText
from tokexplore.models.distribution import STORED_CANDIDATES
from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.common.own_engine import (
    interruptible,
    opened,
    prompt_ids,
    turn_ids,
)
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.explore.options import (
    AppOptions,
    RunOptions,
    check_token_ids,
    watched_tokens,
    with_texts,
)
from tokexplore.tui.export import json_fields
from tokexplore.tui.report.step_text import plain_text, step_table
from tokexplore.tui.terminal.exit_codes import FAILURE, OK

if TYPE_CHECKING:
    from tokexplore.tui.cli.run_recorder import RunSession

_AT_LEAST = 2
"""Candidates to ask for at least: the margin needs two."""


class Output(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


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
        engine = opened(app.load, open_engine, meter, interruption)
        if engine is None:
            meter.clear()
            _end_unbegun(options, out)
            return interruption.code
        check_token_ids(app, engine.info)
        ids = prompt_ids(engine, prompt, meter)
        texts = {t: engine.encode(t, continuation=True) for t in app.token_texts}
        settings = with_texts(app.starting_settings(engine.info), app, texts)
        control = interruption.control = Control(settings)
        request = app.request(
            ids,
            settings,
            app.max_new_tokens,
            prompt_length=len(ids),
            turn_ids=turn_ids(engine, prompt),
            score_prompt=options.format == "jsonl" or bool(app.session),
            describe_end=bool(app.session),
            watch=tuple(watched_tokens(app, texts, engine.vocabulary)),
            top=STORED_CANDIDATES if app.session else max(options.candidates, _AT_LEAST),
        )
        writer = _writer(options, out, engine, ids, settings)
        session = _session(app, engine, ids, settings, prompt)
        # On a terminal the text and the meter's line would be in each other's way.
        shown = (lambda _: None) if out.isatty() else meter.show
        events = engine.stream(request, control)
        if session is None:
            _write(writer, events, meter, shown)
            return interruption.code
        try:
            _write(writer, _kept(events, session), meter, shown)
        finally:
            if problem := session.close():
                meter.say(problem)
        return interruption.code or (FAILURE if problem else OK)


def _session(
    app: AppOptions,
    engine: Engine,
    ids: tuple[int, ...],
    settings: SamplingSettings,
    prompt: PromptSpec,
) -> "RunSession | None":
    """What keeps this run, where that was asked for."""
    if not app.session:
        return None
    from tokexplore.tui.cli.run_recorder import RunSession

    form = "text" if prompt.chat is None else "chat"
    return RunSession(Path(app.session), engine, app.load, ids, settings, form)


def _kept(events: Iterator[StreamEvent], session: "RunSession") -> Iterator[StreamEvent]:
    """The same events, each kept before it is told."""
    for event in events:
        session.add(event)
        yield event


def _end_unbegun(options: RunOptions, out: Output) -> None:
    """The end of a run that was interrupted while its model was loaded."""
    text = b"end: interrupted after 0 tokens\n"
    out.write(json_fields.end_line("interrupted", "") if options.format == "jsonl" else text)
    out.flush()


class Writer(Protocol):
    """One of the two formats."""

    def begin(self) -> None:
        """Before anything is computed."""

    def scored(self, event: ScoredToken) -> None:
        """A token of the prompt."""

    def drawn(self, event: DrawnToken) -> None:
        """A new token."""

    def end(self, reason: str) -> None:
        """The end of it."""

    def fail(self) -> None:
        """The engine failed: what it said before is not lost."""


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


def _write(
    writer: Writer, events: Iterator[StreamEvent], meter: Meter, show: Callable[[Progress], None]
) -> None:
    """Pass the engine's events on."""
    meter.clear()
    writer.begin()
    try:
        for event in events:
            if isinstance(event, Progress):
                show(event)
            else:
                meter.clear()
                _pass_on(event, writer)
    except OSError:
        raise  # there is nowhere to write
    except Exception:
        meter.clear()
        writer.fail()
        raise


def _pass_on(event: StreamEvent, writer: Writer) -> None:
    match event:
        case ScoredToken():
            writer.scored(event)
        case DrawnToken():
            writer.drawn(event)
        case StreamEnded(_, reason):
            writer.end(reason)


class JsonWriter:
    """One JSON object a line."""

    def __init__(
        self,
        out: Output,
        engine: Engine,
        ids: tuple[int, ...],
        settings: SamplingSettings,
        candidates: int,
    ) -> None:
        self._out = out
        self._engine = engine
        self._prompt = ids
        self._settings = settings
        self._candidates = candidates
        self._generated: list[int] = []
        self._tokens = json_fields.TokenFields(engine.vocabulary)

    def begin(self) -> None:
        self._print(json_fields.run_line(self._engine.info, self._settings, self._prompt))

    def scored(self, event: ScoredToken) -> None:
        self._print(json_fields.step_line(event, self._tokens, self._candidates))

    def drawn(self, event: DrawnToken) -> None:
        self._generated.append(event.standing.token)
        self._print(json_fields.step_line(event, self._tokens, self._candidates))

    def end(self, reason: str) -> None:
        self._print(json_fields.end_line(reason, self._engine.vocabulary.text(self._generated)))

    def fail(self) -> None:
        """Every line is written; the one that tells the end is not."""

    def _print(self, line: bytes) -> None:
        self._out.write(line)
        self._out.flush()


class TextWriter:
    """The text as it comes, then a table for each step, then the reason of the end."""

    def __init__(self, out: Output, engine: Engine, ids: tuple[int, ...], candidates: int) -> None:
        self._out = out
        self._vocabulary = engine.vocabulary
        self._path = list(ids)
        self._prompt_length = len(ids)
        self._candidates = candidates
        self._text = RunningText()
        self._steps: list[DrawnToken] = []

    def begin(self) -> None:
        for token in self._path:
            self._print_token(token)

    def scored(self, event: ScoredToken) -> None:
        """The prompt's own tokens are not told."""

    def drawn(self, event: DrawnToken) -> None:
        self._steps.append(event)
        self._path.append(event.standing.token)
        self._print_token(event.standing.token)

    def end(self, reason: str) -> None:
        self._print(plain_text(self._text.finish()) + "\n")
        for number, drawn in enumerate(self._steps, 1):
            path = self._path[: drawn.position]
            lines = step_table(
                number, drawn, path, self._vocabulary, self._candidates, self._prompt_length
            )
            self._print("\n" + "\n".join(lines) + "\n")
        self._print(f"\nend: {reason} after {len(self._steps)} tokens\n")

    def fail(self) -> None:
        self.end("failure")

    def _print_token(self, token: int) -> None:
        self._print(plain_text(self._text.push(self._vocabulary.bytes_of(token))))

    def _print(self, text: str) -> None:
        self._out.write(text.encode("utf-8"))
        self._out.flush()
