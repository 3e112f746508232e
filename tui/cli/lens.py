"""`tokexplore lens`: what sampling settings make of a few words with known logits. No model."""

import math
from collections.abc import Iterator

from tokexplore.models.errors import UsageError
from tokexplore.models.lab.sweep import combinations
from tokexplore.models.sampling.settings import LARGEST
from tokexplore.models.untrusted import brief, path_of, read_json
from tokexplore.tui.explore.options import LensOptions
from tokexplore.tui.report.lens_text import effect_lines, parse_words

MOST_WORDS = 1_000_000
MOST_LOGPROB = 1e-3
"""Nats; above 0 by no more than rounding leaves."""


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
