"""Sampling settings, their rules, and what a sampler makes of a distribution."""

import math

import msgspec

from tokexplore.models.errors import UsageError

SMALLEST_TEMPERATURE = 1e-5


class SamplingSettings(msgspec.Struct, frozen=True):
    """How a token is chosen from the model's distribution. Greedy unless `temperature` > 0."""

    temperature: float = 0.0
    """0 is greedy: argmax of the logits, ties to the lowest id."""
    top_k: int = 0
    """Keep the k most probable tokens; 0 is off."""
    top_p: float = 1.0
    """Nucleus: keep the smallest set with at least this probability mass; 1 is off."""
    min_p: float = 0.0
    """Keep tokens with at least this share of the top probability; 0 is off."""
    seed: int = 0
    """Seeds one uniform per node (`randomness`)."""

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0

    def checked(self) -> "SamplingSettings":
        """These settings with the temperature as a float.

        Raises:
            UsageError: naming the value that is outside its range.
        """
        t = float(self.temperature)
        if not math.isfinite(t) or t < 0:
            raise UsageError(f"temperature {t:g} is not possible: give 0 (greedy) or more.")
        if 0 < t < SMALLEST_TEMPERATURE:
            raise UsageError(f"temperature {t:g} is too small: give 0 (greedy) or at least 1e-5.")
        if not isinstance(self.top_k, int) or self.top_k < 0:
            raise UsageError(f"top-k {self.top_k} is not possible: give 0 (off) or more.")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top-p {self.top_p:g} is not possible: give more than 0, at most 1.")
        if not 0 <= self.min_p <= 1:
            raise UsageError(f"min-p {self.min_p:g} is not possible: give a value from 0 to 1.")
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"seed {self.seed} is not possible: give 0 to 2^64 - 1.")
        return msgspec.structs.replace(self, temperature=t)

    def short(self, *, with_seed: bool = True) -> str:
        """The settings in a few characters: `T .80 p .75 seed 11` or `greedy`."""
        if self.greedy:
            return "greedy"
        parts = [f"T {short_value(self.temperature)}"]
        if self.top_k:
            parts.append(f"k {self.top_k}")
        if self.top_p < 1:
            parts.append(f"p {short_value(self.top_p)}")
        if self.min_p:
            parts.append(f"min-p {short_value(self.min_p)}")
        if with_seed:
            parts.append(f"seed {self.seed}")
        return " ".join(parts)


def short_value(value: float) -> str:
    """A setting's value in a few characters: `.80`, `1.50`, `.125`."""
    text = f"{value:.2f}" if round(value, 2) == value else f"{value:g}"
    return text[1:] if text.startswith("0.") else text


class Cut(msgspec.Struct, frozen=True, gc=False):
    """What one stage of the sampler removed."""

    stage: str
    """`top-k`, `top-p` or `min-p`."""
    value: float
    """The setting of that stage."""
    kept: int
    """Candidates kept after this stage, counted in candidate order."""
    mass: float
    """Probability removed, of the distribution that entered this stage."""
    tie: bool = False
    """The cut falls between two equal logits."""


class SamplerView(msgspec.Struct, frozen=True, gc=False):
    """A distribution as the sampler sees it.

    Temperature, top-k, top-p and min-p are monotone in the logit, so the kept set is always the
    first `kept` candidates in candidate order, whatever the size of the vocabulary.
    """

    settings: SamplingSettings
    kept: int
    log_norm: float
    """Log-sum-exp of logit / T over the kept set."""
    cuts: tuple[Cut, ...] = ()

    def logprob(self, index: int, logit: float) -> float:
        """The sampler's logprob (nats) of the candidate at `index` (from 0) with this raw logit.

        Greedy puts all mass on the first candidate.
        """
        if index >= self.kept:
            return -math.inf
        if self.settings.greedy:
            return 0.0
        return logit / self.settings.temperature - self.log_norm

    def cut_by(self, index: int) -> Cut | None:
        """The stage that removed the candidate at `index`, or None where it is kept."""
        if index < self.kept:
            return None
        return next((cut for cut in self.cuts if index >= cut.kept), None)
