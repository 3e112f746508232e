"""What can come after a path, of one row of logits."""

import numpy as np

from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.distribution import STORED_CANDIDATES
from tokexplore.models.engine import sampler
from tokexplore.models.engine.forward import logits_row
from tokexplore.models.engine.forward.logits_row import Floats, Row
from tokexplore.models.sampling.logit_edits import LogitEdits
from tokexplore.models.sampling.settings import SamplingSettings


def next_tokens(
    row: Row,
    settings: SamplingSettings | None,
    changes: LogitEdits,
    start: int,
    count: int,
) -> NextTokens:
    """The next tokens from the place `start` of their order on, at most `count` of them.

    Args:
        settings: of the sampler whose probabilities they are; None for the model's own.
        changes: those of the path and the settings.
    """
    logits, temperature = _weighed(row, settings, changes)
    ids, _ = logits_row.candidates(logits, start + count)
    weights = sampler.weights_of(logits, temperature)  # f64 [V]
    total = float(weights.sum())
    before, listed = weights[ids[:start]], weights[ids[start:]]
    rest = total - float(before.sum()) - float(listed.sum())
    more = len(ids) < int(np.count_nonzero(weights))
    return NextTokens(
        ids[start:].astype(np.uint32).tobytes(),
        (listed / total).tobytes(),
        max(0.0, rest / total) if more else 0.0,
        more,
        None if start else logits_row.distribution(row, STORED_CANDIDATES),
    )


def _weighed(
    row: Row, settings: SamplingSettings | None, changes: LogitEdits
) -> tuple[Floats, float]:
    """Logits (f32, shape [V], -inf for what cannot come) and what they are divided by."""
    if settings is None:
        return row.logits, 1.0
    reshaped = sampler.reshape(row, settings, changes)
    kept = np.where(reshaped.kept, reshaped.changed, np.float32(-np.inf))
    return kept, 1.0 if settings.greedy else reshaped.view.temperature
