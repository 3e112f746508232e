"""Whatever lies in a file: an answer or one sentence, soon, and never a traceback.

`FUZZ=500 pytest tests/fuzz` tries that many of each, others every time.
"""

import contextlib
import io
import json
import os
import pickle
import sqlite3
import struct
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.fake_engine import FakeEngine
from support.malformed import DEEP, LONG, TEXT, WHOLE, nearly, written
from support.sessions import kept
from support.written_models import CONFIG, make

from tokexplore.models.errors import TokexploreError
from tokexplore.models.session.journal import Journal
from tokexplore.models.session.timeline import open_timeline
from tokexplore.models.tree.events import Noted
from tokexplore.tui.cli import dispatch
from tokexplore.tui.cli.tape_run import app_options
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.open_session import continue_session
from tokexplore.tui.explore.replay import Replay
from tokexplore.tui.tape.script import COMMANDS, read_script

ASKED = os.environ.get("FUZZ", "")
SECONDS = 10
"""CPU time that any of these may take."""


def tried(share: float = 1.0) -> settings:
    """How many are tried; always the same ones where nobody asks for more."""
    return settings(
        max_examples=max(1, int(int(ASKED or 30) * share)), database=None,
        derandomize=not ASKED, suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for one try, within the time that it may take."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
    assert time.process_time() - began < SECONDS


def told(*arguments: str, codes: tuple[int, ...] = (0, 1, 2)) -> str:
    """What the command writes; where it fails that is one sentence of ours."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = dispatch.main(list(arguments), open_engine=FakeEngine.open)
    said = err.getvalue()
    assert code in codes, said
    assert "Traceback" not in said
    assert "tokexplore failed" not in said
    if code:
        assert said.startswith("tokexplore: ")
        assert said.count("\n") == 1, said
    return out.getvalue()


SIZES = {
    "num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 100,
    "head_dim": 4, "num_key_value_heads": 1, "tie_word_embeddings": True,
    "is_encoder_decoder": False, "layer_types": ["full_attention", "sliding_attention"],
    "quantization_config": {"quant_method": "gptq", "bits": 4}, "auto_map": {"AutoConfig": "a.B"},
    "text_config": {"model_type": "llama", "hidden_size": 8}, "dtype": "float32",
}  # fmt: skip
HEADER = {
    "__metadata__": {"format": "pt"},
    "a.weight": {"dtype": "F32", "shape": [5, 5], "data_offsets": [0, 100]},
    "lm_head.weight": {"dtype": "BF16", "shape": [0], "data_offsets": [100, 100]},
}
MODEL = {
    "config.json": CONFIG | SIZES,
    "model.safetensors.index.json": {"weight_map": {"a": "model.safetensors"}, "metadata": {}},
    "tokenizer_config.json": {"chat_template": "{{ 1 }}", "model_max_length": 9, "auto_map": {}},
    "special_tokens_map.json": {"bos_token": "<s>"},
    "chat_template.json": {"chat_template": "x"},
    "adapter_config.json": {"base": "x"},
}


@tried()
@given(st.sampled_from(sorted(MODEL)).flatmap(lambda n: st.tuples(st.just(n), written(MODEL[n]))))
@example(("config.json", json.dumps(CONFIG | {"architectures": 3})))
@example(("config.json", json.dumps(CONFIG | {"model_type": ["llama"]})))
@example(("config.json", json.dumps(CONFIG | {"quantization_config": "gptq"})))
@example(("config.json", json.dumps(CONFIG | {"auto_map": 7})))
@example(("config.json", f'{{"a": {DEEP}}}'))
@example(("config.json", f'{{"num_hidden_layers": {LONG}}}'))
@example(("model.safetensors.index.json", '{"weight_map": null}'))
@example(("model.safetensors.index.json", '{"weight_map": {"a": 1}}'))
@example(("tokenizer_config.json", DEEP))
def test_a_model_directory_is_listed_beside_a_good_one(file: tuple[str, str]) -> None:
    name, text = file
    with folder() as place:
        make(place / "bad")
        make(place / "good")
        if name == "model.safetensors.index.json":
            (place / "bad" / "model.safetensors").rename(place / "bad" / "one.safetensors")
        (place / "bad" / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        *_, bad, good = told("models", str(place), codes=(0,)).splitlines()
        assert f"{place}/bad" in bad
        assert "complete" in good


@tried()
@given(written(HEADER), st.integers(0, 120))
@example(json.dumps({"a": {"dtype": "F32", "data_offsets": [0, 100]}}), 100)
@example(json.dumps({"a": {"dtype": ["F32"], "shape": [25], "data_offsets": [0, 100]}}), 100)
@example(json.dumps({"a": {"dtype": "F32", "shape": "25", "data_offsets": [0, 100]}}), 100)
@example(f'{{"a": {DEEP}}}', 100)
@example("{}", 0)
def test_a_header_of_tensors_is_read_or_told(text: str, data: int) -> None:
    packed = text.encode("utf-8", "surrogatepass")
    with folder() as place:
        make(place / "bad")
        (place / "bad" / "model.safetensors").write_bytes(
            struct.pack("<Q", len(packed)) + packed + bytes(data)
        )
        assert f"{place}/bad" in told("models", str(place), codes=(0,)).splitlines()[-1]


PICKLE = (
    b"\x80\x02}q\x00X\x08\x00\x00\x00a.weightq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02((X\x07\x00"
    b"\x00\x00storageq\x03ctorch\nFloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K"
    b"\x19tq\x07QK\x00K\x05K\x05\x86q\x08K\x05K\x01\x86q\t\x89ccollections\nOrderedDict\nq\n)Rq\x0btq"
    b"\x0cRq\rs."
)
"""As torch writes one tensor of 5x5 numbers."""
START = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
EDIT = st.tuples(
    st.integers(0, len(PICKLE)),
    st.integers(0, 3),
    st.one_of(
        st.binary(max_size=3),
        st.sampled_from([b"(", b")", b"}", b"R", b"Q", b"b", b"\x81", b"\x8a\xff", b"\x85" * 9999]),
    ),
)


@tried(2.0)
@given(st.lists(EDIT, max_size=4), st.booleans(), st.integers(0, 120))
@example([], True, 100)
@example([], False, 100)
@example([(0, 200, b"\x80\x02}K\x01" + b"\x85" * 100_000 + b"K\x01s.")], True, 100)
def test_pickled_weights_are_read_or_told(
    edits: list[tuple[int, int, bytes]], archived: bool, data: int
) -> None:
    code = PICKLE
    for at, gone, new in edits:
        code = code[:at] + new + code[at + gone :]
    with folder() as place:
        file = make(place / "bad") / "pytorch_model.bin"
        (place / "bad" / "model.safetensors").unlink()
        if archived:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("w/data.pkl", code)
                archive.writestr("w/data/0", bytes(data))
        else:
            file.write_bytes(START + code + pickle.dumps(["0"], 2) + bytes(8 + data))
        line = told("models", str(place), codes=(0,)).splitlines()[-1]
        assert ("complete" if not edits and data >= 100 else f"{place}/bad") in line


SESSION = {
    "meta": ("key", "value"),
    "event": ("seq", "at", "kind", "act", "node", "parent", "token", "origin", "settings", "model",
              "branch", "draw", "cursor", "logprob", "rank", "sampler_logprob", "kept", "log_norm",
              "body"),
    "distribution": ("seq", "node", "again", "model", "vocabulary", "lse", "entropy", "margin",
                     "top_logprob", "source", "seconds"),
    "candidates": ("seq", "packed"),
    "vocabulary": ("rows", "leading_space", "special", "ends", "bytes"),
}  # fmt: skip
COLUMN = st.sampled_from([(table, column) for table, all_ in SESSION.items() for column in all_])
CELL = st.one_of(
    st.none(), WHOLE.filter(lambda n: abs(n) < 2**63), st.sampled_from([0.5, -1.0, 1e300, 9e999]),
    TEXT.map(lambda text: text.encode("utf-8", "replace").decode()),
    st.sampled_from([b"", b"\xff", b"\0" * 40, DEEP, LONG, '{"chat": 3}', '{"a": "b"}']),
)  # fmt: skip
META = {
    "created": 1.0, "view": {"row": 1, "load": {"model": "x"}, "settings": {"temperature": 1.0}},
    "summary": {"model": "fake", "nodes": 3, "words": "w", "updated": 1.0}, "ended": "quit",
    "holder": {"host": os.uname().nodename, "pid": 1, "started": 1.0}, "previous": "x",
    "texts": {"4": [{"text": "a", "ids": [5], "logprobs": [-1.0], "ranks": [1], "model": 0}]},
}  # fmt: skip


@tried()
@given(
    st.lists(st.tuples(COLUMN, CELL, st.sampled_from(["1", "rowid % 3 = 0", "rowid = 5"])),
             min_size=1, max_size=3),
    st.sampled_from(sorted(META)).flatmap(lambda k: st.tuples(st.just(k), written(META[k]))),
)  # fmt: skip
@example([], ("created", "nan"))
@example([], ("created", "1e300"))
@example([], ("summary", '{"updated": 1e300}'))
@example([], ("holder", f'{{"a": {DEEP}}}'))
@example([], ("summary", f'{{"a": {DEEP}}}'))
@example([], ("view", f'{{"a": {DEEP}}}'))
@example([], ("texts", f'{{"4": {DEEP}}}'))
@example([], ("holder", json.dumps(META["holder"] | {"pid": -1})))  # type: ignore[operator]
@example([(("event", "at"), 2**63 - 1, "rowid % 3 = 0")], ("ended", "quit"))
@example([(("event", "at"), "x", "kind = 'taken'")], ("ended", "quit"))
def test_a_session_is_listed_exported_replayed_and_gone_on_with_or_refused(
    edits: list[tuple[tuple[str, str], object, str]], meta: tuple[str, str]
) -> None:
    with folder() as place:
        path = place / "a.tokx"
        kept(path, count=6)
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            key, value = meta
            value = value.encode("utf-8", "replace").decode()
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
            for (table, column), cell, where in edits:
                where = where if table in ("event", "distribution") else "1"
                where = where.replace("rowid", "seq")
                with contextlib.suppress(sqlite3.Error, UnicodeError):
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (cell,))
        for form in ("jsonl", "html", "csv"):
            told("export", str(path), "--format", form, "-o", str(place / f"a.{form}"))
        with contextlib.suppress(TokexploreError):
            timeline = open_timeline(path)
            replay = Replay(timeline, Explorer(continue_session(str(path)).state.settings, 0.5))
            while not replay.over:
                replay.step()
        with contextlib.suppress(TokexploreError):
            going = continue_session(str(path))
            said: list[str] = []
            journal = Journal(
                lambda: path, lambda text, _bad: said.append(text), created=going.session.created,
                first=going.session.next_event, model=0,
            )  # fmt: skip
            journal.hold()
            journal.record(Noted(going.session.leaf, "more"))
            assert journal.close("quit") == "", said


def lines_of_ours() -> list[Any]:
    """The JSON lines that a session is exported as."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "a.tokx")
        kept(path, count=3)
        told("export", str(path), "-o", f"{name}/a.jsonl", "--candidates", "3", codes=(0,))
        return [json.loads(line) for line in Path(name, "a.jsonl").read_text().splitlines()]


LINES = lines_of_ours()


@tried()
@given(st.integers(0, len(LINES) - 1).flatmap(
    lambda place: st.tuples(st.just(place), written(LINES[place]))
))  # fmt: skip
@example((0, DEEP))
@example((0, LONG))
def test_json_lines_become_a_session_or_are_refused(line: tuple[int, str]) -> None:
    place, text = line
    lines = [json.dumps(one) for one in LINES]
    lines[place] = text
    with folder() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(name))
        path = name / "a.jsonl"
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        with contextlib.suppress(TokexploreError):
            opened = continue_session(str(path))
            told("export", str(opened.session.path), "-o", str(name / "again.html"))


