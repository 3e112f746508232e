"""Logits as sums over the model's parts: direct logit attribution."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from accelerate.utils import align_module_device

from tokexplore.models.api.interpreter import LogitSplit, Part, PartKind
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.forward.kv_store import Path
from tokexplore.models.engine.interpret.additions import Additions, Contribution, Summed
from tokexplore.models.engine.interpret.attention_heads import HeadsHeard
from tokexplore.models.engine.interpret.block_kinds import kind_of
from tokexplore.models.engine.interpret.frozen_norm import frozen
from tokexplore.models.engine.interpret.residual_stream import (
    HeadHeard,
    ResidualStream,
    head_heard,
    tolerance,
)
from tokexplore.models.errors import UsageError

_EXACT = 1e-3
"""How far the parts of a float32 model may be from its logits' difference."""
_GRID_STEPS = 4
_NO_DIFFERENCE = 1e-3
"""A difference of logits that is too small to tell a slope by."""


class _Summand(NamedTuple):
    """A part before it is put through the final norm."""

    kind: PartKind
    layer: int
    name: str
    value: torch.Tensor
    """f64 on the CPU, shape [H]."""
    head: int | None = None


class _Unembedding(NamedTuple):
    """Two rows of the output embedding, f64 on the CPU."""

    rows: torch.Tensor
    """[2, width]."""
    bias: torch.Tensor
    """[2]."""


