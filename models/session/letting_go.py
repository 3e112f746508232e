"""What of a tree was written leaves the memory, and is read back from the file."""

from collections.abc import Sequence

from tokexplore.models.distribution import Distribution
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.session.journal import Journal
from tokexplore.models.tree.tree import TokenTree


class LettingGo:
    """Keeps the memory of a tree small that a journal writes; for the thread that has the tree.

    What is not yet written stays, and so does all of a session whose file cannot be read beside the
    writer (on a network file system).

    Args:
        journal: one that `lets_go`.
        first: number of the first event that it writes.
    """

    def __init__(self, tree: TokenTree, journal: Journal, first: int) -> None:
        self._tree, self._journal, self._first = tree, journal, first
        self._reads_back = False

    def let_go(self) -> None:
        """Let go what was written since the last time, but for the newest."""
        tree, written = self._tree, self._journal.written
        if written and not self._reads_back:
            self._reads_back = True
            tree.distribution.read_from(self._first, self._distributions)
            tree.sampler.read_from(self._first, self._view)
        while written:
            record, event = written.popleft()
            tree.written(event, record)

    def _distributions(self, records: Sequence[int]) -> Sequence[Distribution | None]:
        found = self._journal.read_back
        return [None] * len(records) if found is None else found.distributions(records)

    def _view(self, record: int) -> SamplerView | None:
        found = self._journal.read_back
        return None if found is None else found.view(self._tree.settings, record)
