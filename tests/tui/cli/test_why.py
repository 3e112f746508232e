"""`tokexplore why`: layers, parts and words of a prompt, in every format, and what is refused."""

import csv
import io
import json
import math
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import fake_interpreter, fake_vocabulary
from support.fake_engine import FakeEngine
from support.fake_interpreter import LAYERS, FakeInterpreter
from support.first_candidates import FirstCandidates

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Control, Engine
from tokexplore.models.api.interpreter import LensStep, LogitSplit
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.interpret.agreement import agreements
from tokexplore.models.interpret.occlusion import Occluded, occlusion
from tokexplore.tui.cli.dispatch import main
from tokexplore.tui.cli.why import SUBCOMMAND, WhyOptions
from tokexplore.tui.cli.why_runner import write_why
from tokexplore.tui.explore.options import AppOptions

TEXT = "Once upon a time there was a king. He had a daughter"
IDS = tuple(FakeEngine().encode(TEXT))
CHAT = Chat((Message("system", "a king"), Message("user", "who was he")))
KING, QUEEN = (fake_vocabulary.token_id(word) for word in (" king", " queen"))
ALL: dict[str, Any] = {"gradients": True, "points": 3, "attention": True}


def asked(*views: str, prompt: PromptSpec | None = None, **fields: Any) -> WhyOptions:
    app = AppOptions(load=LoadOptions(model="fake"), prompt=prompt or PromptSpec(text=TEXT))
    return WhyOptions(app, views, **fields)  # type: ignore[arg-type]


def written(options: WhyOptions, engine: Engine | None = None, code: int = 0) -> tuple[str, str]:
    """What is written, and what is said beside it."""
    out, errors, made = io.BytesIO(), io.StringIO(), engine or FakeEngine()
    assert write_why(options, out, open_engine=lambda *_: made, errors=errors) == code
    return out.getvalue().decode(), errors.getvalue()


def lines(options: WhyOptions, engine: Engine | None = None, code: int = 0) -> list[dict[str, Any]]:
    options = msgspec.structs.replace(options, format="jsonl")
    return [json.loads(line) for line in written(options, engine, code)[0].splitlines()]


def table(options: WhyOptions, engine: Engine | None = None) -> list[dict[str, str]]:
    options = msgspec.structs.replace(options, format="csv")
    return list(csv.DictReader(io.StringIO(written(options, engine)[0])))


def effects(tokens: Sequence[int] = (), **how: Any) -> list[Occluded]:
    """What hiding does, by the rounds themselves."""
    best = FakeEngine().describe(IDS).id_view[0]
    found = occlusion(FakeEngine(), IDS, tokens or [best], Control(), **how)
    return [each for each in found if isinstance(each, Occluded)]


def steps(first: int, tokens: Sequence[int]) -> list[LensStep]:
    lens = FakeEngine().interpreter.lens(IDS, first, len(IDS), Control(), tokens=tokens)
    return list(lens)


