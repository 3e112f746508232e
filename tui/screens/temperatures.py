"""`C`: a step under several temperatures, and the continuations below each other."""

from collections.abc import Sequence
from itertools import islice, takewhile
from statistics import fmean
from typing import ClassVar, NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.bounds import BoundedView
from tokexplore.models.sampling.effects import Effect
from tokexplore.models.sampling.randomness import seed_after
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.untrusted import brief
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.temperature_runs import TEMPERATURES, TemperatureRun, TemperatureRuns
from tokexplore.tui.presenters.status import step_title
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.widgets.bars import bar
from tokexplore.widgets.cell_text import cut, fitting, width
from tokexplore.widgets.header import Header
from tokexplore.widgets.heat import level
from tokexplore.widgets.keybar import KeyBar, KeyHint
from tokexplore.widgets.numbers import count, percent
from tokexplore.widgets.title_rule import SEPARATOR, Part, TitleRule, legend_parts

_WORD, _BAR = 14, 16


class TemperaturesScreen(LiveScreen):
    """One row for each temperature; `enter` keeps a continuation as a branch."""

    DEFAULT_CSS = """
    TemperaturesScreen {
        background: $background; color: $foreground;
        & VerticalScroll { padding: 0 1; scrollbar-size-vertical: 1; }
        & Static { height: auto; margin-bottom: 1; }
    }
    """
    mode = "TEMPERATURES"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "q,backspace,C,escape,ctrl+g", "close", "close", id="ladder.close", priority=True,
            key_display="q C ⌫", tooltip="Back to the main screen.",
        ),
        Binding(
            "up,k", "select(-1)", "row", id="ladder.up", priority=True, tooltip="The row above."
        ),
        Binding(
            "down,j", "select(1)", "row", id="ladder.down", priority=True, tooltip="The row below."
        ),
        Binding(
            "enter", "keep", "keep", id="ladder.keep", priority=True,
            tooltip="Keep this continuation as a branch.",
        ),
        Binding(
            "e,t", "edit", "temperatures", id="ladder.edit", tooltip="Other temperatures."
        ),
        Binding(
            "r", "again", "again", id="ladder.again", tooltip="Continue again with the next seed."
        ),
    ]  # fmt: skip

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self.temperature_runs = TemperatureRuns(controller, self.changed)
        self._index = 0
        self._seed = self.explorer.settings.seed
        self._temperatures: tuple[float, ...] = TEMPERATURES

    def compose(self) -> ComposeResult:
        yield Header()
        yield TitleRule()
        yield VerticalScroll()
        yield KeyBar()

    async def on_mount(self) -> None:
        """Run the usual temperatures at once."""
        hints = [
            KeyHint("{ladder.up:↑}{ladder.down:↓}", "row", 9),
            KeyHint("{ladder.keep:⏎}", "keep as a branch", 8, "keep"),
            KeyHint("{ladder.edit:e}", "temperatures", 7, "edit"),
            KeyHint("{ladder.again:r}", "next seed", 6, "again"),
        ]
        self.show_keys(hints, "ladder.close")
        title = step_title(self.explorer, self.size.width // 3)
        self.query_one(TitleRule).show(
            [Part("temperatures", "text"), *title], legend_parts("surprisal")
        )
        self.query_one(VerticalScroll).can_focus = False
        await self._begin()

    def on_unmount(self) -> None:
        """Nothing goes on unseen."""
        self.temperature_runs.stop()

    async def _begin(self) -> None:
        self.temperature_runs.start(self._temperatures, self._seed)
        self._index = min(self._index, len(self.temperature_runs.runs) - 1)
        scroll = self.query_one(VerticalScroll)
        await scroll.remove_children()
        await scroll.mount_all(Static() for _ in self.temperature_runs.runs)
        self.call_after_refresh(self.changed)

    def paint_parts(self) -> None:
        """Bring the rows up to date."""
        vocabulary = self.explorer.vocabulary
        rows = list(self.query_one(VerticalScroll).query(Static))
        running = self.temperature_runs.running
        columns = self.query_one(VerticalScroll).content_size.width - 1
        for index, (row, run) in enumerate(zip(rows, self.temperature_runs.runs, strict=False)):
            here, live = index == self._index, run is running
            listed = self.temperature_runs.listed
            row.update(run_content(run, listed, vocabulary, columns, here=here, live=live))

    def action_select(self, by: int) -> None:
        """To another row."""
        self._index = max(0, min(len(self.temperature_runs.runs) - 1, self._index + by))
        rows = list(self.query_one(VerticalScroll).query(Static))
        rows[self._index].scroll_visible(animate=False)
        self.changed()

    def action_keep(self) -> None:
        """Keep this continuation as a branch."""
        run = self.temperature_runs.runs[self._index]
        if not run.drawn:
            self.notify("Nothing is written here yet.", timeout=2, markup=False)
            return
        self.controller.jobs.change(self._keep(run))

    async def _keep(self, run: TemperatureRun) -> None:
        number = await self.temperature_runs.keep(run)
        self.app.notify(f"Kept as branch {number}.", timeout=2, markup=False)
        self.changed()

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether a branch is about to come into view."""
        del event
        return self.controller.changing

    async def action_again(self) -> None:
        """Continue again with the next seed."""
        self._seed = seed_after(self._seed, 1)
        await self._begin()

    def action_edit(self) -> None:
        """Ask for other temperatures."""
        shown = ",".join(f"{t:g}" for t in self._temperatures)
        title = "Temperatures, with commas between them"
        self.app.push_screen(Ask(title, shown, replaced=True, take=self._edited))

    async def _edited(self, text: str) -> None:
        before = self._temperatures
        try:
            self._temperatures = _temperatures(text)
            await self._begin()
        except UsageError:
            self._temperatures = before
            raise

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)


def _temperatures(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{safe_text(brief(text))!r} is no list of numbers: 0,0.5,1,2.") from None


def run_content(
    run: TemperatureRun,
    listed: Distribution | None,
    vocabulary: Vocabulary,
    columns: int,
    *,
    here: bool,
    live: bool,
) -> Content:
    """A temperature's next token, its figures, and the continuation in the colours of surprisal.

    Args:
        listed: the step's first candidates, where the engine lists no others.
    """
    text = _text(run, vocabulary, max(10, columns - 2))
    block = Content.styled("▌", "$foreground") if live else Content("")
    head = _head(run, listed, vocabulary, columns, here).truncate(columns, ellipsis=True)
    return Content("\n").join([head, *text[:-1], text[-1] + block])


def _head(
    run: TemperatureRun,
    listed: Distribution | None,
    vocabulary: Vocabulary,
    columns: int,
    here: bool,
) -> Content:
    name = "greedy" if run.settings.greedy else f"T {run.settings.temperature:g}"
    mark = ("› " if here else "  ", "bold $here")
    head = (f"{name:<8}", "bold $here" if here else "bold")
    if run.effect is not None:
        first = _exact(run.effect)
    elif listed is not None:
        first = _bounded(run.bounds, listed)
    else:
        return Content.assemble(mark, head, ("…", "$text-muted"))
    word = cut(vocabulary.show(first.token), _WORD)
    mean = [-event.standing.logprob for event in run.drawn]
    figures = list(first.figures)
    figures += [f"{fmean(mean):.2f} nats a token"] if mean else []
    figures += [f"branch {run.branch}"] if run.branch else []
    figures += [run.ended] if run.ended else []
    shown = Content.assemble(
        mark,
        head,
        word + " " * (_WORD - width(word)),
        (f"{first.shown:>7} ", "$sampler"),
        (bar(first.share, _BAR), "$sampler"),
        " ",
    )
    room = columns - shown.cell_length
    return Content.assemble(shown, (fitting(figures, room, SEPARATOR), "$text-muted"))


class _First(NamedTuple):
    """The most probable next token."""

    token: int
    share: float
    """The sampler's probability of it, or the least that it can be."""
    shown: str
    figures: tuple[str, ...]


def _exact(effect: Effect) -> _First:
    share = effect.probability_view[0]
    figures = f"H {effect.entropy:.2f} nats", f"kept {count(effect.view.kept)}"
    return _First(effect.id_view[0], share, percent(share), figures)


def _bounded(view: BoundedView | None, listed: Distribution) -> _First:
    token, extent = listed.id_view[0], f"of the first {len(listed)}"
    if view is None:
        return _First(token, 0.0, "?", ("H ?", extent))
    share, figures = view.share(0), view.figures(listed)
    low, high = percent(share.low), percent(share.high)
    shown = low if low == high else f"{low} to {high}"
    least, most = (count(int(bound)) for bound in view.kept)
    kept = f"kept {least}" if least == most else f"kept {least} to {most}"
    if figures is None:
        return _First(token, share.low, shown, ("H ?", kept, extent))
    return _First(token, share.low, shown, (f"H {figures.entropy:.2f} nats", kept))


def _text(run: TemperatureRun, vocabulary: Vocabulary, columns: int) -> list[Content]:
    """The continuation wrapped between words, or between the tokens of one that fills a line; each
    token on the heat of its surprisal."""
    pieces = _safe(vocabulary.pieces([event.standing.token for event in run.drawn]))
    lines, used = [Content("  ")], 0
    for index, (piece, event) in enumerate(zip(pieces, run.drawn, strict=True)):
        cells = width(piece)
        word = width("".join(_word(pieces, index)))
        if used and used + (word if word <= columns else cells) > columns:
            lines.append(Content("  "))
            used = 0
        heat = level("surprisal", -event.standing.logprob)
        style = f"$heat-text-{heat} on $heat-{heat}" if heat > 0 else ""
        lines[-1] += Content.styled(piece, style) if style else Content(piece)
        used += cells
    return lines


def _word(pieces: Sequence[str], index: int) -> list[str]:
    """A piece and those after it that go on with its word."""
    more = takewhile(lambda piece: not piece.startswith(" "), islice(pieces, index + 1, None))
    return [pieces[index], *more]


def _safe(pieces: Sequence[str]) -> list[str]:
    return [safe_text(piece.replace("\n", NEWLINE)) for piece in pieces]
