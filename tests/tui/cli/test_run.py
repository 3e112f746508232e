"""`tokexplore run`: both formats, the signals, what reaches a terminal; on the fake engine."""

import io
import json
import math
import os
import pty
import re
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.command import fake_command
from support.fake_engine import FakeEngine, planted_text
from support.fake_vocabulary import token_id

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Progress
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import OutOfMemoryError, UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli import run as run_command
from tokexplore.tui.cli.dispatch import main
from tokexplore.tui.cli.run import RunOptions
from tokexplore.tui.explore.options import AppOptions, adopted
from tokexplore.tui.recording.cast import read_cast

HOT = SamplingSettings(temperature=0.9, top_k=40, seed=5)
FIELDS = {
    "run": "type model revision dtype device threads seed sampling prompt_ids version vocabulary",
    "step": "type position origin id text bytes logprob sampler_logprob chosen_by rank entropy "
    "margin lse tail_mass candidates",
    "end": "type reason text",
}


def ran(engine: FakeEngine, prompt: PromptSpec | None, **more: Any) -> tuple[int, str]:
    """The exit code and the output of a run."""
    run = {name: more.pop(name) for name in ("format", "candidates") if name in more}
    more.setdefault("max_new_tokens", 4)
    app = AppOptions(load=LoadOptions("fake"), prompt=prompt, **more)
    out = io.BytesIO()
    code = run_command.run(
        RunOptions(app, **run), out, open_engine=lambda *_: engine, errors=io.StringIO()
    )
    return code, out.getvalue().decode()


def lines(engine: FakeEngine, prompt: str = "Once upon", **more: Any) -> list[dict[str, Any]]:
    code, text = ran(engine, PromptSpec(text=prompt), format="jsonl", **more)
    assert code == 0
    return [json.loads(line) for line in text.splitlines()]


def test_jsonl_has_exactly_these_fields_in_this_order() -> None:
    for line in lines(FakeEngine(), settings=HOT):
        assert list(line) == FIELDS[line["type"]].split()
        for candidate in line.get("candidates", ()):
            assert list(candidate) == ["id", "text", "bytes", "logprob"]


def test_jsonl_numbers_are_the_engine_s() -> None:
    engine = FakeEngine()
    head, *steps, end = lines(engine, settings=HOT, candidates=7)
    ids = head["prompt_ids"]
    assert ids == engine.encode("Once upon")
    assert head["sampling"] == {"temperature": 0.9, "top_k": 40, "top_p": 1.0, "min_p": 0.0}
    assert head["seed"] == 5
    assert [s["position"] for s in steps] == list(range(1, len(ids) + 4))
    assert [s["origin"] for s in steps] == ["prompt"] * (len(ids) - 1) + ["generated"] * 4
    path = ids + [s["id"] for s in steps if s["origin"] == "generated"]
    for step in steps:
        before = path[: step["position"]]
        told, (standing,) = engine.describe(before), engine.standings(before, [step["id"]])
        assert path[step["position"]] == step["id"]
        assert step["logprob"] == standing.logprob
        assert step["rank"] == standing.rank
        assert (step["entropy"], step["lse"]) == (told.entropy, told.lse)
        listed = step["candidates"]
        assert [c["id"] for c in listed] == list(told.id_view[:7])
        assert step["margin"] == pytest.approx(listed[0]["logprob"] - listed[1]["logprob"])
        assert step["tail_mass"] == pytest.approx(
            1 - sum(math.exp(c["logprob"]) for c in listed), abs=1e-9
        )
        assert bytes.fromhex(step["bytes"]) == engine.vocabulary.bytes_of(step["id"])
        assert step["text"] == engine.vocabulary.show(step["id"])
    text = engine.vocabulary.text(path[len(ids) :])
    assert end == {"type": "end", "reason": "length", "text": text}


def test_jsonl_tells_how_a_token_was_chosen() -> None:
    engine = FakeEngine()
    for settings, name in ((SamplingSettings(), "greedy"), (HOT, "sampled")):
        for step in lines(engine, settings=settings)[1:-1]:
            if step["origin"] == "prompt":
                assert step["chosen_by"] is None
                assert step["sampler_logprob"] is None
            else:
                assert step["chosen_by"] == name
                assert step["sampler_logprob"] <= 0


def test_jsonl_has_null_for_minus_infinity() -> None:
    engine = FakeEngine()
    impossible = engine.vocabulary.rows - 1
    rows = lines(engine, candidates=1000, max_new_tokens=1)[-2]["candidates"]
    assert rows[-1] == {
        "id": impossible,
        "text": f"<id {impossible}>",
        "bytes": "",
        "logprob": None,
    }