class Planted(FakeInterpreter):
    """Hiding one token of the first sentence costs 2 nats, another one wins 0.1: no more is so."""

    def occlude(
        self, ids: Sequence[int], hidden: Sequence[range], tokens: Sequence[int], control: Control
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        del ids, tokens, control
        for at, places in enumerate(hidden):
            yield at, (-1.0 - 2.0 * (3 in places) + 0.1 * (5 in places),)


def planted() -> FakeEngine:
    engine = FakeEngine()
    engine.interpreter = Planted(engine)
    return engine


# The tokens


def test_the_most_probable_token_is_asked_about_and_it_is_said() -> None:
    best = FakeEngine().describe(IDS)
    head = lines(asked("lens"))[0]
    assert (head["type"], head["prompt_ids"], head["views"]) == ("why", list(IDS), ["lens"])
    assert head["token"]["id"] == best.id_view[0]
    assert head["token"]["logprob"] == pytest.approx(best.logprob(0))
    assert (head["token"]["rank"], head["against"]) == (1, None)
    assert "the most probable one, as none was named" in written(asked("lens"))[0]


@pytest.mark.parametrize("named", [" king", KING])
def test_a_token_is_named_by_its_text_or_its_id(named: str | int) -> None:
    options = asked("lens", token=named, against=" queen")
    head = lines(options)[0]
    assert (head["token"]["id"], head["against"]["id"]) == (KING, QUEEN)
    (known,) = FakeEngine().standings(IDS, [KING])
    assert (head["token"]["logprob"], head["token"]["rank"]) == (known.logprob, known.rank)
    said = written(options)[0]
    assert "as none was named" not in said
    assert re.search(r"^against  ␣queen: ", said, re.M)


def test_names_of_tokens_in_a_text_are_tokens_or_characters() -> None:
    assert lines(asked("lens", token="</s>"))[0]["token"]["id"] == fake_vocabulary.EOS
    with pytest.raises(UsageError, match=r"'</s>' is 4 tokens \(<, /, s, >\): give one of them"):
        lines(asked("lens", token="</s>", literal=True))


def test_where_one_piece_would_be_other_tokens_it_is_said() -> None:
    assert "in one piece" not in written(asked("lens", token=" king"))[1]
    _, said = written(asked("lens", token="a", prompt=PromptSpec(text="Once ")))
    assert "the prompt and “a” in one piece are 3 tokens, others than the 3 + 1 here" in said


def test_the_layers_are_told_against_the_most_probable_other_token() -> None:
    first, second = FakeEngine().describe(IDS).id_view[:2].tolist()

    def pair(**named: Any) -> list[int]:
        split = next(x for x in lines(asked("layers", **named)) if x["type"] == "split")
        return [split["token"]["id"], split["against"]["id"]]

    assert pair() == [first, second]
    assert pair(token=second) == [second, first]
    assert pair(token=KING) == [KING, first]
    assert pair(token=KING, against=QUEEN) == [KING, QUEEN]
    assert "the most probable other one (layers)" in written(asked("layers"))[0]


# The lens


def test_the_lens_tells_every_layer_of_the_step_after_the_prompt() -> None:
    (known,) = steps(len(IDS), [KING, QUEEN])
    head, step, *layers, end = lines(asked("lens", token=KING, against=QUEEN))
    assert (head["tuned"], end) == (None, {"type": "end", "interrupted": False})
    assert step == {"type": "step", "position": len(IDS), "taken": None, "error": known.error}
    assert [layer["layer"] for layer in layers] == list(range(LAYERS + 1))
    for layer, reading in zip(layers, known.layers, strict=True):
        assert (layer["entropy"], layer["kl"]) == (reading.entropy, reading.divergence)
        assert [t["id"] for t in layer["top"]] == [each.token for each in reading.top]
        assert [t["logprob"] for t in layer["top"]] == [each.logprob for each in reading.top]
        king, queen = reading.asked
        assert layer["token"] == {"logprob": king.logprob, "rank": king.rank}
        assert layer["against"] == {"logprob": queen.logprob, "rank": queen.rank}
        assert layer["taken"] is None


def test_earlier_steps_are_told_with_the_token_that_was_taken() -> None:
    known = steps(len(IDS) - 2, [KING])
    found = lines(asked("lens", token=KING, positions=3))
    told = [line for line in found if line["type"] == "step"]
    assert [s["position"] for s in told] == [len(IDS) - 2, len(IDS) - 1, len(IDS)]
    assert [s["taken"] and s["taken"]["id"] for s in told] == [*IDS[-2:], None]
    layers = [line for line in found if line["type"] == "layer"]
    readings = [(step, reading) for step in known for reading in step.layers]
    for layer, (step, reading) in zip(layers, readings, strict=True):
        assert layer["position"] == step.position
        *taken, king = reading.asked
        assert layer["token"] == {"logprob": king.logprob, "rank": king.rank}
        wanted = {"logprob": taken[0].logprob, "rank": taken[0].rank} if taken else None
        assert layer["taken"] == wanted


def test_more_steps_than_there_are_is_all_of_them() -> None:
    found = lines(asked("lens", positions=1000))
    assert sum(line["type"] == "step" for line in found) == len(IDS)


def test_rows_of_the_lens_are_those_of_the_lines() -> None:
    options = asked("lens", token=KING, positions=2)
    layers = [line for line in lines(options) if line["type"] == "layer"]
    rows = table(options)
    for row, layer in zip(rows, layers, strict=True):
        assert (int(row["position"]), int(row["layer"])) == (layer["position"], layer["layer"])
        assert float(row["token_logprob"]) == layer["token"]["logprob"]
        assert row["against_logprob"] == ""
        assert int(row["top5_id"]) == layer["top"][4]["id"]
        assert float(row["kl"]) == layer["kl"]
    assert {row["taken_id"] for row in rows} == {str(IDS[-1]), ""}


def test_the_lens_as_text_has_a_row_a_layer_and_says_when_it_misleads() -> None:
    (known,) = steps(len(IDS), [KING])
    said = written(asked("lens", token=KING))[0].splitlines()
    head = next(n for n, line in enumerate(said) if line.startswith("layer"))
    rows = said[head + 1 : head + 2 + LAYERS]
    for row, reading in zip(rows, known.layers, strict=True):
        king = reading.asked[0]
        assert row.split()[-4:-2] == [f"{king.logprob:.4f}", f"{king.rank:,}"]
    assert sum("can mislead" in line for line in said) == 1
    assert any("gives the model's own logits to" in line for line in said)
    assert not any("goes on" in line for line in said)


def test_the_grid_goes_on_in_blocks() -> None:
    said = written(asked("lens", positions=9))[0]
    assert said.count(" goes on") == 2
    for position in range(len(IDS) - 8, len(IDS) + 1):
        assert re.search(rf"^position .*\b{position}\b", said, re.M)


def test_a_tuned_lens_is_handed_on_and_named() -> None:
    class Tuned(FakeInterpreter):
        def lens(self, *args: Any, tuned: str = "", **more: Any) -> Iterator[LensStep]:
            assert tuned == "/lenses/fake"
            return super().lens(*args, tuned=tuned, **more)

    engine = FakeEngine()
    engine.interpreter = Tuned(engine)
    options = asked("lens", tuned="/lenses/fake")
    assert lines(options, engine)[0]["tuned"] == "/lenses/fake"
    said = written(options, engine)[0]
    assert "Read by the tuned lens in /lenses/fake" in said
    assert "can mislead" not in said


# The layers


def test_the_parts_are_those_of_the_split() -> None:
    split = FakeEngine().interpreter.split(IDS, (KING, QUEEN), (2,))
    options = asked("layers", token=KING, against=QUEEN, heads=(2,))
    _, told, *parts, _ = lines(options)
    assert (told["difference"], told["total"]) == (split.difference, split.total)
    assert (told["error"], told["slope"]) == (split.error, 1.0)
    for found in (parts, table(options)):
        for line, part in zip(found, split.parts, strict=True):
            assert float(line["difference"]) == part.difference
            assert (line["kind"], line["name"]) == (part.kind, part.name)
            assert str(line["head"] or "") in ("" if part.head is None else str(part.head), "")
    assert [p["head"] for p in parts if p["layer"] == 2 and p["kind"] == "attention"] == [0, 1]


def test_parts_are_in_order_of_layers_or_of_size() -> None:
    split = FakeEngine().interpreter.split(IDS, (KING, QUEEN))

    def differences(order: str) -> list[float]:
        said = written(asked("layers", token=KING, against=QUEEN, order=order))[0]
        found = re.findall(r"^(?:embedding|layer \d+ \w+) +([+−][\d.]+)", said, re.M)
        return [float(text.replace("−", "-")) for text in found]

    parts = [round(part.difference, 4) for part in split.parts]
    assert differences("layer") == pytest.approx(parts)
    assert differences("size") == pytest.approx(sorted(parts, key=lambda d: -abs(d)))


def test_the_check_of_the_layers_is_shown() -> None:
    class Capped(FakeInterpreter):
        def split(self, *args: Any) -> LogitSplit:
            return msgspec.structs.replace(super().split(*args), slope=0.75, logits=(3.0, 1.0))

    engine = FakeEngine()
    engine.interpreter = Capped(engine)
    said = written(asked("layers", token=KING, against=QUEEN), engine)[0]
    error = engine.interpreter.split(IDS, (KING, QUEEN)).error
    assert f"of logits +3.0000 and +1.0000: {error:.2g} apart" in said
    assert "made 0.75 of each unit of difference" in said
    assert "The final norm is held as it was" in said
    assert "each unit" not in written(asked("layers"))[0]


def test_heads_of_a_layer_that_has_none_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--heads 9 names no layer .* are 1, 2, 3, 4\."):
        written(asked("layers", heads=(1, 9)))

    class Whole(FakeInterpreter):
        def split(self, ids: Any, tokens: Any, heads: Any = ()) -> LogitSplit:
            del heads
            return super().split(ids, tokens)

    engine = FakeEngine()
    engine.interpreter = Whole(engine)
    with pytest.raises(UsageError, match=r"--heads 1 names no layer whose heads can be told ap"):
        written(asked("layers", heads=(1,)), engine)


# The words


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
        rest = math.fsum(weights[place] for place in places if place)
        assert unit["attention"] == pytest.approx(rest), "without the first token, the sink"


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


# The formats


def test_several_views_are_told_one_after_the_other() -> None:
    options = asked("lens", "layers", "words", **ALL)
    types = [line["type"] for line in lines(options)]
    order = [
        "why", "step", "layer", "split", "part", "estimate", "attention", "round", "unit",
        "totals", "end",
    ]  # fmt: skip
    assert sorted(set(types), key=types.index) == order
    said = written(options)[0]
    titles = ["What each layer says", "What each part added", "Which words did it"]
    assert [said.index(title) for title in titles] == sorted(said.index(t) for t in titles)
    with pytest.raises(UsageError, match="CSV is one table, and --lens and --words are several"):
        written(asked("lens", "words", format="csv"))


def test_lines_come_as_they_are_known() -> None:
    out, seen = io.BytesIO(), list[int]()

    class Watched(FakeInterpreter):
        def occlude(self, *args: Any) -> Iterator[Any]:
            for found in super().occlude(*args):
                seen.append(out.getvalue().count(b'"unit"'))
                yield found

    engine = FakeEngine()
    engine.interpreter = Watched(engine)
    options = asked("words", format="jsonl", finest="sentence")
    write_why(options, out, open_engine=lambda *_: engine, errors=io.StringIO())
    assert seen == [0, 0, 1, 2], "the one with nothing hidden first"


def test_a_page_has_the_text_in_colour_heat_and_bars_and_loads_nothing() -> None:
    page = written(asked("lens", "layers", "words", positions=3, format="html", **ALL))[0]
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page
    assert not re.search(r"<script|https?://", page)
    story = re.search(r'<p class="story">(.*?)</p>', page, re.S)
    assert story is not None
    spans = re.findall(r'<span class="(t[^"]*)"( title="[^"]*")?>', story[1])
    assert len(spans) == len(IDS)
    assert spans[-1] == ("t prompt", ""), "the last token is never hidden"
    assert all("nats; with it hidden" in title for _, title in spans[:-1])
    for each in effects():
        assert f"{abs(each.effect):.4f}</td>" in page
    assert re.search(r'class="said h[1-5]"', page)
    assert page.count('class="bar"') == 2 * LAYERS + 1 + len(effects())


def test_a_token_has_the_colour_of_the_finest_stretch() -> None:
    page = written(asked("words", format="html", everything=True), planted())[0]
    story = re.search(r'<p class="story">(.*?)</p>', page, re.S)
    assert story is not None
    kinds = re.findall(r'<span class="(t[^"]*)"', story[1])
    assert kinds[3] == "t more-5"
    assert kinds[5] == "t less-1"
    assert set(kinds[:3] + kinds[6:-1] + [kinds[4]]) == {"t"}


def test_hostile_tokens_reach_no_terminal_and_no_page() -> None:
    text = "Once\x1b[31m upon\x1b]0;owned\x07 a [bold] <script>alert(1)</script> time ."
    prompt = PromptSpec(text=text)
    for form in ("text", "jsonl", "csv", "html"):
        views = ("words",) if form == "csv" else ("lens", "layers", "words")
        options = asked(*views, prompt=prompt, format=form, everything=True, token="\x1b[31m")
        said, errors = written(options)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said.replace("\r\n", "\n")), form
        assert "\x1b" not in errors
        assert "<script" not in said or form != "html"


