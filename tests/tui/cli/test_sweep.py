"""`tokexplore sweep`: what it writes is what the engine gives, and what is done is kept."""

import csv
import io
import json
import os
import signal
from collections.abc import Iterator

import msgspec
import pytest
from support.fake_engine import FakeEngine
from support.sweeps import PROMPT, sweep_told

from tokexplore.models.api.engine import (
    Control,
    DrawnToken,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.dispatch import main


@pytest.mark.parametrize("batch", ["1", "2", "8"])
def test_json_lines_hold_the_engine_s_own_streams(batch: str) -> None:
    engine = FakeEngine()
    text = sweep_told(
        "--temperature", "0,1.5", "--top-p", "0.8", "--runs", "3", "--seed", "5",
        "--max-new-tokens", "6", "--ignore-eos", "--batch", batch, "--format", "jsonl",
        engine=engine,
    )  # fmt: skip
    head, greedy, hot = map(json.loads, text.splitlines())
    assert head["batch"] == min(3, int(batch))
    ids = tuple(head["prompt_ids"])
    assert ids == tuple(engine.encode("Once upon"))
    assert (greedy["runs"], hot["runs"]) == (1, 3)
    for number, run in enumerate(hot["continuations"]):
        settings = SamplingSettings(1.5, top_p=0.8, seed=5 + number)
        request = StreamRequest(ids, settings, 6, ignore_eos=True)
        drawn = [e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken)]
        assert run["ids"] == [e.standing.token for e in drawn]
        assert run["logprobs"] == [e.standing.logprob for e in drawn]
        assert run["text"] == engine.vocabulary.text(run["ids"])
    (effect,) = engine.effects(ids, [SamplingSettings(1.5, top_p=0.8, seed=5)])
    assert hot["entropy"] == effect.entropy
    assert hot["kept"] == effect.view.kept
    assert [c["id"] for c in hot["candidates"]] == list(effect.id_view[:5])


def test_csv_has_a_line_for_each_setting() -> None:
    text = sweep_told(
        "--temperature", "0.5,1,2", "--top-p", "0.5,1", "--runs", "1",
        "--max-new-tokens", "2", "--format", "csv",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(r["temperature"], r["top_p"]) for r in rows] == [
        (t, p) for t in ("0.5", "1.0", "2.0") for p in ("0.5", "1.0")
    ]


def test_the_table_says_what_it_counts() -> None:
    text = sweep_told("--temperature", "0,2", "--runs", "2", "--max-new-tokens", "8")
    assert "greedy" in text
    assert "T 2.00" in text
    assert "seed 1" in text
    assert "unique: different continuations" in text


def test_the_grid_tells_its_finding() -> None:
    text = sweep_told("--grid")
    assert "of 1 model, at the same v:" in text
    assert "mean entropy (nats) by temperature" in text
    *grids, last = map(json.loads, sweep_told("--grid", "--format", "jsonl").splitlines())
    assert [g["type"] for g in grids] == ["grid"]
    assert last["text"] in text


def test_a_model_s_name_sends_the_terminal_nothing() -> None:
    class Hostile(FakeEngine):
        @property
        def info(self) -> ModelInfo:
            return msgspec.structs.replace(super().info, name="a\x9b2J\u202eb")

    text = sweep_told("--grid", "--format", "jsonl", engine=Hostile())
    assert not set(text) & {"\x9b", "\u202e"}
    assert json.loads(text.splitlines()[0])["model"] == "a\x9b2J\u202eb"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--temperature", "1,-1"), "temperature -1"),
        (("--top-p", "0"), "top-p 0"),
        (("--temperature", "hot"), "'hot' is not a number"),
        (("--runs", "-1"), "-1 is not possible"),
        (("--stop", ""), "--stop '' is empty"),
    ],
)
def test_what_cannot_be_is_named(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str
) -> None:
    code = main([*PROMPT, *arguments], open_engine=lambda _options, _report: FakeEngine())
    assert code == 2
    assert named in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, count = FakeEngine(), 0
    stream = engine.stream

    def interrupted(request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        nonlocal count
        count += 1
        if count == 3:
            os.kill(os.getpid(), signal.SIGINT)
        yield from stream(request, control)

    monkeypatch.setattr(engine, "stream", interrupted)
    text = sweep_told(
        "--temperature", "1,2", "--runs", "9", "--batch", "1", "--max-new-tokens", "2",
        "--format", "jsonl",
        engine=engine, code=130,
    )  # fmt: skip
    _, only = map(json.loads, text.splitlines())
    assert only["runs"] == 2
