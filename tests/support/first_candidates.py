"""Distributions of which only the first candidates are known, as a server lists them."""

from array import array
from collections.abc import Iterator, Sequence
from typing import NoReturn, TypeVar

import msgspec

from support.fake_engine import FakeEngine
from tokexplore.models.api.engine import (
    Control,
    Described,
    DrawnToken,
    Progress,
    ScoredToken,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError

LISTED = 20

Told = TypeVar("Told", DrawnToken, Described, ScoredToken)


def first_of(told: Distribution, count: int = LISTED) -> Distribution:
    """The first candidates of a distribution with their logprobs, and nothing of the rest."""
    logprobs = array("f", [told.logprob(index) for index in range(count)])
    return Distribution(
        told.ids[: 4 * count], logprobs.tobytes(), told.vocabulary, 0.0, None, told.source
    )


class FirstCandidates(FakeEngine):
    """A fake engine whose distributions have their first candidates only.

    What it was asked for all the same, though it needs the others, is in `asked`.
    """

    asked: list[str]

    def __init__(self, **config: object) -> None:
        super().__init__(**config)  # type: ignore[arg-type]
        self.asked = []

    def stream(self, request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        for event in super().stream(request, control):
            known = isinstance(event, DrawnToken | Described | ScoredToken)
            yield _cut(event) if known else event

    def describe(self, ids: Sequence[int]) -> Distribution:
        return first_of(super().describe(ids))

    def score(
        self, ids: Sequence[int], start: int, control: Control
    ) -> Iterator[Progress | ScoredToken]:
        for event in super().score(ids, start, control):
            yield _cut(event) if isinstance(event, ScoredToken) else event

    def rows(self, *_: object) -> NoReturn:
        self._refuse("rows")

    def search(self, *_: object) -> NoReturn:
        self._refuse("search")

    def standings(self, *_: object) -> NoReturn:
        self._refuse("standings")

    def reshape(self, *_: object) -> NoReturn:
        self._refuse("reshape")

    def effects(self, *_: object) -> NoReturn:
        self._refuse("effects")

    def draws(self, *_: object) -> NoReturn:
        self._refuse("draws")

    def _refuse(self, question: str) -> NoReturn:
        self.asked.append(question)
        raise UsageError(f"{question} needs the whole vocabulary.")


def _cut(event: Told) -> Told:
    told = event.distribution
    return msgspec.structs.replace(event, distribution=first_of(told, min(LISTED, len(told))))