def test_a_file_is_new_and_tells_its_format(tmp_path: Path) -> None:
    file = tmp_path / "why.csv"
    assert written(asked("layers", output=str(file)))[0] == ""
    assert file.read_text().startswith("part,kind,layer")
    with pytest.raises(UsageError, match="is there already: give another name, or --force"):
        written(asked("layers", output=str(file)))
    written(asked("layers", output=str(file), force=True, format="jsonl"))
    assert json.loads(file.read_text().splitlines()[0])["type"] == "why"
    with pytest.raises(UsageError, match="does not tell its format"):
        written(asked("layers", output=str(tmp_path / "why.doc")))


# Interruptions


def interrupting(after: int) -> FakeEngine:
    """Ctrl-C comes while the n-th stretch is hidden."""

    class Interrupted(FakeInterpreter):
        def occlude(self, ids: Any, hidden: Any, tokens: Any, control: Any) -> Iterator[Any]:
            for found in super().occlude(ids, hidden, tokens, control):
                if len(self.hidden) == after + 1:  # the first one hides nothing
                    os.kill(os.getpid(), signal.SIGINT)
                yield found

    engine = FakeEngine()
    engine.interpreter = Interrupted(engine)
    return engine


def test_ctrl_c_ends_it_with_what_is_done() -> None:
    options = asked("words", gradients=True)
    found = lines(options, interrupting(5), code=130)
    assert [x["effect"] for x in found if x["type"] == "unit"] == [
        each.effect for each in effects()[:5]
    ]
    assert found[-2]["units"] == 5
    assert found[-1] == {"type": "end", "interrupted": True}
    said, errors = written(options, interrupting(5), code=130)
    assert len(re.findall(r"^ *[+−][\d.]+ .*”$", said, re.M)) >= 5
    assert "stopped: what was done until then is told." in errors
    rows = written(msgspec.structs.replace(options, format="csv"), interrupting(5), code=130)[0]
    assert len(rows.splitlines()) == 6


