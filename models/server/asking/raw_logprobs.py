"""Whether the logprobs that a server gives are the model's own."""

from collections.abc import Sequence

from tokexplore.models.errors import ModelError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.asking.served import Look
from tokexplore.models.server.dialect import Dialect

_ERROR = 0.05
"""Nats by which two temperatures may move a logprob that is raw."""


def check_raw(
    looking: Look, dialect: Dialect, advice: str, *, ids: Sequence[int] = (0,), top_p: float = 1.0
) -> None:
    """Compare one step at two temperatures.

    Args:
        advice: with what the server is to be started.
        ids: the path of the step.
        top_p: of the higher one: where it is small, the first candidate is taken, of which a server
            that does not show every token has a text.

    Raises:
        ModelError: logprobs are those after the server's sampler.
    """
    plain, hot = (
        dialect.step(ids, settings, 0, 1).distribution
        for settings in (SamplingSettings(), SamplingSettings(temperature=2.0, top_p=top_p))
    )
    if plain.ids != hot.ids or abs(plain.logprob(0) - hot.logprob(0)) > _ERROR:
        raise ModelError(
            f"{dialect.program} gives logprobs after its sampler, from which the model's own "
            f"cannot be told: start it with {advice}."
        )
    looking.tell("gives logprobs before its sampler", "one step at temperatures 0 and 2")
