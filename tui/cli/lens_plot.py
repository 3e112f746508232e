"""`tokexplore lens --plot`: the step as a picture for slides, a panel for each of the settings."""

from collections.abc import Iterator, Sequence
from math import floor, log10
from pathlib import Path
from typing import NamedTuple

from textual.theme import Theme

from tokexplore.models.display import safe_text
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.lens import Column, Lens, Share
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.lens import LensOptions
from tokexplore.tui.cli.lens_values import Looked
from tokexplore.tui.explore.options import check_new
from tokexplore.tui.export.svg import SANS, Svg, cells_in, text_width
from tokexplore.tui.report.lens_text import others_text
from tokexplore.tui.theme import DARK, LIGHT
from tokexplore.widgets.cell_text import cut, cut_left
from tokexplore.widgets.char_width import width
from tokexplore.widgets.numbers import figure, percent

MOST_PANELS = 12
MOST_ROWS = 40
_WIDE, _MARGIN = 1280, 40
_NAMES, _SHARES, _PANELS, _GAP = 230, 304, 328, 28
"""Where names and the model's shares end, where panels begin, and what is between those."""
_HEADER, _FOOTER, _ROW, _LINE, _AXIS = 72, 36, 24, 19, 22
_LABEL = 66
"""Room for a number behind the longest bar."""
_NAME, _NUMBER, _SMALL, _TITLE = 17, 15, 14, 20
"""Sizes of text."""


class Palette(NamedTuple):
    """The colours of a theme that a picture needs."""

    background: str
    text: str
    muted: str
    rule: str
    here: str
    model: str
    model_text: str
    sampler: str
    cut: str
    cut_text: str


def check_plot(options: LensOptions) -> None:
    """Refuse a picture that cannot be drawn, before anything is computed.

    Raises:
        UsageError: another kind of file, one that is there, too many panels or rows.
    """
    if Path(options.plot).suffix.lower() != ".svg":
        raise UsageError(f"--plot {options.plot} is no picture that lens draws: end it with .svg.")
    if (count := len(options.settings)) > MOST_PANELS:
        raise UsageError(f"{count:,} settings are too many for --plot: give {MOST_PANELS} at most.")
    if options.top > MOST_ROWS:
        raise UsageError(f"--top {options.top} is too much for --plot: give {MOST_ROWS} at most.")
    check_new(options.plot, "--plot", "give another name")


def drawing(looked: Looked, options: LensOptions) -> bytes:
    """The picture."""
    theme = {"light": LIGHT, "dark": DARK}[options.theme]
    return _Picture(looked._replace(lens=looked.lens.first(options.top)), palette_of(theme)).data()


def palette_of(theme: Theme) -> Palette:
    """The colours of one of our themes."""
    own = theme.variables
    return Palette(
        str(theme.background), str(theme.foreground), own["muted"], own["rule"], own["here"],
        own["model-bar"], theme.primary, own["sampler"], own["cut"], own["cut-text"],
    )  # fmt: skip


def title_lines(settings: SamplingSettings, cells: int) -> list[str]:
    """The values of some settings in words, in lines of so many cells."""
    parts = [
        f"{stage.name} {stage.number(getattr(settings, stage.field)):g}"
        for stage in settings.in_force()
        if stage.kind not in ("draw", "temperature")
    ]
    heat = "greedy" if settings.greedy else f"temperature {settings.temperature:g}"
    lines = [heat]
    for part in parts:
        if len(lines[-1]) + 3 + len(part) <= cells:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return lines


def ticks(top: float) -> list[float]:
    """The values from 0 to `top` that the axis marks, four steps at most."""
    power = 10.0 ** floor(log10(top))
    step = next(n * power for n in (0.25, 0.5, 1, 2, 2.5) if n * power * 4 >= top * (1 - 1e-9))
    return [n * step for n in range(int(top / step * (1 + 1e-9)) + 1)]