class LogitSplits:
    """Of one loaded model."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def split(
        self, ids: Sequence[int], tokens: tuple[int, int], heads: Sequence[int]
    ) -> LogitSplit:
        """See `Interpreter.split`."""
        self._check(tokens, heads)
        stream, wanted = self._stream, sorted(set(heads))
        additions, cut = Additions(stream.layers), HeadsHeard(stream.layers, wanted)
        with torch.inference_mode():
            with head_heard(self._core.forward.model) as head, cut.heard(), additions.heard():
                own = self._passed(ids)  # [V]
            summed = additions.summed()
            summands, rest = self._summands(summed, cut, wanted)
            unembedding = self._unembedding(tokens, head)
            slope = _slope(own, head.outputs[-1].cpu(), tokens)
            parts = self._parts(summands, rest, summed.last, head, unembedding, slope)
        logits = own[tokens[0]].item(), own[tokens[1]].item()
        split = LogitSplit(len(ids), tokens, logits, tuple(parts), slope)
        self._check_sum(split, own)
        return split

    def _summands(
        self, summed: Summed, cut: HeadsHeard, wanted: Sequence[int]
    ) -> tuple[list[_Summand], torch.Tensor]:
        """The parts of the last state, and what rounding left out of it [H]."""
        summands = [_Summand("embedding", 0, "", summed.embedding)]
        rest = torch.zeros_like(summed.embedding)
        for number, layer in enumerate(summed.layers, 1):
            if layer.kept != 1.0:
                summands = [s._replace(value=layer.kept * s.value) for s in summands]
            rest = layer.kept * rest + layer.rest
            blocks = [self._block(number, each) for each in layer.contributions]
            if number in wanted:
                blocks, left_out = self._by_head(number, blocks, cut)
                rest = rest + left_out
            summands += blocks
        return summands, rest

    def _block(self, number: int, contribution: Contribution) -> _Summand:
        layer = self._stream.layers[number - 1]
        blocks = [layer.get_submodule(name) for name in contribution.sources]
        name = ", ".join(contribution.sources)
        return _Summand(kind_of(blocks), number, name, contribution.value)

    def _by_head(
        self, number: int, blocks: Sequence[_Summand], cut: HeadsHeard
    ) -> tuple[list[_Summand], torch.Tensor]:
        """A layer's blocks with attention head by head, and what rounding left out [H]."""
        if all(block.kind != "attention" for block in blocks):
            names = ", ".join(block.name for block in blocks)
            raise UsageError(f"layer {number} has no attention heads, only {names}.")
        told, rest = list[_Summand](), torch.zeros_like(blocks[0].value)
        for block in blocks:
            if block.kind != "attention":
                told.append(block)
                continue
            heads = cut.heads(number, block.name, block.value)
            told += [block._replace(value=own, head=at) for at, own in enumerate(heads.each)]
            if heads.bias.any():
                told.append(block._replace(kind="bias", value=heads.bias))
            rest = rest + heads.rest
        return told, rest

    def _parts(
        self,
        summands: Sequence[_Summand],
        rest: torch.Tensor,
        state: torch.Tensor,
        head: HeadHeard,
        unembedding: _Unembedding,
        slope: float,
    ) -> list[Part]:
        """What summands of the last state [H] do to the logits."""
        what = f"what {self._core.loaded.name} does between its layers and its output embedding"
        norm = frozen(self._stream.head_inputs, state, head.inputs[-1], what)

        def part(summand: _Summand, normed: torch.Tensor, bias: torch.Tensor | float = 0.0) -> Part:
            one, other = (slope * (unembedding.rows @ normed + bias)).tolist()
            return Part(summand.kind, summand.layer, summand.name, (one, other), summand.head)

        parts = [part(summand, norm(summand.value)) for summand in summands]
        if norm.bias.any() or unembedding.bias.any():
            parts.append(part(_Summand("bias", 0, "", norm.bias), norm.bias, unembedding.bias))
        if self._rounds:
            exact, given = state.to("cpu", torch.float64), head.inputs[-1].to("cpu", torch.float64)
            left_out = norm(rest) + given - norm(exact) - norm.bias
            parts.append(part(_Summand("rounding", 0, "", rest), left_out))
        return parts

    def _unembedding(self, tokens: tuple[int, int], heard: HeadHeard) -> _Unembedding:
        """The rows of the output embedding, held against what it gave."""
        head = self._core.forward.model.get_output_embeddings()
        with align_module_device(head):  # weights that are offloaded are here only inside
            weight, bias = head.weight, getattr(head, "bias", None)
            if type(weight.data) is not torch.Tensor or not weight.is_floating_point():
                raise UsageError(
                    f"the output embedding of {self._core.loaded.name} is held as codes: its rows "
                    "are not there to split logits by (--quantize none has them)."
                )
            rows = weight[list(tokens)].to("cpu", torch.float64)
            own = torch.zeros(2) if bias is None else bias[list(tokens)]
        found = _Unembedding(rows, own.to("cpu", torch.float64))
        given = heard.outputs[-1].cpu().double()
        made = found.rows @ heard.inputs[-1].cpu().double() + found.bias
        apart = (made - given[list(tokens)]).abs().max().item()
        if not apart <= tolerance(heard.outputs.dtype, given.abs().max().item()):
            raise UsageError(
                f"the output embedding of {self._core.loaded.name} does more than multiply by its "
                f"rows ({apart:.2g} is missing): logits are not split."
            )
        return found

    def _check(self, tokens: Sequence[int], heads: Sequence[int]) -> None:
        rows, layers = self._core.forward.rows, len(self._stream.layers)
        for token in tokens:
            if not 0 <= token < rows:
                raise UsageError(f"token {token} is not in the vocabulary of {rows} ids.")
        for layer in heads:
            if not 1 <= layer <= layers:
                raise UsageError(f"layer {layer} is not there: give layers from 1 to {layers}.")

    def _check_sum(self, split: LogitSplit, own: torch.Tensor) -> None:
        largest = own[own.isfinite()].abs().max().item()
        allowed = tolerance(self._core.forward.model.dtype, largest) if self._rounds else _EXACT
        if not split.error <= allowed:
            raise UsageError(
                f"the parts of {self._core.loaded.name} add up to {split.total:.4g}, its logits "
                f"differ by {split.difference:.4g}: they are not told."
            )

    @cached_property
    def _stream(self) -> ResidualStream:
        return ResidualStream(self._core)

    @property
    def _rounds(self) -> bool:
        """Whether additions leave out what shows."""
        return self._core.forward.model.dtype not in (torch.float32, torch.float64)

    def _passed(self, ids: Sequence[int]) -> torch.Tensor:
        """The model's own logits after a path, f32 on the CPU, shape [V]."""
        path = Path(ids)
        start = self._core.start(path, len(path) - 1)
        for _, logits in self._core.feed(start.leaf, path.ids):
            last = logits
        self._core.keep(start.leaf)
        return last[-1]


def _slope(own: torch.Tensor, head: torch.Tensor, tokens: tuple[int, int]) -> float:
    """What comes after the output embedding made of each unit of difference.

    A scale is the same for all. Of a soft cap it is the secant between the two tokens, or, where
    these are too close, between the first one and the next that is not.

    Args:
        own: the model's logits [V].
        head: what the output embedding gave, [V].
    """
    finite = own.isfinite()
    exact, given = own[finite].double(), head[finite].double()
    scale = ((exact * given).sum() / given.square().sum().clamp(min=1e-300)).item()
    grid = torch.finfo(head.dtype).eps * exact.abs().max().item()
    if (scale * given - exact).abs().max().item() <= _GRID_STEPS * grid:
        return scale
    first, second = tokens
    gaps = (head.double() - head[first].double()).abs()  # [V]
    far = (gaps > max(_NO_DIFFERENCE, _GRID_STEPS * grid)) & finite
    if not far[second]:
        if not far.any():
            return scale
        second = int(gaps.masked_fill(~far, torch.inf).argmin())
    return ((own[first].double() - own[second]) / (head[first].double() - head[second])).item()
