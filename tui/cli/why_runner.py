"""What `tokexplore why` does: opens an engine in this process, finds the tokens that are asked
about, and looks into the model view by view."""

import math
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO

from tokexplore.models import opening
from tokexplore.models.api.chat import Rendered
from tokexplore.models.api.engine import Control, Engine, Progress
from tokexplore.models.api.interpreter import LensStep, LogitSplit
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.catalog.catalog import suggestion
from tokexplore.models.distribution import TokenRank
from tokexplore.models.errors import UsageError
from tokexplore.models.interpret.inquiries import (
    AnyInquiry,
    AttentionInquiry,
    Finding,
    GradientInquiry,
    LensInquiry,
    OcclusionInquiry,
    SplitInquiry,
)
from tokexplore.models.interpret.occlusion import Occluded, OcclusionPlan
from tokexplore.models.interpret.units import Unit, turns
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.own_engine import (
    interruptible,
    opened,
    other_in_one_piece,
    prefill,
    rendered_prompt,
)
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.why import WhyOptions
from tokexplore.tui.explore.options import check_token_id, one_token
from tokexplore.tui.export.file_format import format_of
from tokexplore.tui.export.to_file import new_file
from tokexplore.tui.export.why_formats import written
from tokexplore.tui.report.why_values import Asked, Section, View


def write_why(
    options: WhyOptions,
    out: BinaryIO,
    *,
    open_engine: OpenEngine = opening.open_engine,
    errors: TextIO | None = None,
) -> int:
    """Look into the model and write what was asked for; the exit code. Ctrl-C ends it with what is
    done.

    Raises:
        UsageError: no prompt, one that is too long, a text that is no token, a file that is there,
            several views as CSV, an engine or a model that cannot be looked into so.
        TokexploreError: see `Engine`.
    """
    app, form = options.app, _form(options)
    prompt = app.starting_prompt()
    if prompt is None:
        raise UsageError(
            f"{app.load.model} needs a prompt to be asked about: give --prompt TEXT, "
            "--prompt-file FILE, --user TEXT or a pipe on standard input."
            f"{suggestion(app.load.model)}"
        )
    with interruptible() as interruption, Meter(errors or sys.stderr) as meter:
        engine = opened(app.load, open_engine, meter, interruption, prompt)
        if engine is None:
            return interruption.code
        if why := engine.info.capabilities.why_not("why", "inside"):
            raise UsageError(why)
        rendered = rendered_prompt(engine, prompt, meter)
        blocks = _blocks(options, prompt, rendered, meter)
        control = interruption.control = Control()
        prefill(engine, rendered.ids, control, meter)
        if control.cancelled:
            return interruption.code
        asked = _asked(options, engine, rendered.ids)
        _say_other_pieces(options, engine, prompt, asked, meter)
        look = _Look(options, engine, asked, blocks, control, meter)
        parts = written(
            asked, look.sections(), form, top=options.top, order=options.order,
            stopped=lambda: control.cancelled,
        )  # fmt: skip
        if options.output:
            with new_file(options.output, force=options.force) as file:
                _write(file, parts, meter)
        else:
            _write(out, parts, meter)
        if interruption.code:
            meter.say("stopped: what was done until then is told.")
        return interruption.code


def _form(options: WhyOptions) -> str:
    form = format_of(options.format, options.output)
    if form == "csv" and len(options.views) > 1:
        given = " and ".join(f"--{view}" for view in options.views)
        raise UsageError(f"CSV is one table, and {given} are several: give one of them.")
    if options.output and Path(options.output).exists() and not options.force:
        raise UsageError(f"{options.output} is there already: give another name, or --force.")
    return form


def _write(file: BinaryIO, parts: Iterator[bytes], meter: Meter) -> None:
    for part in parts:
        meter.clear()
        file.write(part)
        file.flush()


def _blocks(
    options: WhyOptions, prompt: PromptSpec, rendered: Rendered, meter: Meter
) -> tuple[Unit, ...]:
    """The turns of a chat and what stands between them, where they are asked for."""
    if "words" not in options.views:
        return ()
    if len(rendered.ids) < 2:
        raise UsageError(
            "the prompt is one token, and the last one is never hidden: give a longer prompt."
        )
    blocks = tuple(turns(rendered.parts, 0))
    if not blocks and options.finest == "turn":
        raise UsageError(
            "--finest turn needs a chat whose turns can be told apart: give --user TEXT, or "
            "--finest sentence."
        )
    if not blocks and prompt.chat is not None:
        meter.say("the turns cannot be told apart in what the template made: sentences come first")
    return blocks


