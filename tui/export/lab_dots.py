"""The margins that runs read, as dots on an axis: SVG that loads nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from tokexplore.models.lab.flips import SIGMAS

WIDTH, LEFT, RIGHT = 900, 46, 46
LARGEST = 7.0
"""Radius of a dot; smaller where many are on one place."""
HEIGHT = 180
"""Of the tallest stack."""


class Dots(NamedTuple):
    """Runs on one place of the axis."""

    margin: float
    """Nats."""
    side: int
    """0 and 1 are the two sides, 2 is another token."""
    runs: int


def side_dots(dots: Sequence[Dots], first: str, second: str) -> str:
    """A dot a run at its margin, the first token's side to the right of zero.

    Args:
        first: the token, as text.
    """
    margins = [dot.margin for dot in dots]
    low, high = min(0.0, *margins), max(0.0, *margins)
    room = 0.14 * (high - low) or 1.0
    low, high = low - room, high + room
    stacks = _stacks(dots)
    most = max(sum(count for _, count in stack) for stack in stacks.values())
    radius = min(LARGEST, HEIGHT / most / 2)
    base = 34 + most * 2 * radius
    marks = [_stack(_x(margin, low, high), base, radius, each) for margin, each in stacks.items()]
    ticks = [_tick(_x(m, low, high), base, f"{m:+.4g}" if m else "0") for m in _spaced(stacks)]
    zero = _x(0.0, low, high)
    return _svg(
        base + 24,
        f"margins of {sum(dot.runs for dot in dots)} runs",
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base:.1f}" y2="{base:.1f}"/>'
        f'<line class="tie" x1="{zero:.1f}" x2="{zero:.1f}" y1="26" y2="{base:.1f}"/>'
        f'<text x="{zero:.1f}" y="16" text-anchor="middle">tie</text>'
        f'<text class="side c1" x="{zero - 26:.1f}" y="16" text-anchor="end">'
        f"‹ {escape(second)}</text>"
        f'<text class="side c0" x="{zero + 26:.1f}" y="16">{escape(first)} ›</text>'
        f"{''.join(marks)}{''.join(ticks)}"
        f'<text x="{WIDTH - RIGHT}" y="16" text-anchor="end">margin of every run, nats</text>',
    )


def call_dots(calls: Sequence[tuple[str, Sequence[Dots]]], band: float | None) -> str:
    """A line for each close call with its runs' margins, and how far the noise reaches.

    Args:
        calls: what each is called, and the size of its margins.
        band: margins up to it could flip (nats); None where the noise decides nothing.
    """
    row, left, top = 30, 260, 26
    margins = [dot.margin for _, dots in calls for dot in dots]
    high = max(margins, default=1.0) * 1.06 or 1.0
    base = top + row * len(calls)

    def place(margin: float) -> float:
        return left + (WIDTH - RIGHT - left) * margin / high

    parts = []
    if band:
        wide = max(1.5, place(min(band, high)) - left)
        parts.append(
            f'<rect class="band" x="{left}" y="{top - 4}" width="{wide:.1f}" '
            f'height="{base - top + 4}"/><text x="{left}" y="14">{SIGMAS:g} σ of the noise</text>'
        )
    for number, (name, dots) in enumerate(calls):
        y = top + row * number + row / 2
        parts.append(
            f'<text class="side" x="{left - 14}" y="{y + 4:.1f}" text-anchor="end">'
            f'{escape(name)}</text><line class="axis" x1="{left}" x2="{WIDTH - RIGHT}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        for dot in dots:
            flip = bool(band) and dot.margin <= (band or 0.0)
            parts.append(_circle(place(dot.margin), y, 5.5, 0 if flip else 1))
    ticks = (0.0, high / 2.12, high / 1.06)
    parts += [_tick(place(margin), base, f"{margin:.3g}") for margin in ticks]
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="14" text-anchor="end">margin of every run, nats</text>'
    )
    return _svg(base + 30, "margins of the closest calls", "".join(parts))


def _stacks(dots: Sequence[Dots]) -> dict[float, list[tuple[int, int]]]:
    """By margin: how many runs took which side."""
    counted = Counter[tuple[float, int]]()
    for dot in dots:
        counted[dot.margin, dot.side] += dot.runs
    found: dict[float, list[tuple[int, int]]] = {}
    for (margin, side), count in sorted(counted.items()):
        found.setdefault(margin, []).append((side, count))
    return found


def _stack(x: float, base: float, radius: float, parts: Sequence[tuple[int, int]]) -> str:
    sides = [side for side, count in parts for _ in range(count)]
    circles = (
        _circle(x, base - radius * (2 * level + 1), radius - 0.4, side)
        for level, side in enumerate(sides)
    )
    return "".join(circles)


def _circle(x: float, y: float, radius: float, side: int) -> str:
    return f'<circle class="c{side}" cx="{x:.1f}" cy="{y:.1f}" r="{max(radius, 0.4):.1f}"/>'


def _x(margin: float, low: float, high: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (margin - low) / (high - low)


def _spaced(margins: Iterable[float]) -> list[float]:
    """Margins and zero that have room for their numbers beside each other."""
    ordered = sorted(margins)
    low, high = min(0.0, ordered[0]), max(0.0, ordered[-1])
    least, shown = 0.09 * (high - low), [0.0]
    for margin in (low, high, *ordered):
        if all(abs(margin - other) > least for other in shown):
            shown.append(margin)
    return shown


def _tick(x: float, base: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{base + 16:.1f}" text-anchor="middle">{text}</text>'


def _svg(height: float, title: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img"><title>{escape(title)}</title>'
        f"{content}</svg>\n"
    )
