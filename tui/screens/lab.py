"""`D`: the lab. The same request again and again, where the texts part, and why."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.conditions import KNOBS, knobs_named
from tokexplore.models.lab.forks import Segment, Summary, summarise
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.study import Study
from tokexplore.models.untrusted import brief
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.repeat_runs import RepeatRuns, asked_runs
from tokexplore.tui.report.repeat_text import TrieRow, trie_rows
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.lab_lines import detail, figures, trie
from tokexplore.tui.screens.live import FRAMES_PER_SECOND, LiveScreen
from tokexplore.widgets.cell_text import cut_left
from tokexplore.widgets.header import Header
from tokexplore.widgets.keybar import KeyBar, KeyHint
from tokexplore.widgets.title_rule import Part, TitleRule

_FIXED_ROWS = 8
"""Header, two rules, three lines of figures with one below, and the key bar."""
_DETAIL_ROWS = 13
_PROMPT_WORDS = 12
"""Tokens of the prompt that the title shows."""
_NO_MODEL = "No model is loaded: space in the main screen does it."


class LabScreen(LiveScreen):
    """The prefix trie of all runs above, the fork or the run under the cursor below."""

    DEFAULT_CSS = """
    LabScreen {
        background: $background; color: $foreground;
        & VerticalScroll {
            height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        }
        & Static { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
        & #lab-figures { height: 3; padding: 0 1; margin-bottom: 1; }
        & #lab-detail { height: 13; padding: 0 1; }
    }
    """
    mode = "LAB"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "q,backspace,D,escape,ctrl+g", "close", "close", id="lab.close", priority=True,
            key_display="q D ⌫", tooltip="Back to the main screen; what is done is kept.",
        ),
        Binding(
            "up,k", "select(-1)", "line", id="lab.up", priority=True, tooltip="The line above."
        ),
        Binding(
            "down,j", "select(1)", "line", id="lab.down", priority=True, tooltip="The line below."
        ),
        Binding("n", "fork(1)", "next fork", id="lab.next", tooltip="The next fork."),
        Binding("N", "fork(-1)", "previous fork", id="lab.previous", tooltip="The fork before."),
        Binding(
            "enter", "open", "open", id="lab.open", priority=True,
            tooltip="A fork: its sides as branches, at its step. A text: keep it as a branch.",
        ),
        Binding("r", "again", "run", id="lab.run", tooltip="Run it, with another deal."),
        Binding("e", "edit", "runs", id="lab.edit", tooltip="How many runs, of how many tokens."),
        Binding("v", "vary", "vary", id="lab.vary", tooltip="What differs between the runs."),
        Binding("space", "stop", "stop", id="lab.stop", tooltip="Stop; what is done stays."),
    ]  # fmt: skip

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self.lab = RepeatRuns(controller, self._runs_changed)
        self._index = 0
        self._study: Study | None = None
        """What is shown: the lab's may have begun anew since."""
        self._rows: list[TrieRow] = []
        self._summary: Summary | None = None
        self._stale = True
        """There are runs that are not shown yet."""

    def compose(self) -> ComposeResult:
        yield Header()
        yield TitleRule(id="lab-title")
        yield Static(id="lab-figures")
        yield VerticalScroll(Static(id="lab-trie"))
        yield TitleRule(id="lab-rule")
        yield Static(id="lab-detail")
        yield KeyBar()

    def on_mount(self) -> None:
        """Show what was kept, or begin."""
        hints = [
            KeyHint("{lab.up:↑}{lab.down:↓}", "line", 9),
            KeyHint("{lab.open:⏎}", "open as branches", 8, "open"),
            KeyHint("{lab.next:n}", "next fork", 7, "fork(1)"),
            KeyHint("{lab.edit:e}", "runs", 6, "edit"),
            KeyHint("{lab.vary:v}", "vary", 5, "vary"),
            KeyHint("{lab.run:r}", "run again", 4, "again"),
            KeyHint("{lab.stop:space}", "stop", 3, "stop"),
        ]
        self.show_keys(hints, "lab.close")
        self.query_one(VerticalScroll).can_focus = False
        if self.lab.study is None and not self._no_runs():
            self.lab.start()
        self.set_interval(1 / FRAMES_PER_SECOND, self._count_down)
        self.changed()

    def _count_down(self) -> None:
        """The time that is left passes while nothing else changes."""
        if self.lab.running:
            self.changed()

    def on_resize(self, event: events.Resize) -> None:
        """Share the rows between the trie and what is told of a line."""
        rows = (event.size.height - _FIXED_ROWS) // 2
        self.query_one("#lab-detail").styles.height = max(4, min(_DETAIL_ROWS, rows))
        self._runs_changed()

    def on_unmount(self) -> None:
        """Nothing goes on unseen."""
        self.lab.stop()

    def _runs_changed(self) -> None:
        self._stale = True
        self.changed()

    def why_not(self, action: str) -> str:
        """Runs need an engine that computes the same path in several ways."""
        return self.lab.why_not if action in ("again", "edit", "vary") else ""

    def _no_runs(self) -> str:
        """Why none can be made at present; empty where they can."""
        return _NO_MODEL if self.controller.link.absent else self.why_not("again")

    def paint_parts(self) -> None:
        """Show the runs that there are, and how long the rest take."""
        vocabulary = self.explorer.vocabulary
        if self._stale:
            self._stale = False
            self._read(vocabulary)
            self._paint_title(vocabulary)
            self._paint_rows(vocabulary)
        self._paint_figures()

    def _read(self, vocabulary: Vocabulary) -> None:
        """Take in the runs that there are."""
        study = self._study = self.lab.study
        self._rows, self._summary = [], None
        if study is not None and study.runs:
            self._rows = trie_rows(study, vocabulary, self.size.width)
            self._summary = summarise(study.runs)
        self._index = max(0, min(self._index, len(self._rows) - 1))

    def _paint_figures(self) -> None:
        first = self._no_runs() or "the first run is computed…"
        shown = Content.styled(first, "$text-muted")
        if self._study is not None and self._summary is not None:
            progress = self.lab.progress if self.lab.running else None
            shown = figures(self._study, self._summary, progress)
        self.query_one("#lab-figures", Static).update(shown)

    def _paint_rows(self, vocabulary: Vocabulary) -> None:
        """The trie with its cursor, and what is told of the line under it."""
        columns = max(20, self.query_one(VerticalScroll).content_size.width - 1)
        self.query_one("#lab-trie", Static).update(trie(self._rows, self._index, columns))
        title, content = list[Part](), Content("")
        if self._study is not None and self._rows:
            row = self._rows[self._index]
            title, content = detail(self._study, row, vocabulary, running=self.lab.running)
        self.query_one("#lab-rule", TitleRule).show(title)
        self.query_one("#lab-detail", Static).update(content)

    def _paint_title(self, vocabulary: Vocabulary) -> None:
        lab, words = self.lab, vocabulary.text(self.lab.ids[-_PROMPT_WORDS:])
        prompt = cut_left(safe_text(words.replace("\n", NEWLINE)).strip(), self.size.width // 4)
        study = lab.study
        runs, length = (study.planned, study.length) if study else (lab.runs, lab.length)
        seeds = {run.seed for run in study.runs} if study else set[int]()
        varied = (*(["seed"] if len(seeds) > 1 else []), *(study.varied if study else lab.knobs))
        self.query_one("#lab-title", TitleRule).show(
            [
                Part("the same request again", "here"),
                Part(f"{runs} runs of {length} tokens", "text"),
                Part(f"after “{prompt}”", "text"),
            ],
            [Part(f"varied: {', '.join(varied) or 'nothing'}")],
        )

    def action_select(self, by: int) -> None:
        """To another line."""
        self._stand(self._index + by)

    def action_fork(self, by: int) -> None:
        """To the next fork, or the one before."""
        places = range(self._index + by, len(self._rows) if by > 0 else -1, by)
        found = next((at for at in places if self._rows[at].step is not None), None)
        if found is None:
            self.notify("No more forks.", timeout=2, markup=False)
        else:
            self._stand(found)

    def _stand(self, index: int) -> None:
        self._index = max(0, min(len(self._rows) - 1, index))
        self.query_one(VerticalScroll).scroll_to(
            y=max(0, self._index - self.query_one(VerticalScroll).size.height // 2), animate=False
        )
        self._paint_rows(self.explorer.vocabulary)

    def action_open(self) -> None:
        """A fork: its sides as branches, at its step. A text: keep it as a branch."""
        study = self._study
        if study is None or not self._rows:
            self.notify("Nothing is written here yet.", timeout=2, markup=False)
            return
        segment = self._rows[self._index].segment
        self.controller.jobs.change(self._open(study, segment))

    async def _open(self, study: Study, segment: Segment) -> None:
        if len(segment.children) > 1:
            count = await self.lab.open_fork(study, segment)
            self.app.notify(f"{count} branches part here: d compares them.", markup=False)
        else:
            number = await self.lab.keep(study, segment)
            self.app.notify(f"Kept as branch {number}.", timeout=2, markup=False)
        self.action_close()

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether a branch is about to come into view."""
        del event
        return self.controller.changing

    def action_again(self) -> None:
        """Run it, with another deal of conditions."""
        if self.controller.link.absent:
            self.notify(_NO_MODEL, markup=False)
            return
        self.lab.deal += self.lab.study is not None
        self._index = 0
        self.lab.start()

    def action_stop(self) -> None:
        """Stop; what is done stays."""
        if self.lab.running:
            self.lab.stop()
        else:
            nothing = _NO_MODEL if self.controller.link.absent else "No runs are being made."
            self.notify(nothing, timeout=2, markup=False)

    def action_edit(self) -> None:
        """Ask how many runs, of how many tokens."""
        shown = f"{self.lab.runs} x {self.lab.length}"
        self.app.push_screen(Ask("Runs x tokens", shown, replaced=True), self._edited)

    def _edited(self, text: str | None) -> None:
        if not text:
            return
        try:
            self.lab.runs, self.lab.length = asked_runs(text)
        except ValueError:
            self.notify(
                f"{safe_text(brief(text))!r} is no number of runs and tokens, such as 30 x 64 (at "
                "most 1000 x 4096).",
                severity="error", markup=False,
            )  # fmt: skip
            return
        self.action_again()

    def action_vary(self) -> None:
        """Ask what differs between the runs."""
        shown = ",".join(self.lab.knobs)
        names = ", ".join(knob for knob in KNOBS if knob not in ("dtype", "device"))
        self.app.push_screen(Ask(f"Vary, of {names}", shown, replaced=True), self._varied)

    def _varied(self, text: str | None) -> None:
        if text is None:
            return
        try:
            self.lab.knobs = knobs_named(text)
        except UsageError as error:
            self.notify(safe_text(str(error)), severity="error", markup=False)
            return
        self.action_again()

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)
