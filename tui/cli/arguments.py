"""The command line's grammar: options in, checked values out."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from tokexplore.models.api.options import EMBEDDED, EMBEDDED_TITLE, LoadOptions
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.knobs import KNOBS
from tokexplore.models.sampling.settings import LARGEST, SamplingSettings
from tokexplore.models.untrusted import brief
from tokexplore.tui.cli import parsers, sweep_parsers
from tokexplore.tui.cli.common.option_groups import LOADING
from tokexplore.tui.cli.common.prompt_input import PromptArguments, check_utf8
from tokexplore.tui.cli.lab.registry import read_lab
from tokexplore.tui.cli.parsers import COMMANDS
from tokexplore.tui.explore.options import (
    CLOSE_CALL,
    IDLE_CAP,
    THEMES,
    AppOptions,
    ExportOptions,
    GifOptions,
    LabOptions,
    LensOptions,
    ListOptions,
    OpenOptions,
    RemoveOptions,
    RunOptions,
    ScoreOptions,
    SweepOptions,
    TapeOptions,
)


class Invocation(msgspec.Struct, frozen=True):
    """What was asked for, before the prompt is read."""

    command: str
    """`app`, or one of `COMMANDS`."""
    options: RunOptions
    """Those of the app are its `app` field."""
    prompt: PromptArguments = PromptArguments()
    listing: ListOptions = ListOptions()
    removing: RemoveOptions | None = None
    """Where `sessions` shall not only list them."""
    opening: OpenOptions = OpenOptions()
    exporting: ExportOptions = ExportOptions()
    scoring: ScoreOptions = ScoreOptions()
    drawing: GifOptions = GifOptions()
    taping: TapeOptions = TapeOptions()
    lens: LensOptions = LensOptions()
    sweep: SweepOptions = SweepOptions()
    lab: LabOptions = LabOptions()


def parse(arguments: Sequence[str]) -> Invocation:
    """The meaning of a command line (without the program's name).

    Raises:
        UsageError: for whatever cannot be meant.
        SystemExit: after --help and --version, with code 0.
    """
    for argument in arguments:
        check_utf8(repr(argument), argument)
    command = arguments[0] if arguments and arguments[0] in COMMANDS else "app"
    if command == "models":
        given = parsers.models_parser().parse_args(arguments[1:])
        return Invocation(command, RunOptions(), listing=ListOptions(tuple(given.directories)))
    if command == "run":
        return _invocation(command, parsers.run_parser().parse_args(arguments[1:]))
    if command == "sessions":
        removing = _removing(parsers.sessions_parser().parse_args(arguments[1:]))
        return Invocation(command, RunOptions(), removing=removing)
    if command == "replay":
        given = parsers.replay_parser().parse_args(arguments[1:])
        opening = OpenOptions(given.session, app=_screen_options(given))
        return Invocation(command, RunOptions(), opening=opening)
    if command == "open":
        opening = _opening(parsers.open_parser().parse_args(arguments[1:]))
        return Invocation(command, RunOptions(), opening=opening)
    if command == "tape":
        taping = TapeOptions(**vars(parsers.tape_parser().parse_args(arguments[1:])))
        return Invocation(command, RunOptions(), taping=taping)
    if command == "sweep":
        given = sweep_parsers.sweep_parser().parse_args(arguments[1:])
        sweep = _sweeping(given)
        return Invocation(command, RunOptions(sweep.app), _prompt_of(given), sweep=sweep)
    if command == "lab":
        return _lab(list(arguments[1:]))
    if command == "lens":
        lens = _lens(sweep_parsers.lens_parser().parse_args(arguments[1:]))
        return Invocation(command, RunOptions(), lens=lens)
    if command == "gif":
        drawing = GifOptions(**vars(parsers.gif_parser().parse_args(arguments[1:])))
        return Invocation(command, RunOptions(), drawing=drawing)
    if command == "score":
        scoring = _scoring(parsers.score_parser().parse_args(arguments[1:]))
        return Invocation(command, RunOptions(), scoring=scoring)
    if command == "export":
        exporting = ExportOptions(**vars(parsers.export_parser().parse_args(arguments[1:])))
        return Invocation(command, RunOptions(), exporting=exporting)
    if command == "examples":
        asked = _invocation("app", parsers.app_parser().parse_args(arguments[1:]))
        app = msgspec.structs.replace(asked.options.app, examples=True)
        return msgspec.structs.replace(asked, options=RunOptions(app))
    given = parsers.app_parser().parse_args(arguments)
    if given.model in COMMANDS:
        raise UsageError(
            f"the command {given.model} comes first: `tokexplore {given.model} ...`; a model "
            f"directory of that name is ./{given.model}."
        )
    return _invocation(command, given)


def _load_options(given: argparse.Namespace, threads: int | Literal["auto"] = 0) -> LoadOptions:
    """What is to be loaded; `threads` where no number was given."""
    return LoadOptions(
        model=_model(given.models[0] if "models" in given else given.model),
        device=given.device,
        dtype=given.dtype,
        device_map=given.device_map,
        revision=given.revision,
        trust_remote_code=given.trust_remote_code,
        threads=given.threads or threads,
    )


def _removing(given: argparse.Namespace) -> RemoveOptions | None:
    if given.remove or given.older_than is not None:
        return RemoveOptions(tuple(given.remove), given.older_than, given.yes)
    if given.yes:
        raise UsageError("--yes is for --remove and --older-than: say what is to be removed.")
    return None


def _lab(arguments: list[str]) -> Invocation:
    name, given, own = read_lab(arguments)
    asked = _invocation("lab", given)
    models = tuple(map(_model, given.models))
    options = LabOptions(name, asked.options.app, models, given.format, own)
    return msgspec.structs.replace(asked, lab=options)


def _lens(given: argparse.Namespace) -> LensOptions:
    return LensOptions(
        logits=given.logits,
        logprobs=given.logprobs,
        file=given.file,
        temperatures=given.temperature or (1.0,),
        top_ps=given.top_p or (1.0,),
        settings=_rest(given),
        draw=given.draw,
    )


def _sweeping(given: argparse.Namespace) -> SweepOptions:
    app = AppOptions(
        load=_load_options(given),
        settings=_rest(given),
        max_new_tokens=given.max_new_tokens,
        stop_texts=_stops(given),
        stop_ids=tuple(given.stop_id),
        ignore_eos=given.ignore_eos,
    )
    return SweepOptions(
        app=app,
        models=tuple(map(_model, given.models)),
        temperatures=given.temperature or (1.0,),
        top_ps=given.top_p or (1.0,),
        runs=given.runs,
        batch=max(1, given.batch),
        candidates=given.candidates,
        format=given.format,
        grid=given.grid,
        steps=given.steps,
        plot=given.plot,
    )


def _stops(given: argparse.Namespace) -> tuple[str, ...]:
    if any(not text for text in given.stop):
        raise UsageError("--stop '' is empty: give a text that ends the stream.")
    return tuple(given.stop)


def _rest(given: argparse.Namespace) -> SamplingSettings:
    """The settings of which one value each is given, under a temperature that heeds them."""
    single = [k for k in KNOBS if k.field not in ("temperature", "top_p")]
    values = {k.field: getattr(given, k.name.replace("-", "_")) for k in single}
    return SamplingSettings(1.0, **{name: v for name, v in values.items() if v is not None})


def _model(name: str) -> str:
    title = name == EMBEDDED_TITLE and not Path(name).exists()
    return EMBEDDED if title else name


def _scoring(given: argparse.Namespace) -> ScoreOptions:
    app = AppOptions(load=_load_options(given))
    candidates = given.candidates
    if candidates is None:
        candidates = 0 if given.format == "text" else ExportOptions().candidates
    return ScoreOptions(given.file, app, given.format, candidates, given.literal)


def _invocation(command: str, given: argparse.Namespace) -> Invocation:
    load = _load_options(given, "auto" if command == "app" else 0)
    sampling = {k.field: getattr(given, k.name.replace("-", "_")) for k in KNOBS}
    chosen = {name: value for name, value in sampling.items() if value is not None}
    named = {"bias": given.bias or given.bias_id, "banned": given.ban or given.ban_id}
    settings = SamplingSettings(
        **chosen,
        bias=tuple(_biased(text) for text in given.bias_id),
        banned=tuple(map(_tokens, given.ban_id)),
    )
    app = AppOptions(
        load=load,
        settings=settings.checked(),
        bias_texts=tuple(_bias_text(text) for text in given.bias),
        ban_texts=tuple(given.ban),
        watch_texts=tuple(given.watch),
        watch_ids=tuple(given.watch_id),
        given=frozenset(chosen).union(name for name, tokens in named.items() if tokens),
        model_defaults=given.model_defaults,
        max_new_tokens=given.max_new_tokens,
        stop_texts=_stops(given),
        stop_ids=tuple(given.stop_id),
        ignore_eos=given.ignore_eos,
        theme=THEMES[given.theme] if command == "app" and given.theme else "",
        directories=tuple(given.models_dir) if command == "app" else (),
        close_call=given.close_call if command == "app" else CLOSE_CALL,
        plain=command == "app" and given.plain,
        stock_output=command == "app" and given.output == "stock",
        session=given.session,
    )
    if command in ("app", "run"):
        app = msgspec.structs.replace(app, **_recording(given))
    run = RunOptions(app)
    if command == "run":
        run = RunOptions(app, candidates=given.candidates, format=given.format)
    return Invocation(command, run, _prompt_of(given))


def _prompt_of(given: argparse.Namespace) -> PromptArguments:
    return PromptArguments(
        text=given.prompt,
        file=given.prompt_file,
        chat=given.chat,
        system=given.system,
        user=given.user,
        prefill=given.prefill,
        prefill_as=given.prefill_as,
        messages=given.messages,
        template=given.template,
        template_args=given.template_arg,
        literal=given.literal,
    )


def _tokens(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"{brief(text)!r} is no token id or several with commas: 17 or 17,4."
        ) from None


def _biased(text: str) -> tuple[tuple[int, ...], float]:
    ids, value = _bias_text(text, "ID=NUMBER, such as 17=-5 or 17,4=-5")
    return _tokens(ids), value


def _bias_text(text: str, form: str = "TEXT=NUMBER, such as ' dragon=-5'") -> tuple[str, float]:
    before, equals, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not equals or not before or not abs(number) <= LARGEST:
        raise UsageError(
            f"bias {brief(text)!r} is not possible: give {form}, with a number from "
            f"-{LARGEST:g} to {LARGEST:g}."
        )
    return before, number


def _opening(given: argparse.Namespace) -> OpenOptions:
    chosen = {name: getattr(given, name) for name in LOADING}
    return OpenOptions(
        session=given.session,
        load={name: value for name, value in chosen.items() if value is not None},
        app=_screen_options(given),
    )


def _screen_options(given: argparse.Namespace) -> AppOptions:
    return AppOptions(
        theme=THEMES[given.theme] if given.theme else "",
        plain=given.plain,
        stock_output=given.output == "stock",
        **_recording(given),
        speed=getattr(given, "speed", 1.0),
        idle_cap=getattr(given, "idle_cap", IDLE_CAP),
    )


def _recording(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "record": given.record,
        "cast_version": given.cast_version,
        "cast_idle_cap": given.cast_idle_cap,
    }
