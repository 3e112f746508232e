"""`tokexplore lab sums`, on the model that we ship."""

import json

import pytest
from support.lab import lab_told

from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.options import LoadOptions

ASKED = ("sums", "--prompt", "Once upon a time there was a king", "--max-new-tokens", "20")


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.open(LoadOptions(dtype="own"), report=lambda _: None)


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
    assert [split["blocks"] for split in told["splits"]] == [1, 2, 4, 8, 16]


def test_the_table_tells_the_control_and_the_findings(engine: LocalEngine) -> None:
    text = "\n".join(lab_told(*ASKED, "--step", "3", engine=engine))
    assert "step 3 · each logit is the sum of 320 products" in text
    assert "float32 accumulator: the order alone moves the gap by" in text
    assert "bfloat16 accumulator: the order alone moves the gap by" in text
    control = next(line for line in text.splitlines() if line.startswith("logits"))
    assert control.split()[1] == "0", "one block is the plain pass"


def test_a_step_that_is_not_there_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(UsageError, match="--step 500 is not there"):
        lab_told(*ASKED, "--step", "500", "--stop", "the", engine=engine)
