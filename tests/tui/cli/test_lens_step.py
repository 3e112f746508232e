"""`tokexplore lens MODEL --prompt`: what it tells of a step is what the engine gives."""

import io
import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.fake_engine import FakeEngine
from support.first_candidates import LISTED, FirstCandidates
from support.lenses import PROMPT, lens_told

from tokexplore.models.api.engine import Engine
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.logit_edits import changes_of
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.lens import SUBCOMMAND
from tokexplore.tui.cli.lens_runner import run_lens
from tokexplore.widgets.numbers import percent


def json_told(*arguments: str, engine: Engine | None = None) -> dict[str, Any]:
    (line,) = lens_told("--format", "json", *arguments, engine=engine).splitlines()
    held: dict[str, Any] = json.loads(line)
    return held


def test_the_object_holds_what_the_engine_gives() -> None:
    engine = FakeEngine()
    chosen = ("--temperature", "0.7,2", "--top-p", "0.9,0.4", "--repetition-penalty", "1.3")
    held = json_told(*chosen, "--top", "30", "--draw", "200", engine=engine)
    ids = tuple(engine.encode(PROMPT))
    distribution = engine.describe(ids)
    assert held["model"] == "fake"
    assert held["provenance"] == msgspec.to_builtins(engine.info.provenance)
    assert held["prompt"] == PROMPT
    assert held["prompt_ids"] == list(ids)
    assert (held["position"], held["taken"]) == (len(ids), None)
    assert (held["entropy"], held["lse"]) == (distribution.entropy, distribution.lse)
    assert held["tail_mass"] == pytest.approx(distribution.tail_mass(30), abs=1e-12)
    settings = [
        SamplingSettings(t, top_p=p, repetition_penalty=1.3) for t in (0.7, 2) for p in (0.9, 0.4)
    ]
    effects = engine.effects(ids, settings, len(ids))
    assert [s["sampling"]["temperature"] for s in held["settings"]] == [0.7, 0.7, 2, 2]
    assert [s["sampling"]["top_p"] for s in held["settings"]] == [0.9, 0.4, 0.9, 0.4]
    for told_of, effect in zip(held["settings"], effects, strict=True):
        assert told_of["entropy"] == effect.entropy
        assert told_of["kl"] == effect.kl
        assert told_of["kept"] == effect.view.kept
        assert told_of["removed"] == effect.removed
        assert told_of["stages"] == list(msgspec.to_builtins(effect.stages))
        draws = engine.draws(ids, effect.view.settings, 200, len(ids))
        edits = changes_of(effect.view.settings, ids, len(ids))
        for index, row in enumerate(told_of["candidates"]):
            token = distribution.id_view[index]
            assert row["id"] == token
            assert row["text"] == engine.vocabulary.show(token)
            assert bytes.fromhex(row["bytes"]) == engine.vocabulary.bytes_of(token)
            assert row["rank"] == distribution.rank(index)
            assert row["logprob"] == distribution.logprob(index)
            assert row["probability"] == math.exp(row["logprob"])
            fate = effect.view.fate(token, distribution.logit_view[index], edits)
            assert row["sampler_probability"] == math.exp(fate.logprob)
            assert row["cut"] == (fate.cut.words() if fate.cut else None)
            assert row["sampler_at_most"] is None
            assert row["drawn"] == draws.of(token)
        seen = math.fsum(row["sampler_probability"] for row in told_of["candidates"])
        assert told_of["tail_mass"] == pytest.approx(1 - seen, abs=1e-9)


FIELDS = "type version model provenance prompt prompt_ids position taken vocabulary complete"
FIELDS += " entropy lse tail_mass settings"
OF_A_SETTING = "sampling entropy kl kept removed tail_mass stages candidates"
OF_A_CANDIDATE = "id text bytes rank logprob probability sampler_probability sampler_at_most"
OF_A_CANDIDATE += " cut drawn"


@pytest.mark.parametrize("engine", [FakeEngine(), FirstCandidates()], ids=["whole", "listed"])
def test_fields_do_not_come_and_go(engine: Engine) -> None:
    held = json_told("--top-p", "0.9,0.1", engine=engine)
    assert list(held) == FIELDS.split()
    for setting in held["settings"]:
        assert list(setting) == OF_A_SETTING.split()
        assert all(list(row) == OF_A_CANDIDATE.split() for row in setting["candidates"])


def test_the_page_tells_of_every_field() -> None:
    page = (Path(__file__).parents[3] / "docs" / "jsonl.md").read_text(encoding="utf-8")
    section = page.partition("## `lens --format json`")[2].partition("\n## ")[0]
    told = [
        re.findall(r"`(\w+)`", row.partition(" | ")[0])
        for row in re.findall(r"^\| (`.*)$", section, re.MULTILINE)
    ]
    assert [name for names in told for name in names] == [
        *FIELDS.split(), *OF_A_SETTING.split(), *OF_A_CANDIDATE.split()
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("top-k", "top_k"), ("seed", "seed"), ("no-repeat-ngram", "no_repeat_ngram"),
        ("min-p", "min_p"), ("frequency-penalty", "frequency_penalty"),
        ("dynamic-range", "dynamic_range"), ("eta-cutoff", "eta_cutoff"),
    ],
)  # fmt: skip
def test_every_knob_takes_a_list(option: str, field: str) -> None:
    values = ("1", "3") if field in ("top_k", "seed", "no_repeat_ngram") else ("0.1", "0.3")
    held = json_told(f"--{option}", ",".join(values))
    assert [str(s["sampling"][field]) for s in held["settings"]] == list(values)


