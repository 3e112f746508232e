"""What only torch can read of pickled weights before they are loaded: names, dtypes, shapes."""

import zipfile
from pathlib import Path

import msgspec
import torch

from tokexplore.models.catalog import describe_problems
from tokexplore.models.checkpoint import Checkpoint
from tokexplore.models.codes import problems_of_codes
from tokexplore.models.errors import ModelError
from tokexplore.models.headers import DTYPES, TensorHeader

_NAMES = {usual: name for name, (usual, _) in DTYPES.items()}


def headed(name: str, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with headers of pickled weights too, as safetensors would have them.

    Their data is mapped and not read. Files of torch before 1.6, which are no archives, have none.

    Raises:
        ModelError: for pickled codes without what makes weights of them.
    """
    tensors = dict(checkpoint.tensors)
    for file in checkpoint.weight_files:
        if file.suffix == ".bin" and zipfile.is_zipfile(file):
            tensors |= _header(file)
    problems = tuple(problems_of_codes(checkpoint.config, tensors))
    found = msgspec.structs.replace(checkpoint, tensors=tensors, problems=problems)
    if problems:
        raise ModelError(describe_problems(name, found))
    return found


def _header(file: Path) -> dict[str, TensorHeader]:
    state = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    return {
        name: TensorHeader(_dtype(value), list(value.shape), (0, value.nbytes))
        for name, value in (state.items() if isinstance(state, dict) else ())
        if isinstance(name, str) and isinstance(value, torch.Tensor) and not value.is_sparse
    }


def _dtype(tensor: torch.Tensor) -> str:
    usual = str(tensor.dtype).removeprefix("torch.")
    return _NAMES.get(usual, usual.upper())
