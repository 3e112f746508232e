"""`tokexplore lens`: what sampling settings make of one step, of a model or of a few words."""

import argparse
from typing import Literal

import msgspec

from tokexplore.models.api.options import EMBEDDED
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.distribution import STORED_CANDIDATES
from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.common.app_options import listed_settings, load_options
from tokexplore.tui.cli.common.option_groups import (
    add_chat,
    add_lists,
    add_loading,
    add_model,
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

MOST_DRAWS = 10_000_000


class LensOptions(msgspec.Struct, frozen=True):
    """What `tokexplore lens` takes."""

    app: AppOptions = AppOptions()
    """How the model is loaded, and the prompt."""
    logits: str = ""
    """`word=number,word=number`: no model."""
    logprobs: str = ""
    file: str = ""
    """JSON: an object of words and logits, or a list of logits."""
    settings: tuple[SamplingSettings, ...] = (SamplingSettings(1.0),)
    position: int | None = None
    """The step before this token of the prompt; None is the one after all of it."""
    top: int = 20
    """Candidates of a model's step."""
    draw: int = 0
    """Draws to count."""
    format: Literal["text", "json"] = "text"
    plot: str = ""
    """A picture (.svg) to draw of it."""
    theme: Literal["light", "dark"] = "light"
    """Of the picture."""

    @property
    def of_words(self) -> bool:
        """Whether words are given, and no model."""
        return bool(self.logits or self.logprobs or self.file)


def _parser() -> Parser:
    parser = Parser(
        "tokexplore lens",
        "See what temperature, top-p and the rest make of the step after a prompt, several\n"
        "settings side by side. With --logits, --logprobs or --file: of a few words; no model is\n"
        "loaded.",
        usage="tokexplore lens [MODEL] --prompt TEXT --top-p 0.9,0.1 --plot FILE.svg [options]\n"
        '       tokexplore lens --logits "ceiling=-49.8,floor=-46.4,mat=-45.3" [options]',
    )
    add_model(parser)
    parser.set_defaults(model="")
    default = LensOptions()
    parser.add_argument(
        "--position",
        type=count,
        metavar="N",
        help="the step before the prompt's token N, counted from 0 (default: the one after all "
        "of it)",
    )
    parser.add_argument(
        "--top",
        type=_top,
        default=default.top,
        metavar="K",
        help="candidates of the model to tell of (%(default)s)",
    )
    parser.add_argument(
        "--draw", type=_draws, default=default.draw, metavar="N", help="draw N times and count"
    )
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default=default.format,
        help="text: tables; json: one object with all of it (%(default)s)",
    )
    parser.add_argument(
        "--plot",
        default="",
        metavar="FILE.svg",
        help="also draw it, a panel a setting: a new SVG",
    )
    parser.add_argument(
        "--theme",
        choices=("light", "dark"),
        default=default.theme,
        help="colours of the picture (%(default)s)",
    )
    words = parser.add_argument_group("words instead of a model")
    words.add_argument("--logits", default="", metavar="WORD=X,...", help="words and their logits")
    words.add_argument(
        "--logprobs", default="", metavar="WORD=X,...", help="words and their logprobs (nats)"
    )
    words.add_argument(
        "--file", default="", metavar="FILE.json", help='{"word": logit, ...} or a list of logits'
    )
    add_prompt(parser)
    add_chat(parser)
    add_lists(parser)
    add_loading(parser)
    return parser


def _draws(text: str) -> int:
    draws = count(text)
    if draws > MOST_DRAWS:
        raise argparse.ArgumentTypeError(f"{draws} is too many: give {MOST_DRAWS} at most")
    return draws


def _top(text: str) -> int:
    top = count(text)
    if not 1 <= top <= STORED_CANDIDATES:
        raise argparse.ArgumentTypeError(f"{top} is not possible: give 1 to {STORED_CANDIDATES}")
    return top


def _options(given: argparse.Namespace) -> Prompted[LensOptions]:
    prompt = prompt_arguments(given)
    words = [text for text in (given.logits, given.logprobs, given.file) if text]
    prompted = given.model or prompt.is_chat or (prompt.text, prompt.file) != (None, None)
    if len(words) > 1 or (words and prompted):
        raise UsageError(
            "lens needs a prompt for a model, or one of --logits, --logprobs and --file: leave out "
            "the others."
        )
    given.model = given.model or EMBEDDED
    options = LensOptions(
        app=AppOptions(load=load_options(given)),
        logits=given.logits,
        logprobs=given.logprobs,
        file=given.file,
        settings=listed_settings(given),
        position=given.position,
        top=given.top,
        draw=given.draw,
        format=given.format,
        plot=given.plot,
        theme=given.theme,
    )
    return Prompted(options, prompt)


def _run(asked: Prompted[LensOptions], open_engine: OpenEngine) -> int:
    from tokexplore.tui.cli.lens_runner import run_lens

    options = asked.options
    if not options.of_words:
        locate(options.app.load.model, options.app.load.revision)
        prompt = read_prompt(asked.prompt, piped_stdin())
        app = msgspec.structs.replace(options.app, prompt=prompt)
        options = msgspec.structs.replace(options, app=app)
    with private_stdout() as out:
        return run_lens(options, out, open_engine=open_engine)


SUBCOMMAND = Subcommand(
    name="lens",
    takes="[MODEL] ...",
    summary="what temperature, top-p and the rest make of one step, as text, JSON or a picture",
    parser=_parser,
    options=_options,
    run=_run,
)