CAST = [
    {"version": 2, "width": 20, "height": 4, "timestamp": 7, "env": {"TERM": "x"}},
    [0.1, "o", "\x1b[1;38;2;255;0;0mhello\x1b[2;1H\x1b[41mred"],
    [0.6, "r", "30x5"],
    [1.2, "m", "here"],
    [1.8, "o", "\x1b[>1;2c\x1b[99999999999@你好\u0300\x1b(0qq"],
]


@tried(0.5)
@given(nearly(CAST), st.booleans())
@example([CAST[0], [1, "r", "wide"]], False)
@example([CAST[0], [10**400, "o", "x"], CAST[1]], False)
@example([CAST[0], [1, "o", "\x1b[>1;2;3;4;5c\ud800"], CAST[1]], False)
def test_a_recording_becomes_a_picture_or_is_refused(events: object, cut: bool) -> None:
    lines = [json.dumps(line) for line in (events if isinstance(events, list) else [events])]
    text = "\n".join(lines)[: -7 if cut else None]
    with folder() as place:
        (place / "a.cast").write_text(text)
        told("gif", str(place / "a.cast"), str(place / "a.gif"))


LINE = st.tuples(
    st.sampled_from([*COMMANDS, "Jump", "#", "", "Repeat 3"]),
    st.one_of(
        TEXT.map(lambda text: text.encode("utf-8", "replace").decode()),
        st.sampled_from(["120x40", "Key a", "Type b", "on", "1", "0.5", "--seed 3", "'x", "²"]),
        WHOLE.map(str),
        st.sampled_from(["--seed", "--temperature", "--bias-id 5=", "--top-k"]).flatmap(
            lambda option: WHOLE.map(lambda n: f"{option} {n}")
        ),
    ),
).map(" ".join)


