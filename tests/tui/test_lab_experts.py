"""`tokexplore lab experts`, on the small mixture of experts that we ship."""

import csv
import io
import json

import pytest
from support.lab import lab_told

from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.options import SPARSE, LoadOptions

ASKED = (
    "experts", SPARSE, "--prompt", "Once upon a time there was a king who had a",
    "--max-new-tokens", "12", "--runs", "4", "--batch", "4", "--factors", "0.5,1000",
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
    plain, tight, endless = (line for line in rest if line["type"] == "capacity")
    assert (plain["simulation"], tight["simulation"]) == (False, True)
    assert plain["unique"] == endless["unique"] == 1
    assert tight["unique"] > 1
    assert all(line["control"] for line in (plain, tight, endless))
    assert summary["decisions"] == 48


FEW = ("--max-new-tokens", "6", "--runs", "2", "--factors", "0.5")


def test_the_table_says_that_limits_are_a_simulation(engine: LocalEngine) -> None:
    text = "\n".join(lab_told(*ASKED, *FEW, engine=engine))
    assert "simulation: this model's experts have no limits of their own" in text
    assert "the closest decisions:" in text
    assert "layer 4 " in text
    lines = lab_told(*ASKED, *FEW, "--format", "markdown", engine=engine)
    assert any(line.startswith("| factor | group |") for line in lines)
    lines = lab_told(*ASKED, *FEW, "--format", "csv", engine=engine)
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert len(rows) == 24


def test_a_dense_model_is_told_so() -> None:
    dense = LocalEngine.open(LoadOptions(dtype="own"), report=lambda _: None)
    with pytest.raises(UsageError, match="fable has no experts"):
        lab_told(*ASKED[:1], *ASKED[2:], engine=dense)
