"""`tokexplore why --words`: what hiding stretches of a prompt did, and estimates beside it."""

import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from support import fake_interpreter
from support.asked_why import (
    ALL,
    CHAT,
    IDS,
    KING,
    QUEEN,
    asked,
    effects,
    lines,
    planted,
    table,
    written,
)
from support.fake_engine import FakeEngine
from support.fake_interpreter import FakeInterpreter

from tokexplore.models.api.chat import Chat
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.interpret.agreement import agreements


def test_effects_are_those_of_the_rounds() -> None:
    known = effects()
    found = lines(asked("words"))
    units = [line for line in found if line["type"] == "unit"]
    assert len(units) > 5
    for line, each in zip(units, known, strict=True):
        assert (line["kind"], line["start"], line["end"]) == (
            each.unit.kind, each.unit.start, each.unit.end
        )  # fmt: skip
        assert (line["effect"], line["logprobs"]) == (each.effect, list(each.logprobs))
        data = b"".join(map(FakeEngine().vocabulary.bytes_of, IDS[line["start"] : line["end"]]))
        assert bytes.fromhex(line["bytes"]) == data
        assert line["gradient_x_input"] is line["integrated_gradients"] is line["attention"] is None
    rounds = [line for line in found if line["type"] == "round"]
    assert sum(r["units"] for r in rounds) == len(units)
    last = found[-2]
    assert (last["type"], last["units"], last["correlations"]) == ("totals", len(units), [])
    rows = table(asked("words"))
    assert [float(row["effect"]) for row in rows] == [line["effect"] for line in units]


def test_with_a_second_token_it_is_the_difference() -> None:
    known = effects((KING, QUEEN))
    units = [x for x in lines(asked("words", token=KING, against=QUEEN)) if x["type"] == "unit"]
    assert [u["effect"] for u in units] == [each.effect for each in known]
    assert all(len(u["logprobs"]) == 2 for u in units)
    said = written(asked("words", token=KING, against=QUEEN))[0]
    assert "logprob of ␣king less that of ␣queen" in said
    assert "P(␣queen) hidden" in said


def test_all_are_looked_into_or_nothing_finer() -> None:
    coarse = [x["kind"] for x in lines(asked("words", finest="sentence")) if x["type"] == "unit"]
    assert coarse == ["template", "sentence", "sentence"]
    some = [x for x in lines(asked("words"), planted()) if x["type"] == "unit"]
    every = [x for x in lines(asked("words", everything=True), planted()) if x["type"] == "unit"]
    second = some[2]["start"]
    assert [u["kind"] for u in some[:3]] == coarse
    assert {u["kind"] for u in some[3:]} == {"word"}
    assert all(u["end"] <= second for u in some[3:]), "in the first sentence, which mattered"
    assert any(u["start"] >= second for u in every[3:])


def test_the_table_has_what_lies_in_a_stretch_below_it() -> None:
    said = written(asked("words", top=2))[0]
    rows = re.findall(r"^ *[+−][\d.]+ .*\d  ( *)(\w+) “(.*)”$", said, re.M)
    kinds = {"template": 0, "sentence": 0, "word": 2, "token": 4}
    assert len(rows) == len(effects())
    assert all(len(indent) == kinds[kind] for indent, kind, _ in rows if kind != "token")
    assert rows[0][2] == "<s>"
    assert said.count(" nats  ") == 2
    finest = max(effects(), key=lambda e: abs(e.effect) * (e.unit.kind in ("word", "token")))
    assert f"{abs(finest.effect):.4f} nats" in said
    assert "cover for each other" in said


def test_what_it_costs_is_told_before_each_round() -> None:
    _, said = written(asked("words"))
    costs = re.findall(r"hiding (\d+) stretches of the prompt \((.*)\): as much as ([\d.]+)", said)
    rounds = [line for line in lines(asked("words")) if line["type"] == "round"]
    assert [int(count) for count, _, _ in costs] == [r["units"] for r in rounds]
    assert [float(cost) for _, _, cost in costs] == [round(r["passes"], 1) for r in rounds]
    assert costs[0][1] == "template and sentence"


