"""`tokexplore why`: its formats, and what an interruption leaves."""

import io
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.asked_why import ALL, IDS, asked, effects, lines, planted, written
from support.fake_engine import FakeEngine
from support.fake_interpreter import LAYERS, FakeInterpreter

from tokexplore.models.api.interpreter import LensStep
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.tui.cli.why_runner import write_why


def test_several_views_are_told_one_after_the_other() -> None:
    options = asked("lens", "layers", "words", **ALL)
    types = [line["type"] for line in lines(options)]
    order = [
        "why", "step", "layer", "split", "part", "estimate", "attention", "round", "unit",
        "totals", "end",
    ]  # fmt: skip
    assert sorted(set(types), key=types.index) == order
    said = written(options)[0]
    titles = ["What each layer says", "What each part added", "Which words did it"]
    assert [said.index(title) for title in titles] == sorted(said.index(t) for t in titles)
    with pytest.raises(UsageError, match="CSV is one table, and --lens and --words are several"):
        written(asked("lens", "words", format="csv"))


def test_lines_come_as_they_are_known() -> None:
    out, seen = io.BytesIO(), list[int]()

    class Watched(FakeInterpreter):
        def occlude(self, *args: Any) -> Iterator[Any]:
            for found in super().occlude(*args):
                seen.append(out.getvalue().count(b'"unit"'))
                yield found

    engine = FakeEngine()
    engine.interpreter = Watched(engine)
    options = asked("words", format="jsonl", finest="sentence")
    write_why(options, out, open_engine=lambda *_: engine, errors=io.StringIO())
    assert seen == [0, 0, 1, 2], "the one with nothing hidden first"


def test_a_page_has_the_text_in_colour_heat_and_bars_and_loads_nothing() -> None:
    page = written(asked("lens", "layers", "words", positions=3, format="html", **ALL))[0]
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page
    assert not re.search(r"<script|https?://", page)
    story = re.search(r'<p class="story">(.*?)</p>', page, re.S)
    assert story is not None
    spans = re.findall(r'<span class="(t[^"]*)"( title="[^"]*")?>', story[1])
    assert len(spans) == len(IDS)
    assert spans[-1] == ("t prompt", ""), "the last token is never hidden"
    assert all("nats; with it hidden" in title for _, title in spans[:-1])
    for each in effects():
        assert f"{abs(each.effect):.4f}</td>" in page
    assert re.search(r'class="said h[1-5]"', page)
    assert page.count('class="bar"') == 2 * LAYERS + 1 + len(effects())


def test_a_token_has_the_colour_of_the_finest_stretch() -> None:
    page = written(asked("words", format="html", everything=True), planted())[0]
    story = re.search(r'<p class="story">(.*?)</p>', page, re.S)
    assert story is not None
    kinds = re.findall(r'<span class="(t[^"]*)"', story[1])
    assert kinds[3] == "t more-5"
    assert kinds[5] == "t less-1"
    assert set(kinds[:3] + kinds[6:-1] + [kinds[4]]) == {"t"}


def test_hostile_tokens_reach_no_terminal_and_no_page() -> None:
    text = "Once\x1b[31m upon\x1b]0;owned\x07 a [bold] <script>alert(1)</script> time ."
    prompt = PromptSpec(text=text)
    for form in ("text", "jsonl", "csv", "html"):
        views = ("words",) if form == "csv" else ("lens", "layers", "words")
        options = asked(*views, prompt=prompt, format=form, everything=True, token="\x1b[31m")
        said, errors = written(options)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said.replace("\r\n", "\n")), form
        assert "\x1b" not in errors
        assert "<script" not in said or form != "html"


def test_a_file_is_new_and_tells_its_format(tmp_path: Path) -> None:
    file = tmp_path / "why.csv"
    assert written(asked("layers", output=str(file)))[0] == ""
    assert file.read_text().startswith("part,kind,layer")
    with pytest.raises(UsageError, match="is there already: give another name, or --force"):
        written(asked("layers", output=str(file)))
    written(asked("layers", output=str(file), force=True, format="jsonl"))
    assert json.loads(file.read_text().splitlines()[0])["type"] == "why"
    with pytest.raises(UsageError, match="does not tell its format"):
        written(asked("layers", output=str(tmp_path / "why.doc")))


# Interruptions


def interrupting(after: int) -> FakeEngine:
    """Ctrl-C comes while the n-th stretch is hidden."""

    class Interrupted(FakeInterpreter):
        def occlude(self, ids: Any, hidden: Any, tokens: Any, control: Any) -> Iterator[Any]:
            for found in super().occlude(ids, hidden, tokens, control):
                if len(self.hidden) == after + 1:  # the first one hides nothing
                    os.kill(os.getpid(), signal.SIGINT)
                yield found

    engine = FakeEngine()
    engine.interpreter = Interrupted(engine)
    return engine


def test_ctrl_c_ends_it_with_what_is_done() -> None:
    options = asked("words", gradients=True)
    found = lines(options, interrupting(5), code=130)
    assert [x["effect"] for x in found if x["type"] == "unit"] == [
        each.effect for each in effects()[:5]
    ]
    assert found[-2]["units"] == 5
    assert found[-1] == {"type": "end", "interrupted": True}
    said, errors = written(options, interrupting(5), code=130)
    assert len(re.findall(r"^ *[+−][\d.]+ .*”$", said, re.M)) >= 5
    assert "stopped: what was done until then is told." in errors
    rows = written(msgspec.structs.replace(options, format="csv"), interrupting(5), code=130)[0]
    assert len(rows.splitlines()) == 6


def test_ctrl_c_before_anything_is_known_writes_nothing() -> None:
    class Early(FakeEngine):
        def stream(self, *args: Any) -> Iterator[Any]:
            os.kill(os.getpid(), signal.SIGINT)
            return super().stream(*args)

    assert written(asked("lens"), Early(), code=130)[0] == ""


def test_ctrl_c_while_layers_are_read_keeps_the_steps_that_are_done() -> None:
    class Interrupted(FakeInterpreter):
        def lens(self, *args: Any, **more: Any) -> Iterator[LensStep]:
            for number, step in enumerate(super().lens(*args, **more)):
                if number == 1:
                    os.kill(os.getpid(), signal.SIGINT)
                yield step

    for form in ("text", "html", "jsonl"):
        engine = FakeEngine()
        engine.interpreter = Interrupted(engine)
        options = asked("lens", "layers", positions=4, format=form)
        said, _ = written(options, engine, code=130)
        assert "It was stopped before the step after the prompt." in said or form == "jsonl"
        for position in (len(IDS) - 3, len(IDS) - 2):
            assert str(position) in said
        assert "What each part added" not in said
