"""Exports tell the truth, and what a model says in them is text and nothing else."""

import csv
import io
import json
import math
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.exports import HOSTILE, VOCABULARY, Page, imported, source_of, written
from support.sessions import PROVENANCE, distribution, grow, prompted

from tokexplore.models.display import safe_text
from tokexplore.models.errors import UsageError
from tokexplore.models.tree.events import (
    Bookmarked,
    Ended,
    Hidden,
    Labelled,
    Named,
    Noted,
    Opened,
    Origin,
    Viewed,
)
from tokexplore.models.tree.exploring import explore
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.models.tree.visibility import is_hidden
from tokexplore.tui.export.formats import FORMATS
from tokexplore.tui.export.html_page import page_file
from tokexplore.tui.export.source import Scope, Source
from tokexplore.widgets.heat import level
from tokexplore.widgets.numbers import logprob_text, percent


def sample() -> Source:
    """Two prompts, three branches, one hidden; all hostile tokens on one path."""
    tree = TokenTree()
    leaf = prompted(tree)
    for token in range(1, len(HOSTILE) + 1):
        tree.record_distribution(leaf, distribution(token))
        leaf = tree.take(leaf, token, "typed", logprob=-1.5, rank=3)
    fork = tree.path(leaf)[6]
    other = grow(tree, fork, 5, seed=100)
    tree.history.change(Opened(tree.branch_of[other]))
    third = grow(tree, fork, 4, seed=200)
    tree.record_distribution(third, distribution(999))
    tree.append(Ended(third, "eos"))
    tree.history.change(Hidden(tree.branch_of[third]))
    tree.history.change(Named(2, "<i>second</i>"))
    tree.history.change(Noted(leaf, "=note | <b>"))
    tree.history.change(Labelled(leaf, "=here <i>"))
    tree.history.change(Bookmarked(other, True))
    return source_of(tree, other)


def test_a_path_is_what_a_run_writes() -> None:
    source = sample()
    lines = [json.loads(line) for line in written(source, "jsonl", "path").splitlines()]
    path = source.tree.path(source.leaf)
    assert [line["type"] for line in lines] == ["run", *["step"] * (len(path) - 1), "end"]
    assert lines[0]["prompt_ids"] == [0, 5, 6, 7]
    assert lines[0]["model"] == PROVENANCE.source
    assert [line["id"] for line in lines[1:-1]] == [source.tree.token[n] for n in path[1:]]
    assert [line["position"] for line in lines[1:-1]] == list(range(1, len(path)))
    last, told = lines[-2], source.tree.distribution[path[-2]]
    assert last["origin"] == "generated"
    assert last["chosen_by"] == "sampled"
    assert last["candidates"][3]["logprob"] == told.logprob(3)
    assert last["tail_mass"] == told.tail_mass(20)
    assert "node" not in last


def test_numbers_that_are_not_finite_are_null() -> None:
    tree = TokenTree()
    leaf = prompted(tree)
    told = distribution(1, count=4)
    logits = bytes(told.logits[:12]) + b"\x00\x00\x80\xff"  # the last one is -inf
    tree.record_distribution(leaf, type(told)(told.ids, logits, 300, told.lse, told.entropy))
    tree.take(leaf, told.id_view[0], "picked")
    line = json.loads(written(source_of(tree), "jsonl").splitlines()[-2])
    steps = [
        json.loads(x) for x in written(source_of(tree), "jsonl").splitlines() if b'"step"' in x
    ]
    assert steps[-1]["candidates"][3]["logprob"] is None
    assert line["type"] != "run"


def test_scopes_leave_out_what_they_say() -> None:
    source = sample()
    tree = source.tree
    counts = {scope: len(list(source.nodes(scope))) for scope in ("path", "visible", "all")}
    hidden = sum(is_hidden(tree, tree.branch_of[n]) for n in range(1, len(tree)))
    assert counts["all"] == len(tree) - 1
    assert counts["visible"] == counts["all"] - hidden
    assert counts["path"] == len(tree.path(source.leaf))
    assert b'"hidden":true' not in written(source, "json", "visible")
    assert b'"hidden":true' in written(source, "json", "all")


