"""The lens's picture: probabilities by rank under each of some settings, or their running sum."""

from collections.abc import Sequence

from textual_hires_canvas import Canvas
from textual_plot import HiResMode, LegendLocation, PlotWidget

from tokexplore.models.distribution import Distribution
from tokexplore.tui.screens.sampler_lines import Column, curve, model_curve
from tokexplore.widgets.cell_text import width

POINTS = 30
"""Tokens that it shows."""
_LEGEND_LINE = "─── "
"""What stands before a name in the legend."""


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
        self.margin_top, self.margin_bottom, self.margin_left = 0, 3, 6
        self._corner = LegendLocation.TOPRIGHT

    def on_resize(self) -> None:
        """The legend's place hangs on the size."""
        self.call_after_refresh(self._name_curves)

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
        points = min(POINTS, distribution.vocabulary)
        curves = [("model", "$model-bar", model_curve(distribution, points, cumulative=cumulative))]
        computed = [column for column in columns if column.effect is not None]
        curves += [(c.name, c.style, curve(c, points, cumulative=cumulative)) for c in computed]
        for name, style, values in curves:
            self._curve(name, style, values, cumulative=cumulative)
        if computed and computed[-1] is columns[-1]:
            self._cuts(computed[-1], points)
        if cumulative and uniform is not None:
            self._line("u drawn", "$here", [1.0, float(points)], [uniform, uniform])
        top = max(max(values) for _, _, values in curves)
        self.set_xlimits(1, points)
        self.set_ylimits(0, 1 if cumulative else max(top, 1e-6))
        self.set_xlabel("cumulative probability by rank" if cumulative else "probability by rank")
        self._corner = LegendLocation.BOTTOMRIGHT if cumulative else LegendLocation.TOPRIGHT
        self._name_curves()

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
