"""One forward pass: the only place that calls the model.

Every pass names its `position_ids` and `attention_mask` where the model takes them, because some
families are silently wrong on top of a cache without them. A few count positions in their own way,
which the probe sees.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward import rows as several
from tokexplore.models.engine.forward.few_rows import FewRows
from tokexplore.models.engine.forward.kernel_switch import Switch
from tokexplore.models.engine.forward.kernels import own
from tokexplore.models.engine.forward.rope import DynamicRope
from tokexplore.models.errors import UsageError

_CACHE_ARGUMENTS = ("past_key_values", "cache_params")
_GROWTH = 1024


class Forward:
    """A model's forward pass with the arguments that its signature takes."""

    def __init__(self, model: PreTrainedModel, rows: int) -> None:
        parameters = inspect.signature(model.forward).parameters
        self.model = model
        self.rows = rows
        """V, the rows of the logits."""
        self.cache_argument = next((n for n in _CACHE_ARGUMENTS if n in parameters), None)
        """The keyword that takes a transformers Cache; None where the model takes none."""
        self.positions = "position_ids" in parameters
        """Whether passes name their positions, from 0."""
        self._kernel = own(model)
        self.shares = False
        """Whether caches may share their beginnings: `together` then reads those."""
        self._takes_mask = "attention_mask" in parameters
        self._recurrent = self.cache_argument == "cache_params"
        # Purely recurrent models multiply the tokens fed by their mask: it has their length only.
        self._takes_keep = "logits_to_keep" in parameters
        self._device = _input_device(model)
        self._away = self._device.type != "cpu" or hasattr(model, "hf_device_map")
        self._positions = torch.empty(1, 0, dtype=torch.long)
        self._ones = torch.empty(1, 0, dtype=torch.long)
        self._rope = DynamicRope(model)
        self.experts = Experts(model, self._device)
        self.occupied: torch.Tensor | None = None
        """Bool, shape [B, n]: which tokens of the running pass are no padding; None for all."""
        self.keep = 1
        """How many rows of logits the running pass is asked for."""

    @torch.inference_mode()
    def __call__(
        self, tokens: Sequence[int], start: int, cache: Any, keep: int = 1
    ) -> torch.Tensor:
        """Logits after the last `keep` of `tokens`: f32 on the CPU, shape [keep, V].

        Args:
            tokens: ids of positions `start` to `start + n`.
            cache: holds the `start` tokens before and is extended in place; None feeds without one
                (then `start` is 0).
        """
        if len(tokens) == 1 and kv.is_split(cache, 1) and own(self.model) == self._kernel:
            return self.together(tokens, [cache])
        inputs = torch.tensor([tokens], dtype=torch.long, device=self._device)  # [1, n]
        return self._logits(inputs, start, cache, keep)[0]  # [keep, V]

    @cached_property
    def _rows_kernel(self) -> Switch:
        return Switch(self.model, several.KERNEL)

    @cached_property
    def _few_rows(self) -> FewRows:
        return FewRows(self.model)

    @torch.inference_mode()
    def together(self, tokens: Sequence[int], caches: Sequence[DynamicCache]) -> torch.Tensor:
        """Logits after one more token on each of several caches: f32 on the CPU, [B, V].

        Args:
            tokens: an id for each cache.
            caches: croppable ones of any lengths but 0, extended in place; what they share is read
                once.
        """
        order = several.order_of(caches)
        cache = several.RowsCache([caches[at] for at in order])
        inputs = torch.tensor([[tokens[at]] for at in order], device=self._device)  # [B, 1]
        with self._rows_kernel.on(), self._few_rows.on(len(tokens)):
            logits = self._logits(inputs, cache.longest, cache, 1, cache.pads)[:, 0]
        places = sorted(range(len(order)), key=order.__getitem__)
        return logits[places]  # [B, V]

    def plain(self, tokens: Sequence[int]) -> torch.Tensor:
        """Logits after each of `tokens`, whose positions the model counts: f32 CPU, [n, V]."""
        named, self.positions = self.positions, False
        try:
            return self(tokens, 0, None, len(tokens))
        finally:
            self.positions = named

    @torch.inference_mode()
    def batch(
        self, tokens: Sequence[Sequence[int]], start: int, cache: Any, pads: Sequence[int] = ()
    ) -> torch.Tensor:
        """Logits after the last token fed on each row of a batched cache: f32 on the CPU, [B, V].

        Args:
            tokens: ids of places `start` to `start + n` of each row.
            cache: holds `start` places in each of B rows and is extended in place.
            pads: how many of each row's first places hold nothing; none by default.
        """
        inputs = torch.tensor(tokens, dtype=torch.long, device=self._device)  # [B, n]
        return self._logits(inputs, start, cache, 1, pads)[:, 0]  # [B, V]

    @torch.inference_mode(mode=False)
    def recorded(self, tokens: Sequence[int]) -> torch.Tensor:
        """Logits after a path, in one pass that autograd records: f32 on the CPU, shape [V]."""
        inputs = torch.tensor([tokens], dtype=torch.long, device=self._device)  # [1, n]
        with torch.enable_grad():
            return self._logits(inputs, 0, None, 1)[0, 0]

    def _logits(
        self, inputs: torch.Tensor, start: int, cache: Any, keep: int, pads: Sequence[int] = ()
    ) -> torch.Tensor:
        """f32 CPU logits after the last `keep` tokens of each row, shape [B, keep, V]."""
        rows, count = inputs.shape
        end = start + count
        if end > self._ones.shape[1]:
            self._grow(end)
        self._rope.forget()
        self.experts.prepare(decoding=count == 1 and start > 0)
        arguments: dict[str, Any] = {"use_cache": cache is not None}
        if cache is not None and self.cache_argument:
            arguments[self.cache_argument] = cache
        span = count if self._recurrent else end
        positions = self._positions[:, start:end].expand(rows, -1)  # [B, n]
        mask = self._ones[:, :span].expand(rows, -1)  # [B, start + n]
        self.occupied, self.keep = None, keep
        if any(pads):
            empty = torch.tensor(pads, device=self._device)[:, None]  # [B, 1]
            positions = (positions - empty).clamp(min=0)  # [B, n]
            mask = (self._positions[:, :end] >= empty).long()  # [B, start + n]
            self.occupied = mask[:, start:].bool()
        if self.positions:
            arguments["position_ids"] = positions
        if self._takes_mask:
            arguments["attention_mask"] = mask
        if self._takes_keep and keep < count:
            arguments["logits_to_keep"] = keep
        logits = self.model(input_ids=inputs, **arguments).logits  # [B, n or keep, V]
        if logits.shape[1] > keep:
            logits = logits[:, -keep:].clone()  # a view would hold the whole chunk
        if logits.dtype != torch.float32 or self._away:
            logits = logits.to("cpu", torch.float32)
        return logits

    @torch.inference_mode(mode=False)  # a pass that autograd records takes them too
    def _grow(self, length: int) -> None:
        size = -(-length // _GROWTH) * _GROWTH
        self._positions = torch.arange(size, device=self._device)[None]  # [1, size]
        self._ones = torch.ones(1, size, dtype=torch.long, device=self._device)  # [1, size]


class Experts:
    """Runs a mixture of experts as `generate` does: `batched_mm` for single tokens off the CPU."""

    def __init__(self, model: PreTrainedModel, device: torch.device) -> None:
        self._model = model
        self._prefill: dict[str, str | None] = {}
        if device.type != "cpu" and hasattr(model, "get_experts_implementation"):
            self._prefill = model.get_experts_implementation()
        self._switches = "grouped_mm" in self._prefill.values()
        self._decoding = False

    @contextmanager
    def forced(self, name: str) -> Iterator[None]:
        """Run all passes with this implementation.

        Raises:
            UsageError: the model has no experts, or not this implementation.
        """
        before, switches = self._model.get_experts_implementation(), self._switches
        try:
            self._model.set_experts_implementation(name)
        except ValueError as error:
            raise UsageError(f"experts {name} is not possible: {error}") from None
        self._switches = False
        try:
            yield
        finally:
            self._model.set_experts_implementation(before)
            self._switches = switches

    def prepare(self, *, decoding: bool) -> None:
        """Switch the implementation where this pass is of the other kind than the last."""
        if not self._switches or decoding == self._decoding:
            return
        decode = {k: "batched_mm" if v == "grouped_mm" else v for k, v in self._prefill.items()}
        self._model.set_experts_implementation(decode if decoding else self._prefill)
        self._decoding = decoding


def _input_device(model: PreTrainedModel) -> torch.device:
    """Where input ids go; a model whose first weights are offloaded takes them on the CPU."""
    device = model.device
    return torch.device("cpu") if device.type == "meta" else device
