"""The top line: what runs where, under which sampler, and what it is doing now."""

from typing import ClassVar, Literal, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tokexplore.models.display import safe_text
from tokexplore.widgets.bars import bar
from tokexplore.widgets.cell_text import cut, cut_whole, line, width
from tokexplore.widgets.numbers import short_count

State = Literal[
    "replaying",
    "recorded",
    "loading",
    "waiting",
    "rendering",
    "prefill",
    "streaming",
    "paused",
    "ended",
    "lost",
]

GLYPHS: dict[State, str] = {
    "replaying": "▷", "recorded": "○", "streaming": "▶", "paused": "‖", "ended": "■", "lost": "×"
}  # fmt: skip

TITLE = "tokexplore"
RECORDING = "● REC"
BAR_CELLS = 12
SHORTEST_MODEL, SHORTEST_STATE = 12, 24
_GAP = 2


class HeaderValues(NamedTuple):
    """What the header says; an empty text is left out."""

    mode: str = "BROWSE"
    model: str = ""
    parameters: str = ""
    """Number of parameters as text: `5.6M`."""
    device: str = ""
    dtype: str = ""
    sampler: str = ""
    """Temperature and filters: `T .80 p .75`."""
    seed: int | None = None
    state: State = "waiting"
    detail: str = ""
    """What the state is about: the loading stage with its numbers (`weights 43% 1.2/2.9 GB`), the
    reason of an end (`eos`), why the engine was lost. Cut last."""
    progress: float | None = None
    """Share of the loading or the prefill that is done, 0 to 1; None where it is not known."""
    tokens_per_second: float | None = None
    context_used: int | None = None
    context_size: int | None = None
    recording: bool = False
    """Whether the screen is recorded."""


class HeaderStyles(NamedTuple):
    """The colours of the header, background included."""

    base: Style
    title: Style
    muted: Style
    sampler: Style
    good: Style
    bad: Style
    bar: Style


class _Piece(NamedTuple):
    """A part of the line; the least important one (smallest `rank`) is dropped first."""

    rank: int
    segments: list[Segment]
    right: bool = False
    gap: int = _GAP
    """Blank cells between this part and the one before it (on the right: after it)."""

    @property
    def cells(self) -> int:
        return sum(width(segment.text) for segment in self.segments) + self.gap


_MODEL, _STATE = 80, 100


def header_strip(values: HeaderValues, cells: int, styles: HeaderStyles) -> Strip:
    """The header in `cells` cells: what matters least is left out, nothing wraps.

    The model's name is shortened before anything but the first part is left out.
    """
    values = values._replace(
        model=safe_text(values.model),
        device=safe_text(values.device),
        detail=safe_text(values.detail),
    )
    pieces = [*_left(values, styles), *_right(values, cells, styles)]
    name, give = width(values.model), 0
    while (slack := cells - _GAP - sum(piece.cells for piece in pieces)) + give < 0:
        if len(pieces) == 1:
            break
        pieces.remove(min(pieces, key=lambda piece: piece.rank))
        named = any(piece.rank == _MODEL for piece in pieces)
        give = max(0, name - SHORTEST_MODEL) if named else 0
    return _assemble(pieces, name + min(0, slack), cells, styles)


def _assemble(pieces: list[_Piece], model_room: int, cells: int, styles: HeaderStyles) -> Strip:
    left: list[Segment] = []
    right: list[Segment] = []
    for piece in pieces:
        blank = Segment(" " * piece.gap, styles.base)
        segments = piece.segments
        if piece.rank == _MODEL:
            segments = [Segment(cut(segments[0].text, model_room), segments[0].style)]
        if piece.right:
            right += [*segments, blank]
        else:
            left += [blank, *segments]
    used = sum(width(segment.text) for segment in (*left, *right))
    return line([*left, Segment(" " * (cells - used), styles.base), *right], cells, styles.base)


