"""What the sampler makes of a distribution, exactly and in a few numbers."""

import math
from typing import NamedTuple

import msgspec

from tokexplore.models.sampling.logit_edits import NO_CHANGES, LogitEdits, f32
from tokexplore.models.sampling.settings import BY_NAME, SamplingSettings
from tokexplore.models.sampling.stage import short_value


class Cut(msgspec.Struct, frozen=True, gc=False):
    """What one stage of the sampler removed.

    What a stage keeps lies between two logits: after the changes by the path, divided by the
    temperature, in f32.
    """

    stage: str
    """`top-k`, `top-p`, `min-p`, ..., or a stage that bans."""
    value: float
    """The setting of that stage."""
    kept: int
    """Candidates kept after this stage."""
    mass: float
    """Probability removed, of the distribution that entered this stage."""
    tie: bool = False
    """The cut falls between equal logits."""
    low: float | None = None
    """The smallest scaled logit that is kept; None for a stage that bans single tokens."""
    high: float | None = None
    """The largest one, where the stage removes candidates above it (typical-p)."""
    kept_tied: tuple[int, ...] = ()
    """Where the cut falls between equal logits: the tokens at `low` that are kept."""

    def removes(self, token: int, scaled: float) -> bool:
        """Whether this stage removes a token with this scaled logit that came so far."""
        if self.low is None:
            return False
        if scaled < self.low or (self.high is not None and scaled > self.high):
            return True
        return self.tie and scaled == self.low and token not in self.kept_tied

    def words(self) -> str:
        """Why a candidate is cut: `top-p 0.9: reached at rank 4`."""
        value, stage = f"{self.value:g}", BY_NAME.get(self.stage)
        why = "{kept} kept" if stage is None else stage.cut_words
        return f"{self.stage} {value}: {why.format(value=value, kept=self.kept)}"


class SamplerOutcome(NamedTuple):
    """What became of one candidate."""

    logprob: float
    """The sampler's (nats); -inf where it was removed."""
    cut: Cut | None
    """What removed it; None where it is kept, where its logit is -inf, and for greedy."""


class SamplerView(msgspec.Struct, frozen=True, gc=False):
    """A distribution as the sampler sees it.

    With the changes of its path it tells the sampler's probability of every token, whatever the
    size of the vocabulary: each stage keeps what lies between two logits.
    """

    settings: SamplingSettings
    kept: int
    log_norm: float
    """Log-sum-exp of changed logit / T over the kept set."""
    cuts: tuple[Cut, ...] = ()
    dynamic: float | None = None
    """The temperature in force where it follows the entropy."""
    chosen: int | None = None
    """The token that greedy takes."""

    @property
    def temperature(self) -> float:
        """The temperature in force."""
        return self.settings.temperature if self.dynamic is None else self.dynamic

    def fate(self, token: int, logit: float, changes: LogitEdits = NO_CHANGES) -> SamplerOutcome:
        """What became of a token with this raw logit.

        Args:
            changes: those of the path and the settings (`changes_of`).
        """
        if self.settings.greedy:
            return SamplerOutcome(0.0 if token == self.chosen else -math.inf, None)
        changed = changes.apply(token, logit)
        if changed == -math.inf:
            stage = changes.banned_by(token)
            return SamplerOutcome(
                -math.inf, next((cut for cut in self.cuts if cut.stage == stage), None)
            )
        scaled = f32(changed / f32(self.temperature))
        for cut in self.cuts:
            if cut.removes(token, scaled):
                return SamplerOutcome(-math.inf, cut)
        return SamplerOutcome(changed / self.temperature - self.log_norm, None)


class StepView(NamedTuple):
    """The sampler's view of one step, with what its path changes: all that a row needs."""

    sampler: SamplerView
    changes: LogitEdits

    @property
    def settings(self) -> SamplingSettings:
        return self.sampler.settings

    def fate(self, token: int, logit: float) -> SamplerOutcome:
        """What became of a token with this raw logit."""
        return self.sampler.fate(token, logit, self.changes)


def cut_label(stage: str, value: float) -> str:
    """A stage and its value in a few characters: `p .75`."""
    if (row := BY_NAME.get(stage)) is None:  # a file can name one that there is not
        return f"{stage} {short_value(value)}"
    return f"{row.label or row.short} {f'{value:g}' if row.whole else short_value(value)}"
