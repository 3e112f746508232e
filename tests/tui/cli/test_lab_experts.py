"""`tokexplore lab experts`, on the small mixture of experts that we ship."""

import csv
import io
import json

import pytest
from support import families
from support.lab import lab_told

from tokexplore.models.api.engine import Control
from tokexplore.models.api.instruments import Execution
from tokexplore.models.api.options import SPARSE, LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.experts import Rerouted
from tokexplore.tui.cli.lab.experts_report import Moved, Result, moved_lines

ASKED = (
    "experts", SPARSE, "--prompt", "Once upon a time there was a king who had a",
    "--max-new-tokens", "12", "--runs", "4", "--batch", "4", "--factors", "0.5",
    "--groups", "4",
)  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.open(LoadOptions(model=SPARSE, dtype="own"), report=lambda _: None)


def test_json_lines_tell_routing_content_and_the_simulation(engine: LocalEngine) -> None:
    told = [json.loads(line) for line in lab_told(*ASKED, "--format", "jsonl", engine=engine)]
    routing, *rest, summary = told
    assert routing["layers"] == [1, 2, 3, 4]
    assert routing["experts"] == 8
    assert len(routing["chosen"]) == 12
    assert all(len(set(layer)) == 2 for step in routing["chosen"] for layer in step)
    content = [line for line in rest if line["type"] == "content"]
    assert {line["implementation"] for line in content} >= {"eager", "grouped_mm"}
    assert all(line["again"] == 0 for line in content)
    plain, endless, tight = (line for line in rest if line["type"] == "capacity")
    assert (plain["simulation"], tight["simulation"]) == (False, True)
    assert plain["unique"] == endless["unique"] == 1
    assert (plain["as_plain"], endless["as_plain"]) == (4, 4)
    assert endless["capacity"] == {"factor": None, "group": 4}
    assert tight["as_plain"] < 4
    assert tight["unique"] > 1
    assert all(line["control"] for line in (plain, tight, endless))
    assert summary["decisions"] == 48


FEW = ("--max-new-tokens", "4", "--runs", "2", "--factors", "0.5")


def test_the_table_says_that_limits_are_a_simulation(engine: LocalEngine) -> None:
    text = "\n".join(lab_told(*ASKED, *FEW, engine=engine))
    assert "simulation: this model's experts have no limits of their own" in text
    assert "the closest decisions:" in text
    assert "layer 4 " in text
    lines = lab_told(*ASKED, *FEW, "--format", "markdown", engine=engine)
    assert any(line.startswith("| factor | group |") for line in lines)
    lines = lab_told(*ASKED, *FEW, "--format", "csv", engine=engine)
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert len(rows) == 16


def test_what_is_routed_otherwise_is_named_and_counted(engine: LocalEngine) -> None:
    moved = Moved("one pass", [Rerouted(step, 2, (1,), (5,), 0.25) for step in range(6)])
    routing = engine.bench.routing((1, 2, 3), 1, Execution(), Control(), stepwise=True)
    assert routing is not None
    result = Result(engine, (1, 2, 3), 1, routing, (moved, Moved("eager", [])), (), (), 4)
    one, none = moved_lines(result)
    assert one.startswith("one pass: 6 of 8 decisions: step 1, layer 2: expert 5 instead of 1 (m")
    assert one.count("expert 5") == 4
    assert one.endswith("; 2 more")
    assert none == "eager: none of 8 decisions"


def test_a_model_that_runs_no_batches_is_told_of_its_routing_alone() -> None:
    tiny = LocalEngine(families.loaded(families.model("qwen3_next")))
    tiny.encode = lambda text, **_: [5 + ord(c) % 80 for c in text]  # type: ignore[method-assign]
    lines = lab_told("experts", "--prompt", "Once", "--max-new-tokens", "4", engine=tiny)
    assert lines[-1] == "tiny runs no batches: nothing is told of other rows."
    assert not any("simulation" in line for line in lines)


def test_a_batch_of_one_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(UsageError, match="--batch must be 2 or more"):
        lab_told("experts", SPARSE, "--batch", "1", engine=engine)


def test_a_dense_model_is_told_so() -> None:
    dense = LocalEngine.open(LoadOptions(dtype="own"), report=lambda _: None)
    with pytest.raises(UsageError, match="fable has no experts"):
        lab_told(*ASKED[:1], *ASKED[2:], engine=dense)
