"""A path computed beside other branches of it: a row for each, in one pass a token."""

from collections.abc import Sequence

import torch
from transformers.cache_utils import DynamicCache

from tokexplore.models.api.instruments import Execution
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward.cache_probe import Probed
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.forward.padded_batch import prefilled


class Branches:
    """A path and branches beside it, which part from it with the first token that is fed."""

    def __init__(
        self, forward: Forward, probed: Probed, ids: Sequence[int], execution: Execution
    ) -> None:
        self._forward, self._beside = forward, execution.beside
        self._prefix, self._logits = prefilled(forward, probed, ids, execution)
        self._caches: list[DynamicCache] = []
        """The path's own first, once they part."""

    @property
    def logits(self) -> torch.Tensor:
        """After the path's last token: f32 on the CPU, shape [V]."""
        return self._logits[0]

    def feed(self, token: int) -> None:
        """Feed the path's next token, and each other branch's own."""
        if self._caches:
            others = self._logits[1:].argmax(-1).tolist()
        else:
            prefix = self._prefix
            self._caches = [kv.fork(prefix.cache, len(prefix)) for _ in range(self._beside + 1)]
            likely = self.logits.topk(self._beside + 1).indices.tolist()
            others = [other for other in likely if other != token][: self._beside]
        self._logits = self._forward.together([token, *others], self._caches)  # [B, V]
