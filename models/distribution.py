"""What the model said after a path, in a form that costs no objects per candidate."""

import math
import re

import msgspec

STORED_CANDIDATES = 256


class Distribution(msgspec.Struct, frozen=True, gc=False):
    """The model's raw next-token distribution after a path.

    The first candidates are stored, in candidate order (by falling logit, equal logits by rising
    id). A complete one is exact: `lse` and `entropy` cover the whole vocabulary, and the other
    candidates can be asked for. An incomplete one comes from an engine that lists no others: none
    of them is more probable than those that are stored, and their number and the sum of their
    probabilities are known, but what depends on how it lies among them is not.
    """

    ids: bytes
    """u32, native order, shape [K]."""
    logits: bytes
    """f32, native order, shape [K]: raw logits. Logprob = logit - lse. Where an engine tells
    logprobs they are those, and `lse` is 0."""
    vocabulary: int
    """V, the number of rows of the logits."""
    lse: float
    """Log-sum-exp of the raw logits over the whole vocabulary (nats)."""
    entropy: float | None
    """Entropy over the whole vocabulary (nats); None of an incomplete distribution."""
    source: str = "prefill"
    """How the KV cache was had: `prefill`, `step`, `step of N rows` for streams that took it in one
    pass, `fork`, `re-fed N`, `recomputed`; or `server`, `server, whole` where a server tells
    logprobs."""
    seconds: float = 0.0
    """Time that the forward pass and this summary took."""

    def __len__(self) -> int:
        return len(self.ids) // 4

    @property
    def complete(self) -> bool:
        """Whether every candidate of the vocabulary can be had, or only those that are stored."""
        return self.entropy is not None

    @property
    def available(self) -> int:
        """How many candidates can be had."""
        return self.vocabulary if self.complete else len(self)

    @property
    def extent(self) -> str:
        """What a sum over its candidates covers, where that is not all: `of the first 20`."""
        return "" if self.complete else f"of the first {len(self):,}"

    @property
    def has_logits(self) -> bool:
        """Whether `logits` are the model's, or logprobs as a server tells them."""
        return not self.source.startswith("server")

    @property
    def rows(self) -> int:
        """Streams that went on together by the pass that it came of."""
        return rows_of(self.source)

    @property
    def id_view(self) -> "memoryview[int]":
        return memoryview(self.ids).cast("I")

    @property
    def logit_view(self) -> "memoryview[float]":
        return memoryview(self.logits).cast("f")

    def logprob(self, index: int) -> float:
        """Logprob (nats) of the stored candidate at `index`, from 0."""
        return self.logit_view[index] - self.lse

    @property
    def margin(self) -> float:
        """Logprob gap (nats) between the first and the second candidate; inf where no second one
        is stored (`margin_known`)."""
        logits = self.logit_view
        return logits[0] - logits[1] if len(logits) > 1 else math.inf

    @property
    def margin_known(self) -> bool:
        """Whether there is a margin, or certainly none: V is 1."""
        return self.complete or len(self) > 1

    def tail_mass(self, count: int | None = None) -> float:
        """Probability outside the first `count` stored candidates (all of them by default)."""
        lse, exp = self.lse, math.exp
        listed = self.logit_view[:count].tolist()
        return max(0.0, 1.0 - math.fsum([exp(logit - lse) for logit in listed]))

    def index_of(self, token: int) -> int | None:
        """Where a token stands among the stored candidates, from 0; None when it is not stored."""
        try:
            return self.id_view.tolist().index(token)
        except ValueError:
            return None

    def rank(self, index: int) -> int:
        """1 + the number of strictly larger logits, for a stored candidate."""
        logits = self.logit_view
        while index and logits[index - 1] == logits[index]:
            index -= 1
        return index + 1

    def tied(self, index: int) -> bool:
        """Whether a stored neighbour has the same logit."""
        logits = self.logit_view
        here = logits[index]
        return (index > 0 and logits[index - 1] == here) or (
            index + 1 < len(logits) and logits[index + 1] == here
        )


class Rows(msgspec.Struct, frozen=True):
    """Any rows of the full candidate order: a page of it, or the hits of a search."""

    ids: bytes
    """u32, shape [N]."""
    logits: bytes
    """f32, shape [N]."""
    indices: bytes
    """u32, shape [N]: place in candidate order, from 0."""
    ranks: bytes
    """u32, shape [N]: 1 + the number of strictly larger logits."""
    total: int
    """How many rows there are in all (all candidates that can be had, or all hits of a search)."""
    lse: float
    """Log-sum-exp of the raw logits over the whole vocabulary (nats)."""
    source: str = "stored"
    """How the full row was had: `stored` or `recomputed`; `listed` where there is none, but only
    the first candidates of an incomplete distribution."""
    of: int = 0
    """How many candidates were looked at, where it was not the whole vocabulary; else 0."""

    def __len__(self) -> int:
        return len(self.ids) // 4


class TokenRank(msgspec.Struct, frozen=True):
    """Where one token stands in a distribution."""

    token: int
    logit: float
    logprob: float
    """Nats; the model's raw logprob."""
    rank: int
    """1 + the number of strictly larger logits; 0 where the engine does not tell it."""
    index: int
    """Place in candidate order, from 0; -1 where the engine does not tell it."""
    tied: bool = False


def rows_of(source: str) -> int:
    """How many streams went on together, by what `Distribution.source` says."""
    rows = re.fullmatch(r"step of (\d+) rows", source)
    return int(rows[1]) if rows else 1
