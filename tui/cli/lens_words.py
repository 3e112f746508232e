"""The words of `tokexplore lens` with their logits: no model."""

import math

from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.sampling.settings import LARGEST
from tokexplore.models.untrusted import brief, path_of, read_json
from tokexplore.tui.cli.lens import LensOptions
from tokexplore.tui.report.lens_text import parse_words

MOST_WORDS = 1_000_000
MOST_LOGPROB = 1e-3
"""Nats; above 0 by no more than rounding leaves."""


def given_words(options: LensOptions) -> tuple[list[str], list[float]]:
    """The words, and their logits or logprobs.

    Raises:
        UsageError: words that cannot be read, or numbers that are none.
    """
    pairs = _read(options.file) if options.file else parse_words(options.logits or options.logprobs)
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


def mass_notice(options: LensOptions, logits: list[float]) -> str:
    """What has to be said of logprobs that are not all; empty where they are."""
    if not options.logprobs:
        return ""
    mass = math.fsum(map(math.exp, logits))
    if abs(mass - 1) <= 1e-3:
        return ""
    return f"these logprobs hold {mass:.2%}: all figures are of these words alone"


def _read(file: str) -> list[tuple[str, float]]:
    try:
        held = read_json(path_of(file), dict[str, float] | list[float])  # type: ignore[arg-type]
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {reason_of(error)}.") from None
    except ValueError as error:
        raise UsageError(
            f'{file} {error}: give words with numbers, {{"floor": -46.4, "mat": -45.25}}.'
        ) from None
    pairs = held.items() if isinstance(held, dict) else enumerate(held)
    return [(str(word), value) for word, value in pairs]
