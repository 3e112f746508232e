"""The candidates of one step as the table shows them, page by page through the vocabulary."""

import math
from array import array
from collections.abc import Collection
from typing import NamedTuple

from tokexplore.models.distribution import Distribution, Rows
from tokexplore.models.sampling.bounds import BoundedView
from tokexplore.models.sampling.sampler_view import StepView, cut_label
from tokexplore.models.tree.visibility import is_fork, is_out_of_sight
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.second_candidates import Beside
from tokexplore.tui.presenters.characters import bytes_near, character_note
from tokexplore.widgets.candidates import CandidatePage, CandidateRow

View = StepView | BoundedView
"""What the sampler makes of a step: exactly or, without an engine to ask, within bounds."""


class Share(NamedTuple):
    """What a row shows of the sampler."""

    sampler: float | None = None
    sampler_high: float | None = None
    cut: str = ""
    tie: bool = False


def share_of(view: View | None, index: int, token: int, logit: float) -> Share:
    """What the sampler makes of the candidate at an index."""
    if view is None:
        return Share()
    if isinstance(view, BoundedView):
        if view.settings.greedy and index:
            return Share(cut="greedy")
        if (stage := view.cut_by(index)) is not None:
            return Share(cut=cut_label(*stage))
        if index >= len(view.weights):
            return Share()
        low, high = view.share(index)
        return Share(low, None if low == high else high)
    logprob, cut = view.fate(token, logit)
    if view.settings.greedy and logprob == -math.inf:
        return Share(cut="greedy")
    if cut is not None:
        return Share(cut=cut_label(cut.stage, cut.value), tie=cut.tie)
    return Share(math.exp(min(0.0, logprob)))


class CandidateList:
    """The known beginning of a step's candidate order: what is stored, then what was fetched."""

    def __init__(self, node: int, distribution: Distribution) -> None:
        self.node = node
        self.distribution = distribution
        self.ids = array("I", distribution.ids)
        self.logits = array("f", distribution.logits)
        self.source = ""
        self._ranks: list[int] = []
        self._cumulative: list[float] = []
        self._extend()

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, rows: Rows) -> None:
        """Append the page that begins where the list ends; another one is left out."""
        indices = memoryview(rows.indices).cast("I")
        if len(rows) and indices[0] == len(self):
            self.ids.frombytes(rows.ids)
            self.logits.frombytes(rows.logits)
            self.source = rows.source
            self._extend()

    def _extend(self) -> None:
        total = self._cumulative[-1] if self._cumulative else 0.0
        for index in range(len(self._ranks), len(self.logits)):
            tied = index > 0 and self.logits[index - 1] == self.logits[index]
            self._ranks.append(self._ranks[-1] if tied else index + 1)
            total += math.exp(self.logits[index] - self.distribution.lse)
            self._cumulative.append(total)

    def tied(self, index: int) -> bool:
        """Whether a neighbour in the list has the same logit."""
        here = self.logits[index]
        return (index > 0 and self.logits[index - 1] == here) or (
            index + 1 < len(self) and self.logits[index + 1] == here
        )

    def page(self, explorer: Explorer, view: View | None, rows: range, note: str) -> CandidatePage:
        """The candidates at the indices `rows`, and the taken one where it is not among them."""
        rows = range(rows.start, min(len(self), rows.stop))
        distribution = self.distribution
        seen = self._cumulative[rows.stop - 1] if rows.stop else 0.0
        note = note or ("recomputed" if self.source == "recomputed" else "")
        return CandidatePage(
            rows=[self._row(explorer, view, i) for i in rows],
            first=rows.start,
            total=distribution.available,
            rest_count=distribution.vocabulary - rows.stop,
            rest_mass=max(0.0, 1.0 - seen),
            top_logprob=distribution.logprob(0),
            note=" · ".join(filter(None, (distribution.extent.removeprefix("of the "), note))),
            outside=self._taken_outside(explorer, view, rows),
            step=self.node,
        )

    def _row(self, explorer: Explorer, view: View | None, index: int) -> CandidateRow:
        tree, vocabulary = explorer.tree, explorer.vocabulary
        token, logit = self.ids[index], self.logits[index]
        share = share_of(view, index, token, logit)
        child = tree.child(self.node, token)
        forks = is_fork(tree, self.node)
        seen = child is not None and not is_out_of_sight(tree, child)
        return CandidateRow(
            rank=self._ranks[index],
            tied=self.tied(index),
            text=vocabulary.show(token),
            special=token in vocabulary.special,
            id=token,
            logprob=logit - self.distribution.lse,
            cumulative=min(1.0, self._cumulative[index]),
            sampler=share.sampler,
            sampler_high=share.sampler_high,
            cut=share.cut,
            tie=share.tie,
            taken=child is not None and child == explorer.taken,
            branches=(tree.branch_of[child],) if forks and seen and child is not None else (),
            character=self._character(explorer, token),
        )

    def _character(self, explorer: Explorer, token: int) -> str:
        data = explorer.vocabulary.bytes_of(token)
        return "" if data.isascii() else character_note(bytes_near(explorer, self.node), data)

    def _taken_outside(
        self, explorer: Explorer, view: View | None, rows: range
    ) -> CandidateRow | None:
        """The row of a taken token that is not among the indices `rows`."""
        tree, taken, vocabulary = explorer.tree, explorer.taken, explorer.vocabulary
        if taken is None or not tree.is_scored(taken):
            return None
        token = tree.token[taken]
        if token in self.ids[rows.start : rows.stop]:
            return None
        drawn = tree.sampler_logprob[taken]
        logit = tree.logprob[taken] + self.distribution.lse
        index = tree.rank[taken] - 1 if tree.rank[taken] else len(self)
        share = share_of(view, index, token, logit)
        return CandidateRow(
            rank=tree.rank[taken],
            tied=False,
            text=vocabulary.show(token),
            special=token in vocabulary.special,
            id=token,
            logprob=tree.logprob[taken],
            cumulative=None,
            sampler=None if math.isnan(drawn) else math.exp(drawn),
            cut=share.cut,
            tie=share.tie,
            taken=True,
            branches=(tree.branch_of[taken],) if is_fork(tree, self.node) else (),
            character=self._character(explorer, token),
        )


def tokens_of(page: CandidatePage) -> list[int]:
    """The tokens that a page shows."""
    return [row.id for row in (*page.rows, page.outside) if row is not None]


def with_second(page: CandidatePage, beside: Beside | None) -> CandidatePage:
    """The page with what a second model says of its rows, as far as that is known."""
    rows = [_with_second(row, beside) for row in page.rows]
    outside = page.outside and _with_second(page.outside, beside)
    return page._replace(rows=rows, outside=outside, second=True)


def with_chosen(page: CandidatePage, tokens: Collection[int]) -> CandidatePage:
    """The page with the rows marked that the user chose for the futures of the step."""
    rows = [row._replace(for_futures=row.id in tokens) for row in page.rows]
    outside = page.outside and page.outside._replace(for_futures=page.outside.id in tokens)
    return page._replace(rows=rows, outside=outside)


def _with_second(row: CandidateRow, beside: Beside | None) -> CandidateRow:
    if beside is None:
        return row
    return row._replace(second=beside.logprobs.get(row.id), chosen=row.id == beside.greedy)