@pytest.mark.parametrize("count", [0, 3, 256])
def test_json_is_one_object_with_every_node(count: int) -> None:
    source = sample()
    data = json.loads(written(source, "json", candidates=count))
    assert len(data["nodes"]) == len(source.tree) - 1
    assert [b["branch"] for b in data["branches"]] == [1, 2, 3]
    assert data["branches"][1]["name"] == "<i>second</i>"
    assert max(len(node["candidates"]) for node in data["nodes"]) == min(count, 64)


def test_csv_has_a_row_a_node_and_no_formulas() -> None:
    source = sample()
    rows = list(csv.DictReader(io.StringIO(written(source, "csv", candidates=2).decode())))
    assert len(rows) == len(source.tree) - 1
    assert not [
        r for r in rows if r["text"].startswith(("=", "+", "-", "@")) or r["note"][:1] == "="
    ]
    by_id = {int(row["id"]): row for row in rows}
    assert bytes.fromhex(by_id[13]["bytes"]) == b"=1+1"
    assert by_id[13]["text"] == "'=1+1"
    assert float(rows[8]["candidate1_logprob"]) <= 0


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "messages"])
@pytest.mark.parametrize("scope", ["path", "visible", "all"])
def test_no_format_holds_a_control(form: str, scope: Scope) -> None:
    text = written(sample(), form, scope).decode()
    allowed = {"\n", "\r"} if form == "csv" else {"\n"}
    assert not {c for c in text if not c.isprintable()} - allowed


def test_markdown_shows_text_as_text() -> None:
    text = written(sample(), "markdown").decode()
    assert "<script>" not in text
    assert r"\<script\>" in text
    assert "\n| " in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert "| step |" not in written(sample(), "markdown", candidates=0).decode()


def test_the_page_loads_nothing_and_its_tokens_are_text() -> None:
    source = sample()
    text = written(source, "html").decode()
    page = Page()
    page.feed(text)
    assert page.tags.count("script") == 3, "data, the map's, and what shows both"
    assert "img" not in page.tags
    assert page.sources == []
    assert "url(" not in text
    assert "default-src 'none'" in text
    data = json.loads(page.data)
    assert len(data["nodes"]) == len(source.tree) - 1
    first = source.tree.path(source.leaf)[4]
    told = source.tree.distribution[source.tree.parent[first]]
    shown = data["told"][str(source.tree.parent[first])]
    assert shown[2] == list(told.id_view[:20])
    assert math.isclose(shown[3][5], told.logprob(5), rel_tol=1e-6)
    assert page.tags.count("details") == 3


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
def test_a_browser_runs_our_script_and_no_token_s(tmp_path: Path) -> None:
    source = sample()
    path = tmp_path / "page.html"
    path.write_bytes(written(source, "html"))
    node = source.tree.path(source.leaf)[5]
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    done = subprocess.run(
        [*command, f"file://{path}#n{node}"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "owned</title>" not in done.stdout
    assert "<title>a &lt;b&gt;title&lt;/b&gt;</title>" in done.stdout
    assert '<aside id="tip"><div>' in done.stdout, "the token that is named is shown"
    assert '<td class="token">' in done.stdout


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_the_page_s_figures_are_those_of_the_terminal() -> None:
    values = [
        -0.0,
        -3e-7,
        -4.9e-5,
        -5.1e-5,
        -4e-4,
        -6e-4,
        -1.1711834,
        -6.9,
        -6.92,
        -9.2,
        -9.3,
        -800.0,
    ]
    figures = (
        page_file("html.js")
        .partition("(() =>")[0]
        .replace('document.getElementById("data").textContent', '"0"')
    )
    script = f"{figures}console.log(JSON.stringify({values}.map((v) => [percent(v), nats(v)])))"
    done = subprocess.run(
        ["node", "-e", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == [[percent(math.exp(v)), logprob_text(v)] for v in values]


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws_the_graph() -> None:
    done = subprocess.run(
        ["dot", "-Tsvg"], input=written(sample(), "dot"), capture_output=True, check=False
    )
    assert done.returncode == 0
    assert b"second" in done.stdout


def test_a_graph_has_a_box_a_branch() -> None:
    text = written(sample(), "dot").decode()
    assert len(re.findall(r"^  b\d+ \[", text, re.MULTILINE)) == 3
    assert text.count(" -> ") == 2
    assert all(
        line.count('"') % 2 == 0 for line in text.replace(r"\\", "").replace(r"\"", "").splitlines()
    )


def test_the_text_in_a_box_is_wrapped_between_words() -> None:
    tree = TokenTree()
    node = prompted(tree)
    tree.load(PROVENANCE)
    ids = [token for token in range(VOCABULARY.rows - 60, VOCABULARY.rows - 20)
           if VOCABULARY.bytes_of(token).startswith(b" ")]  # fmt: skip
    for token in ids:
        node = tree.take(node, token, "picked", logprob=-1.0, rank=1)
    text = written(source_of(tree), "dot").decode()
    label = re.search(r'label="(.*)"', text)
    assert label is not None
    _, *lines, _ = label[1].split("\\l")
    words = safe_text(VOCABULARY.text(tree.ids(node))).replace("\\", "\\\\").split()
    shown = [word for line in lines for word in line.split()]
    assert len(lines) > 2
    assert shown[:-1] == words[: len(shown) - 1], "none is cut but the last one"


def test_what_is_imported_is_what_was_exported() -> None:
    source = sample()
    first = written(source, "jsonl", "all", 256)
    again = imported(first)
    assert written(again, "jsonl", "all", 256) == first
    for name in (
        "parent",
        "token",
        "origin",
        "step",
        "rank",
        "draw",
        "branch_of",
        "notes",
        "labels",
    ):
        assert getattr(again.tree, name) == getattr(source.tree, name)
    assert [b.hidden for b in again.tree.branches] == [False, False, True]
    for node in range(len(source.tree)):
        told, known = source.tree.distribution.get(node), again.tree.distribution.get(node)
        assert (told is None) == (known is None)
        if told is not None and known is not None:
            assert (told.ids, told.logits, told.lse) == (known.ids, known.logits, known.lse)


def test_a_part_of_a_tree_is_imported_too() -> None:
    source = sample()
    visible = imported(written(source, "jsonl", "visible", 5))
    assert len(visible.tree) - 1 == len(list(source.nodes("visible")))
    path = imported(written(source, "jsonl", "path", 5))
    assert path.tree.ids(path.leaf) == source.tree.ids(source.leaf)
    assert path.tree.bookmarks == set()


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 4)), min_size=1, max_size=6))
def test_random_trees_come_back(growth: list[tuple[int, int]]) -> None:
    tree = TokenTree()
    prompted(tree)
    for seed, (at, count) in enumerate(growth):
        grow(tree, 1 + at % (len(tree) - 1), count, seed)
    first = written(source_of(tree), "jsonl", "all", 256)
    assert written(imported(first), "jsonl", "all", 256) == first


