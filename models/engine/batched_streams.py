"""Several continuations of one path at once: streams that take each other along."""

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from tokexplore.models.api.engine import (
    Continuation,
    Control,
    DrawnToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.stream import Stream


def continuations(
    core: Core, request: StreamRequest, seeds: Sequence[int], control: Control
) -> list[Continuation]:
    """The request's stream under each seed, an event of each in turn; none where it was cancelled.

    The core holds the row after the path. Nothing else of the streams is kept.
    """
    plain = replace(
        request, draw=0, score_prompt=False, describe_end=False, top=1, watch=()
    )  # what a continuation does not tell
    drawn: list[list[DrawnToken]] = [[] for _ in seeds]
    ended: list[StreamEnded | None] = [None for _ in seeds]
    streams = {number: _stream(core, plain, seed, control) for number, seed in enumerate(seeds)}
    while streams:
        for number, stream in list(streams.items()):
            match next(stream):
                case DrawnToken() as token:
                    drawn[number].append(token)
                case StreamEnded() as end:
                    ended[number] = end
                    del streams[number]
    if control.cancelled:
        return []
    return [
        _continuation(seed, tokens, end)
        for seed, tokens, end in zip(seeds, drawn, ended, strict=True)
    ]


def _stream(
    core: Core, request: StreamRequest, seed: int, control: Control
) -> Iterator[StreamEvent]:
    settings = replace(request.settings, seed=seed)
    return Stream(core, replace(request, settings=settings), control, aside=True).events()


def _continuation(
    seed: int, drawn: Sequence[DrawnToken], ended: StreamEnded | None
) -> Continuation:
    return Continuation(
        seed,
        tuple(token.standing.token for token in drawn),
        tuple(token.standing.logprob for token in drawn),
        tuple(token.distribution.entropy for token in drawn),
        ended.reason if ended else "interrupted",
    )