def test_jsonl_holds_no_control_and_loses_none() -> None:
    engine = FakeEngine()
    hostile = " a\x1b]0;owned\x07\x9b2J\u202e\x7f[/x]你\U0001f1e6"
    planted_text(engine, "Once", hostile, logit=50)
    code, text = ran(engine, PromptSpec(text="Once"), format="jsonl", max_new_tokens=50)
    assert code == 0
    assert not set(text) & {chr(c) for c in [*range(10), *range(11, 32), *range(127, 160), 0x202E]}
    end = json.loads(text.splitlines()[-1])
    assert end["reason"] == "eos"
    assert end["text"] == hostile


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"max_new_tokens": 100}, "eos"),
        ({"max_new_tokens": 2}, "length"),
        ({"stop_texts": ("said",)}, "stop"),
        ({"stop_ids": (token_id(" king"),)}, "stop"),
        ({"max_new_tokens": 12, "ignore_eos": True}, "length"),
    ],
)
def test_the_reason_of_the_end_is_told(more: dict[str, Any], reason: str) -> None:
    engine = FakeEngine()
    planted_text(engine, "Once", " the king said so")
    more = {"max_new_tokens": 20, **more}
    assert lines(engine, "Once", **more)[-1]["reason"] == reason
    _, text = ran(engine, PromptSpec(text="Once"), **more)
    assert f"\nend: {reason} after " in text


def test_the_context_s_end_is_told() -> None:
    engine = FakeEngine(context=6)
    assert lines(engine, "Once upon")[-1]["reason"] == "context"


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers() -> None:
    with pytest.raises(UsageError, match=r"13 tokens .* is 10"):
        ran(FakeEngine(context=10), PromptSpec(text=" the" * 12))


def test_a_model_of_ones_own_needs_a_prompt() -> None:
    with pytest.raises(UsageError, match="fake needs a prompt"):
        ran(FakeEngine(), None)


def test_a_chat_is_rendered() -> None:
    engine = FakeEngine()
    chat = Chat((Message("user", "who"),), "the king")
    _, text = ran(engine, PromptSpec(chat=chat), format="jsonl")
    assert tuple(json.loads(text.splitlines()[0])["prompt_ids"]) == engine.render(chat).ids


def test_the_model_s_defaults_are_adopted_except_what_was_given() -> None:
    given = SamplingSettings(temperature=0.5, seed=9)
    head, *_ = lines(
        FakeEngine(), settings=given, given=frozenset({"temperature"}), model_defaults=True
    )
    assert head["sampling"] == {"temperature": 0.5, "top_k": 20, "top_p": 0.8, "min_p": 0.0}
    assert head["seed"] == 9


def test_what_no_model_can_suggest_stays_when_its_settings_are_adopted() -> None:
    class MadeUp(SamplingSettings, frozen=True):
        made_up: float = 0.0

    mine = MadeUp(seed=9, presence_penalty=0.5, min_p=0.2, made_up=0.5)
    suggested = SamplingSettings(temperature=0.7, top_k=20)

    settings = adopted(mine, frozenset({"min_p"}), suggested)

    assert settings == MadeUp(0.7, 20, 1.0, 0.2, 9, presence_penalty=0.5, made_up=0.5)


def test_text_streams_whole_characters_and_then_tells_every_step() -> None:
    engine = FakeEngine()
    planted_text(engine, "Once", " the 你 king")
    _, text = ran(engine, PromptSpec(text="Once"), settings=HOT, max_new_tokens=20, candidates=3)
    story, *blocks, end = text.split("\n\n")
    assert story == "<s>Once the 你 king</s>", "its first and its last token are to be seen"
    assert [b.split(" · ")[0] for b in blocks] == [f"step {n}" for n in range(1, 8)]
    assert 'after "Once␣the␣<E4><BD>"' in blocks[4]
    assert "(id 166, sampled)" in blocks[4]
    assert end == "end: eos after 7 tokens\n"


def test_text_names_both_probabilities_of_the_chosen_token() -> None:
    engine = FakeEngine()
    _, text = ran(engine, PromptSpec(text="Once"), settings=HOT, candidates=3, max_new_tokens=1)
    drawn = lines(engine, "Once", settings=HOT, max_new_tokens=1)[-2]
    model, sampler = (f"{math.exp(drawn[k]):.2%}" for k in ("logprob", "sampler_logprob"))
    assert f": model {model} (logprob {drawn['logprob']:.4f}), sampler {sampler}\n" in text