def test_values_change_fastest_in_the_last_knob_of_the_chain() -> None:
    held = json_told("--min-p", "0.1,0.2", "--temperature", "2,1", "--top-k", "9,8")
    order = [
        (s["sampling"]["temperature"], s["sampling"]["top_k"], s["sampling"]["min_p"])
        for s in held["settings"]
    ]
    assert order == [(t, k, p) for t in (2, 1) for k in (9, 8) for p in (0.1, 0.2)]


def test_the_text_has_the_candidates_and_what_the_others_hold() -> None:
    engine = FakeEngine()
    text = lens_told("--top-p", "0.9,0.1", "--top", "5", engine=engine)
    ids = tuple(engine.encode(PROMPT))
    distribution = engine.describe(ids)
    assert text.startswith("fake · float32 on cpu · after “Once upon a time”\n")
    for index in range(5):
        name = re.escape(engine.vocabulary.show(distribution.id_view[index]))
        share = f"{math.exp(distribution.logprob(index)):.5f}"
        assert re.search(rf"^{name} .* {share} ", text, re.MULTILINE)
    others = distribution.vocabulary - 5
    assert re.search(rf"^{others} others +{distribution.tail_mass(5):.5f} ", text, re.MULTILINE)
    assert "top-p 0.1: reached at rank 1" in text


def test_a_position_inside_the_prompt_tells_what_the_prompt_goes_on_with() -> None:
    engine = FakeEngine()
    ids = tuple(engine.encode(PROMPT))
    held = json_told("--position", "2", engine=engine)
    assert held["prompt_ids"] == list(ids[:2])
    assert (held["position"], held["taken"]) == (2, ids[2])
    assert held["lse"] == engine.describe(ids[:2]).lse
    shown = engine.vocabulary.show(ids[2])
    assert f"the prompt goes on with {shown}\n" in lens_told("--position", "2", engine=engine)
    for position in (0, len(ids) + 1):
        said = f"--position {position} is not there: the prompt has {len(ids)} tokens"
        with pytest.raises(UsageError, match=said):
            lens_told("--position", str(position), engine=engine)
    assert json_told("--position", str(len(ids)), engine=engine)["taken"] is None


def test_first_candidates_are_said_to_be_that_and_no_sum_is_made_up() -> None:
    engine = FirstCandidates()
    text = lens_told("--top-p", "0.99", "--top", "200", engine=engine)
    assert f"of the first {LISTED} candidates, all that this engine lists" in text
    assert re.search(r"^entropy nats +\? +\?$", text, re.MULTILINE)
    assert re.search(r"^kept +\?$", text, re.MULTILINE)
    assert "≤0." in text
    assert "stage by stage" not in text
    held = json_told("--top-p", "0.99", "--top", "200", engine=engine)
    assert held["complete"] is False
    assert held["entropy"] is None
    (setting,) = held["settings"]
    assert all(
        setting[name] is None
        for name in ["entropy", "kl", "kept", "removed", "tail_mass", "stages"]
    )
    assert len(setting["candidates"]) == LISTED
    whole = FakeEngine()
    ids = tuple(whole.encode(PROMPT))
    (effect,) = whole.effects(ids, [SamplingSettings(1.0, top_p=0.99)])
    for row in setting["candidates"]:
        assert row["sampler_probability"] is None
        q = math.exp(effect.view.fate(row["id"], row["logprob"] + whole.describe(ids).lse).logprob)
        assert q <= row["sampler_at_most"] + 1e-6
    assert engine.asked == []
    with pytest.raises(UsageError, match="lists the first 20 candidates of a step: drawing needs"):
        lens_told("--draw", "5", engine=engine)


def test_what_is_exact_of_first_candidates_is_told() -> None:
    engine, whole = FirstCandidates(), FakeEngine()
    ids = tuple(whole.encode(PROMPT))
    (effect,) = whole.effects(ids, [SamplingSettings(1.0, top_k=4)])
    (setting,) = json_told("--top-k", "4", engine=engine)["settings"]
    assert setting["kept"] == 4
    assert setting["entropy"] == pytest.approx(effect.entropy, abs=1e-6)
    assert setting["tail_mass"] == 0
    assert setting["stages"] is None
    assert [row["cut"] for row in setting["candidates"]] == [None] * 4 + ["top-k 4"] * (LISTED - 4)
    assert percent(effect.removed) in lens_told("--top-k", "4", engine=engine)


def test_a_prompt_is_wanted() -> None:
    options, _ = SUBCOMMAND.read([])
    with pytest.raises(UsageError, match="lens needs a prompt for a model"):
        run_lens(options, io.BytesIO(), open_engine=lambda *_: FakeEngine())


def test_no_control_reaches_the_output() -> None:
    for form in ("text", "json"):
        written = lens_told("--format", form, prompt="Once\x1b[31m\u202e upon\x07")
        assert all(c == "\n" or c.isprintable() for c in written)
