"""What `tokexplore diff` does: opens two engines in this process, and has both read one text."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, TextIO

from tokexplore.models import opening
from tokexplore.models.api.engine import Control, DrawnToken, Engine, Progress
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.diff.along import along, readings
from tokexplore.models.diff.comparison import Comparison, Model, OnePath, OneText
from tokexplore.models.diff.spans import spans_of, spelling, whole_text
from tokexplore.models.diff.vocabularies import Shared, shared_tokens
from tokexplore.models.errors import TokexploreError, UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.own_engine import (
    Interruption,
    interruptible,
    opened,
    prompt_ids,
    turn_ids,
)
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.diff import DiffOptions
from tokexplore.tui.explore.options import check_token_ids, with_texts
from tokexplore.tui.export.diff_formats import written
from tokexplore.tui.export.file_format import format_of
from tokexplore.tui.export.to_file import new_file


def write_diff(
    options: DiffOptions,
    out: BinaryIO,
    *,
    open_engine: OpenEngine = opening.open_engine,
    errors: TextIO | None = None,
) -> int:
    """Compare two models and write what was asked for; the exit code. Ctrl-C ends it with what is
    done.

    Raises:
        UsageError: no text, one that does not fit a context, a file that is there, or what one of
            the two cannot do.
        TokexploreError: see `Engine`.
    """
    form = format_of(options.format, options.output)
    if options.output and Path(options.output).exists() and not options.force:
        raise UsageError(f"{options.output} is there already: give another name, or --force.")
    prompt = _prompt(options)
    meter = Meter(errors or sys.stderr)
    with interruptible() as interruption, meter:
        engines = _opened(options, open_engine, meter, interruption, prompt)
        if engines is None:
            return interruption.code
        control = interruption.control = Control()
        found = _Reader(options, engines, prompt, control, meter).compared()
        if interruption.code:
            meter.say("stopped: what was done until then is told.")
        if found is None:
            return interruption.code
        meter.clear()
        parts = written(found, form, options.top)
        if options.output:
            with new_file(options.output, force=options.force) as file:
                _write(file, parts)
        else:
            _write(out, parts)
        return interruption.code


def _write(file: BinaryIO, parts: Iterable[bytes]) -> None:
    for part in parts:
        file.write(part)
    file.flush()


def _prompt(options: DiffOptions) -> PromptSpec:
    prompt = options.app.prompt
    if prompt is None:
        raise UsageError(
            "diff needs a text that both models read: give --prompt TEXT, --prompt-file FILE, "
            "--user TEXT or a pipe on standard input."
        )
    if prompt.chat is None and not prompt.text:
        raise UsageError("the text is empty: there is nothing to compare.")
    return prompt


def _opened(
    options: DiffOptions,
    open_engine: OpenEngine,
    meter: Meter,
    interruption: Interruption,
    prompt: PromptSpec,
) -> tuple[Engine, Engine] | None:
    """Both engines; None where the user interrupts.

    Raises:
        TokexploreError: one that cannot be opened, told by its letter.
    """
    found = list[Engine]()
    for letter, load in (("A", options.app.load), ("B", options.other)):
        try:
            # B reads what A's template makes of a chat.
            chats = prompt if letter == "A" else None
            engine = opened(load, open_engine, meter, interruption, chats)
        except TokexploreError as error:
            raise type(error)(f"{letter}, {load.model}: {error}") from None
        if engine is None:
            return None
        can = engine.info.capabilities
        if not can.whole_rows and (why := can.why_not("diff", "prompt_scores")):
            raise UsageError(f"{letter}, {load.model}: {why}")
        if options.whole and (why := can.why_not("--whole", "whole_rows")):
            raise UsageError(f"{letter}, {load.model}: {why}")
        found.append(engine)
    return found[0], found[1]


class _Reader:
    """Has both models read the same."""

    def __init__(
        self,
        options: DiffOptions,
        engines: tuple[Engine, Engine],
        prompt: PromptSpec,
        control: Control,
        meter: Meter,
    ) -> None:
        self._options, self._engines = options, engines
        self._prompt, self._control, self._meter = prompt, control, meter
        self._models = [Model(engine.info, engine.vocabulary) for engine in engines]

    @property
    def _writer(self) -> int:
        """Which of the two goes on."""
        return "AB".index(self._options.by)

    @property
    def _said_nothing(self) -> UsageError:
        name = self._models[self._writer].info.name
        return UsageError(f"{name} said nothing: there is nothing to compare.")

    def compared(self) -> Comparison | None:
        """What was found; None where it was stopped before there was anything."""
        shared = shared_tokens(*self._engines)
        return self._one_text() if shared is None else self._one_path(shared)

    def _one_path(self, shared: Shared) -> OnePath | None:
        first, second = self._engines
        ids = prompt_ids(first, self._prompt, self._meter)
        self._check_fits(second, ids)
        self._say_other_reading(second, ids)
        own = next((token for token in ids if not shared.holds(token)), None)
        if own is not None:
            raise UsageError(
                f"the text holds token {own}, which {first.info.name} and {second.info.name} do "
                "not both have: leave it out."
            )
        given = len(ids)
        length = self._options.app.max_new_tokens
        if length:
            ids += self._common(self._continuation(ids, length), shared)
        start, steps = given if length else 1, []
        if len(ids) <= start and not self._control.cancelled:
            if length:
                raise self._said_nothing
            raise UsageError(
                "the text is one token, and nothing comes before it: give a longer one."
            )
        self._meter.show(Progress("comparing", 0, len(ids) - start))
        for step in along(
            first, second, ids, start, shared, self._control, whole=self._options.whole
        ):
            steps.append(step)
            self._meter.show(Progress("comparing", len(steps), len(ids) - start))
        if not steps:
            return None
        one, other = self._models
        return OnePath(one, other, shared, ids, given, tuple(steps))

    def _one_text(self) -> OneText | None:
        text = self._prompt.text
        if text is None:
            raise UsageError(
                "the two models have vocabularies of their own, and each writes a chat by a "
                "template of its own: give plain text with --prompt or --prompt-file."
            )
        ids = [prompt_ids(engine, self._prompt, self._meter) for engine in self._engines]
        start = len(text.encode()) if self._options.app.max_new_tokens else 0
        if start:
            text += self._continue_text(ids, text)
        data = text.encode()
        one, other = (
            spelling(model.vocabulary, path, data, model.info.name)
            for model, path in zip(self._models, ids, strict=True)
        )
        known = [
            self._scored(engine, path) for engine, path in zip(self._engines, ids, strict=True)
        ]
        spans = tuple(spans_of(one, other, (known[0], known[1]), start))
        if not any(span.counted for span in spans):
            if self._control.cancelled:
                return None
            raise UsageError(
                "no stretch of the text is read by both models after something else: give a longer "
                "text."
            )
        return OneText(self._models[0], self._models[1], text, (one, other), spans)

    def _common(self, said: tuple[int, ...], shared: Shared) -> tuple[int, ...]:
        """A continuation up to the first token that the other model does not have."""
        end = next((n for n, token in enumerate(said) if not shared.holds(token)), len(said))
        if end < len(said):
            writer, reader = (self._models[n].info.name for n in (self._writer, 1 - self._writer))
            self._meter.say(f"{writer} said token {said[end]}, which {reader} does not have")
        return said[:end]

    def _continue_text(self, ids: list[tuple[int, ...]], text: str) -> str:
        """Let one of two vocabularies go on with a text, of which `ids` has both models' tokens;
        what it says, which is added to both."""
        writer, length = self._writer, self._options.app.max_new_tokens
        said, more = whole_text(
            self._models[writer].vocabulary, self._continuation(ids[writer], length)
        )
        if not more and not self._control.cancelled:
            raise self._said_nothing
        ids[writer] += said
        reader = self._engines[1 - writer]
        ids[1 - writer] = tuple(reader.encode(text + more, literal=self._prompt.literal))
        self._check_fits(reader, ids[1 - writer])
        return more

    def _scored(self, engine: Engine, ids: tuple[int, ...]) -> dict[int, float]:
        known, name = dict[int, float](), engine.info.name
        self._meter.show(Progress("scoring", 0, len(ids), detail=name))
        for position, reading in enumerate(readings(engine, ids, 1, self._control), 1):
            known[position] = reading.logprob
            self._meter.show(Progress("scoring", len(known), len(ids), detail=name))
        return known

    def _continuation(self, ids: tuple[int, ...], length: int) -> tuple[int, ...]:
        """What the one that goes on says after a prompt."""
        engine, app = self._engines[self._writer], self._options.app
        reader = self._engines[1 - self._writer].info
        if 0 < reader.context < len(ids) + length:
            length = max(0, reader.context - len(ids))
            self._meter.say(
                f"the context of {reader.name} ends at {reader.context:,} tokens: at most "
                f"{length:,} are generated"
            )
        check_token_ids(app, engine.info)
        texts = {t: engine.encode(t, continuation=True) for t in app.token_texts}
        settings = with_texts(app.starting_settings(engine.info), app, texts)
        request = app.request(
            ids, settings, length, prompt_length=len(ids), turn_ids=turn_ids(engine, self._prompt),
            top=2,
        )  # fmt: skip
        said = list[int]()
        for event in engine.stream(request, self._control):
            if isinstance(event, DrawnToken):
                said.append(event.standing.token)
                self._meter.show(Progress("generating", len(said), length))
        return tuple(said)

    def _check_fits(self, engine: Engine, ids: tuple[int, ...]) -> None:
        context = engine.info.context
        if 0 < context < len(ids):
            raise UsageError(
                f"the text is {len(ids):,} tokens long and the context of {engine.info.name} is "
                f"{context:,}: shorten it."
            )

    def _say_other_reading(self, second: Engine, ids: tuple[int, ...]) -> None:
        """Tell where the second model by itself would read other tokens than it is given."""
        prompt, info = self._prompt, second.info
        if prompt.chat is None:
            own = tuple(second.encode(prompt.text or "", literal=prompt.literal))
        elif info.chat_template:
            own = second.render(prompt.chat).ids
        else:
            return
        if own != ids:
            self._meter.say(
                f"{info.name} by itself would read the text as {len(own):,} other tokens; here it "
                f"reads the {len(ids):,} of {self._engines[0].info.name}"
            )