def test_ctrl_c_before_anything_is_known_writes_nothing() -> None:
    class Early(FakeEngine):
        def stream(self, *args: Any) -> Iterator[Any]:
            os.kill(os.getpid(), signal.SIGINT)
            return super().stream(*args)

    assert written(asked("lens"), Early(), code=130)[0] == ""


def test_ctrl_c_while_layers_are_read_keeps_the_steps_that_are_done() -> None:
    class Interrupted(FakeInterpreter):
        def lens(self, *args: Any, **more: Any) -> Iterator[LensStep]:
            for number, step in enumerate(super().lens(*args, **more)):
                if number == 1:
                    os.kill(os.getpid(), signal.SIGINT)
                yield step

    for form in ("text", "html", "jsonl"):
        engine = FakeEngine()
        engine.interpreter = Interrupted(engine)
        options = asked("lens", "layers", positions=4, format=form)
        said, _ = written(options, engine, code=130)
        assert "It was stopped before the step after the prompt." in said or form == "jsonl"
        for position in (len(IDS) - 3, len(IDS) - 2):
            assert str(position) in said
        assert "What each part added" not in said


# What is refused


def test_mistakes_are_told_with_what_to_do() -> None:
    with pytest.raises(UsageError, match="fake needs a prompt to be asked about"):
        written(WhyOptions(AppOptions(load=LoadOptions(model="fake")), ("lens",)))
    with pytest.raises(UsageError, match=r"' kingqueen' is 6 tokens .*: give one of them as --tok"):
        written(asked("lens", token=" kingqueen"))
    with pytest.raises(UsageError, match=r"' kings' is 2 tokens \(␣king, s\): .* as --against"):
        written(asked("lens", against=" kings"))
    with pytest.raises(UsageError, match="--token-id 99999 is no token of fake: its ids go up to"):
        written(asked("lens", token=99999))
    with pytest.raises(UsageError, match="␣king is held against itself"):
        written(asked("layers", token=KING, against=" king"))
    impossible = FakeEngine().vocabulary.rows - 1
    with pytest.raises(UsageError, match=f"<id {impossible}> is impossible after the prompt"):
        written(asked("words", token=impossible))
    with pytest.raises(UsageError, match="the prompt is one token, and the last one is never"):
        written(asked("words", prompt=PromptSpec(text="<s>")))
    with pytest.raises(UsageError, match="--finest turn needs a chat"):
        written(asked("words", finest="turn"))
    prompt = PromptSpec(text="Once upon a time .")
    with pytest.raises(UsageError, match=r"prompt is 7 tokens long and the context of fake is 5"):
        written(asked("lens", prompt=prompt), FakeEngine(context=5))


