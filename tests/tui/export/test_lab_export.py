"""Experiments of the lab in exports: all that is kept comes back, and a page shows it."""

import html
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.exports import HOSTILE, VOCABULARY, Page, imported, source_of, written
from support.sessions import PROVENANCE, grow, prompted

from tokexplore.models.errors import UsageError
from tokexplore.models.lab.sides import sides_of
from tokexplore.models.scored_text import ScoredText
from tokexplore.models.tree.events import Studied
from tokexplore.models.tree.study import (
    Checked,
    CloseCall,
    CloseCalls,
    Fork,
    Reading,
    StudiedRun,
    Study,
    Verdict,
)
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.explore.open_session import continue_session
from tokexplore.tui.export.import_jsonl import Lines
from tokexplore.tui.export.source import Source

IDS = tuple(range(1, len(HOSTILE) + 1))
LEFT, RIGHT = (*IDS, 200), (*IDS, 201, 202)
RUNS = (
    StudiedRun(0, "alone, in one pass", 5, LEFT, "length", 0.25),
    StudiedRun(1, "batch 2 <b>", 5, RIGHT, "eos", 0.5),
    StudiedRun(2, "batch 4", 5, LEFT, "length", 0.25),
)
FORK = Fork(
    len(IDS) + 1, IDS, ((200, (0, 2)), (201, (1,))), (200, 201, 1),
    (
        Reading((0, 2), (10.0, 9.9375, None), (200,), (10.5, 10.625)),
        Reading((1,), (9.9375, 10.0, -3.5), (201,), (10.5,)),
    ),
    0.0625, 0.125, 0.0625, Verdict("arithmetic", None, True),
)  # fmt: skip
PARTED = Study(
    "greedy", "bfloat16", 30, 3, ("batch",), RUNS, (Checked(0, True, True),), (FORK,),
    notices=("cache cannot vary on <i>x</i>: why.",), offered=("batch", "prefill"),
)  # fmt: skip
CALL = CloseCall(
    2, (2, 299), (Reading((0, 1), (4.0, 3.5), (2,), (4.75, 4.75)),), 0.5, 0.0, None,
)  # fmt: skip
ONE = Study(
    "greedy", "float32", 30, 2, ("cache",),
    (RUNS[0], msgspec.structs.replace(RUNS[0], number=1)),
    close_calls=CloseCalls((CALL,), 0, 0.25, 1, True), offered=("cache",),
)  # fmt: skip
OLDER = Study("greedy", "bfloat16", 30, 2, ("batch",), RUNS[:2])


def sample() -> Source:
    tree = TokenTree()
    leaf = prompted(tree)
    for study in (OLDER, PARTED, ONE):
        tree.append(Studied(leaf, study))
    return source_of(tree, grow(tree, leaf, 3))


def lines_of(source: Source, scope="all") -> list[dict]:
    lines = map(json.loads, written(source, "jsonl", scope).splitlines())
    return [line for line in lines if line["type"] == "study"]


def test_json_lines_have_all_of_it_and_bring_it_back(tmp_path: Path) -> None:
    source = sample()
    first = written(source, "jsonl", "all", 256)
    again = imported(first)
    assert again.tree.studies == source.tree.studies
    (tmp_path / "x.jsonl").write_bytes(first)
    kept = continue_session(str(tmp_path / "x.jsonl"))
    assert list(kept.session.tree.studies.values()) == list(source.tree.studies.values())
    assert "left out" not in kept.notice
    assert written(again, "jsonl", "all", 256) == first
    assert all(again.vocabulary.bytes_of(t) == VOCABULARY.bytes_of(t) for t in (*LEFT, *RIGHT))
    older, parted, one = lines_of(source)
    assert "close_calls" not in older
    assert [run["text"] for run in parted["runs"]] == [VOCABULARY.text(r.ids) for r in RUNS]
    (fork,) = parted["forks"]
    for sides, read in zip(fork["sides"], sides_of(FORK), strict=True):
        assert sides["margin"] == sides["logits"][0] - sides["logits"][1] == read.margin
    assert [side["runs"] for side in fork["sides"]] == [[0], [1], [2]], "by their own sums"
    assert fork["sides"][2]["logprobs"] == [10.0 - 10.625, 9.9375 - 10.625]
    assert fork["spread"] == {"runs": 3, "lowest": -0.0625, "median": 0.0625, "highest": 0.0625}
    assert one["close_calls"]["calls"][0]["could_flip"] is True, "0.5 is at most 3 x 0.25"
    assert lines_of(source, "path") == [], "a path is told as a run"
    data = json.loads(written(source, "json"))
    assert data["studies"] == [older, parted, one]
    without = source_of(without_studies())
    assert "studies" not in json.loads(written(without, "json"))


def without_studies() -> TokenTree:
    tree = TokenTree()
    grow(tree, prompted(tree), 3)
    return tree


