"""`tokexplore lab repeat`: the report tells what the runs were, in every format."""

import csv
import io
import json
import os
import signal

import pytest
from support.fake_engine import FakeEngine
from support.lab import lab_told

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.dispatch import main
from tokexplore.tui.report.readings_text import figures

ASKED = ("repeat", "--prompt", "Once upon", "--max-new-tokens", "6", "--ignore-eos")
A, B = 300, 301


def flipping() -> FakeEngine:
    """A near-tie after three steps that batches of eight and more flip."""
    engine = FakeEngine(dtype="bfloat16")
    ids = tuple(engine.encode("Once upon"))
    drawn = [
        e.standing.token
        for e in engine.stream(StreamRequest(ids, SamplingSettings(), 3), Control())
        if isinstance(e, DrawnToken)
    ]
    place = (*ids, *drawn)
    engine.planted[place] = {A: 12.0, B: 11.9375}
    engine.bench.noise = lambda execution, path: (
        {B: 0.125} if execution.batch >= 8 and path == place else {}
    )
    return engine


def test_json_lines_tell_every_run_and_end_with_a_summary() -> None:
    engine = flipping()
    told = [json.loads(line) for line in lab_told(*ASKED, "--format", "jsonl", engine=engine)]
    head, *rest, summary = told
    assert head["type"] == "repeat"
    assert head["varied"] == ["batch", "cache"]
    runs = [line for line in rest if line["type"] == "run"]
    assert [run["number"] for run in runs] == list(range(30))
    for run in runs:
        wide = len(run["condition"]["execution"]["mates"]) >= 7
        assert run["ids"][3] == (B if wide else A)
        assert len(run["ids"]) == len(run["logprobs"]) == 6
    assert [line["type"] for line in rest[30:]] == ["control", "control", "fork"]
    assert summary["type"] == "summary"
    assert (summary["runs"], summary["unique"], summary["first_fork"]) == (30, 2, 4)
    assert sum(summary["counts"]) == 30
    assert summary["control"] is True
    fork = rest[-1]
    assert fork["step"] == 4
    assert fork["verdict"]["kind"] == "arithmetic"
    assert {fork["tokens"][0]["id"], fork["tokens"][1]["id"]} == {A, B}
    read = {number: sides for sides in fork["sides"] for number in sides["runs"]}
    assert sorted(read) == list(range(30))
    first = fork["tokens"][0]["id"]
    for run in runs:
        sides, wide = read[run["number"]], len(run["condition"]["execution"]["mates"]) >= 7
        logits = [
            12.0 if token["id"] == A else 12.0625 if wide else 11.9375
            for token in fork["tokens"][:2]
        ]
        assert sides["logits"] == logits
        assert sides["margin"] == logits[0] - logits[1]
        assert sides["taken"] == [B if wide else A]
        place = sides["taken"][0] != first
        assert sides["logprobs"][place] == run["logprobs"][3]
    margins = sorted(read[number]["margin"] for number in range(30))
    assert fork["spread"] == {
        "runs": 30, "lowest": margins[0], "median": (margins[14] + margins[15]) / 2,
        "highest": margins[-1],
    }  # fmt: skip


def test_the_closest_calls_of_one_text_are_told_with_what_could_flip() -> None:
    engine = FakeEngine(dtype="bfloat16")
    asked = (*ASKED[:3], "--max-new-tokens", "12", "--ignore-eos", "--runs", "4")

    moved, path = {}, tuple(engine.encode("Once upon"))
    for step in range(12):  # the first candidate of each, up or down
        top = int(engine.full(path).argmax())
        moved[path] = {top: 0.02 if step % 2 else -0.02}
        path = (*path, top)
    engine.bench.noise = lambda how, path: moved[path] if how.batch > 1 else {}
    asked = (*asked, "--vary", "batch", "--batches", "2")
    told = [json.loads(line) for line in lab_told(*asked, "--format", "jsonl", engine=engine)]
    calls, summary = [line for line in told if line["type"] == "close_call"], told[-1]
    margins = told[1]["margins"]
    assert [call["margin"] for call in calls] == sorted(margins)[:5]
    assert [margins[call["step"] - 1] for call in calls] == sorted(margins)[:5]
    assert summary["sigma"] == pytest.approx(0.02, abs=1e-5)
    assert [call["could_flip"] for call in calls] == [
        call["margin"] <= 3 * summary["sigma"] for call in calls
    ]
    assert "threads" in summary["offered"] or os.cpu_count() == 1
    text = "\n".join(lab_told(*asked, engine=engine))
    assert f"{calls[0]['margin']:.4f}" in text
    assert "noise σ 0.02 nats (run 1)" in text
    assert "not varied yet: mates, together, beside, cache, prefill, attention" in text


def test_the_table_tells_the_fork_and_why() -> None:
    text = "\n".join(lab_told(*ASKED, engine=flipping()))
    assert "2 unique of 30" in text
    assert "◀ first fork" in text
    assert "verdict: arithmetic (noise 0.125 ≥ margin 0.0625 nats)" in text
    assert "bfloat16 has steps of 0.0625 there: the margin is 1 of them" in text
    assert "gave the same logits, bit for bit" in text
    assert "step 4" in text.splitlines()[-1]


