"""Whether the logprobs that a server gives are the model's own."""

from collections.abc import Sequence

from tokexplore.models.errors import ModelError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.asking.served import Look
from tokexplore.models.server.dialect import Ask, Dialect

_ERROR = 0.05
"""Nats by which two temperatures may move a logprob that is raw."""


def check_raw(
    looking: Look, dialect: Dialect, advice: str, *, ids: Sequence[int] = (0,), top_p: float = 1.0
) -> None:
    """Refuse a server whose logprobs are not the model's.

    Args:
        advice: with what the server is to be started.
        ids, top_p: see `is_raw`.

    Raises:
        ModelError: logprobs are those after the server's sampler.
    """
    if not is_raw(looking, dialect, ids=ids, top_p=top_p):
        raise ModelError(
            f"{dialect.program} gives logprobs after its sampler, from which the model's own "
            f"cannot be told: start it with {advice}."
        )


def is_raw(
    looking: Look, dialect: Dialect, *, ids: Sequence[int] = (0,), top_p: float = 1.0
) -> bool:
    """Compare one step at two temperatures, and keep what is found.

    Args:
        ids: the path of the step.
        top_p: of the higher one: where it is small, the first candidate is taken, of which a server
            that does not show every token has a text.
    """
    plain, hot = (
        dialect.step(Ask(ids, 1, settings)).distribution
        for settings in (SamplingSettings(), SamplingSettings(temperature=2.0, top_p=top_p))
    )
    raw = plain.ids == hot.ids and abs(plain.logprob(0) - hot.logprob(0)) <= _ERROR
    where = "before its sampler" if raw else "after the temperature"
    looking.tell(f"gives logprobs {where}", "one step at temperatures 0 and 2")
    return raw
