"""A horizontal rule with titles in it: the only border that the screens have."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from tokexplore.models.display import safe_text
from tokexplore.widgets.cell_text import cut_whole, line, width
from tokexplore.widgets.heat import SHADES, TITLES, UNITS, Colouring, legend

DASH = "─"
SEPARATOR = " · "

Role = Literal[
    "muted", "text", "here", "sampler", "close",
    "heat-0", "heat-1", "heat-2", "heat-3", "heat-4", "heat-5",
    "heat-6", "heat-7", "heat-8", "heat-9", "heat-10", "heat-11",
]  # fmt: skip
_PLAIN_ROLES = ("line", "muted", "text", "here", "sampler", "close")
_SHORTEST_TITLE = 16
_FEWEST_DASHES = 2


class Part(NamedTuple):
    """A piece of a title. Pieces are set apart by `·` unless `joined` to the one before."""

    text: str
    role: Role = "muted"
    joined: bool = False


def legend_parts(colouring: Colouring) -> list[Part]:
    """The legend of the heat ramp, in the very colours."""
    return [
        Part(f"{TITLES.get(colouring, colouring)} "),
        *levels_parts(legend(colouring)),
        Part(f" {UNITS[colouring]}", "muted", True),
    ]


def levels_parts(levels: Sequence[tuple[str, int]]) -> list[Part]:
    """Labels in the colours of their levels, one after the other."""
    return [Part(f" {label} ", _heat_role(level), True) for label, level in levels]


def _heat_role(level: int) -> Role:
    return f"heat-{level}"  # type: ignore[return-value]


def _groups(parts: Sequence[Part]) -> list[list[Part]]:
    """The parts that stay or go together."""
    groups: list[list[Part]] = []
    for part in parts:
        safe = part._replace(text=safe_text(part.text))
        if part.joined and groups:
            groups[-1].append(safe)
        elif safe.text:
            groups.append([safe])
    return groups


def _size(groups: list[list[Part]]) -> int:
    texts = sum(width(part.text) for group in groups for part in group)
    return texts + len(SEPARATOR) * max(0, len(groups) - 1)


def _cut_last(groups: list[list[Part]], over: int) -> list[list[Part]]:
    """The groups with the last title up to `over` cells shorter, if it is long."""
    if over <= 0 or not groups or len(groups[-1]) > 1:
        return groups
    part = groups[-1][0]
    size = width(part.text)
    cells = min(size, max(_SHORTEST_TITLE, size - over))
    return [*groups[:-1], [part._replace(text=cut_whole(part.text, cells))]]


def _over(lefts: list[list[Part]], rights: list[list[Part]], columns: int) -> int:
    """Cells that the titles and the fewest dashes have too many; below 0 what is left over."""
    edges = len("─  ") * bool(lefts) + len("  ─") * bool(rights)
    return _size(lefts) + _size(rights) + edges + _FEWEST_DASHES - columns


def _segments(groups: list[list[Part]], styles: dict[str, Style]) -> list[Segment]:
    segments = []
    for index, group in enumerate(groups):
        if index:
            segments.append(Segment(SEPARATOR, styles["muted"]))
        segments += [Segment(part.text, styles[part.role]) for part in group]
    return segments


def draw_rule(
    left: Sequence[Part], right: Sequence[Part], columns: int, styles: dict[str, Style]
) -> Strip:
    """`─ left ───── right ─` in exactly `columns` cells.

    Where that is too wide, the last title on the left is shortened and titles on the right are
    dropped, from the end, until the rest fits; after that those on the left, but for the first.

    Args:
        left: titles from the left edge on.
        right: titles up to the right edge, the most important first.
        columns: width in cells.
        styles: a style for each role, and `line` for the dashes.
    """
    lefts, rights = _groups(left), _groups(right)

    while rights and _over(_cut_last(lefts, columns), rights, columns) > 0:
        rights.pop()
    while len(lefts) > 1 and _over(_cut_last(lefts, columns), rights, columns) > 0:
        lefts.pop()
    lefts = _cut_last(lefts, _over(lefts, rights, columns))
    dashes, space = styles["line"], Segment(" ", styles["muted"])
    segments = []
    if lefts:
        segments += [Segment(DASH, dashes), space, *_segments(lefts, styles), space]
    fill = DASH * (_FEWEST_DASHES + max(0, -_over(lefts, rights, columns)))
    segments.append(Segment(fill, dashes))
    if rights:
        segments += [space, *_segments(rights, styles), space, Segment(DASH, dashes)]
    return line(segments, columns, dashes)


class TitleRule(Widget):
    """One row: a rule with titles at its left and right."""

    COMPONENT_CLASSES = {f"title-rule--{role}" for role in _PLAIN_ROLES} | {
        f"title-rule--heat-{level}" for level in range(SHADES)
    }
    DEFAULT_CSS = """
    TitleRule {
        height: 1;
        background: $background;
        & > .title-rule--line { color: $rule; }
        & > .title-rule--muted { color: $muted; }
        & > .title-rule--text { color: $foreground; }
        & > .title-rule--here { color: $here; text-style: bold; }
        & > .title-rule--sampler { color: $sampler; }
        & > .title-rule--close { color: $close; }
        & > .title-rule--heat-0 { color: $heat-text-0; background: $heat-0; }
        & > .title-rule--heat-1 { color: $heat-text-1; background: $heat-1; }
        & > .title-rule--heat-2 { color: $heat-text-2; background: $heat-2; }
        & > .title-rule--heat-3 { color: $heat-text-3; background: $heat-3; }
        & > .title-rule--heat-4 { color: $heat-text-4; background: $heat-4; }
        & > .title-rule--heat-5 { color: $heat-text-5; background: $heat-5; }
        & > .title-rule--heat-6 { color: $heat-text-6; background: $heat-6; }
        & > .title-rule--heat-7 { color: $heat-text-7; background: $heat-7; }
        & > .title-rule--heat-8 { color: $heat-text-8; background: $heat-8; }
        & > .title-rule--heat-9 { color: $heat-text-9; background: $heat-9; }
        & > .title-rule--heat-10 { color: $heat-text-10; background: $heat-10; }
        & > .title-rule--heat-11 { color: $heat-text-11; background: $heat-11; }
        &:nocolor > .title-rule--heat-3 { text-style: bold; }
        &:nocolor > .title-rule--heat-4 { text-style: bold; }
        &:nocolor > .title-rule--heat-5 { text-style: bold italic; }
    }
    """

    def __init__(
        self, *, name: str | None = None, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._left: list[Part] = []
        self._right: list[Part] = []
        self._styles: dict[str, Style] | None = None

    def show(self, left: Sequence[Part], right: Sequence[Part] = ()) -> None:
        """Show these titles; on the right the most important first."""
        if (list(left), list(right)) != (self._left, self._right):
            self._left, self._right = list(left), list(right)
            self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        """The rule, in every row that there is."""
        if self._styles is None:
            roles = (*_PLAIN_ROLES, *(f"heat-{level}" for level in range(SHADES)))
            self._styles = {r: self.get_component_rich_style(f"title-rule--{r}") for r in roles}
        return draw_rule(self._left, self._right, self.size.width, self._styles)

    def notify_style_update(self) -> None:
        """Drop the styles before."""
        super().notify_style_update()
        self._styles = None