def test_one_token_is_enough_for_the_lens_and_the_layers() -> None:
    assert len(lines(asked("lens", "layers", prompt=PromptSpec(text="<s>")))) > 2 * LAYERS


def test_an_engine_that_shows_nothing_of_its_inside_is_refused() -> None:
    engine = FirstCandidates()
    with pytest.raises(UsageError, match=r"shows nothing of the model's inside: why needs its lay"):
        written(asked("lens"), engine)
    assert engine.asked == []


def test_a_model_that_is_refused_leaves_nothing_written_but_earlier_views() -> None:
    class Refusing(FakeInterpreter):
        def split(self, *args: Any) -> LogitSplit:
            del args
            raise UsageError("the parts of fake are not known to add up.")

    for form in ("text", "jsonl", "csv", "html"):
        engine, out = FakeEngine(), io.BytesIO()
        engine.interpreter = Refusing(engine)

        def looked(*views: str, into: io.BytesIO, engine: Engine, form: str) -> None:
            with pytest.raises(UsageError, match="not known to add up"):
                write_why(
                    asked(*views, format=form), into, open_engine=lambda *_: engine,
                    errors=io.StringIO(),
                )  # fmt: skip

        looked("layers", into=out, engine=engine, form=form)
        assert out.getvalue() == b""
        if form != "csv":
            looked("lens", "layers", into=out, engine=engine, form=form)
            assert out.getvalue() != b""


