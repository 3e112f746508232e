"""`tokexplore score` tells what a plain forward pass says of a text."""

import io
import json
import math
from pathlib import Path

import pytest
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Control, ScoredToken
from tokexplore.models.errors import UsageError
from tokexplore.tui.cli.score import ScoreOptions
from tokexplore.tui.cli.score_report import score_text

TEXT = "Once upon a time\nthere was"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def scored(options: ScoreOptions, **config: object) -> str:
    out = io.BytesIO()
    engine = FakeEngine(**config)  # type: ignore[arg-type]
    code = score_text(options, out, open_engine=lambda *_: engine, errors=io.StringIO())
    assert code == 0
    return out.getvalue().decode()


def logprobs() -> list[float]:
    engine = FakeEngine()
    ids = engine.encode(TEXT)
    events = engine.score(ids, 1, Control())
    return [e.standing.logprob for e in events if isinstance(e, ScoredToken)]


def test_the_figures_are_those_of_the_tokens(file: Path) -> None:
    known = logprobs()
    nats = -math.fsum(known)
    said = scored(ScoreOptions(str(file)))
    assert f"{len(known):,} tokens of {len(TEXT)} bytes are counted" in said
    assert f"{nats:,.4f} nats = {nats / math.log(2):,.4f} bits" in said
    assert f"{nats / math.log(2) / len(TEXT):.4f} bits" in said
    assert "Every token:" not in said
    assert "Every token:" in scored(ScoreOptions(str(file), candidates=3))


def test_json_lines_are_those_of_a_run(file: Path) -> None:
    lines = [
        json.loads(x)
        for x in scored(ScoreOptions(str(file), format="jsonl", candidates=4)).splitlines()
    ]
    assert [line["type"] for line in lines[:2]] == ["run", "step"]
    steps = [line for line in lines if line["type"] == "step"]
    assert [step["logprob"] for step in steps] == pytest.approx(logprobs(), abs=1e-9)
    assert {step["origin"] for step in steps} == {"prompt"}
    assert {len(step["candidates"]) for step in steps} == {4}
    assert lines[0]["threads"] == FakeEngine().info.threads
    assert lines[-1] == {"type": "end", "reason": None, "text": ""}, "no stream ended there"


def test_a_page_can_be_made_of_it(file: Path) -> None:
    said = scored(ScoreOptions(str(file), format="html", candidates=4))
    assert said.startswith("<!doctype html>")
    assert "text.txt" in said


def test_mistakes_are_told(tmp_path: Path, file: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(UsageError, match="holds no text"):
        scored(ScoreOptions(str(empty)))
    with pytest.raises(UsageError, match="cannot be read"):
        scored(ScoreOptions(str(tmp_path / "none.txt")))
    with pytest.raises(UsageError, match=r"text.txt is \d+ tokens long .* is 4: score a shorter"):
        scored(ScoreOptions(str(file)), context=4)
    one = tmp_path / "one.txt"
    one.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        scored(ScoreOptions(str(one)))


def test_a_byte_order_mark_is_no_part_of_the_text(file: Path) -> None:
    plain = scored(ScoreOptions(str(file), candidates=3))
    file.write_text("\ufeff" + TEXT, encoding="utf-8")
    errors = io.StringIO()
    out = io.BytesIO()
    options = ScoreOptions(str(file), candidates=3)
    assert score_text(options, out, open_engine=lambda *_: FakeEngine(), errors=errors) == 0
    assert out.getvalue().decode() == plain
    assert "byte order mark" in errors.getvalue()


@pytest.mark.parametrize(("literal", "tokens"), [(False, 5), (True, 11)])
def test_names_of_tokens_are_tokens_or_characters(file: Path, literal: bool, tokens: int) -> None:
    file.write_text("<s>Once upon a</s>")
    said = scored(ScoreOptions(str(file), literal=literal))
    assert f": {tokens} tokens, 18 bytes" in said
