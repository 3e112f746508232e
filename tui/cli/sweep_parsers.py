"""The parsers of the lab's commands: the lens without a model, and sweeps."""

import argparse

from tokexplore.models.api.options import EMBEDDED
from tokexplore.tui.cli.common.option_groups import (
    add_chat,
    add_ending,
    add_lists,
    add_loading,
    add_prompt,
    count,
)
from tokexplore.tui.cli.common.parser import Parser, new_parser
from tokexplore.tui.explore.options import SWEEP_TOKENS, SweepOptions

MOST_DRAWS = 10_000_000


def lens_parser() -> Parser:
    parser = new_parser(
        "tokexplore lens",
        "See what temperature, top-p and the rest make of a few words. No model is loaded.",
        usage='tokexplore lens --logits "ceiling=-49.8,floor=-46.4,mat=-45.3" [options]',
    )
    parser.add_argument("--logits", default="", metavar="WORD=X,...", help="words and their logits")
    parser.add_argument(
        "--logprobs", default="", metavar="WORD=X,...", help="words and their logprobs (nats)"
    )
    parser.add_argument(
        "--file", default="", metavar="FILE.json", help='{"word": logit, ...} or a list of logits'
    )
    parser.add_argument(
        "--draw", type=_draws, default=0, metavar="N", help="draw N times and count"
    )
    add_lists(parser)
    return parser


def _draws(text: str) -> int:
    draws = count(text)
    if draws > MOST_DRAWS:
        raise argparse.ArgumentTypeError(f"{draws} is too many: give {MOST_DRAWS} at most")
    return draws


def sweep_parser() -> Parser:
    parser = new_parser(
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
    add_lists(parser)
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
