"""An engine in this process, for commands without a screen: opened, given a prompt, interrupted."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import msgspec

from tokexplore.models.api.chat import Rendered
from tokexplore.models.api.engine import Control, Engine, Progress, StreamRequest
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.display import counted
from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.explore.first_token import begun_by_text
from tokexplore.tui.report.probability_text import quoted
from tokexplore.tui.terminal.exit_codes import INTERRUPTED, OK, TERMINATED


def opened(
    options: LoadOptions,
    open_engine: OpenEngine,
    meter: Meter,
    interruption: "Interruption",
    prompt: PromptSpec | None = None,
) -> Engine | None:
    """The engine, with its notices said, or None where a signal came first.

    What that raises is not trusted to arrive: libraries turn it into errors of their own.

    Args:
        prompt: what it is opened for.

    Raises:
        UsageError: that is a chat and the model's files say, before its weights are read, that
            there can be none.
    """
    chats = prompt is not None and prompt.chat is not None

    def report(progress: Progress) -> None:
        meter.show(progress)
        if chats and progress.why_no_chat:
            raise UsageError(progress.why_no_chat)

    try:
        engine = open_engine(options, report)
    except BaseException:
        if not interruption.code:
            raise
        return None
    if interruption.code:
        return None
    for notice in engine.info.notices:
        meter.say(notice)
    return engine


def prompt_ids(engine: Engine, prompt: PromptSpec, meter: Meter) -> tuple[int, ...]:
    """A prompt as ids.

    Raises:
        UsageError: it is longer than the context.
    """
    return rendered_prompt(engine, prompt, meter).ids


def rendered_prompt(engine: Engine, prompt: PromptSpec, meter: Meter) -> Rendered:
    """A prompt as ids; of a chat also whose they are.

    Raises:
        UsageError: it is longer than the context.
    """
    if prompt.chat is not None:
        rendered = engine.render(prompt.chat)
    elif limit := engine.info.capabilities.limit("plain_prompts"):
        raise UsageError(f"{limit}: give --user TEXT instead of --prompt.")
    else:
        text, literal = prompt.text or "", prompt.literal
        ids = tuple(engine.encode(text, literal=literal))
        warning = begun_by_text(text, ids, engine.info, engine.vocabulary, literal=literal)
        rendered = Rendered(ids, warning)
    for notice in filter(None, (prompt.notice, rendered.warning)):
        meter.say(notice)
    context = engine.info.context
    if context and len(rendered.ids) > context:
        raise UsageError(
            f"the prompt is {len(rendered.ids):,} tokens long and the context of "
            f"{engine.info.name} is {context:,}: shorten the prompt."
        )
    return rendered


def prefill(engine: Engine, ids: tuple[int, ...], control: Control, meter: Meter) -> None:
    """Leave a prompt in the engine's cache, and show how far that is."""
    for event in engine.stream(StreamRequest(ids, SamplingSettings(), 0, top=1), control):
        if isinstance(event, Progress):
            meter.show(event)


def other_in_one_piece(
    engine: Engine, prompt: PromptSpec, ids: Sequence[int], text: str, follows: Sequence[int]
) -> list[str]:
    """Notices where a plain prompt and what follows it would be other tokens as one text.

    Args:
        ids: the prompt's tokens.
        follows: the text's tokens as a continuation.
    """
    if not prompt.text:
        return []
    whole = engine.encode(prompt.text + text, literal=prompt.literal)
    if whole == [*ids, *follows]:
        return []
    return [
        f"the prompt and {quoted(text)} in one piece are {counted(len(whole), 'token')}, others "
        f"than the {len(ids)} + {len(follows)} here (is a space on the wrong side?)"
    ]


def turn_ids(engine: Engine, prompt: PromptSpec) -> tuple[int, ...]:
    """The tokens that end the assistant's turn, where the prompt is a chat."""
    return engine.info.turn_ids if prompt.chat is not None else ()


class Interruption(msgspec.Struct):
    """What a signal has asked for."""

    control: Control | None = None
    """The stream to end; None while there is none."""
    code: int = OK


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Let Ctrl-C and SIGTERM end the stream between two tokens; the second one ends the program.

    Before there is a stream they end the program at once.
    """
    interruption = Interruption()

    def interrupt(number: int, _frame: FrameType | None) -> None:
        code = INTERRUPTED if number == signal.SIGINT else TERMINATED
        again, interruption.code = bool(interruption.code), code
        if interruption.control is None or again:
            raise SystemExit(code)
        interruption.control.cancelled = True

    before = {n: signal.signal(n, interrupt) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
