"""`tokexplore grow`: the tree in every format, budgets, bounds, Ctrl-C, and what is refused."""

import io
import json
import math
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.fake_engine import FakeEngine
from support.first_candidates import FirstCandidates
from support.growing import grown

from tokexplore.models.api.engine import Engine, StreamRequest
from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.grow import watch as watching
from tokexplore.models.grow.budget import TOKENS, Budget
from tokexplore.models.grow.growth import BATCH, By, Growth
from tokexplore.models.grow.node import GrownNode, Leaf
from tokexplore.models.grow.watch import Watch
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.dispatch import main
from tokexplore.tui.cli.grow import SUBCOMMAND, GrowOptions
from tokexplore.tui.cli.grow_runner import write_tree
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.export.grow_formats import FORMATS
from tokexplore.tui.terminal.exit_codes import INTERRUPTED
from tokexplore.widgets.numbers import percent

TEXT = "Once upon a time"
IDS = tuple(FakeEngine().encode(TEXT))
WATCHED = (" king", "/q.?een|the$/")
HOT = SamplingSettings(temperature=0.7, top_k=5)


def asked(tokens: int = 60, **fields: Any) -> GrowOptions:
    settings = fields.pop("settings", HOT)
    app = AppOptions(
        load=LoadOptions(model="fake"), prompt=PromptSpec(text=TEXT), settings=settings
    )
    return GrowOptions(app, Budget(tokens), watch=WATCHED, **fields)


def sharp() -> FakeEngine:
    return FakeEngine(sharpness=1.5, planted={IDS: {FakeEngine().info.eos_ids[0]: 6.0}})


def written(options: GrowOptions, engine: Engine | None = None, code: int = 0) -> tuple[str, str]:
    """What is written, and what is said beside it."""
    out, errors, made = io.BytesIO(), io.StringIO(), engine or sharp()
    assert write_tree(options, out, open_engine=lambda *_: made, errors=errors) == code
    return out.getvalue().decode(), errors.getvalue()


def lines(
    options: GrowOptions, engine: Engine | None = None, code: int = 0
) -> list[dict[str, Any]]:
    options = msgspec.structs.replace(options, format="jsonl")
    return [json.loads(line) for line in written(options, engine, code)[0].splitlines()]


def of_type(told: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in told if line["type"] == kind]


def tree(by: By = "model", tokens: int = 60) -> Growth:
    """The same tree, by the growth itself."""
    request = StreamRequest(IDS, HOT, 0, prompt_length=len(IDS), stops_from=len(IDS))
    engine = sharp()
    watches = [Watch(words) for words in WATCHED]
    return grown(
        Growth(request, by, engine.info, engine.vocabulary, Budget(tokens), watches), engine
    )


@pytest.mark.parametrize("by", ["model", "sampler"])
def test_the_lines_are_the_tree(by: By) -> None:
    told, growth = lines(asked(by=by)), tree(by)
    head, end = told[0], told[-1]
    assert (head["type"], head["prompt_ids"], head["by"]) == ("grow", list(IDS), by)
    assert (head["sampling"] is None) == (by == "model")
    assert head["budget"] == {"tokens": 60, "seconds": 0.0, "depth": 0, "least": 0.0}
    nodes = of_type(told, "node")
    assert [node["node"] for node in nodes] == list(range(60))
    assert [node["mass"] for node in nodes] == [node.mass for node in growth.nodes]
    assert [node["depth"] for node in nodes] == [node.depth for node in growth.nodes]
    for node in nodes[1:]:
        assert nodes[node["parent"]]["depth"] == node["depth"] - 1
        assert math.exp(node["logprob"]) == pytest.approx(node["mass"])
    texts = of_type(told, "text")
    leaves = [leaf for leaf in growth.leaves() if leaf.mass >= 1e-6 or leaf.fate == "eos"]
    assert [(text["ids"], text["mass"], text["stands"]) for text in texts] == [
        (leaf.tokens(), leaf.mass, leaf.fate) for leaf in leaves
    ]
    assert any(text["stands"] == "eos" for text in texts)
    for line, watch in zip(of_type(told, "watch"), growth.watches, strict=True):
        assert (line["text"], line["at_least"], line["at_most"]) == (watch.words, *watch.bounds)
    assert end["covered"] + end["open"] + end["cut"] == pytest.approx(1, abs=1e-6)
    assert end["covered"] == growth.covered > 0
    assert (end["nodes"], end["largest_open"]) == (60, growth.largest)
    assert (end["why"], end["interrupted"]) == ("the tokens are used up", False)


