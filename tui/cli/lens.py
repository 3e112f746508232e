"""`tokexplore lens`: what sampling settings make of a few words with known logits. No model."""

import argparse
import math
from collections.abc import Iterator

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.lab.sweep import combinations
from tokexplore.models.opening import OpenEngine
from tokexplore.models.sampling.settings import LARGEST, SamplingSettings
from tokexplore.models.untrusted import brief, path_of, read_json
from tokexplore.tui.cli.common.app_options import single_settings
from tokexplore.tui.cli.common.option_groups import add_lists
from tokexplore.tui.cli.common.option_types import count
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.report.lens_text import effect_lines, parse_words

MOST_WORDS = 1_000_000
MOST_DRAWS = 10_000_000
MOST_LOGPROB = 1e-3
"""Nats; above 0 by no more than rounding leaves."""


class LensOptions(msgspec.Struct, frozen=True):
    """What `tokexplore lens` takes."""

    logits: str = ""
    """`word=number,word=number`."""
    logprobs: str = ""
    file: str = ""
    """JSON: an object of words and logits, or a list of logits."""
    temperatures: tuple[float, ...] = (1.0,)
    top_ps: tuple[float, ...] = (1.0,)
    settings: SamplingSettings = SamplingSettings(temperature=1.0)
    """The rest of the settings."""
    draw: int = 0
    """Draws to count."""


def _parser() -> Parser:
    parser = Parser(
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


def _options(given: argparse.Namespace) -> LensOptions:
    return LensOptions(
        logits=given.logits,
        logprobs=given.logprobs,
        file=given.file,
        temperatures=given.temperature or (1.0,),
        top_ps=given.top_p or (1.0,),
        settings=single_settings(given),
        draw=given.draw,
    )


def _run(asked: LensOptions, _open_engine: OpenEngine) -> int:
    for line in lens_lines(asked):
        print(line)
    return 0


def lens_lines(options: LensOptions) -> Iterator[str]:
    """What `tokexplore lens` prints.

    Raises:
        UsageError: words that cannot be read, or settings that are not possible.
    """
    words, logits = _words(options)
    settings = combinations(options.settings, options.temperatures, options.top_ps)
    if options.logprobs:
        mass = math.fsum(map(math.exp, logits))
        if abs(mass - 1) > 1e-3:
            yield f"these logprobs hold {mass:.2%}: all figures are of these words alone"
    yield from effect_lines(words, logits, settings, draw=options.draw)


def _words(options: LensOptions) -> tuple[list[str], list[float]]:
    given = [text for text in (options.logits, options.logprobs, options.file) if text]
    if len(given) != 1:
        raise UsageError("lens needs one of --logits, --logprobs and --file: words and numbers.")
    pairs = _read(options.file) if options.file else parse_words(given[0])
    for word, value in pairs:
        if not abs(value) <= LARGEST:
            raise UsageError(
                f"{value:g} is no logit for {brief(word)!r}: give a number from -{LARGEST:g} to "
                f"{LARGEST:g}."
            )
        if options.logprobs and value > MOST_LOGPROB:
            raise UsageError(f"{value:g} is no logprob for {brief(word)!r}: give 0 or less.")
    if not 1 < len(pairs) <= MOST_WORDS:
        raise UsageError(f"{len(pairs)} words are not possible: give 2 to {MOST_WORDS:,}.")
    return [word for word, _ in pairs], [value for _, value in pairs]


def _read(file: str) -> list[tuple[str, float]]:
    try:
        held = read_json(path_of(file), dict[str, float] | list[float])  # type: ignore[arg-type]
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {(error.strerror or '').lower()}.") from None
    except ValueError as error:
        raise UsageError(
            f'{file} {error}: give words with numbers, {{"floor": -46.4, "mat": -45.25}}.'
        ) from None
    pairs = held.items() if isinstance(held, dict) else enumerate(held)
    return [(str(word), value) for word, value in pairs]


SUBCOMMAND = Subcommand(
    name="lens",
    takes="--logits ...",
    summary="what temperature, top-p and the rest make of a few words",
    parser=_parser,
    options=_options,
    run=_run,
)