class _Picture:
    """Rows of panels below each other; names and the model's shares stand before each row."""

    def __init__(self, looked: Looked, colours: Palette) -> None:
        self._looked, self._lens, self._colours = looked, looked.lens, colours
        columns = self._lens.columns
        across = 2 if len(columns) == 4 else min(3, len(columns))
        self._wide = (_WIDE - _MARGIN - _PANELS - _GAP * (across - 1)) / across
        self._blocks = [columns[i : i + across] for i in range(0, len(columns), across)]
        self._titles = {c: title_lines(c.settings, cells_in(self._wide, _TITLE)) for c in columns}
        self._top = max(_largest(self._lens), 1e-9)
        high = _HEADER + sum(map(self._height, self._blocks)) + _FOOTER
        heading = self._heading()
        self._svg = Svg(_WIDE, high, f"{self._caption()}; {heading}", colours.background)
        self._draw_header(heading)
        y = float(_HEADER)
        for block in self._blocks:
            self._draw_block(block, y)
            y += self._height(block)
        self._svg.text(
            _MARGIN, high - 18, cut(self._caption(), cells_in(_WIDE - 2 * _MARGIN, _SMALL)),
            _SMALL, colours.muted, font=SANS,
        )  # fmt: skip

    def data(self) -> bytes:
        """The file."""
        return self._svg.data()

    # Words

    def _heading(self) -> str:
        if self._looked.info is None:
            return f"{self._lens.distribution.vocabulary:,} given words"
        after = cut_left(self._looked.after, cells_in(_WIDE - 2 * _MARGIN - 330, 24) - 8)
        return f"after “{after}”"

    def _caption(self) -> str:
        info, told = self._looked.info, self._lens.distribution
        shown = len(self._lens.candidates)
        which = f"the {shown} most probable of {told.vocabulary:,} tokens"
        if not told.complete:
            which = f"{shown} {told.extent} candidates, all that this engine lists; ? is not known"
        parts = [which, "bars on one scale"] if len(self._lens.columns) > 1 else [which]
        if info is not None:
            parts = [info.name, f"{info.dtype} on {info.device}", *parts]
        if own := self._looked.goes_on:
            parts.append(f"the prompt goes on with {cut(own, 24)}")
        return safe_text(" · ".join(parts))

    # Places

    def _head(self, block: Sequence[Column]) -> float:
        """Height of what stands above the rows of some panels."""
        return max(len(self._titles[c]) for c in block) * 24 + 2 * _LINE + 12

    def _height(self, block: Sequence[Column]) -> float:
        return self._head(block) + (len(self._lens.candidates) + 1) * _ROW + _AXIS + 20

    def _length(self, share: float) -> float:
        """A probability as the length of a bar; what is not 0 can be seen."""
        return max(1.0, share / self._top * (self._wide - _LABEL)) if share > 0 else 0.0

    # Drawing

    def _draw_header(self, heading: str) -> None:
        colours, y = self._colours, 46
        self._svg.text(_MARGIN, y, heading, 24, colours.text, bold=True, font=SANS)
        x = float(_WIDE - _MARGIN)
        for name, colour, opacity, high in (
            ("cut", colours.cut, 0.6, 16), ("sampler", colours.sampler, 1, 8),
            ("model", colours.model, 0.4, 16),
        ):  # fmt: skip
            x -= text_width(name, 16)
            self._svg.text(x, y, name, 16, colours.muted, font=SANS)
            self._svg.rect(x - 32, y - 6 - high / 2, 24, high, colour, opacity)
            x -= 32 + 22

    def _draw_block(self, block: Sequence[Column], y: float) -> None:
        first = y + self._head(block)
        self._draw_names(block, first)
        for index, column in enumerate(block):
            self._draw_panel(column, _PANELS + index * (self._wide + _GAP), first)

    def _draw_names(self, block: Sequence[Column], first: float) -> None:
        lens, colours, room = self._lens, self._colours, cells_in(_NAMES - _MARGIN, _NAME)
        for index, (candidate, name) in enumerate(
            zip(lens.candidates, self._looked.names, strict=False)
        ):
            y = first + index * _ROW + 17
            taken = candidate.token == self._looked.taken
            gone = all(column.shares[index].cut for column in block)
            style = colours.here if taken else colours.cut_text if gone else colours.text
            self._svg.text(_NAMES, y, cut(name, room), _NAME, style, anchor="end", bold=taken)
            share = percent(candidate.probability)
            self._svg.text(_SHARES, y, share, _NUMBER, colours.model_text, anchor="end")
        if others := lens.distribution.vocabulary - len(lens.candidates):
            y = first + len(lens.candidates) * _ROW + _AXIS + 17
            self._svg.text(_NAMES, y, others_text(others), _NUMBER, colours.muted, anchor="end")
            self._svg.text(
                _SHARES, y, percent(lens.rest), _NUMBER, colours.model_text, anchor="end"
            )

    def _draw_panel(self, column: Column, x: float, first: float) -> None:
        colours, lens = self._colours, self._lens
        titles = self._titles[column]
        below = first - 2 * _LINE - 12
        for number, line in enumerate(titles):
            self._svg.text(
                x, below - 24 * (len(titles) - number) + 19, line, _TITLE, colours.text,
                bold=True, font=SANS,
            )  # fmt: skip
        for number, line in enumerate(_figures(column, lens)):
            self._svg.text(x, below + 14 + number * _LINE, line, _SMALL, colours.muted)
        end = first + len(lens.candidates) * _ROW
        self._draw_axis(x, first, end)
        before = ""
        for index, share in enumerate(column.shares):
            if bool(before) != bool(share.cut) and index:
                line_at = first + index * _ROW
                self._svg.line(x, line_at, x + self._wide, line_at, colours.here, dash="5 4")
            probability = lens.candidates[index].probability
            self._draw_row(share, probability, x, first + index * _ROW, share.cut != before)
            before = share.cut
        if lens.distribution.vocabulary > len(lens.candidates):
            text = "?" if column.rest is None else percent(column.rest)
            self._svg.text(x + 6, end + _AXIS + 17, text, _NUMBER, colours.sampler, bold=True)

    def _draw_axis(self, x: float, first: float, end: float) -> None:
        """Lines from the first row's top to the last one's end, with their values below."""
        values, room = ticks(self._top), self._wide - _LABEL
        labels = [f"{100 * value:.4g}%" for value in values]
        close = max(text_width(label, 13) for label in labels) + 10 > room / max(1, len(values) - 1)
        for index, (value, label) in enumerate(zip(values, labels, strict=True)):
            at = x + value / self._top * room
            self._svg.line(at, first, at, end + 3, self._colours.rule, opacity=0.6)
            if not close or index in (0, len(values) - 1):
                self._svg.text(at, end + 17, label, 13, self._colours.muted, anchor="middle")

    def _draw_row(self, share: Share, probability: float, x: float, y: float, begins: bool) -> None:
        """Bars of the model's and the sampler's probability, and the second one's number.

        Args:
            begins: the row above is not cut for the same reason.
        """
        svg, colours, long = self._svg, self._colours, self._length(probability)
        colour, opacity = (colours.cut, 0.6) if share.cut else (colours.model, 0.4)
        svg.rect(x, y + 4, long, 16, colour, opacity)
        if share.cut:
            said = _reason(share.cut, cells_in(self._wide, _SMALL)) if begins else "cut"
            at = min(x + long + 6, x + self._wide - text_width(said, _SMALL))
            svg.text(at, y + 17, said, _SMALL, colours.cut_text)
            return
        if share.probability is None:
            most = share.at_most
            text = "?" if most is None else f"≤{percent(most)}"
            if most is not None:
                svg.line(
                    x + self._length(most), y + 4, x + self._length(most), y + 20, colours.sampler
                )
                long = max(long, self._length(most))
        else:
            text = percent(share.probability)
            svg.rect(x, y + 8, self._length(share.probability), 8, colours.sampler)
            long = max(long, self._length(share.probability))
        svg.text(x + long + 6, y + 17, text, _NUMBER, colours.sampler, bold=True)


def _reason(words: str, cells: int) -> str:
    """Why a token is cut, as much of it as has room."""
    stage = words.partition(":")[0]
    forms = (f"cut by {words}", words, f"cut by {stage}")
    return next((text for text in forms if width(text) <= cells), cut(stage, cells))


def _figures(column: Column, lens: Lens) -> Iterator[str]:
    told, found = lens.distribution, column.figures
    entropy = None if found is None else found.entropy
    yield f"entropy {figure(told.entropy, 2)} → {figure(entropy, 2)} nats"
    if found is None:
        yield "keeps ? · cuts ?"
    else:
        yield f"keeps {found.kept:,} · cuts {percent(found.removed)}"


def _largest(lens: Lens) -> float:
    """The largest probability of the picture."""
    model = max(candidate.probability for candidate in lens.candidates)
    shares = [share for column in lens.columns for share in column.shares]
    return max(model, *(share.probability or share.at_most or 0.0 for share in shares))