def test_the_report_tells_the_mass_the_bounds_and_the_likely_texts() -> None:
    said, growth = written(asked(top=7))[0], tree()
    assert "A tree by the model's own probability, within 60 tokens" in said
    assert "= 1.000000" in said
    assert f"covered {100 * growth.covered:.2f}%" in said
    for watch in growth.watches:
        low, high = watch.bounds
        assert (
            f"with {100 * (1 - high + low):.2f}% of the mass seen, the text holds {watch.words} in "
            f"at least {100 * low:.2f}% and at most {100 * high:.2f}%"
        ) in said
    table = said.partition("The most probable texts:\n")[2].splitlines()
    assert len(table) == 7
    assert "the sampler's probability (T .70 k 5)" in written(asked(by="sampler"))[0]


def test_the_page_holds_the_tree_and_loads_nothing() -> None:
    page, growth = written(asked(format="html"))[0], tree()
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page
    assert not re.search(r"<script|https?://", page)
    assert page.count("<details") == page.count("</details>")
    shown = [node for node in growth.nodes if node.mass >= 0.0005]
    assert page.count("<details") == len(shown)
    assert page.count("<tr>") == 20


def leaf_under(node: GrownNode, leaf: Leaf) -> bool:
    """Whether a text is longer than a node's path, and begins with it."""
    way = node.tokens()
    return leaf.tokens()[: len(way)] == way and len(leaf.tokens()) > len(way)


def test_the_graph_holds_the_ways_to_the_likely_texts() -> None:
    graph, growth = written(asked(format="dot", top=9))[0], tree()
    assert graph.startswith("digraph tokexplore {\n")
    assert graph.endswith("}\n")
    assert graph.count("{") == graph.count("}") == 1
    names = re.findall(r"^  (n\d+) \[", graph, re.MULTILINE)
    assert len(names) == len(set(names))
    likely = [leaf for leaf, _ in zip(growth.leaves(), range(9), strict=False)]
    ways = {tuple(leaf.tokens()[:n]) for leaf in likely for n in range(len(leaf.tokens()) + 1)}
    assert len(names) == len(ways)
    edges = re.findall(r"^  (n\d+) -> (n\d+) \[label", graph, re.MULTILINE)
    assert sorted(end for _, end in edges) == sorted(set(names) - {"n0"})
    for start in {start for start, _ in edges}:
        assert start in names
    for node in growth.nodes:
        if tuple(node.tokens()) in ways and any(leaf_under(node, leaf) for leaf in likely):
            after = [n for n in growth.nodes if n.parent is node and tuple(n.tokens()) in ways]
            shown = sum(n.mass for n in after) + sum(
                leaf.mass for leaf in likely if leaf.node is node
            )
            rest = node.mass - shown
            assert (f'"{percent(rest)} others"' in graph) or rest < 1e-9


def test_what_a_token_is_made_of_breaks_no_format() -> None:
    hostile = {IDS: dict.fromkeys(range(262, 276), 9.0)}
    for form in FORMATS:
        said = written(asked(format=form, tokens=20), FakeEngine(planted=hostile))[0]
        assert "\x1b" not in said
        assert "\x9b" not in said
        assert "\u202e" not in said
        if form == "dot":
            assert re.sub(r'"(?:[^"\\]|\\.)*"', "", said).count('"') == 0


def test_ctrl_c_ends_it_with_what_is_done() -> None:
    class Interrupting(FakeEngine):
        asked = 0

        def describe_all(self, *given: Any, **more: Any) -> list[NextTokens]:
            self.asked += 1
            if self.asked == 3:
                os.kill(os.getpid(), signal.SIGINT)
            return super().describe_all(*given, **more)

    told = lines(asked(), Interrupting(), INTERRUPTED)
    assert len(of_type(told, "node")) == 1 + 2 * BATCH
    assert (told[-1]["interrupted"], told[-1]["why"]) == (True, "stopped")
    assert told[-1]["covered"] + told[-1]["open"] + told[-1]["cut"] == pytest.approx(1, abs=1e-6)
    assert (
        "stopped: what had grown until then is told."
        in written(asked(), Interrupting(), INTERRUPTED)[1]
    )


def test_time_ends_it_too() -> None:
    options = msgspec.structs.replace(asked(), budget=Budget(seconds=1e-9))
    told = lines(options)
    assert len(of_type(told, "node")) == 1
    assert told[-1]["why"] == "the time is over"


