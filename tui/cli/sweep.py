"""`tokexplore sweep`: one prompt under many settings, and temperature against top-p."""

import argparse
from typing import Literal

import msgspec

from tokexplore.models.api.options import EMBEDDED
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.opening import OpenEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.common.app_options import (
    ending_fields,
    listed_settings,
    load_options,
    model_name,
)
from tokexplore.tui.cli.common.option_groups import (
    add_chat,
    add_ending,
    add_lists,
    add_loading,
    add_prompt,
)
from tokexplore.tui.cli.common.option_types import count
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.prompt_input import (
    Prompted,
    piped_stdin,
    prompt_arguments,
    read_prompt,
)
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.terminal.stdio import private_stdout

SWEEP_TOKENS = 64
"""How far the continuations go when nothing else was asked."""


class SweepOptions(msgspec.Struct, frozen=True):
    """What `tokexplore sweep` takes."""

    app: AppOptions = AppOptions()
    """How models are loaded, the prompt, the end."""
    models: tuple[str, ...] = (EMBEDDED,)
    settings: tuple[SamplingSettings, ...] = (SamplingSettings(1.0),)
    runs: int = 8
    """Continuations of each setting."""
    batch: int = 8
    """Continuations that run at once, where the engine can."""
    candidates: int = 5
    """Candidates of the next token to list."""
    format: Literal["table", "jsonl", "csv"] = "table"
    grid: bool = False
    """Every step of the prompt instead: which moves the entropy more?"""
    steps: int = 200
    """Steps of the grid at most."""
    plot: str = ""
    """A picture (.svg, .png, .pdf) to draw of it."""


def _parser() -> Parser:
    parser = Parser(
        "tokexplore sweep",
        "One prompt under many settings: the next token of each, and sampled continuations with\n"
        "their figures. With --grid: every step of a text, temperature against top-p.",
        usage="tokexplore sweep [MODEL ...] --prompt TEXT --temperature 0.1,0.5,1,5 [options]",
    )
    parser.add_argument(
        "models",
        nargs="*",
        default=[EMBEDDED],
        metavar="MODEL",
        help="one after the other (default: the embedded model)",
    )
    add_prompt(parser)
    add_chat(parser)
    add_lists(parser, ("temperature", "top_p"))
    add_ending(parser)
    parser.set_defaults(max_new_tokens=SWEEP_TOKENS)
    runs = parser.add_argument_group("sweep")
    runs.add_argument(
        "--runs",
        type=count,
        default=SweepOptions().runs,
        metavar="N",
        help="continuations of each setting, with the seeds S, S + 1, ...; greedy is run once "
        "(%(default)s)",
    )
    runs.add_argument(
        "--batch",
        type=count,
        default=SweepOptions().batch,
        metavar="B",
        help="run so many at once where the model can (%(default)s); with 1 they are those that "
        "the app streams, to the last digit",
    )
    runs.add_argument(
        "--candidates",
        type=count,
        default=SweepOptions().candidates,
        metavar="K",
        help="candidates of the next token to list (%(default)s)",
    )
    runs.add_argument(
        "--grid",
        action="store_true",
        help="over every step of the prompt, 0.1 to 1.0 by 0.1: which moves the entropy more?",
    )
    runs.add_argument(
        "--steps",
        type=count,
        default=SweepOptions().steps,
        metavar="N",
        help="steps of the grid at most, evenly spread over the text; 0 for all (%(default)s)",
    )
    runs.add_argument(
        "--format", choices=("table", "jsonl", "csv"), default="table", help="(%(default)s)"
    )
    runs.add_argument(
        "--plot",
        default="",
        metavar="FILE",
        help="also draw it: a new .svg, .png or .pdf; needs the extra tokexplore[plots]",
    )
    add_loading(parser)
    return parser


def _options(given: argparse.Namespace) -> Prompted[SweepOptions]:
    app = AppOptions(load=load_options(given), **ending_fields(given))
    options = SweepOptions(
        app=app,
        models=tuple(model_name(name, given.api) for name in given.models),
        settings=listed_settings(given),
        runs=given.runs,
        batch=max(1, given.batch),
        candidates=given.candidates,
        format=given.format,
        grid=given.grid,
        steps=given.steps,
        plot=given.plot,
    )
    return Prompted(options, prompt_arguments(given))


def _run(asked: Prompted[SweepOptions], open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.sweep_runner import run_sweep

    options = asked.options
    for model in options.models:
        locate(model, options.app.load.revision)
    prompt = read_prompt(asked.prompt, piped_stdin())
    app = msgspec.structs.replace(options.app, prompt=prompt)
    with private_stdout() as out:
        return run_sweep(msgspec.structs.replace(options, app=app), out, open_engine=open_engine)


SUBCOMMAND = Subcommand(
    name="sweep",
    takes="[MODEL] ...",
    summary="one prompt under many settings; temperature against top-p",
    parser=_parser,
    options=_options,
    run=_run,
)
