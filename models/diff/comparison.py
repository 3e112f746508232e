"""Two models held against each other: what was read, by whom, and what they say of it."""

import msgspec

from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.diff.spans import Span, SpanTotals, Spelling, span_totals
from tokexplore.models.diff.steps import Step, Totals, totals
from tokexplore.models.diff.vocabularies import Shared
from tokexplore.models.tokens import Vocabulary


class Model(msgspec.Struct, frozen=True):
    """One of the two, as reports need it."""

    info: ModelInfo
    vocabulary: Vocabulary


class OnePath(msgspec.Struct, frozen=True):
    """Models that share a vocabulary, on the same tokens."""

    first: Model
    second: Model
    shared: Shared
    ids: tuple[int, ...]
    prompt_length: int
    """Tokens of `ids` that were given; one of the two went on from there."""
    steps: tuple[Step, ...]
    """At least one; in order of their positions."""

    @property
    def totals(self) -> Totals:
        return totals(self.steps)


class OneText(msgspec.Struct, frozen=True):
    """Models with vocabularies of their own, on the same text."""

    first: Model
    second: Model
    text: str
    spellings: tuple[Spelling, Spelling]
    spans: tuple[Span, ...]
    """In order; at least one of them is counted."""

    @property
    def totals(self) -> SpanTotals:
        return span_totals(self.spans)


Comparison = OnePath | OneText
