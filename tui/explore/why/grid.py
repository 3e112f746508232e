"""The logit lens along a path: what each layer would have said at each of its steps."""

from collections.abc import Callable

from tokexplore.models.api.interpreter import LensStep
from tokexplore.models.errors import TokexploreError
from tokexplore.models.interpret.inquiries import Finding, LensInquiry
from tokexplore.models.worker.async_engine import AsyncEngine, Handle
from tokexplore.tui.explore.jobs import Jobs


class LensGrid:
    """The steps of one path that were looked at.

    Args:
        changed: called when there is something new to show.
        tuned: directory of a tuned lens; empty for the logit lens.
    """

    def __init__(
        self,
        ids: tuple[int, ...],
        client: AsyncEngine,
        jobs: Jobs,
        changed: Callable[[], None],
        *,
        tuned: str = "",
    ) -> None:
        self.ids, self._tuned = ids, tuned
        self._client, self._jobs, self._changed = client, jobs, changed
        self.steps: dict[int, LensStep] = {}
        """By position."""
        self.refused = ""
        """Why there is nothing to show."""
        self._handle: Handle[Finding] | None = None
        self._wanted: tuple[int, int] | None = None

    def want(self, first: int, last: int) -> None:
        """Ask for the steps at these positions, as far as they are not known; what was asked for
        before, and is out of sight, is left."""
        missing = [at for at in range(first, last + 1) if at not in self.steps]
        wanted = (missing[0], missing[-1]) if missing else None
        if wanted is None or wanted == self._wanted or self.refused:
            return
        self.stop()
        self._wanted = wanted
        self._jobs.run(self._conduct(wanted))

    def stop(self) -> None:
        """End what runs."""
        if self._handle is not None:
            self._handle.cancel()
        self._wanted = None

    @property
    def running(self) -> bool:
        """Whether steps are computed."""
        return self._wanted is not None

    async def _conduct(self, wanted: tuple[int, int]) -> None:
        inquiry = LensInquiry(self.ids, *wanted, top=1, tuned=self._tuned)
        try:
            handle = self._handle = self._client.interpret(inquiry)
            async for batch in handle:
                self.steps |= {each.position: each for each in batch if isinstance(each, LensStep)}
                self._changed()
        except TokexploreError as error:
            self.refused = str(error)
        finally:
            if self._wanted == wanted:
                self._wanted = None
            self._changed()