def _left(values: HeaderValues, styles: HeaderStyles) -> list[_Piece]:
    seed = "" if values.seed is None else f"seed {values.seed}"
    parts = (
        (50, TITLE, styles.title, 1),
        (90, values.mode, styles.muted, 1),
        (95, RECORDING if values.recording else "", styles.bad, 1),
        (_MODEL, values.model, styles.base, _GAP),
        (20, values.parameters, styles.base, 1),
        (40, values.device, styles.muted, 1),
        (30, values.dtype, styles.muted, 1),
        (70, values.sampler, styles.sampler, _GAP),
        (10, seed, styles.sampler, 1),
    )
    return [
        _Piece(rank, [Segment(text, style)], gap=gap) for rank, text, style, gap in parts if text
    ]


def _right(values: HeaderValues, cells: int, styles: HeaderStyles) -> list[_Piece]:
    pieces = []
    if values.progress is not None:
        share = bar(values.progress, BAR_CELLS)
        pieces.append(_Piece(15, [Segment(share, styles.bar)], right=True, gap=1))
    pieces.append(_Piece(_STATE, _state(values, cells // 2, styles), right=True, gap=1))
    if values.context_size:
        text = f"ctx {values.context_used or 0}/{values.context_size}"
        pieces[-1] = pieces[-1]._replace(gap=_GAP)
        pieces.append(_Piece(60, [Segment(text, styles.muted)], right=True, gap=1))
    return pieces


def _state(values: HeaderValues, room: int, styles: HeaderStyles) -> list[Segment]:
    """The state in a sign and some words; what it is about is cut to `room` cells in all."""
    glyph, style = GLYPHS.get(values.state, ""), styles.base
    match values.state:
        case "streaming":
            speed, style = values.tokens_per_second, styles.good
            words = "streaming" if speed is None else f"{_speed(speed)} tok/s"
        case "ended" | "lost":
            words = "ended" if values.state == "ended" else "engine lost"
            words += f": {values.detail}" if values.detail else ""
            style = styles.bad if values.state == "lost" else styles.base
        case "paused" | "waiting":
            words = values.state if values.state == "paused" else values.detail or values.state
        case "replaying":
            words = f"replay {values.detail}"
        case "rendering":
            words = "rendering the chat"
        case "recorded":
            words = "recorded · space loads the model"
        case "loading" | "prefill":
            words = values.detail or values.state
    words = cut_whole(words, max(room, SHORTEST_STATE))
    return [Segment(f"{glyph} " if glyph else "", style), Segment(words, styles.base)]


def _speed(tokens_per_second: float) -> str:
    if tokens_per_second < 9.95:
        return f"{tokens_per_second:.1f}"
    return short_count(round(tokens_per_second))


class Header(Widget):
    """One line at the top of the screen."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "header--title",
        "header--muted",
        "header--sampler",
        "header--good",
        "header--bad",
        "header--bar",
    }

    DEFAULT_CSS = """
    Header {
        height: 1;
        background: $panel;
        color: $foreground;
        & .header--title { color: $foreground; text-style: bold; }
        & .header--muted { color: $muted; }
        & .header--sampler { color: $sampler; }
        & .header--good { color: $sampler; }
        & .header--bad { color: $error; text-style: bold; }
        & .header--bar { color: $model-bar; background: $rule; }
    }
    """

    values: reactive[HeaderValues] = reactive(HeaderValues())
    _styles: HeaderStyles | None = None

    def show(self, values: HeaderValues) -> None:
        """Show these values; nothing is drawn where they are the same."""
        self.values = values

    def render_line(self, y: int) -> Strip:
        if y:
            return line([], self.size.width, self.rich_style)
        if self._styles is None:
            names = ("title", "muted", "sampler", "good", "bad", "bar")
            parts = (self.get_component_rich_style(f"header--{name}") for name in names)
            self._styles = HeaderStyles(self.rich_style, *parts)
        return header_strip(self.values, self.size.width, self._styles)

    def notify_style_update(self) -> None:
        """Drop the styles before."""
        super().notify_style_update()
        self._styles = None
