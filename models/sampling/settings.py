"""Sampling settings, and the table of the sampler's stages that all about them is made from.

A stage is a field of `SamplingSettings` and its row in `STAGES`: of the rows are made the checks,
the header, knobs, options and their help, what a model may suggest, why a candidate is cut, bounds.
"""

from operator import itemgetter

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.bounded_chain import BoundedChain
from tokexplore.models.sampling.stage import Common, Rule, Stage, Turns

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
        return any(getattr(self, field) != off for field, off in _OFF_PATH)

    def in_force(self) -> list[Stage]:
        """The stages that do something, in the chain's order."""
        greedy = self.greedy
        return [
            stage
            for stage in STAGES
            if getattr(self, stage.field) != OFF[stage.field]
            and (not (greedy and stage.inert_in_greedy))
        ]

    def checked(self) -> "SamplingSettings":
        """These settings with the temperature as a float.

        Raises:
            UsageError: naming the value that is outside its range.
        """
        settings = msgspec.structs.replace(self, temperature=float(self.temperature))
        for field, stage in BY_FIELD.items():
            for sentence in stage.complaints(getattr(settings, field), settings.temperature):
                raise UsageError(sentence)
        return settings

    def short(self, *, with_seed: bool = True) -> str:
        """The settings in a few characters: `T .80 p .75 seed 11` or `greedy`."""
        on = [stage for stage in self.in_force() if stage.kind != "draw"]
        shown = [stage for stage in on if stage.kind != "path"]
        shown += [stage for stage in BY_FIELD.values() if stage in on and stage.kind == "path"]
        parts = [stage.header(getattr(self, stage.field)) for stage in shown]
        if self.greedy:
            return " ".join(["greedy", *parts])
        if with_seed:
            parts.append(f"seed {self.seed}")
        return " ".join(parts)


_MANY = 2**64 - 1
_ADDEND = f"a number from -{LARGEST:g} to {LARGEST:g}"


def _whole(value: object, _temperature: float = 0.0) -> bool:
    return isinstance(value, int) and 0 <= value <= _MANY


def _addend(value: float, _temperature: float) -> bool:
    return -LARGEST <= value <= LARGEST


def _mass(value: float, _temperature: float) -> bool:
    return 0 < value <= 1


def _share(value: float, _temperature: float) -> bool:
    return 0 <= value <= 1


def _cutoff(value: float, _temperature: float) -> bool:
    return 0 <= value < 1


def _ids(tokens: Tokens, _temperature: float) -> bool:
    return bool(tokens) and all(map(_whole, tokens))


