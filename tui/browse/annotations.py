"""What makes a place in the tree easy to find again, and what leaves the tree: text, sessions."""

import asyncio
import math
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.tree.events import Bookmarked, Labelled, Noted
from tokexplore.models.tree.search import Match, find_text
from tokexplore.models.tree.visibility import is_out_of_sight
from tokexplore.tui.browse.base import Actions, BrowseBase
from tokexplore.tui.browse.navigation import NavigationActions
from tokexplore.tui.explore.options import ExportOptions
from tokexplore.tui.export.formats import FORMATS
from tokexplore.tui.export.source import Source
from tokexplore.tui.terminal.clipboard import copy, write_text

AGAIN = 10.0
"""Seconds within which a second `y` writes a file."""


class AnnotationActions(Actions):
    """Bookmarks, notes, text search, copying, and the list of sessions."""

    def __init__(self, screen: BrowseBase, navigation: NavigationActions) -> None:
        super().__init__(screen)
        self._navigation = navigation
        self._matches: tuple[Match, ...] = ()
        self._sought = ""
        self._copied = -math.inf

    @property
    def _marked_node(self) -> int | None:
        """The node that a note or a bookmark of now belongs to: the step under the cursor."""
        explorer = self.explorer
        if not explorer.nodes:
            return None
        return explorer.leaf if explorer.taken is None else explorer.taken

    def action_bookmark(self) -> None:
        """Bookmark this step, or take the bookmark away."""
        node, tree = self._marked_node, self.explorer.tree
        if node is None:
            self.screen.nothing("step to bookmark yet")
            return
        tree.history.change(Bookmarked(node, node not in tree.bookmarks))
        self.screen.changed()

    def action_next_bookmark(self) -> None:
        """To the next bookmark, note or name in the order of the tree's nodes, round and round."""
        tree, here = self.explorer.tree, self._marked_node
        marked = tree.bookmarks | tree.notes.keys() | tree.labels.keys()
        nodes = sorted(node for node in marked if not self._hidden(node))
        if not nodes or here is None:
            self.screen.nothing("bookmarks, notes or names of steps")
            return
        self._navigation.go_to_node(next((n for n in nodes if n > here), nodes[0]))

    def _hidden(self, node: int) -> bool:
        return is_out_of_sight(self.explorer.tree, node)

    async def action_note(self) -> None:
        """Write a note on this step; an empty one takes it away."""
        await self._ask_words("Note on", self.explorer.tree.notes, Noted)

    async def action_label(self) -> None:
        """Name this step; an empty name takes it away."""
        await self._ask_words("Name of", self.explorer.tree.labels, Labelled)

    async def _ask_words(
        self, what: str, texts: Mapping[int, str], change: type[Noted] | type[Labelled]
    ) -> None:
        from tokexplore.tui.screens.dialog import Ask

        node, tree = self._marked_node, self.explorer.tree
        if node is None:
            self.screen.nothing("step to write on yet")
            return

        def written(text: str | None) -> None:
            if text is not None and text.strip() != texts.get(node, ""):
                tree.history.change(change(node, text.strip()))
                self.screen.changed()

        step = self.explorer.number(tree.depth[node] - 1)
        where = f"step {step}" if step else "the prompt"
        await self.screen.open(Ask(f"{what} {where}", texts.get(node, "")), written)

    async def action_find_text(self) -> None:
        """Ask for a text and go to where the tree holds it."""
        from tokexplore.tui.screens.dialog import Ask

        await self.screen.open(Ask("Find text in the tree", self._sought, take=self._find))

    async def _find(self, text: str) -> None:
        explorer, self._sought = self.explorer, text
        found = find_text(explorer.tree, explorer.vocabulary, text, hidden=explorer.show_hidden)
        # Two in one token are one place to go to.
        self._matches = tuple({match.first: match for match in reversed(found)}.values())[::-1]
        if not self._matches:
            raise UsageError(f"No match of {text!r} in the tree: type another text.")
        self.action_match(0)

    def action_match(self, direction: int) -> None:
        """To the next match (1), the one before (-1), or the first from here on (0)."""
        matches, here = self._matches, self._marked_node
        if not matches or here is None:
            self.screen.nothing(
                f"match of {self._sought!r}" if self._sought else "text sought: f asks"
            )
            return
        on_path = [i for i, m in enumerate(matches) if self.explorer.on_path(m.last)]
        order = self.explorer.tree.depth
        at = next((i for i, m in enumerate(matches) if m.first == here), None)
        if at is not None and direction:
            index = (at + direction) % len(matches)
        else:
            after = (i for i in on_path if order[matches[i].first] >= order[here])
            index = next(after, on_path[0] if on_path else 0)
        self._navigation.go_to_node(matches[index].first, through=matches[index].last)
        self.screen.app.notify(
            f"Match {index + 1:,} of {len(matches):,}: ; next, , before.", markup=False, timeout=3
        )

    def action_copy(self) -> None:
        """Copy the text of the path in view; a second time soon after writes a file."""
        explorer = self.explorer
        if not explorer.nodes:
            self.screen.nothing("text to copy yet")
            return
        now = self.host.clock()
        again, self._copied = now - self._copied < AGAIN, now
        self.screen.run_worker(
            partial(self._copy, explorer.text(), again), thread=True, exclusive=True
        )

    def _copy(self, text: str, to_file: bool) -> None:
        def osc52(text: str) -> None:
            self.screen.app.call_from_thread(self.screen.app.copy_to_clipboard, text)

        try:
            if to_file:
                notice = f"The text is in {write_text(text)}."
            else:
                notice = copy(text, osc52, os.environ)
        except OSError as error:
            notice = f"The text cannot be copied: no file can be written ({reason_of(error)})."
        self.screen.app.call_from_thread(self.host.say, notice)

    async def action_export(self) -> None:
        """Ask for a file and write the tree to it."""
        from tokexplore.tui.screens.dialog import Ask

        explorer = self.explorer
        if not explorer.nodes:
            self.screen.nothing("tree to export yet")
            return
        title = (
            f"Export to FILE {' '.join(form.suffixes[0] for form in FORMATS.values())}, "
            "and path, visible or all; .messages.json is the chat of this path"
        )
        session = self.host.sessions.path
        name = f"{session.stem if session else 'tokexplore'}.html"
        await self.screen.open(Ask(title, name, take=self._export))

    async def _export(self, text: str) -> None:
        explorer = self.explorer
        self.host.sessions.gather()
        session = self.host.sessions.path
        title = session.stem if session else "tokexplore"
        source = Source(
            explorer.tree, explorer.vocabulary, explorer.leaf, title, explorer.settings,
            dict(explorer.scored_texts),
        )  # fmt: skip
        self.host.say(await asyncio.to_thread(self._write, source, text.strip()))

    def _write(self, source: Source, asked: str) -> str:
        from tokexplore.models.session.reader import steps
        from tokexplore.tui.export.to_file import write_export

        usual = ExportOptions()
        file, more = write_export(source, asked, usual.scope, usual.candidates)
        notice = " ".join(filter(None, (f"The export is in {file}.", more)))
        if damaged := len(source.tree.distribution.damaged):
            notice += f" What is damaged in the session, at {steps(damaged)}, is left blank."
        return notice

    async def action_sessions(self) -> None:
        """The sessions that were kept; another one can be opened."""
        from tokexplore.tui.screens.sessions import SessionPicker

        def chosen(path: Path | None) -> None:
            if path is not None:
                self.host.sessions.open_session(path)

        await self.screen.open(SessionPicker(self.host.sessions.path), chosen)
