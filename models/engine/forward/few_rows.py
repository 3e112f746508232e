"""Products of a few rows with a model's weights on the CPU.

Torch multiplies rows by the transposed weights. For a handful of rows its library for that (MKL)
is up to twice as fast when the weights are multiplied by the transposed rows; see
`findings/torch_linear_of_fifteen_rows.sh`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

LEAST, MOST = 6, 64
"""Rows for which it is faster, see `benchmarks/shared_prefix.py`."""
_FORWARD = "forward"


class FewRows:
    """The linear layers of a model that hold plain f32 weights on the CPU."""

    def __init__(self, model: nn.Module) -> None:
        self._products: list[tuple[nn.Module, Callable[[torch.Tensor], torch.Tensor]]] = [
            (module, partial(linear, module))
            for module in model.modules()
            if type(module) is nn.Linear
            and type(module.weight) is nn.Parameter  # codes multiply in their own way
            and _FORWARD not in vars(module)  # offloaded weights come and go there
            and module.weight.device.type == "cpu"
            and module.weight.dtype == torch.float32
        ]

    @contextmanager
    def on(self, rows: int) -> Iterator[None]:
        """Run passes of so many rows."""
        products = self._products if LEAST <= rows <= MOST else []
        try:
            for module, product in products:
                vars(module)[_FORWARD] = product
            yield
        finally:
            for module, _ in products:
                vars(module).pop(_FORWARD, None)


def linear(module: nn.Linear, rows: torch.Tensor) -> torch.Tensor:
    """What a linear layer gives for rows [..., in], as [..., out]."""
    columns = rows.flatten(0, -2).t()  # [in, n]
    if module.bias is None:
        found = torch.mm(module.weight, columns)  # [out, n]
    else:
        found = torch.addmm(module.bias[:, None], module.weight, columns)
    # A model may take views of it that those of other strides do not have.
    return found.t().contiguous().unflatten(0, rows.shape[:-1])