def test_text_lists_a_chosen_token_outside_the_list_at_its_rank() -> None:
    engine = FakeEngine()
    wild = SamplingSettings(temperature=3.0, seed=2)
    _, text = ran(engine, PromptSpec(text="Once"), settings=wild, candidates=1, max_new_tokens=3)
    starred = [line.split() for line in text.splitlines() if line.startswith("  *")]
    assert [row[0] for row in starred] == ["*"] * 3
    assert any(int(row[1].rstrip("=")) > 1 for row in starred)


def test_text_shows_controls_and_keeps_line_breaks() -> None:
    engine = FakeEngine()
    planted_text(engine, "Once", " a\x1b]0;owned\x07\r\n[/x] the", logit=50)
    _, text = ran(engine, PromptSpec(text="Once"), max_new_tokens=50)
    assert text.startswith("<s>Once a␛]0;owned␇␍\n[/x] the</s>\n")
    assert "\x1b" not in text


def test_a_failure_is_raised_and_what_was_told_stays() -> None:
    engine = FakeEngine(failures={3: OutOfMemoryError("full")})
    out = io.BytesIO()
    app = AppOptions(load=LoadOptions("fake"), prompt=PromptSpec(text="Once"))
    with pytest.raises(OutOfMemoryError):
        run_command.run(RunOptions(app), out, open_engine=lambda *_: engine, errors=io.StringIO())
    text = out.getvalue().decode()
    assert text.startswith("<s>Once")
    assert "step 2" in text
    assert text.endswith("end: failure after 2 tokens\n")


# As a program


def started(tmp_path: Path, *arguments: str, **engine: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*fake_command(**engine), "run", str(tmp_path), "--prompt", "Once", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_the_end_line(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    slow = {"seconds_per_token": 0.02}
    with started(tmp_path, "--format", "jsonl", "--max-new-tokens", "900", **slow) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(6)]
        process.send_signal(number)
        rest = process.stdout.read().splitlines()
    assert process.returncode == code
    assert json.loads(told[1])["type"] == "run"
    end = json.loads(rest[-1])
    assert (end["type"], end["reason"]) == ("end", "interrupted")


def test_what_libraries_print_is_kept_out_of_the_output(tmp_path: Path) -> None:
    with started(tmp_path, "--max-new-tokens", "2", "--format", "jsonl") as process:
        output, errors = process.communicate()
    first, *rest = output.splitlines()
    assert first == "a library prints while loading"  # before the command line began
    assert all(json.loads(line) for line in rest)
    assert errors == ""


def test_lines_come_one_by_one(tmp_path: Path) -> None:
    """The second token is never computed, so only a flushed line can be read."""
    with started(tmp_path, "--format", "jsonl", failures={}, seconds_per_token=60) as process:
        assert process.stdout is not None
        read = [process.stdout.readline() for _ in range(3)]
        process.kill()
    assert [json.loads(line)["type"] for line in read[1:]] == ["run", "step"]


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    with started(tmp_path, "--format", "jsonl", "--max-new-tokens", "900") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 141
        assert process.stderr.read() == ""


@pytest.mark.parametrize("format", ["jsonl", "text"])
@pytest.mark.parametrize("swallowed", [False, True])
def test_an_interruption_while_the_model_loads_has_an_end_too(format: str, swallowed: bool) -> None:
    def interrupted(*_: object) -> FakeEngine:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except SystemExit:
            if swallowed:
                raise ImportError("a library makes this of it") from None
            raise
        raise AssertionError("the signal came first")

    out = io.BytesIO()
    options = RunOptions(AppOptions(prompt=PromptSpec(text="Once")), format=format)  # type: ignore[arg-type]
    assert run_command.run(options, out, open_engine=interrupted, errors=io.StringIO()) == 130
    last = out.getvalue().decode()
    if format == "jsonl":
        assert json.loads(last) == {"type": "end", "reason": "interrupted", "text": ""}
    else:
        assert last == "end: interrupted after 0 tokens\n"


def test_a_stop_id_that_is_no_token_is_refused() -> None:
    with pytest.raises(UsageError, match="99999"):
        ran(FakeEngine(), PromptSpec(text="Once"), stop_ids=(99_999,))


def test_a_heading_begins_with_a_whole_character() -> None:
    engine = FakeEngine()
    planted_text(engine, "Once", "你 the king of the")
    _, text = ran(engine, PromptSpec(text="Once"), max_new_tokens=9)
    headings = [line for line in text.splitlines() if line.startswith("step ")]
    for heading in headings:
        assert not re.search(r'after "<[89AB]', heading), heading


def test_the_prompt_stays_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*fake_command(), "run", str(tmp_path), "--prompt", "Once", "--max-new-tokens", "1"]
    environment = {**os.environ, "TERM": "xterm"}
    subprocess.run(command, stdin=theirs, stdout=theirs, stderr=theirs, check=True, env=environment)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "\x1b[K<s>Once" in shown
    assert "\r\x1b[K" not in shown[shown.index("Once") :]


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*fake_command(), "run", str(tmp_path), "--prompt", "Once", "--max-new-tokens", "1"]
    subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        check=True,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert "weights 50%" in shown
    assert shown.endswith("\r\x1b[K")


