"""A tree that grew by probability as a Graphviz graph: chains of tokens, edges as wide as their
mass."""

import math
from collections.abc import Callable, Iterator

from tokexplore.models.display import safe_text
from tokexplore.models.grow.node import GrownNode
from tokexplore.tui.report.grow_text import Grown, exact, likely
from tokexplore.widgets.numbers import percent

_WIDEST = 12.0
_COLOURS = {"open": "gray40", "cut": "gray70"}


def dot_lines(grown: Grown, top: int) -> Iterator[str]:
    """The paths to the most probable texts; what else goes on from a node is its dotted rest."""
    growth = grown.growth
    leaves = likely(growth, top)
    yield "digraph tokexplore {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, style=rounded, fontname="monospace", fontsize=10];'
    yield '  edge [fontname="monospace", fontsize=9, arrowhead=none];'
    masses = (("covered", growth.covered), ("open", growth.open), ("cut", growth.cut))
    told = "\\n".join(f"{name} {exact(mass)}" for name, mass in masses)
    yield f'  n0 [label="{told}"];'
    names = {id(growth.root): "n0"}
    drawn = dict[str, float]()
    """By name of a node: the mass of what is drawn at once after it."""
    for leaf in leaves:
        yield from _way(leaf.node, growth.vocabulary.show, names, drawn)
        name = f"n{len(names)}"
        names[id(leaf)] = name
        said = _escaped(growth.vocabulary.show(leaf.token))
        if leaf.node.is_over(leaf.place):
            yield f'  {name} [label="{said}\\n{_escaped(leaf.fate)}"];'
        else:
            looks = f'style="rounded,dashed", color={_COLOURS[leaf.fate]}'
            yield f'  {name} [label="{said}", {looks}];'
        yield _edge(names[id(leaf.node)], name, leaf.mass, leaf.node.shares[leaf.place])
        _add(names[id(leaf.node)], leaf.mass, drawn)
    for node in growth.nodes:
        name = names.get(id(node), "")
        if name in drawn and (rest := node.mass - drawn[name]) > 1e-9:
            yield f'  {name}r [label="{percent(rest)} others", shape=plain, fontcolor=gray50];'
            yield f"  {name} -> {name}r [style=dotted, penwidth={_width(rest)}];"
    yield "}"


def _way(
    node: GrownNode, show: Callable[[int], str], names: dict[int, str], drawn: dict[str, float]
) -> Iterator[str]:
    """The nodes from the root to one, as far as they are not there yet."""
    way = list[GrownNode]()
    while id(node) not in names and node.parent is not None:
        way.append(node)
        node = node.parent
    for each in reversed(way):
        assert each.parent is not None, "the root has a name"
        name = names[id(each)] = f"n{len(names)}"
        yield f'  {name} [label="{_escaped(show(each.token))}"];'
        share = each.mass / each.parent.mass
        yield _edge(names[id(each.parent)], name, each.mass, share)
        _add(names[id(each.parent)], each.mass, drawn)


def _add(name: str, mass: float, drawn: dict[str, float]) -> None:
    drawn[name] = drawn.get(name, 0.0) + mass


def _edge(start: str, end: str, mass: float, share: float) -> str:
    label = percent(share) if math.isclose(mass, share) else f"{percent(share)} = {percent(mass)}"
    return f'  {start} -> {end} [label="{label}", penwidth={_width(mass)}];'


def _width(mass: float) -> str:
    return f"{max(0.4, _WIDEST * mass):.2f}"


def _escaped(text: str) -> str:
    """Text that Graphviz shows as it is."""
    return safe_text(text).replace("\\", "\\\\").replace('"', '\\"')
