"""Adapters (LoRA and its kin) in the format of peft: what their files say, read without torch."""

import hashlib
import re
from pathlib import Path
from typing import Any

import msgspec

from tokexplore.models.api.options import Adapter
from tokexplore.models.api.provenance import AdapterInfo
from tokexplore.models.catalog.glance import INDEX_END, WEIGHT_NAMES
from tokexplore.models.catalog.headers import TensorHeader, safetensors_header
from tokexplore.models.untrusted import brief, read_json

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
KINDS = {"LORA": "LoRA", "IA3": "IA3", "LOHA": "LoHa", "LOKR": "LoKr"}
"""Kinds that change layers where they stand, by their names in a config."""
PREFIX = "base_model.model."
"""What the names of an adapter's tensors begin with, before those of the model's."""
_ELSEWHERE = {
    "alora_invocation_tokens": "begins where certain tokens stand",
    "arrow_config": "chooses among other adapters",
    "layer_replication": "repeats layers of its base",
}
"""Settings under which a pass of the model alone is not the adapter's, and what each does."""
_PART = re.compile(r"\.(lora|ia3|hada|lokr)_|\.token_adapter\.|\.base_layer\.")
"""Where the name of what an adapter adds begins, after the name of the module that it changes."""
_RANKED = re.compile(r"\.lora_(embedding_)?A(\.weight)?$")


class _Config(msgspec.Struct):
    """As much of adapter_config.json as is read."""

    peft_type: str = ""
    base_model_name_or_path: str | None = None
    revision: str | None = None
    r: int = 0


class AdapterFiles(msgspec.Struct, frozen=True):
    """An adapter's directory as it lies on disk."""

    path: Path
    base: str
    """The model that it was made for, as its config names it; empty where it names none."""
    base_revision: str
    kind: str
    """`LoRA`; empty where the config is broken."""
    rank: str
    """`8`, or `2 to 8` where modules differ; empty for kinds that have none."""
    targets: tuple[str, ...]
    """The last names of the modules that it changes, such as q_proj."""
    tensors: dict[str, TensorHeader]
    problems: tuple[str, ...]
    """What keeps it from being used, each to be read after its name."""

    def info(self, adapter: Adapter) -> AdapterInfo:
        """What is told of it where numbers come from; reads its weights once, for their hash.

        Raises:
            OSError: they cannot be read.
        """
        with (self.path / WEIGHTS).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return AdapterInfo(
            adapter.name, adapter.source, self.base, self.kind, self.rank, self.targets, digest
        )


def is_adapter(path: Path) -> bool:
    """Whether a directory holds an adapter and no model of its own.

    Raises:
        OSError: it cannot be read.
    """
    return (path / CONFIG).is_file() and not _holds_model(path)


def holds_both(path: Path) -> bool:
    """Whether a model lies in one directory with an adapter, which transformers would put on it."""
    return (path / CONFIG).is_file() and _holds_model(path)


def read_adapter(path: Path) -> AdapterFiles:
    """Look at an adapter's directory; what is wrong with it is told in `problems`.

    Raises:
        OSError: it cannot be read.
    """
    problems: list[str] = []
    config, stated = _config(path, problems)
    tensors = _tensors(path, problems)
    kind = KINDS.get(config.peft_type, "")
    if not problems and not kind:
        what = f"of kind {brief(config.peft_type)}" if config.peft_type else "of no kind"
        problems.append(
            f"is an adapter {what} (peft_type in {CONFIG}): those of {', '.join(KINDS.values())} "
            "can be used"
        )
    problems += [
        f"is an adapter that {does} ({name} in {CONFIG}), which is not possible here: choose "
        "another"
        for name, does in _ELSEWHERE.items()
        if stated.get(name)
    ]
    return AdapterFiles(
        path=path,
        base=config.base_model_name_or_path or "",
        base_revision=config.revision or "",
        kind=kind,
        rank=_rank(tensors),
        targets=tuple(sorted({_target(name) for name in tensors})),
        tensors=tensors,
        problems=tuple(problems),
    )


def _holds_model(path: Path) -> bool:
    return any((path / (name + end)).is_file() for name in WEIGHT_NAMES for end in ("", INDEX_END))


def _config(path: Path, problems: list[str]) -> tuple[_Config, dict[str, Any]]:
    try:
        stated = read_json(path / CONFIG, dict[str, Any])
        return msgspec.convert(stated, _Config), stated
    except (ValueError, UnicodeError) as error:
        problems.append(f"has an {CONFIG} that cannot be an adapter's ({error})")
        return _Config(), {}


def _tensors(path: Path, problems: list[str]) -> dict[str, TensorHeader]:
    file = path / WEIGHTS
    if not file.is_file():
        pickled = path / "adapter_model.bin"
        problems.append(
            f"is an adapter whose weights are pickled ({pickled.name}): save it again as "
            f"safetensors ({WEIGHTS})"
            if pickled.is_file()
            else f"is an adapter ({CONFIG}) without its weights ({WEIGHTS})"
        )
        return {}
    try:
        tensors = safetensors_header(file)
    except ValueError as error:
        problems.append(f"has an {WEIGHTS} that {error}")
        return {}
    if not tensors:
        problems.append(f"has no tensors in {WEIGHTS}: save it again")
    return tensors


def _rank(tensors: dict[str, TensorHeader]) -> str:
    ranks = sorted({t.shape[0] for n, t in tensors.items() if _RANKED.search(n) and t.shape})
    return "" if not ranks else f"{ranks[0]} to {ranks[-1]}" if len(ranks) > 1 else f"{ranks[0]}"


def _target(name: str) -> str:
    """The last name of the module that a tensor changes, or takes the place of."""
    found = _PART.search(name)
    return (name[: found.start()] if found else name.rpartition(".")[0]).rpartition(".")[2]
