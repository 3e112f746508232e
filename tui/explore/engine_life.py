"""An engine's life: its model is loaded, it is lost, and another begins in its place."""

from collections.abc import Awaitable, Callable

from tokexplore.models.errors import EngineLostError, TokexploreError
from tokexplore.tui.explore.engine_link import EngineLink
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.queries import Queries
from tokexplore.tui.explore.starting import (
    adopt_vocabulary,
    introduce,
    name_tokens,
    tell_chats,
)
from tokexplore.tui.explore.streams import Notify, Streams
from tokexplore.tui.explore.watchlist import Watchlist
from tokexplore.tui.terminal.shutdown import failure


class EngineLife:
    """Loads the model, and tells once that its engine is gone; the tree stays.

    Args:
        changed: called when there is something new to show.
        play_name: the key or the command that goes on, as notices name it.
    """

    def __init__(
        self,
        options: AppOptions,
        explorer: Explorer,
        link: EngineLink,
        watchlist: Watchlist,
        streams: Streams,
        queries: Queries,
        changed: Callable[[], None],
        notify: Notify,
        play_name: str,
    ) -> None:
        self._options, self._explorer, self._link = options, explorer, link
        self._watchlist, self._streams, self._queries = watchlist, streams, queries
        self._changed, self._notify, self._play_name = changed, notify, play_name
        self.goes_on = False
        """A stream was live when the engine was lost."""
        self.differs: list[str] = []
        """How the model that was loaded computes otherwise than the session was recorded."""
        self._loss: EngineLostError | None = None
        """The last loss, which all that was under way then ran into."""

    @property
    def why_lost(self) -> str:
        """What the engine ran into; empty where it is not lost."""
        return str(self._loss or "") if self._link.state == "lost" else ""

    async def open(self) -> None:
        """Load the model, and begin with the settings that were asked for.

        Raises:
            TokexploreError: it cannot be loaded, or does not go with what was asked for.
        """
        options, explorer, link = self._options, self._explorer, self._link
        first = link.info is None
        try:
            info = await link.load(for_chat=first and options.starts_with_chat)
        except EngineLostError as error:
            self.lose(error)
            return
        adopt_vocabulary(explorer, link.client.vocabulary, options.load.model)
        link.ready()
        await tell_chats(link.client, explorer.tree)
        if first:
            self.differs = introduce(options, explorer, info, self._notify)
            self._queries.recomputes = bool(self.differs)
            await name_tokens(options, link.client, explorer, self._watchlist)
        explorer.tree.load(info.provenance)
        self._changed()

    def restart(self) -> Awaitable[None]:
        """Begin with a new engine process, from the same node; awaited, its model is loaded.

        Raises:
            TokexploreError: when awaited; see `open`.
        """
        self._streams.drop(self._streams.live)
        self._queries.forget_asked()
        self._link.renew()
        return self._open_or_lose()

    async def wake(self) -> None:
        """Load the model of a session that is open without it.

        Raises:
            TokexploreError: see `open`.
        """
        if self._link.state == "recorded":
            await self._open_or_lose()

    async def _open_or_lose(self) -> None:
        try:
            await self.open()
        except TokexploreError:
            self._link.lose()
            raise

    def lose(self, error: EngineLostError) -> None:
        """The engine's process is gone: say why, once; the tree stays."""
        if self._link.state != "lost":
            self.goes_on, self._loss = self._streams.live is not None, error
            self._streams.drop(self._streams.live)
            self._link.lose()
            self._notify(
                f"{error} {self._play_name.capitalize()} starts it again.", severity="error"
            )
            self._changed()

    def failed(self, error: Exception) -> None:
        """Tell what a piece of work in the background ran into."""
        if isinstance(error, EngineLostError):
            if self._link.state == "lost" and error is not self._loss:
                self._notify(
                    f"The engine is gone: {self._play_name} starts it again.", severity="error"
                )
            self.lose(error)
        elif isinstance(error, TokexploreError):
            self._notify(str(error), severity="error")
        else:
            self._notify(failure(error), severity="error")
