"""A server on the embedded model, and what it says beside what the model says here."""

import numpy as np
import pytest

from tokexplore.models.api.engine import Control, DrawnToken, StreamEnded, StreamRequest
from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine

HERE = str(EMBEDDED_DIRECTORY)


def opened(url: str, **options: object) -> ServerEngine:
    """The engine on a server, with the embedded model's tokenizer unless told otherwise."""
    server = ServerOptions(**{"tokenizer": HERE, **options})  # type: ignore[arg-type]
    return ServerEngine.open(LoadOptions(url, server=server), lambda _: None)


def events(
    engine: ServerEngine | LocalEngine, ids: list[int], length: int = 16, **how: object
) -> tuple[list[DrawnToken], StreamEnded]:
    """The tokens of a stream, and how it ended."""
    settings = SamplingSettings(**how)  # type: ignore[arg-type]
    *drawn, ended = engine.stream(StreamRequest(tuple(ids), settings, length), Control())
    assert isinstance(ended, StreamEnded)
    return [event for event in drawn if isinstance(event, DrawnToken)], ended


def steps(engine: ServerEngine | LocalEngine, text: str, **how: object) -> list[DrawnToken]:
    """The tokens of a stream after a text."""
    return events(engine, engine.encode(text), **how)[0]  # type: ignore[arg-type]


def check(ours: list[DrawnToken], theirs: list[DrawnToken]) -> None:
    """What is listed has the model's ids and numbers."""
    assert [s.standing.token for s in ours] == [s.standing.token for s in theirs]
    for step, truth in zip(ours, theirs, strict=True):
        count = len(step.distribution)
        assert count
        assert step.distribution.ids == truth.distribution.ids[: 4 * count]
        logprobs = [truth.distribution.logprob(i) for i in range(count)]
        np.testing.assert_allclose(step.distribution.logit_view, logprobs, atol=1e-5)
        assert step.standing.logprob == pytest.approx(truth.standing.logprob, abs=1e-5)
