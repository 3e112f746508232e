"""`t`: a text for this step, and how probable it and others are here."""

from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tokexplore.models.errors import TokexploreError
from tokexplore.tui.explore.text_scores import TextScores
from tokexplore.tui.keymap import rebinding_of
from tokexplore.tui.report.probability_text import WHOLE_STRINGS, ranking_table, tokens_line
from tokexplore.tui.screens.draft import Draft
from tokexplore.tui.screens.writing import WRITING, Preview, TextEditor, Written

_FIGURES = 48
"""Cells of a line of the table that are not the text's."""
_OTHERS = 17
"""Lines of the screen that are not the table's, at most."""


class ContinuationEditor(TextEditor):
    """Some text to go on with; a key asks how probable it is, beside others asked for here."""

    DEFAULT_CSS = """
    ContinuationEditor {
        &.-scored TextArea { height: 4; }
        & VerticalScroll { height: auto; margin-top: 1; display: none; }
        &.-scored VerticalScroll { display: block; }
        & #scored { text-wrap: wrap; text-overflow: clip; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+n",
            "score",
            "how probable",
            tooltip="How probable the text is here, token by token, without a branch.",
            priority=True,
            id="editor.probability",
        )
    ]
    hint_text = "{type.submit:⏎} done · {editor.probability:ctrl+n} how probable · " + WRITING

    def __init__(
        self,
        title: str,
        text: str,
        preview: Preview | None,
        scores: TextScores,
        *,
        literal: bool = False,
        unsent: bool = False,
        leave: Callable[[Written], None] = lambda _: None,
        warning: Callable[[], str] = str,
    ) -> None:
        super().__init__(
            title, text, preview, literal=literal, unsent=unsent, leave=leave, warning=warning
        )
        self._scores = scores

    def body(self) -> ComposeResult:
        yield from super().body()
        with VerticalScroll() as scroll:
            scroll.styles.max_height = max(4, self.app.size.height - _OTHERS)
            yield Static("", id="scored")

    def on_mount(self) -> None:
        """Show what was asked for at this step before."""
        if self._scores.all:
            self.call_after_refresh(self._show_scores)

    def on_text_area_changed(self) -> None:
        """What is told of one text is not left under another."""
        self._show_scores()

    def action_toggle_literal(self) -> None:
        """Another reading is another text."""
        super().action_toggle_literal()
        self._show_scores()

    @work(exclusive=True, group="score")
    async def action_score(self) -> None:
        """Ask how probable the text is."""
        draft = self.query_one(Draft)
        try:
            await self._scores.score(draft.text, literal=self.literal)
            self._show_scores()
        except TokexploreError as error:
            self._show_scores(str(error))

    def _first_line(self, text: str) -> Content:
        """The tokens of the text that stands there, or that the figures are of others."""
        for scored in self._scores.comparable:
            if (scored.text, scored.literal) == (text, self.literal):
                return Content(tokens_line(scored, self._scores.vocabulary))
        words = "asked for before · {editor.probability:ctrl+n} asks for the text above"
        return Content.styled(rebinding_of(self.app).words(words), "$text-muted")

    def _show_scores(self, refusal: str = "") -> None:
        """The table of all that was asked for here, below what is told of the text above."""
        shown, draft, scores = self.part(Static, "#scored"), self.part(Draft), self._scores
        if shown is None or draft is None:
            return
        self.set_class(bool(refusal or scores.all), "-scored")
        parts = [Content(refusal) if refusal else self._first_line(draft.text)]
        if texts := scores.comparable:
            room = min(100, self.app.size.width * 9 // 10) - 5
            head, *rows = ranking_table(texts, max(8, room - _FIGURES))
            parts += [Content.styled(head, "$text-muted"), *map(Content, rows)]
            if len({len(text.ids) for text in texts}) > 1:
                parts.append(Content.styled(WHOLE_STRINGS, "$text-muted"))
        if others := len(scores.all) - len(texts):
            told = f"{others} more here by another model: see the inspector"
            parts.append(Content.styled(told, "$text-muted"))
        shown.update(Content("\n").join(parts))