@tried()
@given(st.lists(LINE, min_size=1, max_size=4))
@example(["Type a\x07"])
@example([f"Repeat {LONG} Key a"])
@example(["Repeat ² Key a"])
def test_a_tape_is_read_or_a_line_of_it_is_named(lines: list[str]) -> None:
    with folder() as place:
        (place / "a.tape").write_text("\n".join(lines), encoding="utf-8")
        with contextlib.suppress(TokexploreError):
            app_options(read_script(place / "a.tape"))


MESSAGES = {
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": "I", "reasoning_content": "hm"},
    ],
    "tools": [{"type": "function", "function": {"name": "f"}}],
}


@tried()
@given(written(MESSAGES), written({"deep": [1, 2.5, "x"]}))
@example(DEEP, "1")
@example(LONG, "1")
@example(json.dumps(MESSAGES), LONG)
@example(json.dumps(MESSAGES), str(2**64))
def test_messages_are_answered_or_refused(text: str, argument: str) -> None:
    with folder() as place:
        (place / "a.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        argument = argument.encode("utf-8", "replace").decode()[:10_000]
        asked = ("run", "x", "--messages", str(place / "a.json"), "--max-new-tokens", "1")
        told(*asked, "--record", str(place / "a.cast"), "--template-arg", f"a={argument}")


@tried()
@given(written({"floor": -46.4, "mat": -45.25, "x": 1}) | written([1.0, 2, 3.5]))
@example(f"[{LONG}, 1]")
@example("[1e308, 1]")
def test_logits_are_shown_or_refused(text: str) -> None:
    with folder() as place:
        (place / "a.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        assert "nan" not in told("lens", "--file", str(place / "a.json"), "--top-p", "0.5").split()
