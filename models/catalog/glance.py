"""What a model directory is before its large files are read: a glance that start-up affords."""

from pathlib import Path
from typing import Any

from tokexplore.models.catalog.catalog import describe_problems
from tokexplore.models.catalog.gguf_names import GGUF
from tokexplore.models.catalog.hub_cache import offline
from tokexplore.models.catalog.located import Located
from tokexplore.models.errors import ModelError
from tokexplore.models.untrusted import read_json

WEIGHT_NAMES = ("model.safetensors", "pytorch_model.bin")
"""Weights as transformers looks for them, the first found wins; each may be an index of shards."""
INDEX_END = ".index.json"
_SMALLEST = 1025
"""Bytes of the smallest file that is surely no pointer of git-lfs."""


def check_files(found: Located) -> None:
    """Refuse a model whose directory, by the names in it and its config.json, holds none.

    Raises:
        ModelError: naming all that is wrong with it.
    """
    path = found.path
    downloads = found.origin == "hub" and not offline()
    if path is None or downloads or path.suffix == GGUF or _may_be_whole(path):
        return
    from tokexplore.models.catalog.checkpoint import read_checkpoint  # takes longer than a glance

    if problems := read_checkpoint(path).problems:
        raise ModelError(describe_problems(found.name, problems))


def _may_be_whole(path: Path) -> bool:
    try:
        config = read_json(path / "config.json", dict[str, Any])
        weights = [path / (name + end) for name in WEIGHT_NAMES for end in ("", INDEX_END)]
        sizes = [file.stat().st_size for file in weights if file.is_file()]
    except (OSError, ValueError):
        return False
    return bool(config) and any(size >= _SMALLEST for size in sizes)
