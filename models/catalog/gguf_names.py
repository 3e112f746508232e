"""Names of GGUF files: which are models, and which files belong together."""

import re
from collections.abc import Iterable

GGUF = ".gguf"
_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})")
"""The name of a file of several, without its end."""
_PROJECTOR = "mmproj"
"""How the file of a model's eyes is named, which holds no language model."""


def gguf_models(names: Iterable[str]) -> list[str]:
    """Of the names of files those of GGUF models, of one in several parts the first."""
    found = [name for name in names if name.endswith(GGUF) and _PROJECTOR not in name.lower()]
    return sorted(name for name in found if _number(name) == 1)


def parts_of(name: str) -> list[str]:
    """The names of all files of a model, given any one of them."""
    split = _PART.fullmatch(name.removesuffix(GGUF))
    if not split:
        return [name]
    return [f"{split[1]}-{i:05}-of-{split[3]}{GGUF}" for i in range(1, int(split[3]) + 1)]


def title(name: str) -> str:
    """What to call the model of a file: its name without the number of its part."""
    stem = name.removesuffix(GGUF)
    split = _PART.fullmatch(stem)
    return split[1] if split else stem


def _number(name: str) -> int:
    split = _PART.fullmatch(name.removesuffix(GGUF))
    return int(split[2]) if split else 1