def test_what_is_not_known_of_a_fork_is_not_told_as_a_number() -> None:
    hot = ("--temperature", "100", "--new-seeds", "--plain", "--runs", "6")
    text = "\n".join(lab_told(*ASKED, *hot, engine=FakeEngine()))
    assert "margin not known: the two are not both among the 16 candidates" in text
    assert "margin inf" not in text


def test_a_draw_that_noise_moves_is_not_said_to_be_beyond_the_margin() -> None:
    engine = FakeEngine()
    place = tuple(engine.encode("Once upon"))
    engine.planted[place] = {A: 12.0, B: 11.5}
    engine.bench.noise = lambda execution, path: (
        {B: 0.4} if execution.batch > 1 and path == place else {}
    )
    mostly_alone = ("--vary", "batch", "--batches", "1,1,1,2", "--temperature", "1", "--seed")
    told = [
        "\n".join(lab_told(*ASKED, *mostly_alone, str(seed), engine=engine))
        for seed in range(32)  # about one in ten draws between the two edges
    ]
    text = next(text for text in told if "first fork at step 1: " in text)
    assert "arithmetic (noise 0.4 moves where the draw falls); no draw explains it" in text


def test_nothing_varied_is_one_text_and_the_report_says_so() -> None:
    text = "\n".join(lab_told(*ASKED, "--plain", "--runs", "3", engine=flipping()))
    assert "1 unique of 3: every run said the same." in text
    assert "nothing varied" in text


def test_several_models_end_in_one_table() -> None:
    text = lab_told(*ASKED[:1], "a", "b", *ASKED[1:], "--format", "markdown", engine=flipping())
    table = [line for line in text if line.startswith("|")]
    assert table[0] == "| unique | runs | first fork | shared | model | setting |"
    assert len(table) == 4


def test_csv_has_a_line_for_each_run() -> None:
    text = lab_told(*ASKED, "--format", "csv", "--runs", "9", engine=flipping())
    rows = list(csv.DictReader(io.StringIO("\n".join(text))))
    assert [row["run"] for row in rows] == [str(n) for n in range(9)]
    assert {row["leaves_first"] for row in rows} == {"", "4"}


def test_a_device_that_forgets_is_told() -> None:
    engine = FakeEngine()
    calls = iter(range(10_000))
    engine.bench.noise = lambda _execution, _path: {A: next(calls) * 1e-3}
    text = "\n".join(lab_told(*ASKED, "--runs", "2", engine=engine))
    assert "control FAILED" in text


def test_an_interruption_keeps_what_is_done() -> None:
    engine = FakeEngine()
    ran = engine.bench.run

    def stopped(*asked):
        if len(engine.bench.ran) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return ran(*asked)

    engine.bench.run = stopped  # type: ignore[method-assign]
    lines = lab_told(*ASKED, "--format", "jsonl", engine=engine, code=130)
    told = [json.loads(line) for line in lines]
    assert [line["number"] for line in told if line["type"] == "run"] == [0, 1]
    assert (told[-1]["type"], told[-1]["runs"]) == ("summary", 2)


def test_an_interruption_while_another_dtype_is_loaded_keeps_what_is_done() -> None:
    opened = []

    def open_engine(options, _report):
        opened.append(options.dtype)
        if len(opened) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            raise KeyboardInterrupt
        return FakeEngine()

    arguments = (*ASKED, "--vary", "dtype", "--runs", "12", "--format", "jsonl")
    told = [json.loads(line) for line in lab_told(*arguments, code=130, open_engine=open_engine)]
    runs = [line for line in told if line["type"] == "run"]
    assert 1 <= len(runs) < 12
    assert (told[-1]["type"], told[-1]["runs"], told[-1]["control"]) == ("summary", len(runs), True)
    assert len(opened) == 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("lab",), "give repeat"),
        (("lab", "nonsense"), "lab nonsense is no experiment"),
        (("lab", "repeat", "--vary", "colour"), "'colour' cannot vary"),
        (("lab", "repeat", "--batches", "0"), "a batch of 0"),
        (("lab", "repeat", "--runs", "0"), "--runs 0"),
        (("lab", "repeat", "--runs", "-1"), "-1"),
        (("lab", "repeat", "--prompt", "x", "--max-new-tokens", "0"), "--max-new-tokens 0"),
        (("lab", "experts", "--prompt", "x", "--max-new-tokens", "0"), "--max-new-tokens 0"),
        (("lab", "repeat", "no/such/model/here", "--prompt", "x"), "no/such/model/here"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, word, capsys) -> None:
    engine = FakeEngine()
    assert main(list(arguments), open_engine=lambda _options, _report: engine) in (1, 2)
    assert word in capsys.readouterr().err


def test_figures_tell_different_numbers_apart_and_none_is_a_false_zero() -> None:
    assert figures([1.5, None, 0.0, -2.25], "+") == ["+1.5000", "?", "0.0000", "-2.2500"]
    assert figures([0.0146241, 0.0146242]) == ["0.0146241", "0.0146242"]
    assert figures([0.1, 2.4e-7]) == ["0.1000000", "0.0000002"]
