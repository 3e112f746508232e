"""Lines of the transcript as strips: pure drawing, from laid out runs to styled segments."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tokexplore.models.display import NEWLINE, TAB, safe_text
from tokexplore.widgets.cell_text import ELLIPSIS, chop, cut, cut_left, fitting, line, width
from tokexplore.widgets.title_rule import SEPARATOR
from tokexplore.widgets.transcript_cells import BLANK, BREAK, FORK, HELD, MARK, MARKS, NO_TEXT, Cell
from tokexplore.widgets.transcript_layout import Line, Run
from tokexplore.widgets.transcript_looks import Looks
from tokexplore.widgets.transcript_sections import Section

LIVE = "▌"
FOLD = "▸"
_BEGINS = Style(underline=True)


class Aside(NamedTuple):
    """A branch that was left, as one dim line under the text: `2 ┬ … had a son, who was ...`."""

    branch: int
    """The branch's number."""
    before: str
    """The last shared words before the fork, raw."""
    text: str
    """The words of the branch from its fork on, raw."""


def token_style(cell: Cell, level: int, looks: Looks) -> Style:
    """The style of a token's text: where it came from, under the heat of its level.

    A level above 0 brings its own readable text colour, so that origin shows by attributes.
    """
    base = looks.special if cell.special else _origin_style(cell, looks)
    if cell.kind == "template":
        return looks.template
    if level <= 0:
        return base
    heat = looks.heat[level]
    return base + heat if base is not looks.text else heat


def _origin_style(cell: Cell, looks: Looks) -> Style:
    if cell.origin == "prompt":
        return looks.prompt
    if cell.origin == "picked":
        return looks.picked
    plain = looks.reasoning if cell.kind == "reasoning" else looks.text
    return looks.typed if cell.origin == "typed" else plain


def _is_blank(cell: Cell) -> bool:
    return not cell.text.strip(" \u3000\t")


def _run_style(run: Run, cell: Cell, level: int, at_cursor: bool, looks: Looks) -> Style:
    if run.kind in (MARK, HELD, BREAK) and run.text in MARKS:
        return looks.fork if run.text == FORK else looks.flip
    if run.kind == BLANK and not _is_blank(cell):
        return looks.mark if run.text == TAB else looks.text
    if at_cursor:
        return looks.cursor
    style = token_style(cell, level, looks)
    faint = run.kind in (HELD, BREAK) or run.text == TAB
    return style + looks.mark if faint and level <= 0 else style


def draw_line(
    text: Line,
    columns: int,
    cells: Sequence[Cell],
    level: Callable[[int], int],
    cursor: int | None,
    looks: Looks,
    *,
    live: bool = False,
    reveal: bool = False,
    boundaries: bool = False,
) -> Strip:
    """One line of the text in exactly `columns` cells.

    Args:
        text: the laid out line.
        columns: width in cells.
        cells: the tokens that its runs point to.
        level: the heat level of a token by its index.
        cursor: index of the cursor's token.
        looks: the styles.
        live: whether the open end of a stream is on this line.
        reveal: whether the cursor's token has no text of its own and belongs on this line: its
            visible form is drawn in front of the text that follows it.
        boundaries: whether the first character of each token is underlined.
    """
    segments: list[Segment] = []
    begun = text.token if text.skip else -1
    for run in text.runs:
        dotted = boundaries and run.token == cursor and run.text == NO_TEXT
        if reveal and cursor is not None and (run.token > cursor or dotted):
            segments.append(Segment(safe_text(cells[cursor].shown), looks.cursor))
            reveal = False
            if dotted:
                continue
        at, heat = run.token, level(run.token)
        style = _run_style(run, cells[at], heat, at == cursor, looks)
        shown = run.text
        if boundaries and at != begun and run.width:
            begun = at
            head, shown = chop(shown, max(1, width(shown[0])))
            segments.append(Segment(head, style + _BEGINS))
        if segments and segments[-1].style == style:
            segments[-1] = Segment(segments[-1].text + shown, style)
        elif shown:
            segments.append(Segment(shown, style))
    if reveal and cursor is not None:
        segments.append(Segment(safe_text(cells[cursor].shown), looks.cursor))
    if not live:
        return line(segments, columns, looks.text)
    used = min(sum(width(segment.text) for segment in segments), columns - 1)
    block = Segment(LIVE, looks.live)
    return line([*line(segments, used, looks.text), block], columns, looks.text)


def _one_line(text: str) -> str:
    return safe_text(text.replace("\n", NEWLINE))


