"""`Y`: why a step came out as it did, looked into layer by layer and word by word."""

import math
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from tokexplore.models.errors import UsageError
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.why.step import WhyStep
from tokexplore.tui.explore.why.why import Why
from tokexplore.tui.presenters.compare import chosen
from tokexplore.tui.presenters.status import step_title
from tokexplore.tui.presenters.why.views import (
    VIEWS,
    Drawn,
    Shown,
    View,
    draw_attention,
    draw_grid,
    draw_layers,
    draw_lens,
    draw_models,
    draw_words,
    layer_under_cursor,
)
from tokexplore.tui.screens import why_keys
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.widgets.cell_text import cut
from tokexplore.widgets.header import Header
from tokexplore.widgets.keybar import KeyBar
from tokexplore.widgets.numbers import percent
from tokexplore.widgets.role_lines import Piece, RoleLines, Row
from tokexplore.widgets.title_rule import Part, TitleRule

_TOKEN = 20
"""Cells of a token's name in the question."""
_LEAST_ROWS = 6
"""Of the table under a coloured text."""


class Side(Vertical):
    """One step as a view shows it: coloured text, where there is any, over rows."""

    DEFAULT_CSS = """
    Side {
        width: 1fr;
        & .why-question { height: 1; margin-bottom: 1; padding: 0 1; }
        & .why-text { height: auto; margin-bottom: 1; padding: 0 1; }
        & .why-rows { padding: 0 1; }
    }
    """

    def compose(self) -> ComposeResult:
        yield RoleLines(classes="why-question")
        yield RoleLines(classes="why-text")
        yield RoleLines(classes="why-rows")

    @property
    def columns(self) -> int:
        """Cells of a row."""
        return max(20, self.size.width - 2)

    @property
    def rows(self) -> RoleLines:
        """The table."""
        return self.query_one(".why-rows", RoleLines)

    def show(self, question: Row, drawn: Drawn) -> None:
        """Show a view of a step."""
        self.query_one(".why-question", RoleLines).show([question])
        text = self.query_one(".why-text", RoleLines)
        text.display = bool(drawn.text)
        room = self.size.height - 4 - min(len(drawn.rows) + 1, _LEAST_ROWS)
        text.styles.height = max(1, min(len(drawn.text), room, self.size.height // 2))
        text.show(drawn.text, drawn.text_line, lit=False)
        self.rows.show(drawn.rows, drawn.cursor, head=drawn.head)


class WhyScreen(LiveScreen):
    """One step, or two beside each other.

    Args:
        parted: number of a branch; begins where it parts from the path in view.
    """

    DEFAULT_CSS = """
    WhyScreen {
        background: $background; color: $foreground;
        & #why-views { height: 1; padding: 0 1; margin-bottom: 1; }
        & Horizontal { height: 1fr; }
        & #why-detail { height: 1; padding: 0 1; margin-top: 1; }
        & #why-note { height: auto; max-height: 4; padding: 0 1; color: $muted; }
    }
    """
    mode = "WHY"
    BINDINGS: ClassVar[list[BindingType]] = why_keys.BINDINGS

    def __init__(self, controller: Controller, parted: int | None = None) -> None:
        super().__init__(controller)
        if not controller.explorer.cursor:
            controller.explorer.place(1)
        other = next(iter(chosen(controller.explorer)[1:]), None) if parted is None else parted
        tuned = controller.options.tuned_lens
        self.why = Why(controller, self.changed, other, tuned=tuned)
        if parted is not None:
            self.why.go_to(self.why.fork_index)
            self.why.put("branch")
        self.view: View = "lens" if parted is None else "layers"
        self._shown: dict[View, Shown] = {}

    def compose(self) -> ComposeResult:
        yield Header()
        yield TitleRule()
        yield RoleLines(id="why-views")
        with Horizontal():
            yield Side()
            yield Side()
        yield RoleLines(id="why-detail")
        yield Static(id="why-note", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the first view."""
        self._show_hints()
        self.changed()

    def on_resize(self) -> None:
        """All lines anew."""
        self.changed()

    def on_unmount(self) -> None:
        """Nothing goes on unseen."""
        self.why.leave()

    def _show_hints(self) -> None:
        self.show_keys(why_keys.hints(self.view), "why.close")

    @property
    def shown(self) -> Shown:
        """How the view is shown."""
        return self._shown.get(self.view, Shown())

    def _show_as(self, shown: Shown) -> None:
        self._shown[self.view] = shown
        self.changed()

    # Painting

    def paint_parts(self) -> None:
        """Bring title, views and sides up to date."""
        one, other = self.query(Side)
        beside = self.why.other_step if self.view not in ("grid", "models") else None
        other.display = beside is not None
        drawn = self._drawn(self.why.step, one)
        one.show(self._question(self.why.step), drawn)
        if beside is not None:
            other.show(self._question(beside), self._drawn(beside, other))
        title = step_title(self.explorer, self.size.width // 3)
        self.query_one(TitleRule).show([Part("why", "text"), *title], drawn.legend)
        self.query_one("#why-views", RoleLines).show([self._views()])
        self.query_one("#why-detail", RoleLines).show([drawn.detail])
        self.query_one("#why-note", Static).update(drawn.note)

    def _drawn(self, step: WhyStep, side: Side) -> Drawn:
        columns, shown = side.columns, self.shown
        match self.view:
            case "lens":
                return draw_lens(step, shown, columns, self.size.width - 2)
            case "grid":
                return draw_grid(self.why, shown, columns)
            case "layers":
                return draw_layers(step, shown, columns)
            case "words":
                return draw_words(step, shown, columns)
            case "attention":
                return draw_attention(step, shown, columns)
            case "models":
                info = self.controller.link.info
                first, second = info.name if info else "", self.controller.second.name
                return draw_models(self.why, first, second, shown, columns)

    def _views(self) -> Row:
        row = list[Piece]()
        for number, view in enumerate(VIEWS, 1):
            row.append(Piece(f" {number} {view} ", "chosen" if view == self.view else "muted"))
            row.append(Piece(" "))
        return row

    def _question(self, step: WhyStep) -> Row:
        """Which of two tokens is asked about, with their probabilities where they are known."""
        first, second = (self._named(step, token) for token in step.subject.tokens)
        beside = step is not self.why.step
        row = [Piece(f"{self._beside_words()} · ", "muted")] if beside else []
        row += [Piece("why "), first]
        both = self.view in ("lens", "layers") or (self.view == "words" and self.why.difference)
        if both and first != second:
            row += [Piece(" and not "), second]
        if not beside and self.why.at_fork:
            row.append(Piece(f" · before branch {self.why.other_branch} parts", "muted"))
        return row

    def _named(self, step: WhyStep, token: int) -> Piece:
        name = cut(step.vocabulary.show(token), _TOKEN)
        if step.lens is not None and token in step.lens.tokens:
            rank = step.lens.layers[-1].asked[step.lens.tokens.index(token)]
            name += f" {percent(math.exp(rank.logprob))}"
        return Piece(name, "here" if token == step.subject.tokens[0] else "bold")

    def _beside_words(self) -> str:
        if self.why.beside == "model":
            return self.controller.second.name
        return f"branch {self.why.other_branch}"

    # Keys

    def action_view(self, view: View) -> None:
        """Show another view; what runs of this one ends."""
        if view != self.view:
            self.why.leave()
            self.view = view
            self._show_hints()
            self.changed()

    def action_next_view(self, by: int) -> None:
        """The next view, or the one before."""
        self.action_view(VIEWS[(VIEWS.index(self.view) + by) % len(VIEWS)])

    def action_step(self, by: int) -> None:
        """To another step."""
        self.why.move(by)
        self._shown = {
            view: shown._replace(cursor=shown.cursor if view in ("lens", "grid") else None)
            for view, shown in self._shown.items()
        }

    def action_row(self, by: int) -> None:
        """To another row."""
        rows = self.query_one(Side).rows
        if rows.row_count:
            at = min(0, -by) if rows.cursor is None else rows.cursor
            cursor = max(0, min(at + by, rows.row_count - 1))
            self._show_as(self.shown._replace(cursor=cursor))

    def action_page(self, by: int) -> None:
        """A page of rows on, or back."""
        self.action_row(by * max(1, self.query_one(Side).rows.visible_rows - 1))

    def on_role_lines_widened(self) -> None:
        """Rows for the new width."""
        self.changed()

    def on_role_lines_highlighted(self, event: RoleLines.Highlighted) -> None:
        """A click stands on a row."""
        if event.lines.has_class("why-rows"):
            self._show_as(self.shown._replace(cursor=event.index))

    def action_sort(self) -> None:
        """The largest first, or in their order."""
        self._show_as(self.shown._replace(by_size=not self.shown.by_size, cursor=None))

    def action_heads(self) -> None:
        """The attention of the layer under the cursor head by head, or as one again."""
        if self.view != "layers":
            return
        layer = layer_under_cursor(self.why.step, self.shown)
        if layer is None:
            self.notify("No attention under the cursor.", timeout=3, markup=False)
            return
        for step in filter(None, (self.why.step, self.why.other_step)):
            step.want_heads(layer)

    def action_everything(self) -> None:
        """Look also into stretches that did not matter."""
        if self.view == "words" and self.has_engine():
            for step in filter(None, (self.why.step, self.why.other_step)):
                step.want_words(everything=True)

    def action_difference(self) -> None:
        """Ask what did the one token over the other, or what did it alone."""
        if self.view == "words":
            self.why.toggle_difference()

    def action_gradients(self) -> None:
        """Estimates by gradients."""
        if self.view == "words":
            for step in filter(None, (self.why.step, self.why.other_step)):
                step.want("gradients")

    def action_stop(self) -> None:
        """Stop, or begin anew."""
        step = self.why.step
        if step.runs("words") or step.runs("gradients"):
            self.why.stop()
        elif self.view == "words" and self.has_engine():
            step.want_words(everything=step.everything)
        self.changed()

    def action_attention_layer(self, by: int) -> None:
        """The attention of another layer; before the first one of all together."""
        found = self.why.step.attention
        if found is not None and self.view == "attention":
            layer = _around(self.shown.layer, by, len(found.layers))
            self._show_as(self.shown._replace(layer=layer))

    def action_attention_head(self, by: int) -> None:
        """The attention of another head; before the first one of all together."""
        found = self.why.step.attention
        if found is not None and self.view == "attention":
            self._show_as(self.shown._replace(head=_around(self.shown.head, by, found.heads)))

    def action_beside(self) -> None:
        """Put another branch beside, a second model, or nothing."""
        if self.why.turn() == "nothing" and self.why.other_branch is None:
            self.notify("No other branch, and no second model (& in the main screen).",
                        timeout=3, markup=False)  # fmt: skip

    def action_token(self, place: int) -> None:
        """Ask for another token."""
        token = self.why.step.subject.tokens[place]
        title = "Ask about this token" if place == 0 else "Hold it against this token"
        self.app.push_screen(
            Ask(
                f"{title}: its text, or its id (id 850)",
                value=f"id {token}",
                replaced=True,
                take=lambda text: self._pin(text, place),
            )
        )

    async def _pin(self, text: str, place: int) -> None:
        token = await self.controller.watchlist.token_named(text, "ask about one of them")
        rows = self.explorer.vocabulary.rows
        if not 0 <= token < rows:
            raise UsageError(f"id {token} is no token: they go up to {rows - 1}.")
        self.why.pin(token if place == 0 else None, token if place == 1 else None)

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)


def _around(at: int | None, by: int, count: int) -> int | None:
    """The next of None, 0, 1, ... count - 1, and around."""
    place = (-1 if at is None else at) + by + 1
    place %= count + 1
    return None if place == 0 else place - 1
