"""The whole vocabulary after one path, by id."""

from collections.abc import Sequence

import numpy as np

from tokexplore.models.api.engine import Engine

Row = np.ndarray[tuple[int], np.dtype[np.float32]]


def whole_row(engine: Engine, ids: Sequence[int]) -> tuple[Row, float]:
    """The logits after a path (f32, shape [V]; minus infinity where the engine tells none), and
    their log-sum-exp.

    Raises:
        UsageError: an engine that tells the first candidates only.
    """
    page = engine.rows(ids, 0, engine.info.vocabulary)
    row = np.full(engine.info.vocabulary, -np.inf, np.float32)
    row[np.frombuffer(page.ids, np.uint32)] = np.frombuffer(page.logits, np.float32)
    return row, page.lse