def read(*arguments: str) -> WhyOptions:
    options: WhyOptions = SUBCOMMAND.read(arguments).options
    return options


def test_options_are_what_they_say() -> None:
    found = read(
        "fake", "--words", "--lens", "--prompt", "a", "--token", " king", "--against-id", "7",
        "--positions", "4", "--finest", "word", "--points", "8", "--gradients",
    )  # fmt: skip
    assert (found.views, found.token, found.against) == (("lens", "words"), " king", 7)
    assert (found.positions, found.finest, found.points, found.gradients) == (4, "word", 8, True)
    found = read("--layers", "--heads", "3,1", "--sort", "size")
    assert (found.heads, found.order, found.app.load.model) == ((3, 1), "size", "embedded")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "why needs to be told what to look at: give --lens (what each layer says), --layers"),
        (("--layers", "--positions", "3"), "--positions is of --lens: give that too."),
        (("--words", "--heads", "3"), "--heads is of --layers: give that too."),
        (("--words", "--tuned-lens", "x"), "--tuned-lens is of --lens: give that too."),
        (("--words", "--sort", "size"), "--sort is of --layers: give that too."),
        (("--lens", "--everything"), "--everything is of --words: give that too."),
        (("--lens", "--points", "3"), "--points is of --words: give that too."),
        (("--lens", "--token", ""), "--token '' is empty: give the text of a token, or"),
        (("--lens", "--token", "a", "--token-id", "3"), "not allowed with argument --token"),
        (("--lens", "--positions", "0"), "0 is not possible: give 1 to"),
        (("--words", "--prompt-file", "/none"), "both --prompt and --prompt-file are given"),
    ],
)
def test_mistakes_of_the_command_line_are_one_sentence(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("tokexplore.tui.cli.why.locate", lambda *_: None)
    opening: Callable[..., Engine] = lambda *_: FakeEngine()  # noqa: E731
    assert main(["why", "fake", "--prompt", "Once upon", *arguments], open_engine=opening) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
