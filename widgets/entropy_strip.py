"""Entropy over the steps as a row of bars that never loses a peak, with step numbers below."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tokexplore.widgets.cell_text import cut, line, width
from tokexplore.widgets.numbers import BARS

UNKNOWN_HERE = "·"
PROMPT_HERE = "^"
CLOSE_CALL = "≈"
FLIP = "▲"

_LABEL_FROM = 60
_NUMBER_EVERY = 10
_LOWEST_SCALE = 1.0
FAINTEST = 16.0
"""Surprisal (nats) of a watched token from which on its bar is the lowest."""

Values = np.ndarray[tuple[int], np.dtype[np.float64]]
"""One value a step, shape [n]; NaN where it is not known."""
Indices = np.ndarray[tuple[int], np.dtype[np.int64]]


class Watched(NamedTuple):
    """A token that is followed at every step, as one more row of bars."""

    label: str
    """The token, safe."""
    logprobs: Values
    """Nats by step."""


class Series(NamedTuple):
    """What the strip shows: one value a step, and which of the steps are special."""

    values: Values
    """Entropy by step, in `unit`."""
    close: Indices
    """Of close calls."""
    steps: Indices
    """The number of each value's step, 0 for a prompt token; last that of the open end."""
    cursor: int | None = None
    """Index of the step that the user stands on; that after the last value is the open end."""
    unit: str = "nats"
    label: str = "entropy"
    least: float = _LOWEST_SCALE
    """The least value that a full bar stands for."""
    flips: Indices = np.empty(0, np.int64)
    """Of steps that could flip."""
    watched: tuple[Watched, ...] = ()


class StripLooks(NamedTuple):
    """The styles of the parts, as resolved from the component classes of the same names."""

    bar: Style
    close_bar: Style
    close: Style
    here: Style
    muted: Style
    watched: Style


