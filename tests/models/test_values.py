"""Distribution, sampling settings, randomness and the packed vocabulary."""

import math
from array import array

import msgspec
import pytest
from support.first_candidates import first_of

from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.knobs import KNOBS, with_value
from tokexplore.models.sampling.randomness import extend_key, path_key, seed_key, uniform
from tokexplore.models.sampling.sampler_view import Cut, SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary


def distribution(*logits: float, ids: tuple[int, ...] | None = None) -> Distribution:
    lse = math.log(sum(math.exp(x) for x in logits))
    return Distribution(
        array("I", ids or range(len(logits))).tobytes(),
        array("f", logits).tobytes(),
        len(logits),
        lse,
        0.0,
    )


def test_probabilities_of_three_logits() -> None:
    d = distribution(4.0, 3.0, 2.0)
    assert [round(math.exp(d.logprob(i)), 4) for i in range(3)] == [0.6652, 0.2447, 0.09]
    assert d.margin == 1.0
    assert d.tail_mass(1) == pytest.approx(0.33476, abs=1e-5)
    assert d.tail_mass() == pytest.approx(0, abs=1e-12)


def test_ties_share_a_rank() -> None:
    d = distribution(3.0, 2.0, 2.0, 1.0, ids=(9, 4, 7, 1))
    assert [d.rank(i) for i in range(4)] == [1, 2, 2, 4]
    assert [d.tied(i) for i in range(4)] == [False, True, True, False]
    assert d.index_of(7) == 2
    assert d.index_of(5) is None


def test_of_first_candidates_all_but_what_hangs_on_the_others_is_known() -> None:
    whole = distribution(4.0, 3.0, 3.0, 2.0, 1.0, ids=(9, 4, 7, 1, 2))
    d = first_of(whole, 3)
    assert (whole.complete, whole.available, whole.extent) == (True, 5, "")
    assert (d.complete, d.available, d.extent) == (False, 3, "of the first 3")
    assert d.entropy is None
    assert [d.logprob(i) for i in range(3)] == pytest.approx([whole.logprob(i) for i in range(3)])
    assert [d.rank(i) for i in range(3)] == [1, 2, 2]
    assert d.margin == pytest.approx(1.0, abs=1e-6)
    assert d.tail_mass() == pytest.approx(whole.tail_mass(3), abs=1e-6)
    assert d.tail_mass(1) == pytest.approx(whole.tail_mass(1), abs=1e-6)
    assert d.margin_known
    assert not first_of(whole, 1).margin_known
    assert distribution(2.0).margin_known, "one token, which has no second beside it"


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (SamplingSettings(temperature=-1), "-1"),
        (SamplingSettings(temperature=math.nan), "nan"),
        (SamplingSettings(temperature=1e-6), "1e-06"),
        (SamplingSettings(top_p=0), "top-p 0"),
        (SamplingSettings(top_p=1.5), "top-p 1.5"),
        (SamplingSettings(min_p=2), "min-p 2"),
        (SamplingSettings(top_k=-1), "top-k -1"),
        (SamplingSettings(seed=-1), "seed -1"),
    ],
)
def test_impossible_settings_are_refused_by_name(wrong: SamplingSettings, shown: str) -> None:
    with pytest.raises(UsageError, match=shown):
        wrong.checked()


def test_an_integer_temperature_becomes_a_float() -> None:
    assert isinstance(SamplingSettings(temperature=1).checked().temperature, float)


def test_short_settings_for_the_header() -> None:
    assert SamplingSettings().short() == "greedy"
    settings = SamplingSettings(temperature=0.8, top_p=0.75, seed=11)
    assert settings.short() == "T .80 p .75 seed 11"


def test_no_setting_is_forgotten_in_a_table() -> None:
    fields = {field.name for field in msgspec.structs.fields(SamplingSettings)}
    lists = {"bias", "banned"}

    assert {knob.field for knob in KNOBS} == fields - lists
    for knob in KNOBS:
        if knob.field not in ("temperature", "seed"):
            on = with_value(SamplingSettings(temperature=1.0), knob, 1 if knob.whole else 0.5)
            assert on.on == {"temperature", knob.field}
            assert on.short() != SamplingSettings(temperature=1.0).short()


def test_the_sampler_view_names_the_stage_that_cut() -> None:
    settings = SamplingSettings(temperature=2.0, top_k=3, top_p=0.9)
    cuts = (
        Cut("top-k", 3, 3, 0.1, low=-1.0),
        Cut("top-p", 0.9, 2, 0.05, tie=True, low=0.0, kept_tied=(1,)),
    )
    view = SamplerView(settings, 2, math.log(math.e + 1), cuts)
    fates = [view.fate(token, logit) for token, logit in enumerate([2.0, 0.0, 0.0, -2.0, -3.0])]
    assert sum(math.exp(fate.logprob) for fate in fates) == pytest.approx(1)
    assert [fate.cut.stage if fate.cut else None for fate in fates] == [
        None, None, "top-p", "top-p", "top-k",
    ]  # fmt: skip


def test_a_node_keeps_its_number_whatever_else_was_drawn() -> None:
    key = path_key(11, [5, 6])
    assert extend_key(extend_key(seed_key(11), 5), 6) == key
    assert uniform(key) == uniform(path_key(11, (5, 6)))
    numbers = {uniform(path_key(s, p), d) for s in (1, 2) for p in ([5], [6]) for d in (0, 1)}
    assert len(numbers) == 8
    assert all(0 <= u < 1 for u in numbers)


def test_uniforms_along_a_path_look_uniform() -> None:
    key, counts = seed_key(3), [0] * 16
    for token in range(16_000):
        key = extend_key(key, token % 50)
        counts[int(uniform(key) * 16)] += 1
    chi2 = sum((c - 1000) ** 2 / 1000 for c in counts)
    assert chi2 < 37.7, "p = 0.001 at 15 degrees of freedom"


def test_a_vocabulary_gives_exact_bytes_and_safe_text() -> None:
    tokens = [b"<s>", b" a", b"\xe6", b"\x98\x9f", b"", b"\x1b[2J"]
    vocabulary = Vocabulary.pack(tokens, {0}, rows=8)
    assert [vocabulary.bytes_of(i) for i in range(7)] == [*tokens, b""]
    assert vocabulary.show(1) == "␣a"
    assert vocabulary.show(2) == "<E6>"
    assert vocabulary.show(5) == "␛[2J"
    assert vocabulary.show(7) == "<id 7>"
    assert vocabulary.text([0, 1, 2, 3]) == " a星"
    assert vocabulary.pieces([2, 3, 2]) == ["", "星", "<E6>"]