def test_the_sampling_fields_are_all_told() -> None:
    head, *_ = lines(FakeEngine())
    assert head["sampling"] == {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    rare = SamplingSettings(temperature=1.0, typical_p=0.9, bias=(((5,), 2.0),), banned=((7, 8),))
    head, *_ = lines(FakeEngine(), settings=rare)
    told = {**head["sampling"], "seed": head["seed"]}
    assert msgspec.convert(told, SamplingSettings) == rare


def test_watched_tokens_are_told_in_both_formats() -> None:
    engine = FakeEngine()
    told = lines(engine, watch_ids=(3, 290))
    steps = [line for line in told if line["type"] == "step" and line["origin"] == "generated"]
    ids = told[0]["prompt_ids"]
    for line in steps:
        for watched in line["watched"]:
            (standing,) = engine.standings(ids, [watched["id"]])
            assert (watched["logprob"], watched["rank"]) == (standing.logprob, standing.rank)
        assert [w["id"] for w in line["watched"]] == [3, 290]
        ids.append(line["id"])
    assert "(id 3), rank" in ran(engine, PromptSpec(text="Once upon"), watch_ids=(3,))[1]


def test_what_a_run_writes_is_recorded_as_it_is_written(tmp_path: Path, capfdbinary) -> None:
    file = tmp_path / "run.cast"
    asked = ["run", "--prompt", "Once upon", "--max-new-tokens", "4", "--record", str(file)]
    assert main(asked, open_engine=lambda _options, _report: FakeEngine()) == 0
    written = capfdbinary.readouterr().out.decode()
    events = read_cast(file).events
    assert "".join(event.data for event in events) == written.replace("\n", "\r\n")
    assert len(events) > 4, "token by token"
    assert main(asked, open_engine=lambda _options, _report: FakeEngine()) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/proc/a.tokx", "cannot be written"),
        ("a" * 300, "cannot be written: file name too long"),
        ("a\0b", "cannot be written"),
        ("/dev/null/a.tokx", "there is no folder /dev/null"),
    ],
)
def test_a_session_that_cannot_be_made_is_refused_before_anything_is_computed(
    name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object) -> FakeEngine:
        raise AssertionError("the model was opened")

    assert main(["run", "--prompt", "Once", "--session", name], open_engine=never) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_session_that_cannot_be_written_to_its_end_is_a_failure(tmp_path: Path) -> None:
    """The file may not grow beyond a few pages, as on a full disk."""
    file = tmp_path / "a.tokx"
    asked = ["run", "--prompt", "Once", "--max-new-tokens", "200", "--session", str(file)]
    done = subprocess.run(
        [*fake_command(), *asked],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
    )
    assert done.returncode == 1
    assert f"The session in {file} is not whole: " in done.stderr
    assert "end: length after 200 tokens" in done.stdout, "what was generated is told all the same"


@pytest.mark.parametrize("room", [0, 400])
def test_a_recording_that_cannot_be_written_is_named(tmp_path: Path, room: int) -> None:
    """The file may not grow beyond that, as on a full disk."""
    file = tmp_path / "a.cast"
    asked = ["run", "--prompt", "Once", "--max-new-tokens", "200", "--record", str(file)]
    done = subprocess.run(
        [*fake_command(), *asked],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert done.returncode == 1
    assert done.stderr == f"tokexplore: {file}: file too large.\n"
    assert file.exists() == (room > 0), "without its first line it is no recording"


def test_a_chat_is_refused_before_the_weights_are_read() -> None:
    weights = list[str]()

    def opens(options: LoadOptions, report: Callable[[Progress], None]) -> FakeEngine:
        def seen(progress: Progress) -> None:
            weights.extend(["weights"] if progress.stage == "weights" else [])
            report(progress)

        return FakeEngine.open(options, seen, chat_template=False)

    chat = PromptSpec(chat=Chat((Message("user", "why"),)))
    app = AppOptions(load=LoadOptions("fake"), prompt=chat, max_new_tokens=1)
    with pytest.raises(UsageError, match="fake has no chat template: give plain text"):
        run_command.run(RunOptions(app), io.BytesIO(), open_engine=opens, errors=io.StringIO())
    assert not weights
    plain = msgspec.structs.replace(app, prompt=PromptSpec(text="why"))
    run_command.run(RunOptions(plain), io.BytesIO(), open_engine=opens, errors=io.StringIO())
    assert weights
