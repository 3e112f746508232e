"""`tokexplore lab noise`: the report tells what was measured, in every format."""

import csv
import io
import json

from support.fake_engine import FakeEngine
from support.lab import lab_told

ASKED = ("noise", "--prompt", "Once upon", "--max-new-tokens", "12", "--ignore-eos")


def noisy() -> FakeEngine:
    """Every other execution than a stream's moves one token by a tenth."""
    engine = FakeEngine()
    engine.bench.noise = lambda execution, _ids: {300: 0.1} if execution.batch > 1 else {}
    return engine


def test_the_table_tells_what_is_exact_and_what_is_not() -> None:
    text = "\n".join(lab_told(*ASKED, engine=noisy()))
    assert "token by token again  token by token" in text
    assert "bit-exact" in text
    assert "one pass and the stream are bit-exact: no step could flip by that." in text
    row = next(line for line in text.splitlines() if line.startswith("batch of 8"))
    assert "0.1" in row


def test_json_lines_have_every_step_and_end_with_a_summary() -> None:
    told = [json.loads(line) for line in lab_told(*ASKED, "--format", "jsonl", engine=noisy())]
    *pairs, summary = told
    assert summary["type"] == "summary"
    assert summary["steps"] == 12
    count = len(summary["ways"])
    assert len(pairs) == count * (count - 1) // 2
    assert all(len(pair["logit"]) == 12 for pair in pairs)
    assert len(summary["ids"]) - summary["first"] == 12


def test_the_prompt_s_own_steps_are_measured_where_nothing_is_generated() -> None:
    told = lab_told(
        "noise", "--prompt", "Once upon a time", "--max-new-tokens", "0", "--format", "jsonl"
    )
    summary = json.loads(told[-1])
    assert summary["first"] == 1
    assert summary["steps"] == len(summary["ids"]) - 1


def test_csv_and_markdown_have_a_row_for_each_pair() -> None:
    rows = list(csv.DictReader(io.StringIO("\n".join(lab_told(*ASKED, "--format", "csv")))))
    assert all(row["exact"] == "True" for row in rows)
    lines = lab_told(*ASKED, "--format", "markdown")
    assert any(line.startswith("| token by token again |") for line in lines)
