"""A picture as SVG: shapes, and text that stays text. The same calls give the same bytes."""

from typing import Literal
from xml.etree import ElementTree

from tokexplore.widgets.cell_text import width

SANS = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
MONO = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
_CELL = 0.602
"""Width of a cell of text, of the font's size; no letter of the usual fonts is wider on average."""


def text_width(text: str, size: float) -> float:
    """Room that safe text takes, by its cells: two for a wide character."""
    return width(text) * _CELL * size


def cells_in(room: float, size: float) -> int:
    """Cells of text that have room."""
    return max(0, int(room / (_CELL * size)))


class Svg:
    """One picture.

    Args:
        title: for who cannot see it.
    """

    def __init__(self, wide: float, high: float, title: str, background: str) -> None:
        self._root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {_number(wide)} {_number(high)}",
                "width": _number(wide),
                "height": _number(high),
                "role": "img",
            },
        )
        self._add("title").text = title
        self.rect(0, 0, wide, high, background)

    def hatch(self, name: str, stroke: str) -> str:
        """A fill of slanted lines, under a name that no other has."""
        pattern = ElementTree.SubElement(
            self._add("defs"), "pattern",
            {"id": name, "width": "6", "height": "6", "patternUnits": "userSpaceOnUse",
             "patternTransform": "rotate(45)"},
        )  # fmt: skip
        rule = {"x1": "0", "y1": "0", "x2": "0", "y2": "6", "stroke": stroke, "stroke-width": "1.5"}
        ElementTree.SubElement(pattern, "line", rule)
        return f"url(#{name})"

    def rect(
        self,
        x: float,
        y: float,
        wide: float,
        high: float,
        fill: str,
        opacity: float = 1.0,
        *,
        tip: str = "",
    ) -> None:
        """A filled rectangle.

        Args:
            tip: safe text for who points at it.
        """
        found = self._add("rect", x=x, y=y, width=wide, height=high)
        found.set("fill", fill)
        if tip:
            ElementTree.SubElement(found, "title").text = tip
        if opacity != 1:
            found.set("fill-opacity", _number(opacity))

    def line(
        self,
        x: float,
        y: float,
        x2: float,
        y2: float,
        stroke: str,
        *,
        dash: str = "",
        opacity: float = 1.0,
    ) -> None:
        """A line of one pixel."""
        found = self._add("line", x1=x, y1=y, x2=x2, y2=y2)
        found.set("stroke", stroke)
        if opacity != 1:
            found.set("stroke-opacity", _number(opacity))
        if dash:
            found.set("stroke-dasharray", dash)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        fill: str,
        *,
        anchor: Literal["start", "middle", "end"] = "start",
        bold: bool = False,
        font: str = MONO,
    ) -> None:
        """A line of safe text; y is its baseline."""
        found = self._add("text", x=x, y=y)
        found.text = text
        found.set("font-family", font)
        found.set("font-size", _number(size))
        found.set("fill", fill)
        found.set("xml:space", "preserve")
        if anchor != "start":
            found.set("text-anchor", anchor)
        if bold:
            found.set("font-weight", "bold")

    def data(self) -> bytes:
        """The file."""
        ElementTree.indent(self._root)
        return ElementTree.tostring(self._root, "utf-8", xml_declaration=True) + b"\n"

    def _add(self, tag: str, **numbers: float) -> ElementTree.Element:
        return ElementTree.SubElement(
            self._root, tag, {name: _number(value) for name, value in numbers.items()}
        )


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
