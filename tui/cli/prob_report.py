"""What `tokexplore prob` does and writes: tables to read, JSON, or JSON lines."""

import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, TextIO

from tokexplore.models import opening
from tokexplore.models.api.engine import Control, Engine, Progress
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.api.questions import FindScores
from tokexplore.models.catalog.catalog import suggestion
from tokexplore.models.display import safe_text
from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.models.scored_text import ScoredText, by_probability, scored_text
from tokexplore.models.untrusted import without_mark
from tokexplore.tui.cli.common.own_engine import (
    interruptible,
    opened,
    other_in_one_piece,
    prefill,
    prompt_ids,
)
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.prob import ProbOptions
from tokexplore.tui.export import json_fields
from tokexplore.tui.export.text_fields import text_fields
from tokexplore.tui.report.probability_text import quoted, ranking_lines, text_lines
from tokexplore.tui.report.repeat_text import one_line


class Result(NamedTuple):
    """A prompt, and the texts after it in the order in which they were given."""

    engine: Engine
    prompt_ids: tuple[int, ...]
    texts: list[ScoredText]


def write_probabilities(
    options: ProbOptions,
    out: BinaryIO,
    *,
    open_engine: OpenEngine = opening.open_engine,
    errors: TextIO | None = None,
) -> int:
    """Score every text after the prompt and write what was asked for; the exit code.

    Raises:
        UsageError: no prompt, a text that has no tokens or does not fit the context with it, or an
            engine without prompt scores.
        TokexploreError: see `Engine`.
    """
    app, meter = options.app, Meter(errors or sys.stderr)
    prompt = app.starting_prompt()
    if prompt is None:
        raise UsageError(
            f"{app.load.model} needs a prompt for the texts to follow: give --prompt TEXT, "
            f"--prompt-file FILE, --user TEXT or a pipe on standard input."
            f"{suggestion(app.load.model)}"
        )
    with interruptible() as interruption, meter:
        engine = opened(app.load, open_engine, meter, interruption, prompt)
        if engine is None:
            return interruption.code
        if why := engine.info.capabilities.why_not("prob", "prompt_scores"):
            raise UsageError(why)
        ids = prompt_ids(engine, prompt, meter)
        texts = _read(options, engine, prompt, ids, meter)
        control = interruption.control = Control()
        prefill(engine, ids, control, meter)
        scored = list[ScoredText]()
        for text, follows in texts:
            if control.cancelled:
                return interruption.code
            meter.show(Progress("scoring", len(scored), len(texts), "texts"))
            standings = FindScores((*ids, *follows), len(ids)).ask(engine)
            scored.append(scored_text(text, standings, literal=options.literal))
        meter.clear()
        for line in REPORTS[options.format](Result(engine, ids, scored)):
            out.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        out.flush()
        return interruption.code


def _read(
    options: ProbOptions, engine: Engine, prompt: PromptSpec, ids: tuple[int, ...], meter: Meter
) -> list[tuple[str, list[int]]]:
    """The texts with their ids, all of them checked before any is computed."""
    notices, found = list[str](), list[tuple[str, list[int]]]()
    context = engine.info.context
    for given in options.texts:
        text = without_mark("--text", given, notices)
        follows = engine.encode(text, continuation=True, literal=options.literal)
        if not follows:
            raise UsageError(f"--text {quoted(text)} has no tokens in {engine.info.name}.")
        if 0 < context < len(ids) + len(follows):
            raise UsageError(
                f"the prompt and {quoted(text)} are {len(ids) + len(follows):,} tokens long and "
                f"the context of {engine.info.name} is {context:,}: shorten one of them."
            )
        notices += other_in_one_piece(engine, prompt, ids, text, follows)
        found.append((text, follows))
    for notice in notices:
        meter.say(notice)
    return found


def table(result: Result) -> Iterator[str]:
    """For people."""
    info, vocabulary = result.engine.info, result.engine.vocabulary
    after = one_line(vocabulary, result.prompt_ids)
    yield safe_text(f"{info.name} · {info.dtype} on {info.device} · after “{after}”")
    for text in result.texts:
        yield ""
        yield from text_lines(text, vocabulary)
    if len(result.texts) > 1:
        yield ""
        yield from ranking_lines(result.texts)


def json_lines(result: Result) -> Iterator[str]:
    """What was asked, then a line for each text."""
    yield json_fields.text_line(_head(result))
    for fields in _texts(result):
        yield json_fields.text_line(fields)


def json_object(result: Result) -> Iterator[str]:
    """The same in one object."""
    texts = [{name: v for name, v in text.items() if name != "type"} for text in _texts(result)]
    yield json_fields.text_line({**_head(result), "texts": texts})


REPORTS: dict[str, Callable[[Result], Iterator[str]]] = {
    "text": table,
    "json": json_object,
    "jsonl": json_lines,
}


def _head(result: Result) -> dict[str, object]:
    fields = json_fields.model_fields(result.engine.info)
    return {"type": "prob", **fields, "prompt_ids": list(result.prompt_ids)}


def _texts(result: Result) -> Iterator[dict[str, object]]:
    tokens = json_fields.TokenFields(result.engine.vocabulary)
    best = by_probability(result.texts)[0]
    for text in result.texts:
        yield {"type": "text", **text_fields(text, best, tokens)}
