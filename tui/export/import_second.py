"""What a second model said of a token, read again from a line."""

from typing import Annotated

import msgspec

from tokexplore.models.api.provenance import Provenance
from tokexplore.models.diff.steps import Reading, Step
from tokexplore.models.scored_text import Logprob, Number
from tokexplore.models.tree.events import Compared
from tokexplore.models.tree.tree import TokenTree

_Nats = Annotated[float, msgspec.Meta(ge=0)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class SecondModel(msgspec.Struct):
    """The second model, as the first line names it."""

    model: str
    revision: str = ""
    dtype: str = ""
    device: str = ""
    threads: str = ""
    attention: str = ""
    config_hash: str = ""

    def provenance(self, vocabulary: int) -> Provenance:
        """Where its figures come from."""
        return Provenance(
            model=self.model.rstrip("/").rpartition("/")[2], source=self.model,
            revision=self.revision, config_hash=self.config_hash, dtype=self.dtype,
            device=self.device, attention=self.attention, threads=self.threads,
            vocabulary=vocabulary,
        )  # fmt: skip


class _Token(msgspec.Struct):
    id: Number


class SecondStep(msgspec.Struct):
    """Its figures of a step."""

    logprob: Logprob | None
    greedy: _Token
    rank: Number | None = None
    margin: _Nats | None = None
    kl_ab: _Nats | None = None
    kl_ba: _Nats | None = None
    js: _Nats | None = None
    acceptance: _Share | None = None
    left_out: tuple[_Share, _Share] = (0.0, 0.0)

    def put(self, tree: TokenTree, node: int) -> None:
        """Keep them beside what the tree knows of the first model's; without that they are left."""
        told = tree.distribution.get(tree.parent[node])
        if told is None or not tree.is_scored(node) or self.logprob is None or not tree.seconds:
            return
        margin = told.margin if told.margin_known else None
        first = Reading(tree.logprob[node], tree.rank[node], told.id_view[0], margin)
        step = Step(
            tree.depth[node] - 1, tree.token[node], first,
            Reading(self.logprob, self.rank or 0, self.greedy.id, self.margin),
            self.kl_ab, self.kl_ba, self.js, self.acceptance, self.left_out,
        )  # fmt: skip
        tree.append(Compared(node, len(tree.seconds) - 1, step))
