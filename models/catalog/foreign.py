"""Files that lie where a checkpoint should: what they are, by their names and first bytes."""

from pathlib import Path

_POINTER = b"version https://git-lfs.github.com/spec/"
_READ = (".safetensors", ".bin", ".json", ".model", ".tiktoken", ".txt", ".jinja")
_FOREIGN = ("*.pth", "consolidated*.safetensors", "*.h5", "*.msgpack", "*.onnx", "*.npz", "*.nemo")
"""Weights of other programs, which transformers does not read."""


def no_checkpoint(path: Path) -> str:
    """What the files are instead of a checkpoint, where that alone says it all; else empty.

    Raises:
        OSError: for a directory that cannot be read.
    """
    files = sorted(p for p in path.iterdir() if p.is_file())
    pointers = [p.name for p in files if p.suffix in _READ and _is_pointer(p)]
    if pointers:
        more = f" and {len(pointers) - 1} more" if len(pointers) > 1 else ""
        return (
            f"has git-lfs pointers where files should be ({pointers[0]}{more}): run `git lfs pull` "
            "in it"
        )
    return ""


def foreign_weights(path: Path) -> str:
    """Name of a file with weights of another program; empty where there is none."""
    found = (file for form in _FOREIGN for file in sorted(path.glob(form)))
    return next((file.name for file in found), "")


def _is_pointer(file: Path) -> bool:
    """Whether git-lfs left its small note of a file in its place."""
    if file.stat().st_size > 1024:
        return False
    with file.open("rb") as stream:
        return stream.read(len(_POINTER)) == _POINTER
