"""Which weights of safetensors files stay mapped, and which are read into memory.

transformers maps all: of what is then converted or put together, the pages of the file stay in the
process beside what was made of them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from transformers import modeling_utils

from tokexplore.models.catalog.headers import DTYPES, TensorHeader

Shape = tuple[int, ...]


def held_as_stored(
    tensors: Mapping[str, TensorHeader], dtype: torch.dtype | str, shapes: Collection[Shape]
) -> set[str]:
    """The tensors that are the model's weights as they lie in the file.

    Args:
        tensors: headers of the checkpoint by name.
        dtype: that the weights are held in; a name, `auto`, where they keep their own.
        shapes: of the model's weights; a tensor of another one is put together with others.
    """
    kept = str(dtype).removeprefix("torch.")
    return {
        name
        for name, tensor in tensors.items()
        if (isinstance(dtype, str) or DTYPES.get(tensor.dtype, ("",))[0] == kept)
        and tuple(tensor.shape) in shapes
    }


@contextmanager
def mapping_only(names: Collection[str]) -> Iterator[None]:
    """Let transformers map the tensors of these names, and read all others."""
    before = modeling_utils.safe_open

    def opened(file: str, framework: str, **settings: Any) -> Any:
        if settings.get("backend") != "mmap":
            return before(file, framework, **settings)
        return _PartlyMapped(
            lambda how: before(file, framework, **settings | {"backend": how}), names
        )

    modeling_utils.safe_open = opened
    try:
        yield
    finally:
        modeling_utils.safe_open = before


class _PartlyMapped:
    """As much of safetensors' open file as transformers uses."""

    def __init__(self, open_as: Callable[[str], Any], mapped: Collection[str]) -> None:
        self._mapped, self._read = open_as("mmap"), open_as("pread")
        self._names = mapped

    def keys(self) -> list[str]:
        return list(self._mapped.keys())

    def get_slice(self, name: str) -> Any:
        return (self._mapped if name in self._names else self._read).get_slice(name)

    def __exit__(self, *error: object) -> None:
        for file in (self._mapped, self._read):
            file.__exit__(*error)
