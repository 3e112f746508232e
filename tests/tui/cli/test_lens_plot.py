"""The picture of `tokexplore lens`: its content, and that nothing in it overlaps."""

import json
import math
import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from support.fake_engine import FakeEngine
from support.first_candidates import FirstCandidates
from support.lenses import PROMPT, lens_told

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.dispatch import main
from tokexplore.tui.cli.lens_plot import ticks, title_lines
from tokexplore.tui.theme import DARK, LIGHT
from tokexplore.widgets.char_width import width
from tokexplore.widgets.numbers import percent

NS = "{http://www.w3.org/2000/svg}"
HOSTILE = {
    "</text><script>alert(1)</script>": 3.0, "a&b<c>\"'": 2.9, "日本語のとても長いトークン": 2.8,
    "שלום עולם": 2.7, "مرحبا": 2.6, "\u202eevil": 2.5, "\x1b[31mred\x07": 2.4, "\u0301": 2.3,
    "\n\n\t ": 2.2, " " * 30: 2.1, "x" * 300: 2.0, "\ufffe\uffff\ud800": 1.9, "]]>": 1.8,
    "<!-- x --": 1.7, "W" * 18: 1.6, "👩\u200d👧": 1.5, "नमस्ते": 1.4, "z": 0.0,
}  # fmt: skip


def probability(distribution: Distribution, index: int) -> float:
    return math.exp(distribution.logprob(index))


class Box(NamedTuple):
    text: str
    left: float
    right: float
    top: float
    bottom: float


def boxes(root: ElementTree.Element) -> Iterator[Box]:
    """Where each text stands, by the width of a monospaced letter."""
    for element in root.iter(f"{NS}text"):
        size, x, y = (float(element.attrib[name]) for name in ("font-size", "x", "y"))
        text = element.text or ""
        wide = width(text) * 0.6 * size
        shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[element.get("text-anchor", "start")]
        left = x - shift * wide
        yield Box(text, left, left + wide, y - 0.75 * size, y + 0.2 * size)


def check(data: bytes) -> list[str]:
    """All texts of a picture, which lie inside it and apart from each other."""
    root = ElementTree.fromstring(data)
    kinds = {element.tag.removeprefix(NS) for element in root.iter()}
    assert kinds == {"svg", "title", "rect", "line", "text"}
    high, wide = float(root.attrib["height"]), float(root.attrib["width"])
    found = list(boxes(root))
    for box in found:
        assert box.left >= 0, box
        assert box.right <= wide, box
        assert box.bottom <= high, box
    for a, b in combinations(found, 2):
        apart = a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top
        assert apart, (a, b)
    for element in root.iter(f"{NS}rect"):
        assert float(element.attrib["x"]) + float(element.attrib["width"]) <= wide
    return [box.text for box in found]


def drawn(tmp_path: Path, *arguments: str, name: str = "a.svg", **more: object) -> bytes:
    file = tmp_path / name
    lens_told(*arguments, "--plot", str(file), **more)  # type: ignore[arg-type]
    return file.read_bytes()


def test_it_says_what_the_engine_gives(tmp_path: Path) -> None:
    engine = FakeEngine()
    texts = check(drawn(tmp_path, "--top-p", "0.9,0.1", engine=engine))
    ids = tuple(engine.encode(PROMPT))
    distribution = engine.describe(ids)
    settings = [SamplingSettings(1.0, top_p=p) for p in (0.9, 0.1)]
    effects = engine.effects(ids, settings)
    assert f"after “{PROMPT}”" in texts
    assert "temperature 1 · top-p 0.9" in texts
    assert "temperature 1 · top-p 0.1" in texts
    for index in range(20):
        assert engine.vocabulary.show(distribution.id_view[index]) in texts
        assert percent(probability(distribution, index)) in texts
        for effect in effects:
            fate = effect.view.fate(distribution.id_view[index], distribution.logit_view[index])
            if fate.cut is None:
                assert percent(min(1.0, math.exp(fate.logprob))) in texts
    for effect in effects:
        said = f"entropy {distribution.entropy:.2f} → {effect.entropy:.2f} nats"
        assert said in texts
        assert f"keeps {effect.view.kept:,} · cuts {percent(effect.removed)}" in texts
    assert f"cut by top-p 0.1: reached at rank {effects[1].view.kept}" in texts
    assert texts.count("cut") >= 20 - effects[1].view.kept
    assert f"{distribution.vocabulary - 20} others" in texts
    assert percent(distribution.tail_mass(20)) in texts
    caption = f"fake · float32 on cpu · the 20 most probable of {distribution.vocabulary} tokens"
    assert any(text.startswith(caption) for text in texts)


def test_bars_are_as_long_as_probabilities(tmp_path: Path) -> None:
    engine = FakeEngine()
    root = ElementTree.fromstring(drawn(tmp_path, "--temperature", "2", engine=engine))
    distribution = engine.describe(engine.encode(PROMPT))
    (effect,) = engine.effects(engine.encode(PROMPT), [SamplingSettings(2.0)])
    colours = (LIGHT.variables["model-bar"], LIGHT.variables["sampler"])
    model, sampler = (
        [float(r.attrib["width"]) for r in root.iter(f"{NS}rect") if r.get("fill") == colour][1:]
        for colour in colours
    )
    assert len(model) == len(sampler) == 20
    scale = model[0] / probability(distribution, 0)
    for index in range(20):
        long = max(1.0, scale * probability(distribution, index))
        assert model[index] == pytest.approx(long, abs=0.02)
        token, logit = distribution.id_view[index], distribution.logit_view[index]
        share = math.exp(effect.view.fate(token, logit).logprob)
        assert sampler[index] == pytest.approx(max(1.0, scale * share), abs=0.02)