STAGES = (
    Stage(
        field="bias", name="bias", short="biased", kind="path",
        rules=(
            Rule(_ADDEND, _addend, part=itemgetter(1)),
            Rule("ids of 0 or more", _ids, "bias on tokens", part=itemgetter(0)),
        ),
    ),
    Stage(
        field="repetition_penalty", name="repetition penalty", short="rep",
        kind="path", suggested_as="repetition_penalty",
        turns=Turns(0.05, 0.5, 0.05, 10), meaning="weaker once said; 1 off",
        rules=(
            Rule(
                f"{1 / MOST_PENALTY:g} to {MOST_PENALTY:g}",
                lambda value, _: 1 / MOST_PENALTY <= value <= MOST_PENALTY,
            ),
        ),
    ),
    Stage(
        field="no_repeat_ngram", name="no-repeat-ngram", short="ngram",
        kind="path", suggested_as="no_repeat_ngram_size",
        turns=Turns(1, 2, 0, 100), meaning="no N tokens twice; 0 off",
        rules=(Rule("0 (off) to 2^64 - 1", _whole, "no-repeat n-gram"),),
        cut_words="its {value} tokens were there before",
    ),
    Stage(
        field="banned", name="banned", short="banned", kind="path",
        rules=(Rule("ids of 0 or more", _ids, "ban of tokens"),),
    ),
    Stage(
        field="presence_penalty", name="presence penalty", short="pres",
        kind="path",
        turns=Turns(0.1, 0.5, -10, 10), meaning="weaker once said; 0 off", elsewhere="OpenAI's",
        rules=(Rule(_ADDEND, _addend),),
    ),
    Stage(
        field="frequency_penalty", name="frequency penalty", short="freq",
        kind="path",
        turns=Turns(0.1, 0.5, -10, 10), meaning="and for each time; 0 off", elsewhere="OpenAI's",
        rules=(Rule(_ADDEND, _addend),),
    ),
    Stage(
        field="temperature", name="temperature", short="T",
        kind="temperature", suggested_as="temperature",
        turns=Turns(0.05, 0.5, 0, 1e6), meaning="0 greedy; higher flatter",
        common=Common("T", "0 is greedy"),
        rules=(
            Rule(f"0 (greedy) to {LARGEST:g}", lambda value, _: 0 <= value <= LARGEST),
            Rule(
                "0 (greedy) or at least 1e-5",
                lambda value, _: value == 0 or value >= SMALLEST_TEMPERATURE,
                wrong="is too small",
            ),
        ),
        bound=BoundedChain.nothing,
    ),
    Stage(
        field="dynamic_range", name="dynamic range", short="±", kind="scale",
        turns=Turns(0.05, 0.2, 0, 1e6), meaning="T ± this, by H; 0 off", elsewhere="llama.cpp's",
        rules=(
            Rule(
                "0 (off) or more, less than the temperature",
                lambda value, t: value == 0 or 0 < value <= t - SMALLEST_TEMPERATURE,
            ),
        ),
    ),
    Stage(
        field="top_h", name="top-h", short="h", label="top-h", suggested_as="top_h",
        turns=Turns(0.05, 0.1, 0, 1), meaning="this share of H; 0 off",
        rules=(Rule("0 (off) to 1", _share),),
        cut_words="reached at rank {kept}",
    ),
    Stage(
        field="top_k", name="top-k", short="k", suggested_as="top_k",
        turns=Turns(1, 10, 0, _MANY), meaning="K most probable; 0 off",
        common=Common("K", "keep the K most probable; 0: off"),
        rules=(Rule("0 (off) to 2^64 - 1", _whole),),
        bound=BoundedChain.top_k,
    ),
    Stage(
        field="top_p", name="top-p", short="p", suggested_as="top_p",
        turns=Turns(0.01, 0.1, 0.01, 1), meaning="nucleus mass; 1 off",
        common=Common("P", "nucleus of mass P; 1: off"),
        rules=(Rule("more than 0, at most 1", _mass),),
        cut_words="reached at rank {kept}", bound=BoundedChain.top_p,
    ),
    Stage(
        field="min_p", name="min-p", short="min-p", suggested_as="min_p",
        turns=Turns(0.01, 0.1, 0, 1), meaning="least share of top; 0 off",
        common=Common("P", "keep at least P of the top probability; 0: off"),
        rules=(Rule("a value from 0 to 1", _share),),
        cut_words="below {value} of the top probability", bound=BoundedChain.min_p,
    ),
    Stage(
        field="typical_p", name="typical-p", short="typ", suggested_as="typical_p",
        turns=Turns(0.01, 0.1, 0.01, 1), meaning="nearest to H; 1 off",
        rules=(Rule("more than 0, at most 1", _mass),),
    ),
    Stage(
        field="epsilon_cutoff", name="epsilon", short="eps", label="epsilon",
        suggested_as="epsilon_cutoff",
        turns=Turns(0.001, 0.01, 0, 0.999), meaning="least probability; 0 off",
        rules=(Rule("0 (off) or less than 1", _cutoff),),
    ),
    Stage(
        field="eta_cutoff", name="eta", short="eta", suggested_as="eta_cutoff",
        turns=Turns(0.001, 0.01, 0, 0.999), meaning="less at high H; 0 off",
        rules=(Rule("0 (off) or less than 1", _cutoff),),
    ),
    Stage(
        field="seed", name="seed", short="seed", kind="draw",
        turns=Turns(1, 100, 0, _MANY), meaning="same path: same token",
        common=Common("N", "seed of the draws (default: 0)"),
        rules=(Rule("0 to 2^64 - 1", _whole),),
        bound=BoundedChain.nothing,
    ),
)  # fmt: skip
"""In transformers' order, as far as transformers has them: the chain's, and that of the knobs."""

OFF = {f.name: f.default for f in msgspec.structs.fields(SamplingSettings)}
"""By field: the value at which it does nothing; greedy for the temperature."""
_ROWS = {stage.field: stage for stage in STAGES}
BY_FIELD = {field: _ROWS[field] for field in OFF}
"""The stages in the order of the fields."""
BY_NAME = {stage.name: stage for stage in STAGES}
"""The stages by the names that cuts have."""
SUGGESTIONS = {stage.suggested_as: field for field, stage in BY_FIELD.items() if stage.suggested_as}
"""What a model may suggest: by name in its generation_config.json, our name of it."""
_OFF_PATH = [(stage.field, OFF[stage.field]) for stage in STAGES if stage.kind == "path"]