@cache
def exported_lines() -> tuple[bytes, ...]:
    return tuple(written(sample(), "jsonl", "visible", 2).splitlines(keepends=True))


@settings(max_examples=150)
@given(st.data())
def test_lines_that_are_not_ours_are_refused_in_a_sentence(data: st.DataObject) -> None:
    lines = list(exported_lines())
    index = data.draw(st.integers(0, len(lines) - 1))
    kind = data.draw(st.sampled_from(["field", "bytes", "swap", "drop"]))
    if kind == "field":
        line = json.loads(lines[index])
        name = data.draw(st.sampled_from(sorted(line)))
        line[name] = data.draw(
            st.one_of(
                st.none(), st.integers(-5, 10**20), st.floats(), st.text(max_size=3), st.just([[]])
            )
        )
        lines[index] = json.dumps(line).encode() + b"\n"
    elif kind == "bytes":
        lines[index] = data.draw(st.binary(min_size=1, max_size=30)) + b"\n"
    elif kind == "swap":
        other = data.draw(st.integers(0, len(lines) - 1))
        lines[index], lines[other] = lines[other], lines[index]
    else:
        del lines[index]
    try:
        again = imported(b"".join(lines))
    except UsageError:
        return
    written(again, "html", "all")


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(UsageError, match="line 1"):
        imported(b'{"type":"run","prompt_ids":' + b"[" * 100_000 + b"\n")
    with pytest.raises(UsageError, match="no export of ours"):
        imported(b"")


