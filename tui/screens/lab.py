"""`D`: the lab. The same request again and again, where the texts part, and why."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.conditions import KNOBS, Knob, knobs_named
from tokexplore.models.lab.forks import Segment, Summary, summarise
from tokexplore.models.lab.sides import Place
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.tree.study import CloseCalls, Study
from tokexplore.models.untrusted import brief
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.repeat_runs import RepeatRuns, asked_runs
from tokexplore.tui.report.readings_text import next_knobs
from tokexplore.tui.report.repeat_text import TrieRow, trie_rows
from tokexplore.tui.screens import lab_keys
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.lab_lines import detail, figures, fork_of, one_text, trie
from tokexplore.tui.screens.lab_readings import ReadingsScreen
from tokexplore.tui.screens.live import FRAMES_PER_SECOND, LiveScreen
from tokexplore.widgets.cell_text import cut_left
from tokexplore.widgets.header import Header
from tokexplore.widgets.keybar import KeyBar
from tokexplore.widgets.title_rule import Part, TitleRule

_FIXED_ROWS = 8
"""Header, two rules, three lines of figures with one below, and the key bar."""
_DETAIL_ROWS = 13
_LOADED: list[Knob] = [knob for knob in KNOBS if knob not in ("dtype", "device")]
"""What can vary in a model that is loaded: the others are for the shell."""
_PROMPT_WORDS = 12
"""Tokens of the prompt that the title shows."""


class LabScreen(LiveScreen):
    """The prefix trie of all runs above, the fork or the run under the cursor below."""

    DEFAULT_CSS = """
    LabScreen {
        background: $background; color: $foreground;
        & VerticalScroll {
            height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        }
        & Static { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
        & #lab-figures { height: 3; padding: 0 1; }
        & #lab-notices { padding: 0 1; color: $close; text-wrap: wrap; }
        & #lab-detail { height: 13; padding: 0 1; }
    }
    """
    mode = "LAB"
    BINDINGS: ClassVar[list[BindingType]] = lab_keys.BINDINGS

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
        yield Static(id="lab-notices")
        yield Static()
        yield VerticalScroll(Static(id="lab-trie"))
        yield TitleRule(id="lab-rule")
        yield Static(id="lab-detail")
        yield KeyBar()

    def on_mount(self) -> None:
        """Show what was kept, or begin."""
        self.show_keys(lab_keys.HINTS, "lab.close")
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
        """All lines anew."""
        del event
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
        return self.controller.link.absence or self.why_not("again")

    def paint_parts(self) -> None:
        """Show the runs that there are, and how long the rest take."""
        vocabulary = self.explorer.vocabulary
        if self._stale:
            self._stale = False
            self._read(vocabulary)
            self._share_rows()
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

    def _share_rows(self) -> None:
        """Rows for what could not vary, for the trie and for what is told of a line."""
        notices = self._study.notices or () if self._study is not None else ()
        self.query_one("#lab-notices", Static).update(Content(safe_text("\n".join(notices))))
        self.query_one("#lab-notices").display = bool(notices)
        rows = (self.size.height - _FIXED_ROWS - len(notices)) // 2
        if self._calls:
            rows = self.size.height - _FIXED_ROWS - len(notices) - len(self._rows) - 1
        most = _DETAIL_ROWS + (len(self._conditions) + 2 if self._conditions else 0)
        self.query_one("#lab-detail").styles.height = max(4, min(most, rows))

    @property
    def _conditions(self) -> set[str]:
        """Those of a server, of each of which a line is told."""
        study = self._study
        return (
            {run.condition for run in study.runs} if study is not None and study.served else set()
        )

    @property
    def _calls(self) -> CloseCalls | None:
        """The closest calls of the study that is shown, where all its runs gave one text."""
        return (self._study.close_calls or None) if self._study is not None else None

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
            if self._calls:
                model = self.controller.options.load.model
                title, content = one_text(self._study, self.lab.results, vocabulary, model, columns)
        self.query_one("#lab-rule", TitleRule).show(title)
        self.query_one("#lab-detail", Static).update(content)

    def _paint_title(self, vocabulary: Vocabulary) -> None:
        lab, words = self.lab, vocabulary.text(self.lab.ids[-_PROMPT_WORDS:])
        prompt = cut_left(safe_text(words.replace("\n", NEWLINE)).strip(), self.size.width // 4)
        study = lab.study
        runs, length = (study.planned, study.length) if study else (lab.runs, lab.length)
        seeds = {run.seed for run in study.runs} if study else set[int]()
        reseeds = len(seeds) > 1 or (len(seeds) < 2 < runs and not self._greedy)
        varied = (*(["seed"] if reseeds else []), *(study.varied if study else lab.knobs))
        self.query_one("#lab-title", TitleRule).show(
            [
                Part("the same request again", "here"),
                Part(f"{runs} runs of {length} tokens", "text"),
                Part(f"after “{prompt}”", "text"),
            ],
            [*self._number(), Part(f"varied: {', '.join(varied) or 'nothing'}")],
        )

    @property
    def _greedy(self) -> bool:
        """Whether a seed makes no difference to the runs."""
        return self.explorer.settings.greedy

    def _number(self) -> list[Part]:
        """Which result of several this is."""
        results = self.lab.results
        found = [number for number, one in enumerate(results, 1) if one is self._study]
        several = len(results) > 1 and found
        return [Part(f"result {found[0]} of {len(results)}")] if several else []

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

    def action_readings(self) -> None:
        """What every run read of both sides of a fork, or of a close call."""
        study = self._study
        if study is None or not self._rows:
            self.notify("Nothing is written here yet.", timeout=2, markup=False)
            return
        places: Sequence[Place] = self._calls.calls if self._calls else study.forks
        fork = None if self._calls else fork_of(study, self._rows[self._index])
        if not places:
            self.notify("There are no readings yet: r makes runs.", timeout=2, markup=False)
            return
        index = places.index(fork) if fork in places else 0
        self.app.push_screen(ReadingsScreen(self.controller, study, places, index))

    def action_result(self, by: int) -> None:
        """To an earlier result of this request, or a later one."""
        if self.lab.look_at(by):
            self._index = 0
            self._runs_changed()
        else:
            self.notify("No more results of this request.", timeout=2, markup=False)

    def action_vary_next(self, number: int) -> None:
        """Vary what was not tried yet, and nothing else."""
        study = self._study
        knobs = next_knobs(study, self.lab.results) if study is not None and self._calls else ()
        if self.lab.running or number > len(knobs):
            self.notify("No such number here: v chooses what to vary.", timeout=2, markup=False)
            return
        if self._no_runs():
            self.notify(self._no_runs(), markup=False)
            return
        self.lab.knobs = knobs_named(knobs[number - 1])
        self.action_again()

    def action_again(self) -> None:
        """Run it, with another deal of conditions."""
        if not self.has_engine():
            return
        self.lab.deal += self.lab.study is not None
        self._index = 0
        self.lab.start()

    def action_stop(self) -> None:
        """Stop; what is done stays."""
        if self.lab.running:
            self.lab.stop()
        else:
            nothing = self.controller.link.absence or "No runs are being made."
            self.notify(nothing, timeout=2, markup=False)

    def action_edit(self) -> None:
        """Ask how many runs, of how many tokens."""
        shown = f"{self.lab.runs} x {self.lab.length}"
        title = "Runs of each condition x tokens" if self.lab.serves else "Runs x tokens"
        self.app.push_screen(Ask(title, shown, replaced=True, take=self._edited))

    async def _edited(self, text: str) -> None:
        try:
            self.lab.runs, self.lab.length = asked_runs(text)
        except ValueError:
            raise UsageError(
                f"{safe_text(brief(text))!r} is no number of runs and tokens, such as 30 x 64 (at "
                "most 1000 x 4096)."
            ) from None
        self.action_again()

    def action_vary(self) -> None:
        """Ask what differs between the runs."""
        shown = ",".join(self.lab.knobs)
        names = ", ".join(_LOADED)
        seed = "" if self._greedy else "; each run has a seed of its own too"
        self.app.push_screen(
            Ask(
                f"Vary, of {names}{seed}",
                shown,
                replaced=True,
                take=self._varied,
                takes_nothing=True,
            )
        )

    async def _varied(self, text: str) -> None:
        self.lab.knobs = knobs_named(text, _LOADED)
        self.action_again()

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)