def _asked(options: WhyOptions, engine: Engine, ids: tuple[int, ...]) -> Asked:
    """The tokens that are asked about, and where they stand after the prompt."""
    order = engine.rows(ids, 0, 2)
    first, *_ = probable = memoryview(order.ids).cast("I").tolist()
    given = [
        _token(options, engine, option, value)
        for option, value in (("--token", options.token), ("--against", options.against))
    ]
    token, against = first if given[0] is None else given[0], given[1]
    if token == against:
        shown = engine.vocabulary.show(token)
        raise UsageError(f"{shown} is held against itself: give another --token or --against.")
    rival = None
    if "layers" in options.views:
        others = [against] if against is not None else [t for t in probable if t != token]
        rival = others[0]
    known = dict.fromkeys(t for t in (token, against, rival) if t is not None)
    found = {each.token: _possible(engine, each) for each in engine.standings(ids, list(known))}
    return Asked(
        engine.info, engine.vocabulary, ids, options.views, found[token],
        None if against is None else found[against],
        None if rival is None else found[rival],
        unnamed=options.token is None, tuned=options.tuned,
    )  # fmt: skip


def _token(options: WhyOptions, engine: Engine, option: str, given: str | int | None) -> int | None:
    if isinstance(given, str):
        ids = engine.encode(given, continuation=True, literal=options.literal)
        return one_token(given, ids, engine.vocabulary, f"give one of them as {option}")
    if given is not None:
        check_token_id(f"{option}-id", given, engine.info)
    return given


def _say_other_pieces(
    options: WhyOptions, engine: Engine, prompt: PromptSpec, asked: Asked, meter: Meter
) -> None:
    named = [text for text in (options.token, options.against) if isinstance(text, str)]
    for text in named:
        follows = engine.encode(text, continuation=True, literal=options.literal)
        for notice in other_in_one_piece(engine, prompt, asked.ids, text, follows):
            meter.say(notice)


def _possible(engine: Engine, standing: TokenRank) -> TokenRank:
    if math.isfinite(standing.logprob):
        return standing
    shown = engine.vocabulary.show(standing.token)
    raise UsageError(f"{shown} is impossible after the prompt: there is nothing to ask about it.")


class _Look:
    """Puts the inquiries to the engine, and shows how far they are."""

    def __init__(
        self,
        options: WhyOptions,
        engine: Engine,
        asked: Asked,
        blocks: tuple[Unit, ...],
        control: Control,
        meter: Meter,
    ) -> None:
        self._options, self._engine, self._asked = options, engine, asked
        self._blocks, self._control, self._meter = blocks, control, meter
        self._tokens = tuple(each.token for each in asked.named)
        self._stage, self._done, self._total = "", 0, 0

    def sections(self) -> Iterator[Section]:
        """What was asked for, up to where it is cancelled; the first finding of each is there."""
        for view in self._options.views:
            findings = self._findings(view)
            first = next(findings, None)
            if first is not None:
                yield Section(view, chain((first,), findings))

    def _findings(self, view: View) -> Iterator[Finding]:
        for inquiry in self._inquiries(view):
            if self._control.cancelled:
                return
            for finding in inquiry.conduct(self._engine, self._control):
                if isinstance(finding, Progress):
                    self._meter.show(finding)
                else:
                    self._tell(finding)
                    yield finding

    def _inquiries(self, view: View) -> Iterator[AnyInquiry]:
        options, ids = self._options, self._asked.ids
        if view == "lens":
            first = max(1, len(ids) + 1 - options.positions)
            self._begin("reading layers", len(ids) + 1 - first)
            yield LensInquiry(ids, first, len(ids), self._tokens, tuned=options.tuned)
        elif view == "layers":
            assert self._asked.rival is not None
            pair = self._asked.token.token, self._asked.rival.token
            yield SplitInquiry(ids, pair, options.heads)
        else:
            # Estimates are quick, and stand beside each effect.
            if options.gradients:
                yield GradientInquiry(ids, self._tokens)
            if options.points:
                yield GradientInquiry(ids, self._tokens, options.points)
            if options.attention:
                yield AttentionInquiry(ids)
            yield OcclusionInquiry(
                ids, self._tokens, self._blocks, options.finest, options.everything
            )

    def _tell(self, finding: Finding) -> None:
        """Say what comes, show how far it is, and refuse what is not what was asked for."""
        match finding:
            case OcclusionPlan():
                kinds = " and ".join(dict.fromkeys(unit.kind for unit in finding.units))
                count = len(finding.units)
                self._meter.say(
                    f"hiding {count:,} stretch{'es' * (count > 1)} of the prompt ({kinds}): as "
                    f"much as {finding.cost:.1f} passes over it"
                )
                self._begin(f"hiding: {kinds}", len(finding.units))
            case Occluded() | LensStep():
                self._done += 1
                self._meter.show(Progress(self._stage, self._done, self._total))
            case LogitSplit():
                self._check_heads(finding)

    def _begin(self, stage: str, total: int) -> None:
        self._stage, self._done, self._total = stage, 0, total
        self._meter.show(Progress(stage, 0, total))

    def _check_heads(self, split: LogitSplit) -> None:
        """Refuse heads of layers that have none."""
        told = {part.layer for part in split.parts if part.head is not None}
        missing = [layer for layer in self._options.heads if layer not in told]
        if missing:
            layers = sorted({part.layer for part in split.parts if part.kind == "attention"})
            raise UsageError(
                f"--heads {missing[0]} names no layer whose heads can be told apart: layers with "
                f"attention are {', '.join(map(str, layers)) or 'none'}."
            )