def test_texts_that_were_asked_for_come_back_with_their_numbers(tmp_path: Path) -> None:
    tree = TokenTree()
    leaf = prompted(tree)
    node = grow(tree, leaf, 3)
    asked = (
        ScoredText("<b>why</b>\n", (1, 2), (-1.5, -2.25), (3, 0)),
        ScoredText("no", (5,), (None,), (300,), literal=True),
        ScoredText("so", (6,), (-0.5,), (1,)),
        ScoredText("other", (7,), (-0.25,), (1,), model=1),
    )
    tree.load(msgspec.structs.replace(PROVENANCE, model="another"))
    source = source_of(tree, node)._replace(texts={leaf: asked})
    first = written(source, "jsonl")
    lines = [line for line in map(json.loads, first.splitlines()) if line["type"] == "text"]
    assert [line["node"] for line in lines] == [leaf] * 4
    assert [line["logprob"] for line in lines] == [-3.75, None, -0.5, -0.25]
    assert [line["from_best"] for line in lines] == [-3.25, None, 0.0, 0.0], "by its own model"
    assert lines[0]["probability"] == math.exp(-3.75)
    read = Lines(first.splitlines(keepends=True), "x.jsonl").make(TokenTree())
    assert read.texts == {leaf: asked[:3]}
    assert read.left_out == 1
    (tmp_path / "x.jsonl").write_bytes(first)
    opened = continue_session(str(tmp_path / "x.jsonl"))
    assert opened.session.texts == {leaf: asked[:3]}
    assert "Texts that another model scored are left out: 1." in opened.notice
    assert json.loads(written(source, "json"))["texts"] == lines
    assert not [x for x in written(source, "jsonl", "path").splitlines() if b'"text","node"' in x]
    page = written(source, "html").decode()
    texts = page[page.index('<section id="texts">') : page.index("</section>")]
    assert f'href="#n{leaf}"' in texts
    assert "&lt;b&gt;why&lt;/b&gt;" in texts
    rows = re.findall(r'<td class="n">([^<]*)</td>', texts)
    assert rows == ["-0.5000", "60.65%", "1", "-3.7500", "2.35%", "1/25.8", "-∞", "0", "0",
                    "-0.2500", "77.88%", "1"]  # fmt: skip


@pytest.mark.parametrize("scope", ["path", "visible", "all"])
def test_the_page_of_the_lab_tells_it_and_runs_nothing_of_it(scope) -> None:
    text = written(sample(), "html", scope).decode()
    page = Page()
    page.feed(text)
    assert page.tags.count("script") == 2
    assert not {"img", "b-evil", "iframe", "link"} & set(page.tags)
    assert {name for name, _ in page.sources} == {"href"}
    places = {value for _, value in page.sources}
    assert places == {"#lab", "#", "#lab2-0"}
    assert 'id="lab2-0"' in text
    assert "url(" not in text
    lab = text[text.index('<section id="lab">') : text.index("</section>")]
    assert "batch 2 &lt;b&gt;" in lab
    assert "cache cannot vary on &lt;i&gt;x&lt;/i&gt;: why." in lab
    assert "verdict: arithmetic (noise 0.125 ≥ margin 0.0625 nats)" in lab
    assert lab.count("<circle") == 3 + 1, "a dot for each run, and one for a reading of a call"
    for figure in ("+0.0625", "-0.0625", "10.0000", "-0.6250", "▲ could flip", "3 σ of the noise"):
        assert figure in lab
    assert html.escape(VOCABULARY.show(200)) in lab
    shown = "".join(re.findall(r"<article>(.*?)</article>", lab, re.DOTALL))
    assert "not told" in shown, "the fork of an older result that was stopped"


def test_without_an_experiment_the_page_is_what_it_was() -> None:
    text = written(source_of(without_studies()), "html").decode()
    assert "#lab" not in text


def test_the_report_tells_it_as_text() -> None:
    text = written(sample(), "markdown").decode()
    assert text.count("## Lab: one request") == 3
    _, _, lab = text.partition("## Lab: one request 3 times")
    block = lab.split("```text\n")[1].split("\n```")[0]
    assert "2 unique of 3" in block
    assert "spread 0.125" in block
    assert text.count("```") == 6
    assert "## Lab" not in written(sample(), "csv").decode()


@settings(max_examples=150)
@given(st.data())
def test_damaged_experiments_are_refused_or_shown(data: st.DataObject) -> None:
    lines = written(sample(), "jsonl").splitlines(keepends=True)
    places = [at for at, line in enumerate(lines) if b'"type":"study"' in line]
    index = data.draw(st.sampled_from(places))
    line = json.loads(lines[index])
    part: dict | list = line
    for _ in range(data.draw(st.integers(0, 4))):
        inner = [
            v
            for v in (part.values() if isinstance(part, dict) else part)
            if v and isinstance(v, dict | list)
        ]
        if inner:
            part = data.draw(st.sampled_from(inner))
    name = data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
    part[name] = data.draw(
        st.one_of(
            st.none(), st.integers(-5, 10**20), st.floats(), st.text(max_size=3),
            st.just([]), st.just([[]]), st.just(0), st.just(1e308), st.just(-1e308),
        )
    )  # fmt: skip
    lines[index] = json.dumps(line).encode() + b"\n"
    try:
        again = imported(b"".join(lines))
    except UsageError:
        return
    for form in ("html", "markdown", "json"):
        written(again, form)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
def test_a_browser_shows_the_lab_alone_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    probe = (
        "<script>addEventListener('load', () => document.title = ['#lab', '.story', 'header']"
        ".map(s => document.querySelector(s).checkVisibility()).join(' '))</script>"
    )
    text = written(sample(), "html").decode()
    text = re.sub(r"; script-src '[^']*'", "; script-src 'unsafe-inline'", text)
    path.write_text(text.replace("</body>", f"{probe}</body>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    for place, shown in (
        ("#lab", "true false false"),
        ("#lab2-0", "true false false"),
        ("", "true true true"),
    ):
        done = subprocess.run(
            [*command, f"file://{path}{place}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert f"<title>{shown}</title>" in done.stdout
