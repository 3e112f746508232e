"""`tokexplore lab sums`, on the model that we ship and on sums that are planted."""

import csv
import json
import os
import signal

import numpy as np
import pytest
from support import families
from support.lab import lab_told

from tokexplore.models.api.instruments import LayerSpread, Split, Summands
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.sums import exhibit
from tokexplore.tui.cli.lab.sums_report import REPORTS, Result

ASKED = ("sums", "--prompt", "Once upon a time there was a king", "--max-new-tokens", "20")
PASSES = [None, 1, 2, 4, 8, 16]


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.open(LoadOptions(dtype="own"), report=lambda _: None)


def result_of(rows: list[list[float]], head: tuple[float, float], logits=(30.0, 29.5)) -> Result:
    """A step whose hidden state is all ones, in bfloat16, and three passes."""
    weights, hidden = np.array(rows, np.float32), np.ones(len(rows[0]), np.float32)
    summands = Summands((7, 9), hidden.tobytes(), weights.tobytes(), (0.0, 0.0), head, logits)
    shares = ((None, 0.25, 0.5), (1, 0.0, 0.0), (2, 0.5, 1.0))
    splits = tuple(
        Split(k, 3, (LayerSpread("layer 1", 2 * a, a), LayerSpread("logits", 2 * b, b)))
        for k, a, b in shares
    )
    tiny = LocalEngine(families.loaded(families.model("llama"), dtype="bfloat16"))
    return Result(tiny, (5, 6), 1, exhibit(summands, "bfloat16"), splits)


@pytest.fixture
def planted() -> Result:
    """256 and ones that bfloat16 swallows; the model caps its logits."""
    return result_of([[256, 1, 1, 1, 1], [256, 2, 0, 0, 0]], (260.0, 258.0))


def test_it_looks_at_the_step_of_the_smallest_margin(engine: LocalEngine) -> None:
    (line,) = lab_told(*ASKED, "--format", "jsonl", engine=engine)
    told = json.loads(line)
    ids = engine.encode("Once upon a time there was a king")
    assert len(told["ids"]) == len(ids) + told["step"] - 1
    margins = []
    path = list(told["ids"][: len(ids)])
    for _ in range(told["step"]):
        distribution = engine.describe(path)
        margins.append(distribution.margin)
        path.append(distribution.id_view[0])
    assert min(margins) == pytest.approx(margins[-1], abs=0.13)
    assert told["dtype"] == "bfloat16"
    assert len(told["orders"]) == 14
    assert [split["blocks"] for split in told["splits"]] == PASSES


def test_the_table_tells_the_control_and_the_findings(engine: LocalEngine) -> None:
    text = "\n".join(lab_told(*ASKED, "--step", "3", engine=engine))
    assert "step 3, computed in one pass · each logit is the sum of 320 products" in text
    assert "float32 accumulator: the order alone moves the gap by" in text
    assert "bfloat16 accumulator: the order alone moves the gap by" in text
    assert "(43 matrices) split into blocks" in text
    control = next(line for line in text.splitlines() if line.startswith("logits"))
    assert control.split()[2] == "0", "one block again is the same pass"
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("form", ["table", "markdown"])
def test_what_an_order_alone_swaps_is_said(planted: Result, form: str) -> None:
    lines = [line.rstrip() for line in REPORTS[form](planted)]
    assert (
        "bfloat16 accumulator: the order alone moves the gap by 4 (margin 2); swapped by "
        "sequential, 4 blocks, 8 blocks, 16 blocks; tied by 2 blocks."
    ) in lines
    assert (
        "float32 accumulator: the order alone moves the gap by 0 (margin 2); the ranking holds."
    ) in lines
    assert (
        "a stored logit is a multiple of 2 there (bfloat16): storing alone makes the margin 2."
    ) in lines
    assert (
        "the model scales or caps these sums afterwards: its logits are 30 and 29.5, 0.5 apart."
    ) in lines
    cells = [line.replace("|", " ").split() for line in lines]
    assert ["sequential", "bfloat16", "256", "258", "-2", "-2", "swaps"] in cells
    assert ["exact", "float64", "260", "258", "+2", "+2"] in cells
    assert ["the", "model", "its", "kernel's", "+2"] in cells
    assert ["layer", "1", "2.5e-01", "0", "5.0e-01", "1.0e+00", "█" * 8] in cells
    assert ["logits", "5.0e-01", "0", "1.0e+00", "2.0e+00", "█" * 16] in cells


def test_a_tie_of_storing_alone_is_not_laid_to_the_order() -> None:
    lines = list(REPORTS["table"](result_of([[1, 0.001], [1, 0]], (1.0, 1.0), (1.0, 1.0))))
    (said,) = (line for line in lines if line.startswith("float32 accumulator"))
    assert said.endswith("the ranking holds.")
    (stored,) = (line for line in lines if line.startswith("a stored logit"))
    assert stored.endswith("storing alone makes the margin 0.")
    cells = [line.split() for line in lines]
    assert ["sequential", "float32", "1.001", "1", "+0.001", "+0", "ties"] in cells
    assert not any(line.startswith("the model scales") for line in lines)


def test_the_spreadsheet_has_every_order_and_every_layer(planted: Result) -> None:
    rows = list(csv.DictReader(REPORTS["csv"](planted)))
    orders = [row for row in rows if row["what"] == "order"]
    assert [row["name"] for row in orders[:3]] == ["exact", "the model", "sequential"]
    assert len(orders) == 2 + len(planted.exhibit.orders)
    (swap, *_) = (row for row in orders if row["verdict"] == "swaps")
    assert (swap["name"], swap["accumulator"]) == ("sequential", "bfloat16")
    assert (swap["stored_first"], swap["stored_second"]) == ("256.0", "258.0")
    passes = [row for row in rows if row["what"] == "pass"]
    told = [(row["name"], row["blocks"], row["max"], row["relative"]) for row in passes]
    assert told[0] == ("layer 1", "", "0.5", "0.25")
    assert told[-1] == ("logits", "2", "2.0", "1.0")
    assert len(told) == 6


def test_without_new_tokens_it_is_the_step_after_the_prompt(engine: LocalEngine) -> None:
    (line,) = lab_told(*ASKED[:3], "--max-new-tokens", "0", "--format", "jsonl", engine=engine)
    told = json.loads(line)
    assert (told["step"], told["ids"]) == (1, engine.encode(ASKED[2]))


def test_an_interruption_keeps_the_passes_that_are_done(engine: LocalEngine, monkeypatch) -> None:
    split = engine.bench.split

    def interrupted(ids, blocks):
        for number, told in enumerate(split(ids, blocks)):
            if number == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield told

    monkeypatch.setattr(engine.bench, "split", interrupted)
    (line,) = lab_told(*ASKED, "--step", "1", "--format", "jsonl", engine=engine, code=130)
    assert [split["blocks"] for split in json.loads(line)["splits"]] == PASSES[:3]


def test_a_step_that_is_not_there_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(UsageError, match="--step 500 is not there"):
        lab_told(*ASKED, "--step", "500", "--stop", "the", engine=engine)
    with pytest.raises(UsageError, match="there is no step 0"):
        lab_told(*ASKED, "--step", "0", engine=engine)
