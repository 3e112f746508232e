"""Exports of steps of which only the first candidates are known: no figure that nobody knows."""

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from support.first_candidates import first_of
from support.sessions import SETTINGS, VOCABULARY, distribution, grow, prompted

from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.export import html
from tokexplore.tui.export.formats import FORMATS, Format, export
from tokexplore.tui.export.import_jsonl import Lines
from tokexplore.tui.export.source import SCOPES, Scope, Source

STEPS = 3
"""Of each kind."""


def grown(*, cut: bool) -> Source:
    """A prompt, steps that are wholly known, and steps and an end that are not where `cut`."""
    tree = TokenTree()
    leaf = grow(tree, prompted(tree), STEPS)
    for seed in range(50, 50 + STEPS + 1):
        told = distribution(seed)
        tree.record_distribution(leaf, first_of(told) if cut else told)
        if seed < 50 + STEPS:
            leaf = tree.take(
                leaf, told.id_view[1], "picked", logprob=told.logprob(1), rank=told.rank(1)
            )
    return Source(tree, VOCABULARY, leaf, "x", SETTINGS)


@pytest.fixture
def source() -> Source:
    return grown(cut=True)


def written(source: Source, form: Format, scope: Scope = "all", count: int = 5) -> str:
    out = io.BytesIO()
    export(source, form, scope, count, out)
    return out.getvalue().decode()


def told(source: Source) -> Iterator[tuple[dict[str, Any], bool]]:
    """The lines that tell a distribution, and whether it is complete."""
    for text in written(source, "jsonl").splitlines():
        line = json.loads(text)
        if line.get("candidates"):
            node = line["parent"] if line["type"] == "step" else line["node"]
            yield line, source.tree.distribution[node].complete


def test_lines_say_that_a_distribution_is_not_complete(source: Source) -> None:
    found = list(told(source))
    assert [complete for _, complete in found] == [True] * STEPS + [False] * (STEPS + 1)
    for line, complete in found:
        node = line["parent"] if line["type"] == "step" else line["node"]
        known = source.tree.distribution[node]
        assert line["entropy"] == known.entropy
        assert ("complete" in line) is not complete
        assert line["lse"] == known.lse
        assert line["margin"] == known.margin
        assert line["tail_mass"] == known.tail_mass(5)
        if not complete:
            assert line["complete"] is False
            assert list(line)[-2:] == ["complete", "candidates"]


def test_a_tree_is_made_of_its_lines_again(source: Source) -> None:
    tree = TokenTree()
    text = written(source, "jsonl", count=20).encode()
    Lines(text.splitlines(keepends=True), "x.jsonl").make(tree)
    for node in range(len(source.tree)):
        was, now = source.tree.distribution.get(node), tree.distribution.get(node)
        assert (was is None) == (now is None)
        if was is not None and now is not None:
            assert now.complete == was.complete
            assert now.entropy == was.entropy
            assert now.ids == was.ids[: len(now.ids)]
            if not now.complete:
                assert (now.logits, now.lse) == (was.logits, 0.0)


def test_a_line_of_first_candidates_needs_no_entropy_and_any_other_does() -> None:
    source = grown(cut=False)
    text = re.sub(r'"entropy":[^,]+', '"entropy":null', written(source, "jsonl"))
    tree = TokenTree()
    Lines(text.encode().splitlines(keepends=True), "x.jsonl").make(tree)
    assert all(tree.distribution.get(node) is None for node in range(len(tree)))


def test_a_spreadsheet_leaves_blank_what_is_not_known(source: Source) -> None:
    rows = list(csv.DictReader(io.StringIO(written(source, "csv"))))
    own = rows[-STEPS:]
    assert all(row["entropy"] == "" and row["margin"] and row["lse"] == "0.0" for row in own)
    assert all(row["entropy"] == "3.25" for row in rows[-2 * STEPS : -STEPS])
    alone = grown(cut=False)
    alone.tree.record_distribution(alone.leaf, first_of(distribution(1), 1))
    leaf = alone.tree.take(alone.leaf, 1, "picked")
    assert alone.tree.distribution[alone.leaf].complete, "the first that was told counts"
    alone.tree.record_distribution(leaf, first_of(distribution(1), 1))
    alone.tree.take(leaf, 2, "picked")
    last = list(csv.DictReader(io.StringIO(written(alone, "csv"))))[-1]
    assert (last["entropy"], last["margin"]) == ("", "")


def test_a_report_has_a_question_mark_for_what_is_not_known(source: Source) -> None:
    text = written(source, "markdown")
    cells = [line.split(" | ")[4] for line in text.splitlines() if line.startswith("| ")][1:]
    assert cells[-2 * STEPS :] == ["3.250"] * STEPS + ["?"] * STEPS
    assert "- H is ? where only the first candidates of a step are known\n" in text
    assert "H is ?" not in written(grown(cut=False), "markdown")


def test_a_page_says_what_its_candidates_are_of(source: Source) -> None:
    page = written(source, "html")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    entries = list(data["told"].values())
    assert [entry[0] for entry in entries] == [3.25] * STEPS + [None] * STEPS
    assert [entry[4:] for entry in entries] == [[]] * STEPS + [["of the first 20"]] * STEPS
    assert html._ENTROPY_IF_KNOWN in page
    whole = written(grown(cut=False), "html")
    assert html._ENTROPY_IF_KNOWN not in whole
    assert whole.count(html._ENTROPY) == 1, "what is put in the place of these words finds them"


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run the page's script")
def test_the_page_s_script_shows_it(source: Source) -> None:
    script = re.findall(r"<script>(.*?)</script>", written(source, "html"), re.DOTALL)[0]
    expression = re.search(r'add\(head, "span", (told\[0\] === null.*?)\);', script)
    assert expression is not None
    for entry, words in (([None, 1, [], [], "of the first 20"], "H ? of the first 20"),
                         ([1.234, 1, [], []], "H 1.23 nats")):  # fmt: skip
        program = f"const told = {json.dumps(entry)}; console.log({expression[1]})"
        done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
        assert done.stdout == f"{words}\n"


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "messages"])
@pytest.mark.parametrize("scope", SCOPES)
def test_no_export_says_none_or_nan(source: Source, form: Format, scope: Scope) -> None:
    text = written(source, form, scope)
    assert not re.search(r"\b(nan|NaN|None|Infinity)\b", text.partition("<script>")[0])


def test_steps_that_are_known_are_written_as_ever() -> None:
    whole, cut = (
        [line for line in written(grown(cut=cut), "jsonl").splitlines() if '"step"' in line]
        for cut in (False, True)
    )
    assert whole[:-STEPS] == cut[:-STEPS]
    assert not any('"complete"' in line for line in whole)
    assert all('"complete":false' in line for line in cut[-STEPS:])