class Frame(NamedTuple):
    """Where things are at one width: `left` cells of label, then bars of `per` steps a cell."""

    left: str
    room: int
    per: int
    scale: float
    top: str
    """What stands right of the bars."""
    note: str
    """What stands right of the step numbers."""
    prompt: int
    """Prompt tokens before the first step; their cells are before those of all others."""
    prompt_per: int
    """Prompt tokens a cell."""

    @property
    def prompt_cells(self) -> int:
        """Cells of the prompt's tokens."""
        return -(-self.prompt // self.prompt_per)

    def cells(self, indices: Indices) -> Indices:
        """The cells of values by their indices."""
        steps = self.prompt_cells + (indices - self.prompt) // self.per
        return np.where(indices < self.prompt, indices // self.prompt_per, steps)

    def begin(self, cell: int) -> int:
        """The index of the first value of a cell."""
        beyond = cell - self.prompt_cells
        return cell * self.prompt_per if beyond < 0 else self.prompt + beyond * self.per

    def squeezed(self, values: Values) -> list[float]:
        """The largest known value of each cell; NaN where none of them is known."""
        prompt, steps = values[: self.prompt], values[self.prompt :]
        return squeeze(prompt, self.prompt_per) + squeeze(steps, self.per)


def squeeze(values: Values, per: int) -> list[float]:
    """The largest known value of every `per` steps in a row; NaN where none of them is known."""
    if per > 1 and len(values):
        values = np.fmax.reduceat(values, np.arange(0, len(values), per))
    return values.tolist()


def frame(series: Series, columns: int) -> Frame:
    """How a series is laid out in `columns` cells.

    A long prompt is squeezed before the steps are: three quarters of the cells are theirs.
    """
    scale = float(np.fmax.reduce(series.values, initial=series.least))
    top = (f" {scale:.1f}" if scale >= 1 else f" {scale:.2g}") + (
        f" {series.unit}" if columns >= _LABEL_FROM else ""
    )
    left = f"{series.label} " if columns >= _LABEL_FROM else ""
    count = len(series.values)
    prompt = int(np.flatnonzero(np.append(series.steps[:count], 1))[0])
    room = max(1, columns - len(left) - len(top))
    per, prompt_per, note = 1, 1, ""
    if count > room:
        widest = f" max of {count}" + (" ^" if prompt else "")
        room = max(1 + bool(prompt), columns - len(left) - max(len(top), len(widest)))
        if prompt:
            steps = min(count - prompt, room - -(-room // 4))
            prompt_per = -(-prompt // max(1, room - steps))
        per = max(1, -(-(count - prompt) // max(1, room - -(-prompt // prompt_per))))
        note = f" max of {per}" if per > 1 else f" max of {prompt_per} ^"
    return Frame(left, room, per, scale, top, note, prompt, prompt_per)


def index_at(series: Series, columns: int, x: int) -> int | None:
    """The index of the step at a cell: of several in one cell, the one whose value it shows."""
    shape = frame(series, columns)
    cell = x - len(shape.left)
    if not 0 <= cell < shape.room:
        return None
    start = shape.begin(cell)
    steps = series.values[start : shape.begin(cell + 1)]
    return start + int(np.nan_to_num(steps, nan=-1.0).argmax()) if len(steps) else None


def draw_strip(series: Series, columns: int, looks: StripLooks) -> tuple[Strip, ...]:
    """The bars, the row of step numbers and a row for each token that is watched.

    Each is exactly `columns` cells wide.
    """
    shape = frame(series, columns)
    close = set(shape.cells(series.close).tolist())
    here = None if series.cursor is None else int(shape.cells(np.array(series.cursor)))
    return (
        _draw_bars(series, shape, close, here, columns, looks),
        _draw_numbers(series, shape, close, here, columns, looks),
        *(_draw_watched(one, shape, here, columns, looks) for one in series.watched),
    )


def _bar(value: float, scale: float) -> str:
    if math.isnan(value):
        return " "
    return BARS[min(len(BARS) - 1, max(0, round(value / scale * len(BARS)) - 1))]


def _draw_bars(
    series: Series,
    shape: Frame,
    close: set[int],
    here: int | None,
    columns: int,
    looks: StripLooks,
) -> Strip:
    segments = [Segment(shape.left, looks.muted)]
    for cell, value in enumerate(shape.squeezed(series.values)):
        text = _bar(value, shape.scale)
        style = looks.close_bar if cell in close else looks.bar
        if cell == here:
            text, style = (UNKNOWN_HERE if math.isnan(value) else text), looks.here
        if segments[-1].style is style:
            segments[-1] = Segment(segments[-1].text + text, style)
        else:
            segments.append(Segment(text, style))
    if len(series.values):
        segments.append(Segment(shape.top, looks.muted))
    return line(segments, columns, looks.muted)


def _draw_watched(
    watched: Watched, shape: Frame, here: int | None, columns: int, looks: StripLooks
) -> Strip:
    """A watched token's logprobs as bars under those of the entropy; 0 nats is a full one."""
    room = len(shape.left)
    label = cut(watched.label, room - 1) if room else ""
    segments = [Segment(label + " " * (room - width(label)), looks.muted)]
    for cell, value in enumerate(shape.squeezed(watched.logprobs)):
        share = 0.0 if math.isnan(value) else max(0.0, 1 + value / FAINTEST)
        text = _bar(math.nan if math.isnan(value) else share, 1.0)
        if cell == here:
            segments.append(Segment(UNKNOWN_HERE if text == " " else text, looks.here))
        else:
            segments.append(Segment(text, looks.watched))
    return line(segments, columns, looks.muted)


def _draw_numbers(
    series: Series,
    shape: Frame,
    close: set[int],
    here: int | None,
    columns: int,
    looks: StripLooks,
) -> Strip:
    """The cursor's number, then the other numbers, then the marks of close calls between them."""
    row: list[tuple[str, Style]] = [(" ", looks.muted)] * shape.room
    if here is not None and series.cursor is not None:
        step = series.steps[series.cursor]
        _write(row, here, str(step) if step else PROMPT_HERE, looks.here)
    cells = shape.prompt_cells + -(-(len(series.values) - shape.prompt) // shape.per)
    for cell in range(shape.prompt_cells, cells, _NUMBER_EVERY):
        step = series.steps[shape.begin(cell)]
        number = str(step)
        end = cell + len(number)
        around = row[max(0, cell - 2) : end + 2]
        if step and end <= shape.room and all(text == " " for text, _ in around):
            _write(row, cell, number, looks.muted)
    # A mark beside a number would read as a part of it: ≈21 as "about 21".
    numbers = {at + by for at, (text, _) in enumerate(row) if text != " " for by in (-1, 0, 1)}
    flips = set(shape.cells(series.flips).tolist())
    for marks, mark in ((close, CLOSE_CALL), (flips, FLIP)):
        for cell in marks - numbers:
            if cell < shape.room:
                row[cell] = (mark, looks.close)
    segments = [Segment(" " * len(shape.left), looks.muted)]
    end = max((at + 1 for at, (text, _) in enumerate(row) if text != " "), default=0)
    segments += [Segment(text, style) for text, style in row[: max(cells, end)]]
    segments.append(Segment(shape.note, looks.muted))
    return line(segments, columns, looks.muted)


def _write(row: list[tuple[str, Style]], cell: int, text: str, style: Style) -> None:
    """Write `text` from `cell` on, moved left where the row ends before it."""
    start = max(0, min(cell, len(row) - len(text)))
    for at, character in enumerate(text[: len(row)], start):
        row[at] = (character, style)


def _same(one: Sequence[Watched], other: Sequence[Watched]) -> bool:
    return [w.label for w in one] == [w.label for w in other] and all(
        np.array_equal(a.logprobs, b.logprobs, equal_nan=True)
        for a, b in zip(one, other, strict=True)
    )


class EntropyStrip(Widget):
    """The bars of all steps, step numbers with the marks of close calls, and watched tokens."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"entropy-strip--{part}" for part in StripLooks._fields
    }
    DEFAULT_CSS = """
    EntropyStrip {
        height: 2;
        padding: 0 1;
        background: $background;
        & > .entropy-strip--bar { color: $model-bar; }
        & > .entropy-strip--close_bar { color: $close-bar; }
        & > .entropy-strip--close { color: $close; }
        & > .entropy-strip--here { color: $here; text-style: bold; }
        & > .entropy-strip--muted { color: $muted; }
        & > .entropy-strip--watched { color: $sampler; }
    }
    """

    @dataclass
    class Picked(Message):
        """The user clicked on a step."""

        strip: "EntropyStrip"
        index: int

        @property
        def control(self) -> "EntropyStrip":
            return self.strip

    def __init__(
        self, *, name: str | None = None, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._series = Series(np.empty(0), np.empty(0, np.int64), np.ones(1, np.int64))
        self._drawn: tuple[int, tuple[Strip, ...]] | None = None
        self._looks: StripLooks | None = None

    def show(
        self,
        values: Sequence[float] | Values,
        *,
        steps: Sequence[int] | Indices,
        close: Sequence[int] | Indices = (),
        flips: Sequence[int] = (),
        cursor: int | None = None,
        unit: str = "nats",
        label: str = "entropy",
        least: float = _LOWEST_SCALE,
        watched: Sequence[Watched] = (),
    ) -> None:
        """Show these values, one a step.

        Args:
            values: one by step in `unit`; NaN where it is not known, which is drawn blank.
            steps: the number of each value's step, for the row below, and that of the open end;
                0 for a prompt token, which goes without one.
            close: indices (not step numbers) of close calls.
            flips: indices of steps that could flip; their mark takes that of a close call.
            cursor: index of the step that the user stands on.
            unit: what the values are in.
            label: what they are.
            least: the least value that a full bar stands for.
            watched: tokens to follow below, as many values each.
        """
        bars, marks = np.array(values, np.float64), np.array(close, np.int64)
        numbers, could = np.array(steps, np.int64), np.array(flips, np.int64)
        below = tuple(watched)
        series = Series(bars, marks, numbers, cursor, unit, label, least, could, below)
        before = self._series
        if not (
            series[3:-2] == before[3:-2]
            and np.array_equal(could, before.flips)
            and _same(below, before.watched)
            and np.array_equal(marks, before.close)
            and np.array_equal(numbers, before.steps)
            and np.array_equal(bars, before.values, equal_nan=True)
        ):
            self._series, self._drawn = series, None
            self.refresh()

    def notify_style_update(self) -> None:
        """Drop what was drawn in the styles before."""
        super().notify_style_update()
        self._drawn = self._looks = None

    def render_line(self, y: int) -> Strip:
        """The bars, then the numbers."""
        columns = self.size.width
        if self._drawn is None or self._drawn[0] != columns:
            if self._looks is None:
                names = (f"entropy-strip--{part}" for part in StripLooks._fields)
                self._looks = StripLooks(*map(self.get_component_rich_style, names))
            self._drawn = columns, draw_strip(self._series, columns, self._looks)
        rows: tuple[Strip, ...] = self._drawn[1]
        return rows[y] if y < len(rows) else Strip.blank(columns, self.rich_style)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        index = index_at(self._series, self.size.width, offset.x)
        if index is not None:
            self.post_message(self.Picked(self, index))
