"""Sampling settings and their rules."""

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.untrusted import brief

SMALLEST_TEMPERATURE = 1e-5
LARGEST = 1e20
"""Of what is added to a logit or divides it: with it a logit, which is an f32, stays finite."""
MOST_PENALTY = 1e6
"""Of the factor by which a repeated token's logit is divided or multiplied."""

Tokens = tuple[int, ...]


class SamplingSettings(msgspec.Struct, frozen=True):
    """How a token is chosen from the model's distribution. Greedy unless `temperature` > 0."""

    temperature: float = 0.0
    """0 is greedy: argmax of the logits after penalties, bias and bans, ties to the lowest id."""
    top_k: int = 0
    """Keep the k most probable tokens; 0 is off."""
    top_p: float = 1.0
    """Nucleus: keep the smallest set with at least this probability mass; 1 is off."""
    min_p: float = 0.0
    """Keep tokens with at least this share of the top probability; 0 is off."""
    seed: int = 0
    """Seeds one uniform per node (`randomness`)."""
    typical_p: float = 1.0
    """Locally typical: keep the tokens whose surprisal is nearest to the entropy, up to this mass
    (arXiv:2202.00666); 1 is off."""
    top_h: float = 0.0
    """Keep the first tokens up to this share of the entropy (arXiv:2509.02510); 0 is off."""
    epsilon_cutoff: float = 0.0
    """Keep tokens of at least this probability (arXiv:2210.15191); 0 is off."""
    eta_cutoff: float = 0.0
    """As epsilon, lowered where the entropy is high (arXiv:2210.15191); 0 is off."""
    dynamic_range: float = 0.0
    """Temperature between `temperature` - range and `temperature` + range, in proportion to the
    entropy over its largest, log V; 0 is off. transformers has none; llama.cpp's formula."""
    repetition_penalty: float = 1.0
    """Positive logits of the path's tokens are divided by it, others multiplied
    (arXiv:1909.05858); 1 is off."""
    presence_penalty: float = 0.0
    """Subtracted from the logit of every token generated so far: OpenAI's formula, transformers
    has none; 0 is off."""
    frequency_penalty: float = 0.0
    """Subtracted once for each time that a token was generated: OpenAI's formula; 0 is off."""
    no_repeat_ngram: int = 0
    """No n tokens come twice; 0 is off."""
    bias: tuple[tuple[Tokens, float], ...] = ()
    """Added to the logit of a sequence's last token where the path ends with the others."""
    banned: tuple[Tokens, ...] = ()
    """Sequences whose last token is not taken where the path ends with the others."""

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0

    @property
    def on(self) -> frozenset[str]:
        """The fields that are not at their defaults, at which they do nothing."""
        fields = msgspec.structs.fields(self)
        return frozenset(f.name for f in fields if getattr(self, f.name) != f.default)

    @property
    def looks_back(self) -> bool:
        """Whether the path changes logits: a penalty, a bias or a ban is on."""
        return bool(
            self.repetition_penalty != 1
            or self.presence_penalty
            or self.frequency_penalty
            or self.no_repeat_ngram
            or self.bias
            or self.banned
        )

    def checked(self) -> "SamplingSettings":
        """These settings with the temperature as a float.

        Raises:
            UsageError: naming the value that is outside its range.
        """
        t = float(self.temperature)
        if not 0 <= t <= LARGEST:
            raise UsageError(f"temperature {t:g} is not possible: give 0 (greedy) to {LARGEST:g}.")
        if 0 < t < SMALLEST_TEMPERATURE:
            raise UsageError(f"temperature {t:g} is too small: give 0 (greedy) or at least 1e-5.")
        for name, value, wanted, holds in self._rules(t):
            if not holds:
                shown = f"{value:g}" if isinstance(value, float) else brief(str(value))
                raise UsageError(f"{name} {shown} is not possible: give {wanted}.")
        return msgspec.structs.replace(self, temperature=t)

    def _rules(self, temperature: float) -> list[tuple[str, object, str, bool]]:
        """Each value by its name, what it may be, and whether it is."""
        wide, factor = self.dynamic_range, self.repetition_penalty
        most = f"a number from -{LARGEST:g} to {LARGEST:g}"
        rules: list[tuple[str, object, str, bool]] = [
            ("top-k", self.top_k, "0 (off) to 2^64 - 1", _whole(self.top_k)),
            ("top-p", self.top_p, "more than 0, at most 1", 0 < self.top_p <= 1),
            ("min-p", self.min_p, "a value from 0 to 1", 0 <= self.min_p <= 1),
            ("seed", self.seed, "0 to 2^64 - 1", _whole(self.seed)),
            ("typical-p", self.typical_p, "more than 0, at most 1", 0 < self.typical_p <= 1),
            ("top-h", self.top_h, "0 (off) to 1", 0 <= self.top_h <= 1),
            ("epsilon", self.epsilon_cutoff, "0 (off) or less than 1", _share(self.epsilon_cutoff)),
            ("eta", self.eta_cutoff, "0 (off) or less than 1", _share(self.eta_cutoff)),
            (
                "dynamic range", wide, "0 (off) or more, less than the temperature",
                wide == 0 or 0 < wide <= temperature - SMALLEST_TEMPERATURE,
            ),
            (
                "repetition penalty", factor, f"{1 / MOST_PENALTY:g} to {MOST_PENALTY:g}",
                1 / MOST_PENALTY <= factor <= MOST_PENALTY,
            ),
            ("presence penalty", self.presence_penalty, most, _addend(self.presence_penalty)),
            ("frequency penalty", self.frequency_penalty, most, _addend(self.frequency_penalty)),
            (
                "no-repeat n-gram", self.no_repeat_ngram, "0 (off) to 2^64 - 1",
                _whole(self.no_repeat_ngram),
            ),
        ]  # fmt: skip
        for tokens, value in self.bias:
            rules.append(("bias", value, most, _addend(value)))
            rules.append(("bias on tokens", tokens, "ids of 0 or more", _ids(tokens)))
        rules.extend(("ban of tokens", t, "ids of 0 or more", _ids(t)) for t in self.banned)
        return rules

    def short(self, *, with_seed: bool = True) -> str:
        """The settings in a few characters: `T .80 p .75 seed 11` or `greedy`."""
        parts = [
            f"{name} {short_value(getattr(self, field))}"
            for field, name in _SHORT.items()
            if getattr(self, field) != OFF[field] and (not self.greedy or field in LOOK_BACK)
        ]
        if self.bias:
            parts.append(f"{len(self.bias)} biased")
        if self.banned:
            parts.append(f"{len(self.banned)} banned")
        if self.greedy:
            return " ".join(["greedy", *parts])
        if with_seed:
            parts.append(f"seed {self.seed}")
        return " ".join([f"T {short_value(self.temperature)}", *parts])