def test_in_a_chat_turns_and_the_template_come_first() -> None:
    options = asked("words", prompt=PromptSpec(chat=CHAT))
    found = lines(options)
    first = next(line for line in found if line["type"] == "round")
    units = [line for line in found if line["type"] == "unit"][: first["units"]]
    assert [(u["kind"], u["role"]) for u in units] == [
        ("template", None), ("template", "system"), ("turn", "system"), ("template", "system"),
        ("template", "user"), ("turn", "user"), ("template", "user"),
    ]  # fmt: skip
    assert units[2]["text"] == "a␣king"
    assert "turn of system “a␣king”" in written(options)[0]
    kinds = {x.get("kind") for x in lines(msgspec.structs.replace(options, finest="turn"))}
    assert kinds == {None, "template", "turn"}


def test_turns_that_cannot_be_told_apart_are_sentences_and_it_is_said() -> None:
    class Apart(FakeEngine):
        def render(self, chat: Chat) -> Any:
            return msgspec.structs.replace(super().render(chat), parts=())

    options = asked("words", prompt=PromptSpec(chat=CHAT))
    _, said = written(options, Apart())
    assert "the turns cannot be told apart" in said
    with pytest.raises(UsageError, match="--finest turn needs a chat"):
        written(msgspec.structs.replace(options, finest="turn"), Apart())


def test_estimates_stand_beside_the_effects() -> None:
    engine = FakeEngine()
    scores = [fake_interpreter.effect_of(token) for token in IDS]
    weights = engine.interpreter.attention(IDS).row(None, None)
    found = lines(asked("words", **ALL))
    made = [line for line in found if line["type"] == "estimate"]
    assert [(m["method"], m["gradients"]) for m in made] == [
        ("gradient x input", 1), ("integrated gradients", 3),
    ]  # fmt: skip
    assert [m["completeness_error"] for m in made] == pytest.approx([0.5, 0.01])
    attention = next(line for line in found if line["type"] == "attention")
    assert attention["weights"] == weights
    assert attention["sink"] == weights[0] > 0.5
    for unit in (line for line in found if line["type"] == "unit"):
        places = range(unit["start"], unit["end"])
        wanted = math.fsum(scores[place] for place in places)
        assert unit["gradient_x_input"] == unit["integrated_gradients"] == wanted
        rest = [weights[place] for place in places if place]
        wanted = pytest.approx(math.fsum(rest)) if rest else None
        assert unit["attention"] == wanted, "without the first token, the sink"


def test_estimates_are_held_against_the_effects() -> None:
    class Opposite(FakeInterpreter):
        def gradients(self, ids: Any, tokens: Any, points: int, control: Any) -> Iterator[Any]:
            for found in super().gradients(ids, tokens, points, control):
                scores = getattr(found, "scores", None)
                against = tuple(-score for score in scores or ())
                yield msgspec.structs.replace(found, scores=against) if scores else found

    engine = FakeEngine()
    engine.interpreter = Opposite(engine)
    scores = [-fake_interpreter.effect_of(token) for token in IDS]
    known = agreements(effects(), scores)
    assert {each.kind for each in known} >= {"sentence", "word"}
    told = lines(asked("words", gradients=True), engine)[-2]["correlations"]
    assert [(c["kind"], c["units"], c["correlation"]) for c in told] == [
        (each.kind, each.units, each.correlation) for each in known
    ]
    assert all(c["correlation"] == pytest.approx(-1.0, abs=0.05) for c in told)
    said = written(asked("words", gradients=True), engine)[0]
    assert "gradient x input: an estimate of 1 gradient; completeness error" in said
    assert f"{known[0].correlation:.4g} over {known[0].units} {known[0].kind}s" in said
    assert "of one more pass with kernel eager" in written(asked("words", attention=True))[0]


def test_the_beginning_of_a_character_is_called_by_its_bytes() -> None:
    prompt = PromptSpec(text="say \u0ca0\u0ca1 so.")
    units = [
        x for x in lines(asked("words", prompt=prompt, everything=True)) if x["type"] == "unit"
    ]
    texts = [unit["text"] for unit in units if unit["kind"] == "token"]
    at = texts.index("<E0>")
    assert texts[at : at + 6] == ["<E0>", "<B2>", "\u0ca0", "<E0>", "<B2>", "\u0ca1"]
    assert "" not in texts
    said = written(asked("words", prompt=prompt, everything=True))[0]
    assert "token “<E0>”" in said
    assert "“”" not in said
