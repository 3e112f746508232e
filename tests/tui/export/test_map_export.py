"""The map as a picture and on a page: the same shares as in the app, and text as text."""

import json
import math
import re
from xml.etree import ElementTree

import pytest
from support.exports import HOSTILE, VOCABULARY, Page, source_of, written
from support.sessions import PROVENANCE, SETTINGS, grow, prompted

from tokexplore.models.tree.events import Hidden
from tokexplore.models.tree.icicle import Icicle, logprob_since
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.export.source import Scope, Source
from tokexplore.tui.theme import LIGHT
from tokexplore.widgets.heat import LIGHT_RAMP

SVG = "{http://www.w3.org/2000/svg}"
SHARES = (0.5, 0.2, 0.1, None)
"""Of the tokens after the prompt; the last one's is not known."""


def forked(count: int = 0) -> TokenTree:
    """A prompt, a token of each share after it, hostile ones first, and three after the first."""
    tree = TokenTree()
    start = prompted(tree)
    settings = tree.configure(SETTINGS)
    nodes = []
    for place, share in enumerate(SHARES):
        known = {} if share is None else {"logprob": math.log(share), "rank": place + 1}
        nodes.append(tree.take(start, 1 + place, "picked", settings=settings, **known))
    for place in range(3):
        tree.take(nodes[0], 40 + place, "picked", settings=settings, logprob=-1.5, rank=2)
    for place in range(count):
        tree.take(nodes[1], 60 + place, "picked", settings=settings, logprob=-5.0, rank=9)
    return tree


def drawn(source: Source, scope: Scope = "all") -> ElementTree.Element:
    return ElementTree.fromstring(written(source, "svg", scope))


def tips(picture: ElementTree.Element) -> dict[str, ElementTree.Element]:
    """The rectangles of blocks by what is told of them."""
    return {
        rect.findtext(f"{SVG}title") or "": rect
        for rect in picture.iter(f"{SVG}rect")
        if rect.find(f"{SVG}title") is not None
    }


def test_the_picture_has_a_rectangle_as_high_as_each_token_is_probable() -> None:
    tree = forked()
    source = source_of(tree)
    picture = drawn(source)
    found = tips(picture)
    whole = float(found[VOCABULARY.show(tree.token[4])].get("height", 0))
    assert whole == 599, "all but the gap between blocks"
    for node in range(5, len(tree)):
        name = VOCABULARY.show(tree.token[node])
        rect = next(rect for tip, rect in found.items() if tip.startswith(f"{name}: "))
        if tree.is_scored(node):
            share = math.exp(logprob_since(tree, 4, node))
            assert float(rect.get("height", 0)) + 1 == pytest.approx(share * (whole + 1), abs=0.02)
        else:
            assert float(rect.get("height", 0)) + 1 == pytest.approx(0.2 * (whole + 1), abs=0.02)
    assert any(rect.get("fill") == "url(#rest)" for rect in found.values())
    unknown = found[f"{VOCABULARY.show(4)}: probability not known"]
    assert unknown.get("fill") not in {*LIGHT_RAMP.backgrounds, LIGHT.panel}, "it is no level"
    texts = {text.text for text in picture.iter(f"{SVG}text")}
    assert "50.0%" in texts
    assert "?" in texts


def test_the_legend_names_what_there_is_and_nothing_else() -> None:
    def foot(tree: TokenTree) -> str:
        texts = [text.text or "" for text in drawn(source_of(tree)).iter(f"{SVG}text")]
        return next(text for text in texts if "hatched" in text)

    plain = TokenTree()
    plain.take(prompted(plain), 1, "picked", logprob=-1.0, rank=1)
    assert "grey" not in foot(plain)
    assert "?" not in foot(plain)
    assert "?: probability not known" in foot(forked())
    low = TokenTree()
    low.take(prompted(low), 1, "picked", logprob=-9.0, rank=1)
    assert "grey: tokens too low to be drawn" in foot(low)
    assert "?" not in foot(low)


