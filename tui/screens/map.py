"""`I`: the map of the tree, steps from left to right, probability from top to bottom."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType

from tokexplore.models.tree.icicle import Icicle, starts
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.presenters.map import (
    COLOURINGS,
    WIDTHS,
    MapLook,
    MapPlace,
    cursor_on,
    deep,
    map_details,
    map_view,
    token_name,
)
from tokexplore.tui.screens import map_keys
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.widgets.cell_text import cut
from tokexplore.widgets.header import Header
from tokexplore.widgets.icicle import IcicleMap
from tokexplore.widgets.keybar import KeyBar
from tokexplore.widgets.role_lines import RoleLines
from tokexplore.widgets.title_rule import Part, TitleRule, legend_parts

_NAME = 24
"""Cells of a token's name in the title."""
_USUAL, _WIDE = 3, 100
"""Which of the widths columns begin with: from so many cells on the next one."""


class MapScreen(LiveScreen):
    """The map of the prompt that the path in view begins with, or of another one.

    Args:
        bits: surprisal and entropy in bits instead of nats.
    """

    DEFAULT_CSS = """
    MapScreen {
        background: $background; color: $foreground;
        & #map { height: 1fr; }
        & #map-detail { height: 4; padding: 0 1; }
        & TitleRule > .title-rule--heat-0 { background: $panel; }
    }
    """
    mode = "MAP"
    BINDINGS: ClassVar[list[BindingType]] = map_keys.BINDINGS

    def __init__(self, controller: Controller, *, bits: bool) -> None:
        super().__init__(controller)
        self._bits = bits
        self._wide: int | None = None
        """Which of the widths of a column was chosen."""
        self._colouring = COLOURINGS[0]
        self._icicle: Icicle | None = None
        self._foci = list[int]()
        """Blocks that had the whole height, that which has it last."""
        self._ways = dict[int, int]()
        """By node: the one after it that the cursor came back from."""
        self._begin(starts(self.explorer.tree, self.explorer.leaf)[0])

    def _begin(self, start: int) -> None:
        """The map of a prompt, at its first fork on the path in view."""
        path, taken = self.explorer.nodes, self.explorer.taken
        focus = start
        if start == ROOT or start in path:
            focus = self.icicle.first_fork(start, path)
        self._foci = list(dict.fromkeys((start, focus)))
        self.place = MapPlace(start, focus, cursor_on(self.icicle, focus, taken))

    def compose(self) -> ComposeResult:
        yield Header()
        yield TitleRule()
        yield IcicleMap(id="map")
        yield RoleLines(id="map-detail")
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the map."""
        self.show_keys(map_keys.HINTS, "map.close")
        self.changed()

    def on_resize(self, event: events.Resize) -> None:
        """All of it anew."""
        del event
        self.changed()

    @property
    def icicle(self) -> Icicle:
        """The tree as the last change left it."""
        if self._icicle is None:
            self._icicle = Icicle(self.explorer.tree, self.explorer.nodes)
        return self._icicle

    @property
    def look(self) -> MapLook:
        """How the map is drawn."""
        picture = self.query_one(IcicleMap)
        columns = max(1, picture.size.width)
        cells = min(WIDTHS[self._width], columns)
        return MapLook(columns, picture.rows, cells, self._colouring)

    @property
    def _width(self) -> int:
        """Which of the widths a column has."""
        return (self.size.width >= _WIDE) + _USUAL if self._wide is None else self._wide

    # Painting

    def changed(self) -> None:
        """The tree may have changed: its shares are worked out anew."""
        self._icicle = None
        super().changed()

    def paint_parts(self) -> None:
        """Bring map, title and figures up to date."""
        if not self.query_one(IcicleMap).size.width:
            return  # the first frame comes before the layout; a resize follows
        self._stay_in_sight()
        icicle, vocabulary = self.icicle, self.explorer.vocabulary
        look = self.look
        self._scroll(look)
        view = map_view(icicle, vocabulary, self.place, look, self.explorer.nodes)
        self.query_one(IcicleMap).show(view)
        place, lines = self.place, self.query_one(RoleLines)
        columns = max(20, lines.size.width - 2)
        lines.show(map_details(icicle, vocabulary, place, columns, bits=self._bits), lit=False)
        self.query_one(TitleRule).show(self._title(), legend_parts(self._colouring))

    def _title(self) -> list[Part]:
        start, focus = self.place.start, self.place.focus
        name = cut(token_name(self.icicle, self.explorer.vocabulary, focus), _NAME)
        parts = [Part("map", "text"), Part(f"after “{name}”", "here")]
        if focus != start:
            parts.append(Part(deep(self.icicle, start, focus), "text"))
        prompts = starts(self.explorer.tree, self.explorer.leaf)
        if len(prompts) > 1:
            number = prompts.index(start) + 1 if start in prompts else 1
            parts.append(Part(f"prompt {number} of {len(prompts)}"))
        return parts

    def _stay_in_sight(self) -> None:
        """Leave what went out of sight, for the nearest block that is still there."""
        start, _, cursor, first = self.place
        self._foci = [node for node in self._foci if self.icicle.holds(start, node)]
        focus = self._foci[-1]
        while not self.icicle.holds(focus, cursor):
            if cursor == ROOT:
                cursor = focus
                break
            cursor = self.explorer.tree.parent[cursor]
        self.place = MapPlace(start, focus, cursor, first)

    def _scroll(self, look: MapLook) -> None:
        """Bring the cursor's column into view, and one beside it either way."""
        depth, (_, focus, cursor, first) = self.explorer.tree.depth, self.place
        column = depth[cursor] - depth[focus]
        around = 1 if look.steps > 2 else 0
        first = max(min(first, column - around), column + around - look.steps + 1, 0)
        self.place = self.place._replace(first=first)

    # Keys

    def keeps_waiting(self, event: events.Key | events.Paste) -> bool:
        """Whether the path in view is about to change."""
        del event
        return self.controller.changing

    def _redraw(self) -> None:
        """Show where the user went on the same tree."""
        super().changed()

    def _move(self, node: int | None) -> None:
        """Stand on a node; the way there is gone again when the cursor goes on from before it."""
        if node is None:
            return
        parent, at = self.explorer.tree.parent, node
        while at != self.place.focus:
            self._ways[parent[at]] = at
            at = parent[at]
        self.place = self.place._replace(cursor=node)
        self._redraw()

    def action_back_step(self) -> None:
        """To the block before."""
        if self.place.cursor != self.place.focus:
            self._move(self.explorer.tree.parent[self.place.cursor])

    def action_on_step(self) -> None:
        """To the block after."""
        cursor = self.place.cursor
        after = {share.node for share in self.icicle.after(cursor).shares}
        way = self._ways.get(cursor)
        self._move(way if way in after else self.icicle.onward(cursor))

    def action_beside(self, by: int) -> None:
        """To the block above or below."""
        self._move(self.icicle.beside(self.place.focus, self.place.cursor, by))

    def action_zoom(self) -> None:
        """Make the block under the cursor the whole height."""
        if self.place.cursor != self.place.focus:
            self._foci.append(self.place.cursor)
            self.place = self.place._replace(focus=self.place.cursor, first=0)
            self._redraw()

    def action_zoom_back(self) -> None:
        """Back to the height before."""
        if len(self._foci) == 1:
            self.action_close()
            return
        self._foci.pop()
        self.place = self.place._replace(focus=self._foci[-1], first=0)
        self._redraw()

    def action_whole(self) -> None:
        """The whole map."""
        start = self.place.start
        self._foci = [start]
        self.place = self.place._replace(focus=start, first=0)
        self._redraw()

    def action_colouring(self) -> None:
        """The other quantity."""
        following = (COLOURINGS.index(self._colouring) + 1) % len(COLOURINGS)
        self._colouring = COLOURINGS[following]
        self._redraw()

    def action_wider(self, by: int) -> None:
        """Wider or narrower columns."""
        self._wide = max(0, min(len(WIDTHS) - 1, self._width + by))
        self._redraw()

    def action_next_prompt(self) -> None:
        """The map of the next prompt."""
        prompts = starts(self.explorer.tree, self.explorer.leaf)
        if len(prompts) < 2:
            self.notify("This tree has one prompt.", timeout=3, markup=False)
            return
        at = prompts.index(self.place.start) if self.place.start in prompts else 0
        self._begin(prompts[(at + 1) % len(prompts)])
        self._redraw()

    def action_go(self) -> None:
        """Make the block's branch the path in view, at its step."""
        self.controller.jobs.change(self._go(self.place.cursor))

    async def _go(self, node: int) -> None:
        await self.controller.go_to(node, node)
        self.dismiss(None)

    def on_icicle_map_picked(self, event: IcicleMap.Picked) -> None:
        """A click stands on a block."""
        self._move(event.key)

    def action_close(self) -> None:
        """Back to the main screen."""
        self.dismiss(None)