LOOK_BACK = ("repetition_penalty", "presence_penalty", "frequency_penalty", "no_repeat_ngram")
"""Fields of numbers by which the path changes logits; greedy heeds them too."""

_SHORT = {
    "dynamic_range": "±",
    "top_h": "h",
    "top_k": "k",
    "top_p": "p",
    "min_p": "min-p",
    "typical_p": "typ",
    "epsilon_cutoff": "eps",
    "eta_cutoff": "eta",
    "repetition_penalty": "rep",
    "presence_penalty": "pres",
    "frequency_penalty": "freq",
    "no_repeat_ngram": "ngram",
}
OFF = {f.name: f.default for f in msgspec.structs.fields(SamplingSettings)}
"""By field: the value at which it does nothing; greedy for the temperature."""
SUGGESTIONS = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "top_h": "top_h",
    "epsilon_cutoff": "epsilon_cutoff",
    "eta_cutoff": "eta_cutoff",
    "repetition_penalty": "repetition_penalty",
    "no_repeat_ngram_size": "no_repeat_ngram",
}
"""What a model may suggest: by name in its generation_config.json, our name of it."""


def _whole(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 2**64


def _addend(value: float) -> bool:
    return -LARGEST <= value <= LARGEST


def _share(value: float) -> bool:
    return 0 <= value < 1


def _ids(tokens: Tokens) -> bool:
    return bool(tokens) and all(map(_whole, tokens))


def short_value(value: float) -> str:
    """A setting's value in a few characters: `.80`, `1.50`, `.125`, `40`."""
    if isinstance(value, int):
        return str(value)
    text = f"{value:.2f}" if round(value, 2) == value else f"{value:g}"
    return text[1:] if text.startswith("0.") else text
