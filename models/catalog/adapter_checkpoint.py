"""A directory that holds an adapter, as the catalog tells of model directories."""

from collections import Counter
from pathlib import Path

from tokexplore.models.catalog.adapter import read_adapter
from tokexplore.models.catalog.checkpoint import Checkpoint
from tokexplore.models.catalog.headers import DTYPES


def adapter_checkpoint(path: Path) -> Checkpoint:
    """Look at an adapter's directory.

    Raises:
        OSError: it cannot be read.
    """
    adapter = read_adapter(path)
    elements: Counter[str] = Counter()
    for tensor in adapter.tensors.values():
        elements[DTYPES[tensor.dtype][0] if tensor.dtype in DTYPES else tensor.dtype] += (
            tensor.elements
        )
    return Checkpoint(
        path=path,
        config={},
        tensors=adapter.tensors,
        elements=dict(elements),
        weight_files=(),
        weight_bytes=0,
        disk_bytes=sum(f.stat().st_size for f in path.rglob("*") if f.is_file()),
        problems=adapter.problems,
        chat_template=False,
        adapter=adapter,
    )