@pytest.mark.parametrize("count", range(1, 13))
def test_nothing_overlaps_with_any_number_of_panels(tmp_path: Path, count: int) -> None:
    values = ",".join(f"{0.05 + 0.07 * n:g}" for n in range(count))
    arguments = (
        "--top-p", values, "--repetition-penalty", "1.2", "--no-repeat-ngram", "2",
        "--frequency-penalty", "0.5", "--min-p", "0.001", "--dynamic-range", "0.25",
    )  # fmt: skip
    texts = check(drawn(tmp_path, *arguments))
    assert sum("top-p" in text and not text.startswith(("cut", "top-p 0.05:")) for text in texts)
    assert sum(text.startswith("entropy ") for text in texts) == count
    titles = " ".join(texts)
    for value in values.split(","):
        assert re.search(rf"top-p {re.escape(value)}(?![\d.])", titles)


@pytest.mark.parametrize("top", ["1", "7", "40"])
def test_any_number_of_rows_has_room(tmp_path: Path, top: str) -> None:
    check(drawn(tmp_path, "--top", top, "--top-p", "0.9,0.5,0.1", "--temperature", "0,1e6"))


def test_hostile_words_stay_text_and_apart(tmp_path: Path) -> None:
    words, file = tmp_path / "words.json", tmp_path / "a.svg"
    words.write_text(json.dumps(HOSTILE))
    arguments = ["--file", str(words), "--typical-p", "0.5,1", "--temperature", "0,1"]
    assert main(["lens", *arguments, "--plot", str(file)]) == 0
    texts = check(file.read_bytes())
    assert "a&b<c>\"'" in texts
    assert any(text.startswith("</text><script>") for text in texts)
    assert all(text.isprintable() for text in texts)
    assert "\u202e" not in file.read_text(encoding="utf-8")


def test_a_long_prompt_is_told_by_its_end(tmp_path: Path) -> None:
    words = " ".join(["Once upon a time"] * 40) + " the wolf"
    texts = check(drawn(tmp_path, prompt=words))
    heading = next(text for text in texts if text.startswith("after “"))
    assert heading.startswith("after “…")
    assert heading.endswith(" the wolf”")


def test_the_same_call_gives_the_same_bytes(tmp_path: Path) -> None:
    first = drawn(tmp_path, "--top-p", "0.9,0.1")
    assert drawn(tmp_path, "--top-p", "0.9,0.1", name="b.svg") == first
    dark = drawn(tmp_path, "--top-p", "0.9,0.1", "--theme", "dark", name="c.svg")
    assert LIGHT.background.encode() in first
    assert DARK.background.encode() in dark
    assert DARK.variables["sampler"].encode() in dark


def test_the_prompt_s_own_token_is_marked(tmp_path: Path) -> None:
    engine = FakeEngine()
    prompt = "Once upon a time there was a man who asked her child which gold was poor"
    ids = tuple(engine.encode(prompt))
    ranks = {n: engine.describe(ids[:n]).index_of(ids[n]) for n in range(1, len(ids))}
    position = next(n for n, rank in ranks.items() if rank is not None and rank < 40)
    arguments = ("--position", str(position), "--top", "40")
    data = drawn(tmp_path, *arguments, engine=engine, prompt=prompt)
    shown = engine.vocabulary.show(ids[position])
    marked = [
        element.text
        for element in ElementTree.fromstring(data).iter(f"{NS}text")
        if element.get("fill") == LIGHT.variables["here"]
    ]
    assert marked == [shown]
    assert any(text.endswith(f"the prompt goes on with {shown}") for text in check(data))


def test_first_candidates_are_said_to_be_that(tmp_path: Path) -> None:
    data = drawn(tmp_path, "--top-p", "0.3,0.99", engine=FirstCandidates())
    texts = check(data)
    assert any("20 of the first 20 candidates, all that this engine lists" in t for t in texts)
    assert "entropy ? → ? nats" in texts
    assert "keeps ? · cuts ?" in texts
    assert any(text.startswith("≤") for text in texts)
    assert "?" in texts


def test_a_picture_that_is_there_is_left(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.svg"
    file.write_text("mine")
    assert main(["lens", "--logits", "a=1,b=2", "--plot", str(file)]) == 2
    assert capfd.readouterr().err.endswith(f"{file} is there already: give another name.\n")
    assert file.read_text() == "mine"


@pytest.mark.parametrize("top", [1.0, 0.999, 0.5, 0.476, 0.3, 0.26, 0.25, 0.1, 0.011, 1e-3, 6.6e-6])
def test_an_axis_has_few_marks_at_equal_steps(top: float) -> None:
    found = ticks(top)
    assert 2 <= len(found) <= 5
    assert found[0] == 0
    assert found[-1] <= top * (1 + 1e-9)
    steps = {round((b - a) / top, 6) for a, b in pairwise(found)}
    assert len(steps) == 1


def test_a_title_has_every_value() -> None:
    chosen = SamplingSettings(0.7, top_k=40, top_p=0.9, seed=3, repetition_penalty=1.2)
    parts = ["temperature 0.7", "repetition penalty 1.2", "top-k 40", "top-p 0.9"]
    assert title_lines(chosen, 200) == [" · ".join(parts)]
    assert title_lines(chosen, 22) == [*parts[:2], "top-k 40 · top-p 0.9"]
    assert title_lines(SamplingSettings(0.0, top_p=0.9), 50) == ["greedy"]
    assert title_lines(SamplingSettings(1.0), 50) == ["temperature 1"]
