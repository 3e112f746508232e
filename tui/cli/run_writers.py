"""What `tokexplore run` writes: the text and a table for each step, or JSON lines."""

from collections.abc import Callable, Iterator
from typing import Protocol

from tokexplore.models.api.engine import (
    DrawnToken,
    Engine,
    Progress,
    ScoredToken,
    StreamEnded,
    StreamEvent,
)
from tokexplore.models.display import RunningText
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.export import json_fields
from tokexplore.tui.report.step_text import plain_text, step_table


class Output(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


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


def write_events(
    writer: Writer, events: Iterator[StreamEvent], meter: Meter, show: Callable[[Progress], None]
) -> None:
    """Pass the engine's events on.

    Args:
        show: is told of progress.
    """
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
        if not self._engine.info.capabilities.prompt_scores:
            for position, token in enumerate(self._prompt[1:], 1):
                self._print(json_fields.given_line(position, token, self._tokens))

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