def test_the_picture_holds_hostile_tokens_as_text_and_loads_nothing() -> None:
    tree = TokenTree()
    start = prompted(tree)
    for token in range(1, len(HOSTILE) + 1):
        tree.take(start, token, "picked", logprob=-3.5, rank=1)
    data = written(source_of(tree), "svg")
    picture = ElementTree.fromstring(data)
    assert {child.tag.removeprefix(SVG) for child in picture.iter()} == {
        "svg", "title", "defs", "pattern", "line", "rect", "text",
    }  # fmt: skip
    assert b"http" not in data.replace(b"http://www.w3.org/2000/svg", b"")
    assert data.decode().replace("\n", "").isprintable()


def test_scopes_and_hidden_branches() -> None:
    tree = forked()
    tree.append(Hidden(2))
    hidden = VOCABULARY.show(tree.token[tree.branch(2).head])
    source = source_of(tree)
    for scope in ("visible", "all"):
        assert not any(tip.startswith(f"{hidden}: ") for tip in tips(drawn(source, scope)))
    path = [tip for tip in tips(drawn(source, "path")) if ": " in tip]
    assert len(path) == len(tree.path(source.leaf)) - 4


def test_each_prompt_has_a_map() -> None:
    tree = forked()
    other = tree.take(ROOT, 0, "prompt")
    other = tree.take(other, 99, "prompt")
    grow(tree, other, 2)
    picture = drawn(source_of(tree))
    heads = [text.text for text in picture.iter(f"{SVG}text") if text.get("font-size") == "20"]
    assert len(heads) == 2
    path = drawn(source_of(tree), "path")
    assert float(picture.get("height", 0)) == 2 * float(path.get("height", 0))
    assert float(picture.get("height", 0)) == 2 * float(drawn(source_of(forked())).get("height", 0))


def test_a_tree_without_a_token_is_a_picture_too() -> None:
    tree = TokenTree()
    tree.load(PROVENANCE)
    source = Source(tree, VOCABULARY, ROOT, "empty", SETTINGS)
    assert drawn(source).tag == f"{SVG}svg"
    leaf = prompted(tree)
    assert drawn(source._replace(leaf=leaf), "path").tag == f"{SVG}svg"


def page_maps(source: Source, scope: Scope = "all") -> dict[str, list[list[list[float]]]]:
    text = written(source, "html", scope).decode()
    found = re.search(r'<script type="application/json" id="maps">(.*?)</script>', text)
    return json.loads(found[1]) if found else {"maps": [], "path": []}  # type: ignore[no-any-return]


def test_the_page_has_the_shares_of_the_app() -> None:
    tree = forked(6)
    source = source_of(tree)
    told = page_maps(source)
    (rows,) = told["maps"]
    assert told["path"] == tree.path(source.leaf)
    assert sorted(row[0] for row in rows) == list(range(4, len(tree)))
    icicle = Icicle(tree, tree.path(source.leaf))
    places = {row[0]: place for place, row in enumerate(rows)}
    for row in rows:
        node = int(row[0])
        after = icicle.after(node)
        assert row[5] == pytest.approx(after.rest, abs=1e-9)
        own = {r[0]: r for r in rows if r[1] == places[node]}
        assert list(own) == [share.node for share in after.shares]
        for share in after.shares:
            assert own[share.node][2:4] == pytest.approx([share.top, share.height], abs=1e-9)
            assert (own[share.node][4] >= 0) == share.known
        heights = math.fsum(r[3] for r in own.values())
        assert heights + row[5] == pytest.approx(1.0, abs=1e-9)


def test_the_page_of_one_path_has_no_map() -> None:
    source = source_of(forked())
    assert page_maps(source, "path")["maps"] == []
    page = written(source, "html", "path").decode()
    assert 'id="map"' not in page
    assert "icicle" not in page


def test_the_page_with_a_map_loads_nothing_and_allows_its_own_script_alone() -> None:
    text = written(source_of(forked()), "html").decode()
    page = Page()
    page.feed(text)
    assert page.sources == []
    assert "url(" not in text
    assert page.tags.count("script") == 3
    assert text.count("script-src 'sha256-") == 1
    assert "innerHTML" not in text
