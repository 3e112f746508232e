"""The questions of an engine that one row of logits answers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.distribution import STORED_CANDIDATES, Rows, TokenRank
from tokexplore.models.engine import sampler, sampler_effects
from tokexplore.models.engine.forward import logits_row
from tokexplore.models.engine.forward.logits_row import Row, Searcher
from tokexplore.models.engine.next_tokens import next_tokens
from tokexplore.models.sampling.effects import Draws, Effect
from tokexplore.models.sampling.logit_edits import NO_CHANGES, changes_of
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary


class RowQuestions(ABC):
    """The part of `models.api.engine.Engine` that looks at one row of the whole vocabulary."""

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """See `Engine.vocabulary`."""

    @abstractmethod
    def row(self, ids: Sequence[int]) -> tuple[Row, str]:
        """The row after a path, and whether it was `stored` or `recomputed`."""

    def rows_of(self, paths: Sequence[Sequence[int]]) -> list[Row]:
        """The row after each of several paths."""
        return [self.row(ids)[0] for ids in paths]

    def rows(self, ids: Sequence[int], start: int, count: int) -> Rows:
        """See `Engine.rows`."""
        row, source = self.row(ids)
        return logits_row.page(row, start, count, source)

    def search(self, ids: Sequence[int], text: str, limit: int) -> Rows:
        """See `Engine.search`."""
        row, source = self.row(ids)
        return logits_row.found(row, self._searcher.tokens(text), limit, source)

    def standings(self, ids: Sequence[int], tokens: Sequence[int]) -> list[TokenRank]:
        """See `Engine.standings`."""
        row, _ = self.row(ids)
        return [logits_row.standing(row, token) for token in tokens]

    def reshape(
        self, ids: Sequence[int], settings: SamplingSettings, prompt_length: int = 0
    ) -> SamplerView:
        """See `Engine.reshape`."""
        changes = changes_of(settings, ids, prompt_length)
        return sampler.reshape(self.row(ids)[0], settings.checked(), changes).view

    def effects(
        self, ids: Sequence[int], settings: Sequence[SamplingSettings], prompt_length: int = 0
    ) -> list[Effect]:
        """See `Engine.effects`."""
        row, _ = self.row(ids)
        each = [chosen.checked() for chosen in settings]
        return [sampler_effects.effect(row, s, changes_of(s, ids, prompt_length)) for s in each]

    def draws(
        self, ids: Sequence[int], settings: SamplingSettings, count: int, prompt_length: int = 0
    ) -> Draws:
        """See `Engine.draws`."""
        changes = changes_of(settings, ids, prompt_length)
        return sampler_effects.draws(self.row(ids)[0], settings.checked(), ids, count, changes)

    def describe_all(
        self,
        paths: Sequence[Sequence[int]],
        settings: SamplingSettings | None = None,
        prompt_length: int = 0,
        *,
        start: int = 0,
        count: int = STORED_CANDIDATES,
    ) -> list[NextTokens]:
        """See `Engine.describe_all`."""
        checked = settings and settings.checked()
        found = list[NextTokens]()
        for ids, row in zip(paths, self.rows_of(paths), strict=True):
            changes = changes_of(checked, ids, prompt_length) if checked else NO_CHANGES
            found.append(next_tokens(row, checked, changes, start, count))
        return found

    @cached_property
    def _searcher(self) -> Searcher:
        return Searcher(self.vocabulary)
