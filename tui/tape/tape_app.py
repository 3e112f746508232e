"""The app as a tape plays it: on the tape's clock, whatever time it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.errors import EngineLostError
from tokexplore.models.session.timeline import Timeline
from tokexplore.models.worker.async_engine import AsyncEngine
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.engine_link import MakeClient
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.explore.session_recorder import OpenSession

NOTICE = 4.0
"""Seconds of the tape's clock that a notice is shown at most."""
_FOREVER = 1e9


class TapeApp(TokexploreApp):
    """The app without anything that depends on the time of day or on how fast this machine is."""

    manual_replay = True

    def __init__(
        self,
        options: AppOptions,
        make_client: MakeClient,
        session: OpenSession | None = None,
        timeline: Timeline | None = None,
    ) -> None:
        self.now = 0.0
        """Seconds of the tape's clock."""
        self._ends: dict[str, float] = {}
        super().__init__(options, make_client, session, timeline)
        self.animation_level = "none"

    def clock(self) -> float:
        """The tape's."""
        return self.now

    def new_client(
        self, load: LoadOptions, on_lost: Callable[[EngineLostError], None]
    ) -> AsyncEngine:
        """Tokens come when the tape's clock says so, computed in one way whatever is faster."""
        threads = 0 if load.threads == "auto" else load.threads
        client = super().new_client(msgspec.structs.replace(load, threads=threads), on_lost)
        client.on_demand = True
        return client

    def _offer_last(self) -> None:  # type: ignore[override]
        """Other sessions have no part in a tape."""

    @property
    def session_path(self) -> Path | None:
        """No two runs share a file."""
        return None

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: Literal["information", "warning", "error"] = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """A notice that goes when the tape's clock says so."""
        self._ends[message] = self.now + min(timeout or NOTICE, NOTICE)
        super().notify(message, title=title, severity=severity, timeout=_FOREVER, markup=markup)

    def expire(self) -> bool:
        """Take away the notices whose time is over; whether there were any."""
        over = [
            notification
            for notification in self._notifications
            if self.now >= self._ends.get(notification.message, 0.0)
        ]
        for notification in over:
            self._unnotify(notification)
        return bool(over)
