"""`tokexplore lab`: why temperature 0 is not one answer, measured."""

import argparse
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from tokexplore.models.api.options import EMBEDDED
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.app_options import app_options, model_name
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.prompt_input import (
    Prompted,
    piped_stdin,
    prompt_arguments,
    read_prompt,
)
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.cli.lab.registry import EXPERIMENTS, experiment_parser
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.terminal.stdio import private_stdout


class LabOptions(msgspec.Struct, frozen=True):
    """What `tokexplore lab` takes."""

    experiment: str = ""
    app: AppOptions = AppOptions()
    """How models are loaded, the prompt, the settings, the end."""
    models: tuple[str, ...] = (EMBEDDED,)
    format: Literal["table", "jsonl", "csv", "markdown"] = "table"
    own: dict[str, Any] = {}
    """Options of this experiment alone, by the names that its parser gives them."""


class _LabParser(Parser):
    """Leaves what follows an experiment's name to the parser of that experiment."""

    def format_help(self) -> str:
        lines = ["The determinism lab: why temperature 0 is not one answer.", ""]
        lines += [
            f"  tokexplore lab {name:<8} {each.summary}" for name, each in EXPERIMENTS.items()
        ]
        return "\n".join([*lines, "", "Each has its own --help.\n"])

    def parse_known_args(
        self, args: Iterable[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        name, *rest = args or [""]
        if name in ("-h", "--help"):
            self.print_help()
            self.exit()
        if name not in EXPERIMENTS:
            problem = (
                f"lab {name} is no experiment" if name else "lab needs the name of an experiment"
            )
            raise UsageError(f"{problem}: give {', '.join(EXPERIMENTS)}.")
        return experiment_parser(name).parse_args(rest, namespace), []


def _parser() -> Parser:
    return _LabParser("tokexplore lab", "", usage="tokexplore lab EXPERIMENT ...")


def _options(given: argparse.Namespace) -> Prompted[LabOptions]:
    options = LabOptions(
        experiment=given.experiment,
        app=app_options(given),
        models=tuple(model_name(name, given.api) for name in given.models),
        format=given.format,
        own={name: getattr(given, name) for name in given.own},
    )
    return Prompted(options, prompt_arguments(given))


def _run(asked: Prompted[LabOptions], open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.lab.runner import run_lab

    options = asked.options
    for model in options.models:
        locate(model, options.app.load.revision)
    prompt = read_prompt(asked.prompt, piped_stdin())
    app = msgspec.structs.replace(options.app, prompt=prompt)
    options = msgspec.structs.replace(options, app=app)
    with private_stdout() as out:
        return run_lab(
            options, EXPERIMENTS[options.experiment].load(), out, open_engine=open_engine
        )


SUBCOMMAND = Subcommand(
    name="lab",
    takes="EXPERIMENT ...",
    summary="why temperature 0 is not one answer: measured on your model",
    parser=_parser,
    options=_options,
    run=_run,
)
