"""The lens's picture: probabilities by rank under each of some settings, or their running sum."""

from collections.abc import Sequence
from typing import NamedTuple

from textual_hires_canvas import Canvas
from textual_plot import HiResMode, LegendLocation, NumericAxisFormatter, PlotWidget

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.effects import SHOWN
from tokexplore.tui.screens.sampler_lines import Column, curve, model_curve
from tokexplore.widgets.cell_text import width

POINTS = 30
"""Tokens that it shows at least, where there are so many."""
_MOST_TICKS = 10
_BELOW = 0.125
"""Cells between the frame and what is 0, which would be under the frame otherwise."""
_LEGEND_LINE = "─── "
"""What stands before a name in the legend."""


class Axis(NamedTuple):
    """The values at both ends of an axis, and those that it marks, whole cells apart."""

    low: float
    high: float
    ticks: tuple[float, ...]


def rank_axis(cells: int, points: int) -> Axis:
    """The ranks from 1 to `points` or a few more, the first one in the middle of its cell."""
    apart = 5 if points > 10 else 1
    per_tick = max(1, (cells - 1) * apart // max(1, points - 1))
    low = 1 - 0.5 * apart / per_tick
    high = low + cells * apart / per_tick
    return Axis(low, high, tuple(float(n) for n in range(apart, int(high) + 1, apart)))


def height_axis(cells: int, top: float) -> Axis:
    """From 0 to `top` or a little more, marked by steps of 1, 2 or 5 times a power of ten."""
    room = cells - 2 * _BELOW
    steps = (digit * 10.0**power for power in range(-12, 3) for digit in (1, 2, 5))
    apart, per_tick = next(
        (x, n) for x in steps if (n := int(room * x / top)) >= max(2, cells // _MOST_TICKS)
    )
    low = -_BELOW * apart / per_tick
    high = low + cells * apart / per_tick
    return Axis(low, high, tuple(n * apart for n in range(int(high / apart) + 1)))


class _Probabilities(NumericAxisFormatter):
    """Labels of at most six cells, however small the numbers are."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [
            f"{x:.4g}" if not x or x >= 0.001 else f"{x:.1e}".replace(".0", "").replace("e-0", "e-")
            for x in ticks
        ]


class LensPicture(PlotWidget):
    """Curves in the colours of their columns, and where the settings in hand cut."""

    DEFAULT_CSS = """
    LensPicture {
        & > .plot--axis { color: $rule; }
        & > .plot--tick { color: $muted; text-style: none; }
        & > .plot--label { color: $muted; text-style: none; }
        & #legend { border: none; padding: 0; background: $background; }
    }
    """

    def __init__(self) -> None:
        super().__init__(allow_pan_and_zoom=False)

    def on_mount(self) -> None:
        """Give the room to the curves."""
        self.margin_top, self.margin_bottom, self.margin_left = 0, 3, 7
        self.set_y_formatter(_Probabilities())
        self._corner = LegendLocation.TOPRIGHT

    def show(
        self,
        columns: Sequence[Column],
        distribution: Distribution,
        *,
        cumulative: bool,
        uniform: float | None,
    ) -> None:
        """Draw it anew.

        Args:
            columns: the last one is in hand.
            distribution: the model's.
            cumulative: the running sums.
            uniform: the number that the step was drawn with, a line in the running sums.
        """
        self.clear()
        room = self.query_one("#plot", Canvas).size
        ranks = rank_axis(max(1, room.width - 2), min(POINTS, distribution.vocabulary))
        points = min(int(ranks.high), distribution.vocabulary, SHOWN)
        curves = [("model", "$model-bar", model_curve(distribution, points, cumulative=cumulative))]
        computed = [column for column in columns if column.effect is not None]
        curves += [(c.name, c.style, curve(c, points, cumulative=cumulative)) for c in computed]
        for name, style, values in curves:
            self._curve(name, style, values, cumulative=cumulative)
        if computed and computed[-1] is columns[-1]:
            self._cuts(computed[-1], points)
        if cumulative and uniform is not None:
            self._line("u drawn", "$here", [1.0, float(points)], [uniform, uniform])
        top = 1.0 if cumulative else max(max(values) for _, _, values in curves)
        heights = height_axis(max(1, room.height - 2), max(top, 1e-6))
        self._set_axes(ranks, heights)
        self.set_xlabel("cumulative probability by rank" if cumulative else "probability by rank")
        self._corner = LegendLocation.BOTTOMRIGHT if cumulative else LegendLocation.TOPRIGHT
        self._name_curves()

    def _set_axes(self, ranks: Axis, heights: Axis) -> None:
        self.set_xlimits(ranks.low, ranks.high)
        self.set_xticks(ranks.ticks)
        self.set_ylimits(heights.low, heights.high)
        self.set_yticks(heights.ticks)

    def _name_curves(self) -> None:
        """The legend where the curves are not, if it has room inside the frame."""
        labels = [*self._labels, *self._v_lines_labels]
        room = self.query_one("#plot", Canvas).size
        wanted = len(_LEGEND_LINE) + max((width(label or "") for label in labels), default=0)
        fits = len(labels) + 2 <= room.height and wanted + 2 <= room.width
        self.show_legend(self._corner, is_visible=fits)

    def _curve(self, name: str, style: str, values: list[float], *, cumulative: bool) -> None:
        # One token alone is drawn as what it is, a peak: a single point makes no line.
        after = values[0] if cumulative else 0.0
        heights = [*values, after] if len(values) == 1 else values
        self._line(name, style, [float(n) for n in range(1, len(heights) + 1)], heights)

    def _line(self, name: str, style: str, ranks: list[float], heights: list[float]) -> None:
        colour = self._colour(style)
        self.plot(ranks, heights, line_style=colour, hires_mode=HiResMode.BRAILLE, label=name)

    def _cuts(self, now: Column, points: int) -> None:
        """A line after the last rank that each stage of the settings in hand keeps."""
        assert now.effect is not None
        for cut in now.effect.view.cuts:
            if cut.kept < points:
                label = f"{cut.stage} {cut.value:g}"
                self.add_v_line(cut.kept + 0.5, line_style=self._colour("$here"), label=label)

    def _colour(self, role: str) -> str:
        """A colour of the theme, by Rich's name where it is one of the terminal's own."""
        return self.app.theme_variables.get(role.removeprefix("$"), "").removeprefix("ansi_")
