"""Attention weights of the last token, as the attention blocks themselves give them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from tokexplore.models.api.interpreter import AttentionWeights
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward import kernels, prefill
from tokexplore.models.engine.forward.cache_probe import agrees
from tokexplore.models.engine.forward.kv_store import Leaf, Path
from tokexplore.models.engine.forward.split_sums import layers
from tokexplore.models.errors import UsageError

_KERNEL = "eager"
"""The kernel whose attention blocks give their weights beside their output."""
_ABOVE = 0.01
"""What the weights of a head may sum to above 1, in low precision."""


class Attentions:
    """Of one loaded model."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def weights(self, ids: Sequence[int]) -> AttentionWeights:
        """See `Interpreter.attention`."""
        core, path = self._core, Path(ids)
        model, name, own = core.forward.model, core.info.name, kernels.own(core.forward.model)
        row, _ = core.row(ids)
        leaf = self._before(path)
        with (
            kernels.attending(model, _KERNEL if own else None),
            _listening(model, len(path) if leaf is None else 1, len(path)) as heard,
        ):
            if leaf is None:
                logits = core.forward(path.ids, 0, None)  # [1, V]
            else:
                logits = prefill.step(core.forward, core.probed, leaf, path.ids)  # [1, V]
        if not heard:
            raise UsageError(f"{name} gives no attention weights: it has none, or keeps them.")
        if not agrees(logits[0], torch.from_numpy(row.logits), model):
            raise UsageError(f"{name} gives other logits with the kernel that tells its weights.")
        if len({weights.shape for weights in heard.values()}) > 1:
            raise UsageError(f"the layers of {name} have different numbers of heads.")
        stacked = torch.stack(list(heard.values()))  # [layers, heads, n]
        return AttentionWeights(
            tuple(heard), stacked.shape[1], len(path), stacked.numpy().tobytes(), _KERNEL,
            own_kernel=own == _KERNEL,
        )  # fmt: skip

    def _before(self, path: Path) -> Leaf | None:
        """A leaf of its own that holds all but the last token; None where that is of no use for
        the last one."""
        core, before = self._core, path.ids[:-1]
        if not before or core.probed.afresh(len(path)):
            return None
        start = core.start(path, len(before))
        for _ in core.feed(start.leaf, before):
            pass
        if len(before) > start.cached:
            core.keep(start.leaf)
        leaf = prefill.forked(start.leaf)
        kv.put_together(leaf.cache)
        return leaf


@contextmanager
def _listening(model: PreTrainedModel, fed: int, length: int) -> Iterator[dict[int, torch.Tensor]]:
    """The last token's weights by layer, from 1, in a pass over the last `fed` tokens: f32 on the
    CPU, [heads, length].

    An attention block gives a pair, its output and its weights.
    """
    heard: dict[int, torch.Tensor] = {}

    def hear(layer: int, _module: nn.Module, _inputs: Any, output: Any) -> None:
        for given in output[1:] if isinstance(output, tuple) else ():
            if isinstance(given, torch.Tensor) and given.shape[2:] == (fed, length):
                weights = given[0, :, -1].to("cpu", torch.float32, copy=True)  # [heads, length]
                if (weights >= 0).all() and (weights.sum(-1) <= 1 + _ABOVE).all():
                    heard.setdefault(layer, weights)

    with ExitStack() as stack:
        for number, layer in enumerate(layers(model), 1):
            for module in layer.modules():
                handle = module.register_forward_hook(partial(hear, number))
                stack.callback(handle.remove)
        yield heard
