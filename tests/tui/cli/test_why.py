"""`tokexplore why`: the tokens that are asked about, the lens and the layers."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from support import fake_vocabulary
from support.asked_why import IDS, KING, QUEEN, asked, lines, steps, table, written
from support.fake_engine import FakeEngine
from support.fake_interpreter import LAYERS, FakeInterpreter

from tokexplore.models.api.interpreter import LensStep, LogitSplit
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import UsageError

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