def test_a_file_is_written_by_its_name_and_never_over_another(tmp_path: Path) -> None:
    file = tmp_path / "a.dot"
    written(asked(output=str(file)))
    assert file.read_text().startswith("digraph")
    with pytest.raises(UsageError, match="is there already"):
        written(asked(output=str(file)))
    written(asked(output=str(file), force=True, format="text"))
    assert file.read_text().startswith("A tree")
    with pytest.raises(UsageError, match="does not tell its format"):
        written(asked(output=str(tmp_path / "a.csv")))


def test_an_engine_that_lists_the_first_candidates_grows_by_the_model_alone() -> None:
    told = lines(asked(tokens=9), FirstCandidates())
    assert {node["listed"] for node in of_type(told, "node")} == {20}
    assert told[-1]["covered"] + told[-1]["open"] + told[-1]["cut"] == pytest.approx(1, abs=1e-6)
    with pytest.raises(UsageError, match=r"lists the first 20 candidates .*the sampler's probabil"):
        written(asked(by="sampler"), FirstCandidates())
    with pytest.raises(UsageError, match="begins every answer anew: growing a tree needs"):
        written(asked(), FirstCandidates(abilities={"prefill": False}))


def read(*arguments: str) -> GrowOptions:
    options: GrowOptions = SUBCOMMAND.read(arguments).options
    return options


def test_an_expression_that_takes_too_long_is_named_once_the_tree_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "ALLOWED", 0.002)
    monkeypatch.setattr(watching, "ALLOWED_EACH", 1e-6)
    slow = r"/^(.|..)+(.|..)+(.|..)+\d/"
    options = msgspec.structs.replace(asked(), watch=(*WATCHED, slow), format="jsonl")
    out = io.BytesIO()
    with pytest.raises(UsageError, match=r"takes too long to match") as refused:
        write_tree(options, out, open_engine=lambda *_: sharp(), errors=io.StringIO())
    assert slow in str(refused.value)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert told[1:-1] == lines(asked())[1:-1]


def test_options_are_what_they_say() -> None:
    found = read(
        "fake", "--prompt", "a", "--budget", "2000", "--depth", "12", "--least-mass", "0.001",
        "--seconds", "2.5", "--by", "sampler", "--temperature", "0.7", "--watch-text", "x",
        "--watch-text", "/y/", "--stop", "z",
    )  # fmt: skip
    assert found.budget == Budget(2000, 2.5, 12, 0.001)
    assert (found.by, found.watch, found.app.stop_texts) == ("sampler", ("x", "/y/"), ("z",))
    assert read("--prompt", "a").budget == Budget(TOKENS)
    assert read("--prompt", "a", "--depth", "3").budget == Budget(TOKENS, depth=3)
    assert read("--prompt", "a", "--seconds", "3").budget == Budget(seconds=3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--budget", "0"), f"--budget: 0 is not possible: give 1 to {2**31 - 1};"),
        (("--budget", "-5"), f"--budget: -5 is not possible: give 1 to {2**31 - 1};"),
        (("--budget", "9" * 20), f"{'9' * 20} is not possible: give 1 to {2**31 - 1};"),
        (("--depth", "0"), f"--depth: 0 is not possible: give 1 to {2**31 - 1};"),
        (("--depth", "-1"), f"--depth: -1 is not possible: give 1 to {2**31 - 1};"),
        *(
            (
                ("--seconds", value),
                f"{value} is not possible: give more than 0, at most {2**31 - 1}",
            )
            for value in ("0", "-1", "nan", "inf", "1e99")
        ),
        (("--least-mass", "1"), "--least-mass 1 is not possible: give 0 or more, less than 1."),
        (("--least-mass", "nan"), "--least-mass nan is not possible"),
        (("--max-new-tokens", "2"), "unrecognized arguments: --max-new-tokens"),
        (("--seed", "2", "--by", "sampler"), "unrecognized arguments: --seed"),
        (
            ("--temperature", "1", "--ban", "x", "--model-defaults"),
            "the settings of the sampler (banned, temperature, model defaults) change nothing",
        ),
        (("--by", "sampler"), "--by sampler at temperature 0 is a single text"),
        (("--watch-text", "/(/"), "/(/ is no regular expression"),
        (("--watch-text", ""), "there is nothing to watch for"),
    ],
)
def test_mistakes_of_the_command_line_are_one_sentence(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr("tokexplore.tui.cli.grow.locate", lambda *_: None)
    opening: Callable[..., Engine] = lambda *_: FakeEngine()  # noqa: E731
    assert main(["grow", "fake", "--prompt", TEXT, *arguments], open_engine=opening) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