def test_the_page_colours_the_prompt_and_shows_what_was_written() -> None:
    tree = TokenTree()
    leaf = tree.take(ROOT, 30, "prompt")
    asked = tree.take(leaf, 31, "prompt", logprob=-9.0, rank=40)
    first = tree.take(asked, 32, "greedy", logprob=-0.1, rank=1)
    tree.take(first, 33, "greedy", logprob=-9.0, rank=50)
    tree.take(tree.take(first, 34, "prompt"), 35, "greedy")
    tree.history.change(Noted(asked, "odd <b>"))
    tree.history.change(Labelled(first, "here"))
    tree.history.change(Bookmarked(tree.branch(2).tip, True))
    source = source_of(tree)
    text = written(source, "html", candidates=0).decode()
    hot = level("surprisal", 9.0)
    assert re.search(rf'class="t h{hot} prompt note" data-n="{asked}" data-note="1"', text)
    assert "<code>" + VOCABULARY.show(31) + "</code> odd &lt;b&gt;</li>" in text
    assert "<b>here</b></li>" in text
    assert "bookmark</li>" in text


def test_the_page_has_the_whole_text_of_each_prompt() -> None:
    tree = TokenTree()
    begin = tree.take(ROOT, 30, "prompt")
    one = tree.take(begin, 31, "prompt")
    generated = tree.take(one, 40, "greedy", logprob=-0.1, rank=1)
    tree.take(generated, 41, "greedy", logprob=-0.1, rank=1)
    other = begin
    for token in (31, 40, 33):
        other = tree.take(other, token, "prompt")
    tree.take(other, 35, "greedy", logprob=-0.1, rank=1)
    text = written(source_of(tree), "html", candidates=0).decode()
    first, second = text.split("<details")[1:]
    assert f'class="t fork" data-n="{generated}"' in first
    assert f'class="t prompt fork" data-n="{generated}"' in second
    assert [t for t in (30, 31, 40, 33, 35) if VOCABULARY.show(t)[1:] not in second] == []


def chat() -> tuple[TokenTree, list[int]]:
    """A chat of two answered turns, the second asked in two ways; the first path's nodes."""
    tree = TokenTree()
    answered = taken(tree, taken(tree, ROOT, "prompt", 30, 31), "greedy", 32, 33)
    leaf = taken(tree, taken(tree, answered, "prompt", 34, 35), "greedy", 36, 37)
    other = explore(tree, answered, [38], "prompt", extends=True)
    taken(tree, other, "greedy", 39)
    tree.append(Viewed(leaf, -1))
    tree.history.change(Noted(tree.parent[tree.parent[leaf]], "asked"))
    return tree, tree.path(leaf)


def taken(tree: TokenTree, node: int, origin: Origin, *tokens: int) -> int:
    for token in tokens:
        known = {"logprob": -1.0, "rank": 2} if origin == "greedy" else {}
        node = tree.take(node, token, origin, **known)
    return node


SCOPES: tuple[Scope, ...] = ("path", "all")


@pytest.mark.parametrize("scope", SCOPES)
def test_tokens_that_were_given_have_no_step_in_any_turn(scope: Scope) -> None:
    tree, path = chat()
    source, steps = source_of(tree, path[-1]), ["", "", "1", "2", "", "", "3", "4"]
    rows = list(csv.DictReader(io.StringIO(written(source, "csv", scope).decode())))
    assert [row["step"] for row in rows[:8]] == steps
    assert [row["origin"] == "prompt" for row in rows[:8]] == [not step for step in steps]
    table = re.findall(r"^\| (\d*) \|", written(source, "markdown", scope).decode(), re.MULTILINE)
    assert table[:8] == steps
    page = written(source, "html", scope).decode()
    found = re.search(r'id="data">(.*?)</script>', page)
    assert found is not None
    data = json.loads(found[1])["nodes"]
    assert [str(data[str(node)][4] or "") for node in path] == steps
    assert "<li><span>prompt</span>" in page
    if scope == "all":
        assert re.search(
            r'b1 -> b2 \[label="position 4, in the prompt, ␣w38', written(source, "dot").decode()
        )
        assert [row["step"] for row in rows[8:]] == ["", "3"]


def test_a_path_that_was_given_what_another_generated_has_no_step_there() -> None:
    tree, path = chat()
    ids = [tree.token[node] for node in path[:5]]
    leaf = explore(tree, ROOT, [*ids, 40], "prompt", extends=True)
    taken(tree, leaf, "greedy", 41)
    source = source_of(tree, len(tree) - 1)
    rows = list(csv.DictReader(io.StringIO(written(source, "csv", "path").decode())))
    assert [row["step"] for row in rows] == ["", "", "", "", "", "", "1"]
    assert [row["origin"] for row in rows] == ["prompt"] * 6 + ["generated"]
