"""The link to one engine: whether it is there, what it loaded, and what it suggests."""

import asyncio
from collections.abc import Callable
from typing import Literal

from tokexplore.models.api.capabilities import Need
from tokexplore.models.api.engine import Progress
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.catalog.bases import base_of
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.errors import EngineLostError, TokexploreError, UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker.async_engine import AsyncEngine
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.explore.options import adopted

LinkState = Literal["recorded", "loading", "ready", "lost"]
"""`recorded`: a session is open and its model not yet asked for."""

MakeClient = Callable[[LoadOptions, Callable[[EngineLostError], None]], AsyncEngine]


def spawn_client(load: LoadOptions, on_lost: Callable[[EngineLostError], None]) -> AsyncEngine:
    """An engine in a child process."""
    return EngineClient(load, on_lost=on_lost)


class EngineLink:
    """One engine at a time; after a loss another one takes its place.

    Args:
        make_client: makes an engine that is not started yet; called with what hears of its loss.
        recorded: whether the engine waits until it is asked for.
        changed: called when there is something new to show.
    """

    def __init__(
        self,
        load: LoadOptions,
        make_client: MakeClient,
        on_lost: Callable[[EngineLostError], None],
        changed: Callable[[], None],
        *,
        recorded: bool,
    ) -> None:
        self._load = load
        self._new_client = lambda: make_client(load, on_lost)
        self._changed = changed
        self.client = self._new_client()
        self.state: LinkState = "recorded" if recorded else "loading"
        self.info: ModelInfo | None = None
        """What is loaded, or was before the engine was lost; None before the first load."""
        self.progress: Progress | None = None
        """Of loading."""
        self.why_no_chat = ""
        """Why there can be no chat with the model, as soon as its files say it; see `Progress`."""
        self._for_chat = False
        self._ending: asyncio.Future[None] | None = None
        """The end of a model that was loaded for a chat that it cannot have."""
        self.memory = ""
        """What the model needs and what is free, as the engine has it before loading."""

    @property
    def absent(self) -> bool:
        """Whether there is no engine to ask."""
        return self.state != "ready"

    @property
    def absence(self) -> str:
        """The sentence that says why there is no engine to ask; empty where there is one."""
        if self.state == "loading":
            return "The model is still loading."
        return "No model is loaded: space in the main screen does it." if self.absent else ""

    def can(self, need: Need) -> bool:
        """Whether there is an engine to ask, and it can do this."""
        return not self.absent and self.info is not None and not self.limit(need)

    def limit(self, need: Need) -> str:
        """See `Capabilities.limit`; empty too as long as no engine was there to say."""
        return self.info.capabilities.limit(need) if self.info else ""

    def why_not(self, what: str, *needs: Need) -> str:
        """See `Capabilities.why_not`; empty as `limit`."""
        return self.info.capabilities.why_not(what, *needs) if self.info else ""

    def check(self, what: str, *needs: Need) -> None:
        """Refuse what the engine cannot do.

        Raises:
            UsageError: it lacks something that `what` needs; see `Capabilities.why_not`.
        """
        if why := self.why_not(what, *needs):
            raise UsageError(why)

    @property
    def suggested(self) -> SamplingSettings | None:
        """The sampling settings that the model's makers suggest."""
        return self.info.suggested if self.info else None

    def suggestion(self, settings: SamplingSettings) -> SamplingSettings:
        """These settings as the model's makers suggest them, where they do."""
        return adopted(settings, frozenset(), self.suggested)

    def is_for_chat(self) -> bool:
        """Whether the model has a chat template: by its description or, before it is loaded, by its
        files; False where neither is here."""
        if self.info is not None:
            return self.info.chat_template
        from tokexplore.models.catalog.checkpoint import has_chat_template  # takes milliseconds

        try:
            path = base_of(locate(self._load.model, self._load.revision)).path
            return path is not None and has_chat_template(path)
        except (TokexploreError, OSError):
            return False

    async def load(self, *, for_chat: bool = False) -> ModelInfo:
        """Load the model; what is loaded.

        Args:
            for_chat: a model that can have none is given up before its weights are read.

        Raises:
            UsageError: that is so.
            TokexploreError: see `AsyncEngine.start`.
        """
        self.state, self.progress, self._for_chat = "loading", None, for_chat
        try:
            await self.client.start(self._report)
        except EngineLostError:
            if self._ending is None:
                raise
        if self._ending is not None:
            await self._ending
            raise UsageError(self.why_no_chat)
        self.info = self.client.info
        return self.info

    def _report(self, progress: Progress) -> None:
        self.memory = progress.detail or self.memory
        self.progress = progress
        self.why_no_chat = progress.why_no_chat or self.why_no_chat
        if self._for_chat and self.why_no_chat and self._ending is None:
            self._ending = asyncio.ensure_future(self.client.close())
        self._changed()

    def ready(self) -> None:
        """The model that was loaded can be asked."""
        self.state, self.progress = "ready", None

    def lose(self) -> None:
        """There is no engine any more, or the model could not be loaded."""
        self.state, self.progress = "lost", None

    def renew(self) -> None:
        """Another process in the place of this one, still to be loaded."""
        self.client = self._new_client()
        self.state, self.progress = "loading", None
