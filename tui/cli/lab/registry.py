"""The parsers of `tokexplore lab`: what its experiments share, and what each adds."""

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from tokexplore.models.api.options import EMBEDDED
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.conditions import BATCHES, KNOBS, SERVED, SERVER, Knob, knobs_named
from tokexplore.models.lab.experiment import RUNS
from tokexplore.models.lab.served import CONCURRENCY
from tokexplore.tui.cli.common.option_groups import (
    add_chat,
    add_ending,
    add_loading,
    add_prompt,
    add_sampling,
)
from tokexplore.tui.cli.common.option_types import count, positive
from tokexplore.tui.cli.common.parser import Parser

LAB_TOKENS = 128
"""How far runs go when nothing else was asked."""
FORMATS = ("table", "jsonl", "csv", "markdown")


class Experiment(NamedTuple):
    """What the command line knows of one."""

    summary: str
    add: Callable[[argparse._ArgumentGroup], None]
    """Adds the options that this experiment alone has."""
    runs: str
    """`module:function` beside this file; imported when it is asked for."""

    def load(self) -> Callable[..., Any]:
        """The function that runs it: see `runner.Lines`."""
        module, _, name = self.runs.partition(":")
        function: Callable[..., Any] = getattr(
            import_module(f"tokexplore.tui.cli.lab.{module}"), name
        )
        return function


def experiment_parser(name: str) -> Parser:
    """The parser of an experiment: what `run` takes, `models` and `format`, and its own.

    It tells the experiment's name as `experiment`, and the names of its own options as `own`.
    """
    experiment = EXPERIMENTS[name]
    parser = Parser(
        f"tokexplore lab {name}",
        experiment.summary,
        usage=f"tokexplore lab {name} [MODEL ...] --prompt TEXT [options]",
    )
    parser.add_argument(
        "models",
        nargs="*",
        default=[EMBEDDED],
        metavar="MODEL",
        help="one after the other (default: the embedded model)",
    )
    group = parser.add_argument_group(name)
    experiment.add(group)
    own = [action.dest for action in group._group_actions]
    parser.add_argument("--format", choices=FORMATS, default="table", help="(%(default)s)")
    for add in (add_prompt, add_chat, add_sampling, add_ending, add_loading):
        add(parser)
    parser.set_defaults(
        max_new_tokens=LAB_TOKENS, dtype="own", watch=[], watch_id=[], session="", experiment=name,
        own=own,
    )  # fmt: skip
    return parser


def _add_repeat(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--runs",
        type=count,
        default=RUNS,
        metavar="N",
        help="runs in all; of a server, of each condition (%(default)s)",
    )
    _add_varying(group)
    group.add_argument(
        "--new-seeds",
        action="store_true",
        help="run r draws with the seed + r; else all draw with the same one",
    )
    group.add_argument(
        "--plain",
        action="store_true",
        help="vary nothing: every run alone, in one pass (and expect one text)",
    )


def _add_sums(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--step",
        type=_step,
        default=0,
        metavar="N",
        help="the step to look at, from 1 (default: that of the smallest margin)",
    )


def _step(text: str) -> int:
    step = count(text)
    if not step:
        raise argparse.ArgumentTypeError("steps count from 1: there is no step 0")
    return step


def _add_experts(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--factors",
        type=_factors,
        default=(0.5, 1.0, 1.5, 2.0),
        metavar="F,...",
        help="capacity factors to simulate (default: 0.5,1,1.5,2)",
    )
    group.add_argument(
        "--groups",
        type=_sizes,
        default=(4, 8, 32),
        metavar="N,...",
        help="tokens in a group that share the experts' buffers (default: 4,8,32)",
    )
    group.add_argument(
        "--runs", type=count, default=12, metavar="N", help="batches of each (%(default)s)"
    )
    group.add_argument(
        "--batch", type=count, default=8, metavar="B", help="rows of a batch (%(default)s)"
    )


def _factors(text: str) -> tuple[float, ...]:
    factors = tuple(positive(part) for part in text.split(","))
    if not all(factors):
        raise argparse.ArgumentTypeError("a capacity factor of 0 is not possible: give more")
    return factors


def _add_noise(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--against",
        default="",
        metavar="DIR",
        help="of a server: the weights that it runs, whose numbers here are held against its own",
    )


def _add_varying(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--vary",
        type=_knobs,
        default=None,
        metavar="NAME,...",
        help=f"what differs between runs, of {', '.join(KNOBS)} (default: {','.join(SERVER)}, "
        f"as on a server; of a server itself {','.join(SERVED)})",
    )
    group.add_argument(
        "--batches",
        type=_sizes,
        default=BATCHES,
        metavar="B,...",
        help=f"batch sizes to draw from (default: {','.join(map(str, BATCHES))})",
    )
    group.add_argument(
        "--concurrency",
        type=_sizes,
        default=CONCURRENCY,
        metavar="N,...",
        help="of a server: requests at once, the same ones and others beside "
        f"(default: {','.join(map(str, CONCURRENCY))})",
    )
    group.add_argument(
        "--deal",
        type=count,
        default=0,
        metavar="N",
        help="number of the deal of conditions: another one deals others (%(default)s)",
    )


def _knobs(text: str) -> tuple[Knob, ...]:
    try:
        return knobs_named(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(count(part) for part in text.split(","))
    if not all(sizes):
        raise argparse.ArgumentTypeError("a batch of 0 is not possible: give 1 or more")
    return sizes


EXPERIMENTS = {
    "repeat": Experiment(
        "the same prompt N times, as a server runs it: how many different texts, and why",
        _add_repeat,
        "repeat:lines",
    ),
    "noise": Experiment(
        "one path computed in several ways: how far the logits are apart, and what could flip",
        _add_noise,
        "noise:lines",
    ),
    "sums": Experiment(
        "a step's two first logits added up in other orders: what the order alone does",
        _add_sums,
        "sums:lines",
    ),
    "experts": Experiment(
        "a mixture of experts: where tokens go, what moves them, and a simulation of full experts",
        _add_experts,
        "experts:lines",
    ),
}
