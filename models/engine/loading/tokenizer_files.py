"""Which packages the files of a tokenizer need, beyond those that are always here."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from transformers.utils import is_mistral_common_available

TEKKEN = "tekken.json"


class Missing(NamedTuple):
    """What cannot be read, and what would read it."""

    file: str
    names: str
    """As `pip install` takes them, with the extra of ours that has them."""


def missing_packages(path: Path) -> Missing | None:
    """What is not installed and the tokenizer of a directory without a tokenizer.json needs."""
    if (path / TEKKEN).is_file():
        if is_mistral_common_available():  # which looks at its version, and at Pillow
            return None
        return Missing(TEKKEN, _with_extra("mistral-common pillow", "mistral"))
    model = path / "tokenizer.model"
    if not model.is_file():
        return None
    if _is_tiktoken(model):
        return _missing(model.name, "", {"tiktoken": "tiktoken"})
    both = {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}
    return _missing(model.name, "sentencepiece", both)


def _missing(file: str, extra: str, packages: dict[str, str]) -> Missing | None:
    if all(map(_installed, packages)):
        return None
    return Missing(file, _with_extra(" ".join(packages.values()), extra))


def _with_extra(names: str, extra: str) -> str:
    return f"{names} (the extra tokexplore[{extra}])" if extra else names


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent package is not here either
        return False


def _is_tiktoken(model: Path) -> bool:
    """Whether a tokenizer.model holds tiktoken's lines (base64 and a rank), not SentencePiece's
    protocol buffer."""
    with model.open("rb") as stream:
        first = stream.readline(200).split()
    return len(first) == 2 and first[1].isdigit()
