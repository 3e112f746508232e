"""A tree that grew by probability as one HTML page: mass as bars, the tree to open and close."""

from collections.abc import Iterator

from tokexplore.models.grow.growth import Growth
from tokexplore.models.grow.node import GrownNode
from tokexplore.tui.export.html_page import page_head
from tokexplore.tui.export.markup import html_text
from tokexplore.tui.report.grow_text import Grown, facts, likely, text_of, watch_line
from tokexplore.widgets.numbers import percent

TITLE = "A tree grown by probability"
_LEAST = 0.0005
"""Probability under which a path is part of the rest."""
_WORDS = 0.15
"""Share of a bar that has room for words."""
_OPEN = 0.05
"""From which on a node is shown open."""


def page_lines(grown: Grown, top: int) -> Iterator[str]:
    """The whole page."""
    growth = grown.growth
    yield page_head(TITLE, ["html_grow.css"])
    yield f'<header>\n<h1>{TITLE}</h1>\n<p class="facts">{html_text(grown.info.name)}</p>'
    for line in facts(grown):
        yield f'<p class="facts">{html_text(line)}</p>'
    yield '</header>\n<section class="grow">'
    masses = (("covered", growth.covered), ("cut", growth.cut), ("open", growth.open))
    yield _bar([(name, f"{name} {percent(mass)}", mass) for name, mass in masses])
    for watch in growth.watches:
        low, high = watch.bounds
        yield f"<p>{html_text(watch_line(watch))}</p>"
        names = ("low", "surely"), ("between", "not known yet"), ("beyond", "surely not")
        shares = (low, high - low, 1 - high)
        yield _bar([(*name, share) for name, share in zip(names, shares, strict=True)])
    yield from _texts(growth, top)
    yield "<h2>The tree</h2>"
    if growth.nodes:
        yield from _node(growth, growth.root)
    yield "</section>\n</body>\n</html>"


def _bar(parts: list[tuple[str, str, float]]) -> str:
    """Shares beside each other: the class, the words and the share of each.

    Words stand in shares that have room for them; all of them are told above.
    """
    spans = "".join(
        f'<span class="{kind}" style="width: {100 * max(0.0, share):.4f}%">'
        f"{html_text(words) if share >= _WORDS else ''}</span>"
        for kind, words, share in parts
    )
    return f'<div class="masses">{spans}</div>'


def _texts(growth: Growth, top: int) -> Iterator[str]:
    leaves = likely(growth, top)
    if not leaves:
        return
    yield "<h2>The most probable texts</h2>\n<table>"
    for leaf in leaves:
        width = 8 * leaf.mass / leaves[0].mass
        yield (
            f'<tr><td class="mass">{percent(leaf.mass)}</td>'
            f'<td><span class="bar" style="width: {width:.2f}rem"></span></td>'
            f'<td class="fate">{leaf.fate}</td>'
            f"<td><code>{html_text(text_of(leaf, growth.vocabulary))}</code></td></tr>"
        )
    yield "</table>"


def _node(growth: Growth, root: GrownNode) -> Iterator[str]:
    """A node with what follows it, however deep."""
    line: list[GrownNode | str] = [root]
    while line:
        node = line.pop()
        if isinstance(node, str):
            yield node
            continue
        show = growth.vocabulary.show
        name = "the prompt" if node.parent is None else show(node.token)
        opened = " open" if node.mass >= _OPEN else ""
        yield (
            f'<details{opened}><summary><span class="mass">{percent(node.mass)}</span> '
            f"<code>{html_text(name)}</code></summary>"
        )
        after, told = list[GrownNode | str](), 0.0
        for place, token in enumerate(node.ids):
            mass = node.mass_at(place)
            if mass < _LEAST:
                break
            told += mass
            if place in node.children and node.children[place].ids:
                after.append(node.children[place])
            else:
                after.append(_line(mass, show(token), node.fates[place]))
        if node.mass - told > 1e-9:
            after.append(_line(node.mass - told, "", "all others"))
        after.append("</details>")
        line += reversed(after)


def _line(mass: float, token: str, fate: str) -> str:
    shown = f"<code>{html_text(token)}</code> " if token else ""
    return (
        f'<p><span class="mass">{percent(mass)}</span> {shown}'
        f'<span class="fate">{html_text(fate)}</span></p>'
    )