def _last_words(text: str, cells: int) -> str:
    """The end of `text` in at most `cells` cells, from a whole word on if there is one."""
    shown = cut_left(text, cells)
    space = shown.find(" ", 0, -1)
    return ELLIPSIS + shown[space:] if shown != text and space > 0 else shown


def draw_aside(aside: Aside, columns: int, looks: Looks) -> Strip:
    """A branch that was left, in exactly `columns` cells."""
    head = f"{aside.branch} {FORK} "
    shared = f"{ELLIPSIS} {aside.before[-columns:].lstrip()}"
    before = _last_words(_one_line(shared), max(8, columns // 3))
    tail = cut(_one_line(aside.text[: 2 * columns]), columns - width(head) - width(before))
    segments = [
        Segment(head, looks.fork),
        Segment(before, looks.muted),
        Segment(tail, looks.aside),
    ]
    return line(segments, columns, looks.text)


def draw_more(count: int, columns: int, looks: Looks) -> Strip:
    """How many branches were left beside those that have a line, in exactly `columns` cells."""
    return line([Segment(cut(f"+{count:,} more", columns), looks.muted)], columns, looks.text)


def draw_section(
    section: Section,
    cells: Sequence[Cell],
    cursor: int | None,
    columns: int,
    looks: Looks,
    *,
    folded: bool,
    forks: bool,
) -> Strip:
    """The line that a section has, in exactly `columns` cells.

    Args:
        section: of `cells`.
        cells: the whole text.
        cursor: the index of a cell that the line stands for and the user is on; None elsewhere.
        columns: width in cells.
        looks: the styles.
        folded: whether the line stands for all of the section.
        forks: whether the tree forks after a cell that the line stands for.
    """
    here = "" if cursor is None else cells[cursor].shown or cells[cursor].text
    if not folded:
        return draw_title(section.label, section.figures, here, columns, looks, forks=forks)
    end = section.stop if cursor is None else cursor
    before = cells[max(section.start, end - columns) : end]
    tail = "".join(cell.text for cell in before if cell.kind != "template")
    return draw_fold(section.label, section.words, tail, here, columns, looks, forks=forks)


def draw_title(
    label: str,
    figures: Sequence[str],
    here: str,
    columns: int,
    looks: Looks,
    *,
    forks: bool = False,
) -> Strip:
    """The line above a turn, in exactly `columns` cells.

    Args:
        label: who speaks.
        figures: what is known of the turn, each shown whole or not at all.
        here: the visible form of the cursor's token where that is hidden; empty elsewhere.
        columns: width in cells.
        looks: the styles.
        forks: whether the tree forks after a token of it that is hidden.
    """
    name = cut(_one_line(label), columns)
    room = columns - width(name) - 2 * forks - 2
    token = cut(_one_line(here), max(room, 0))
    known = fitting(figures, room - (width(token) + 2 if token else 0), SEPARATOR)
    segments = [
        Segment(name, looks.role),
        Segment(f" {FORK}" if forks else "", looks.fork),
        Segment(f"  {known}" if known else "", looks.muted),
        Segment("  " if token else "", looks.text),
        Segment(token, looks.cursor),
    ]
    return line([segment for segment in segments if segment.text], columns, looks.text)


def draw_fold(
    label: str,
    tokens: int,
    tail: str,
    here: str,
    columns: int,
    looks: Looks,
    *,
    forks: bool = False,
) -> Strip:
    """A folded section: how many tokens it has and its last words, in exactly `columns` cells.

    Args:
        label: what it is.
        tokens: its length.
        tail: the end of its text, raw; while the cursor is in it, of the text before the cursor.
        here: the visible form of the cursor's token; empty while the cursor is elsewhere.
        columns: width in cells.
        looks: the styles.
        forks: whether the tree forks after one of its tokens.
    """
    mark, size = f"{FORK} " if forks else "", f": {tokens:,} tokens "
    name = cut(_one_line(label), max(columns - width(f"{FOLD} {size}{mark}"), 0))
    head = f"{FOLD} {name}{size}"
    token = cut(_one_line(here), max(columns - width(head + mark), 0))
    room = columns - width(head + mark) - width(token) - (not token)
    words = _last_words(_one_line(tail[-2 * columns :]), max(room, 0))
    segments = [
        Segment(head, looks.muted),
        Segment(mark, looks.fork),
        Segment(words, looks.prompt),
        Segment(token, looks.cursor),
    ]
    return line(segments, columns, looks.text)
