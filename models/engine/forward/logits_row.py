"""What a row of logits says: a distribution, a token's standing, pages and searches of the order.

Candidate order is by falling logit, equal logits by rising id.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from tokexplore.models.distribution import Distribution, Rows, TokenRank
from tokexplore.models.errors import TokexploreError, UsageError
from tokexplore.models.tokens import Vocabulary

Floats = np.ndarray[tuple[int], np.dtype[np.float32]]
Indices = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Row:
    """The full logits after a path, with what was summed over them."""

    logits: Floats
    """f32, shape [V]: raw."""
    lse: float
    entropy: float
    source: str
    seconds: float = 0.0

    @cached_property
    def ascending(self) -> Floats:
        """The logits sorted by rising value, shape [V]."""
        return np.sort(self.logits)

    @cached_property
    def order(self) -> Indices:
        """Ids in candidate order, shape [V]."""
        return np.argsort(-self.logits, kind="stable")

    def bare(self) -> "Row":
        """This row without the sorted copies made so far."""
        return Row(self.logits, self.lse, self.entropy, self.source, self.seconds)

    def alone(self) -> "Row":
        """The same in memory of its own: this row may be a view of a whole chunk's logits."""
        return Row(self.logits.copy(), self.lse, self.entropy, self.source, self.seconds)


def summarise(logits: torch.Tensor, source: str, seconds: float = 0.0) -> Row:
    """The row of f32 CPU logits, shape [V], with its exact sums.

    Raises:
        TokexploreError: for logits that are no distribution (NaN, infinite, or all -inf).
    """
    values = logits.numpy()  # [V]; numpy starts these few small operations faster than torch
    top = float(values.max())
    if not math.isfinite(top):
        raise TokexploreError(
            "the model's logits are no numbers (NaN or infinite): its weights are broken, or this "
            "dtype is too coarse for them (--dtype float32 is not)."
        )
    centred = values - np.float32(top)
    weights = np.exp(centred)
    total = float(weights.sum())  # numpy adds pairwise: 1e-7 of it at any vocabulary size
    with np.errstate(invalid="ignore"):
        weighted = float(np.multiply(weights, centred, out=weights).sum())
    if math.isnan(weighted):  # 0 * -inf: what has no probability adds nothing
        weighted = float(weights[~np.isnan(weights)].sum())
    entropy = max(0.0, math.log(total) - weighted / total)
    return Row(values, top + math.log(total), entropy, source, seconds)


def distribution(row: Row, top: int, seconds: float | None = None) -> Distribution:
    """The first `top` candidates of a row, those of -inf left out."""
    ids, logits = candidates(row.logits, top)
    return Distribution(
        ids=ids.astype(np.uint32).tobytes(),
        logits=logits.tobytes(),
        vocabulary=len(row.logits),
        lse=row.lse,
        entropy=row.entropy,
        source=row.source,
        seconds=row.seconds if seconds is None else seconds,
    )


def candidates(logits: Floats, top: int) -> tuple[Indices, Floats]:
    """The first `top` ids in candidate order and their logits, shape [K]; finite ones only.

    `torch.topk` leaves equal logits in any order and takes any of those at the border, so the
    border is taken again by id.
    """
    count = min(top, len(logits))
    largest, places = torch.topk(torch.from_numpy(logits), count)
    values, ids = largest.numpy(), places.numpy()
    border = values[-1]
    distinct = border > -math.inf and (values[1:] < values[:-1]).all()
    if distinct and np.count_nonzero(logits >= border) == count:
        return ids, values
    inside = ids[values > border]
    if border > -math.inf and len(inside) < count:
        equal = np.flatnonzero(logits == border)
        inside = np.concatenate([inside, equal[: count - len(inside)]])
    chosen = logits[inside]
    order = np.lexsort((inside, -chosen))
    return inside[order], chosen[order]


def standing(row: Row, token: int) -> TokenRank:
    """Where a token stands in the whole vocabulary.

    Raises:
        UsageError: for an id outside the logits.
    """
    logits = row.logits
    if not 0 <= token < len(logits):
        raise UsageError(f"token {token} is not in the vocabulary of {len(logits)} ids.")
    logit = logits[token]
    larger = int(np.count_nonzero(logits > logit))
    equal = np.flatnonzero(logits == logit)
    return TokenRank(
        token=token,
        logit=float(logit),
        logprob=float(logit) - row.lse,
        rank=larger + 1,
        index=larger + int(np.searchsorted(equal, token)),
        tied=len(equal) > 1,
    )


def page(row: Row, start: int, count: int, source: str) -> Rows:
    """Candidates `start` to `start + count` of the whole order."""
    start = max(0, start)
    places = np.arange(start, max(start, min(start + count, len(row.logits))))
    return _rows(row, row.order[places], places, len(row.logits), source)


def found(row: Row, tokens: Sequence[int], limit: int, source: str) -> Rows:
    """The most probable `limit` of `tokens`, in candidate order."""
    ids = np.sort(np.asarray(tokens, dtype=np.int64))
    ids = ids[np.argsort(-row.logits[ids], kind="stable")][: max(0, limit)]
    place = np.empty(len(row.order), dtype=np.int64)
    place[row.order] = np.arange(len(row.order))
    return _rows(row, ids, place[ids], len(tokens), source)


class Searcher:
    """Finds tokens by text, case ignored: in what the table shows of them and in their own text."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        shown = (vocabulary.show(token) for token in range(vocabulary.rows))
        texts = (
            vocabulary.bytes_of(token).decode("utf-8", "replace")
            for token in range(vocabulary.rows)
        )
        self._own = [text.lower() for text in texts]
        self._texts = [f"{own}\0{show.lower()}" for own, show in zip(self._own, shown, strict=True)]

    def tokens(self, text: str) -> list[int]:
        """Ids whose text holds `text`; its leading spaces may be missing where a word starts."""
        needle = text.lower()
        bare = needle.lstrip(" ") or needle
        searched = self._own if needle.isspace() else self._texts  # `<id 7>` holds a space
        return [
            token
            for token, held in enumerate(searched)
            if needle in held or (bare != needle and held.startswith(bare))
        ]


def _rows(row: Row, ids: Indices, places: Indices, total: int, source: str) -> Rows:
    logits = row.logits[ids]
    larger = len(row.logits) - np.searchsorted(row.ascending, logits, side="right")
    return Rows(
        ids=ids.astype(np.uint32).tobytes(),
        logits=logits.tobytes(),
        indices=places.astype(np.uint32).tobytes(),
        ranks=(larger + 1).astype(np.uint32).tobytes(),
        total=total,
        lse=row.lse,
        source=source,
    )
