"""Which models are here, and what a name on the command line stands for."""

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tokexplore.models.api.options import EMBEDDED, EMBEDDED_TITLE, SHIPPED, SPARSE
from tokexplore.models.catalog.checkpoint import read_checkpoint
from tokexplore.models.catalog.codes import held_in_full
from tokexplore.models.catalog.footprint import footprint, free_gpu_memory, free_memory
from tokexplore.models.catalog.foreign import GGUF_ADVICE
from tokexplore.models.errors import ModelError, UsageError
from tokexplore.models.untrusted import brief, path_of

Origin = Literal["embedded", "hub", "directory"]
EMBEDDED_DIRECTORY = Path(__file__).parents[1] / "embedded"
SPARSE_DIRECTORY = Path(__file__).parents[1] / "embedded_experts"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


class Located(msgspec.Struct, frozen=True):
    """What a name stands for."""

    name: str
    """Short name for the header."""
    source: str
    """Directory or hub id, as it can be given again."""
    origin: Origin
    path: Path | None
    """The directory to load; None for a hub model that must be downloaded first."""
    revision: str = ""
    """Commit of a hub snapshot; the revision asked for where it is not here yet."""


class ModelEntry(msgspec.Struct, frozen=True):
    """One row of the list of models."""

    name: str
    """What to give as MODEL."""
    origin: Origin
    path: str
    revision: str
    family: str
    parameters: int | None
    dtype: str
    disk_bytes: int
    problems: tuple[str, ...]
    chat_template: bool
    causal: bool | None
    needed_bytes: int
    """For weights and a working path, in the place where it fits, else on the CPU in float32."""
    fits: bool

    @property
    def complete(self) -> bool:
        return not self.problems


def locate(model: str, revision: str = "") -> Located:
    """Find the model that a name stands for: one of ours, a directory, the hub cache, a hub id.

    Raises:
        UsageError: for a name that can be nothing of these, and a revision of a directory.
        ModelError: for a directory that is not there, and a hub id that is not in the cache while
            offline.
    """
    if not model.strip():
        raise UsageError("the name of the model is empty: leave it out for the embedded model.")
    if model == EMBEDDED:
        return _embedded(revision)
    try:
        return _found(model, revision)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ModelError(f"{brief(model)} cannot be opened: {reason}.") from None


def _found(model: str, revision: str) -> Located:
    path = path_of(model)
    if path.exists():
        return _directory(path, revision)
    if model == SPARSE:
        return _embedded(revision, SPARSE)
    if cached := _cached(model, revision):
        return cached
    if _looks_like_path(model):
        raise ModelError(f"there is no directory {model}: check the path.{suggestion(model)}")
    if not _HUB_ID.fullmatch(model):
        raise UsageError(
            f"{brief(model)!r} is neither a directory nor a hub id (owner/name).{suggestion(model)}"
        )
    if offline():
        at = f" at revision {revision}" if revision else ""
        raise ModelError(
            f"{model}{at} is not in the hub cache ({hub_cache()}) and this machine is set to be "
            f"offline.{suggestion(model)}"
        )
    return Located(model.rsplit("/", 1)[-1], model, "hub", None, revision)


def list_models(directories: Iterable[str | Path] = ()) -> list[ModelEntry]:
    """The embedded model, the hub cache, and the models in `directories` (or one level below)."""
    found = [_shipped(name) for name in SHIPPED]
    found += hub_models()
    for directory in directories:
        found += _models_in(directory)
    return _entries(found)


def list_directory(directory: str | Path) -> list[ModelEntry]:
    """The models in a directory, or one level below.

    Raises:
        UsageError: it is not there, or cannot be read.
    """
    return _entries(_models_in(directory))


def _models_in(directory: str | Path) -> list[Located]:
    root = path_of(directory)
    try:
        if not root.is_dir():
            raise UsageError(f"there is no directory {directory}.")
        homes = [root, *sorted(p for p in root.iterdir() if p.is_dir())]
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"{brief(str(directory))} cannot be read: {reason}.") from None
    return [Located(h.resolve().name, str(h), "directory", h) for h in homes if _may_be_model(h)]


def _entries(found: Iterable[Located]) -> list[ModelEntry]:
    memory, gpu = free_memory(), free_gpu_memory()
    return [_entry(place, place.path, memory, gpu) for place in found if place.path]


def _may_be_model(directory: Path) -> bool:
    """Whether it has a config.json, as far as anybody can see."""
    try:
        return (directory / "config.json").is_file()
    except OSError:
        return True


def nearest(name: str, entries: Sequence[ModelEntry | Located], count: int = 3) -> list[str]:
    """The names of `entries` that look most like `name`, the best first."""
    names: dict[str, str] = {}
    for entry in entries:
        full = entry.name if isinstance(entry, ModelEntry) else entry.source
        names[full.lower()] = full
        names.setdefault(full.rsplit("/", 1)[-1].lower(), full)
        if full == EMBEDDED:
            names.setdefault(EMBEDDED_TITLE, full)
    close = difflib.get_close_matches(name.lower(), names, n=2 * count, cutoff=0.5)
    close += [key for key in names if len(name) > 2 and name.lower() in key]
    return list(dict.fromkeys(names[key] for key in close))[:count]


def suggestion(model: str) -> str:
    """A last sentence for an error: the names here that look most like `model`, if any do."""
    here = [*map(_shipped, SHIPPED), *hub_models()]
    if _looks_like_path(model):
        here += _siblings(path_of(model))
    close = nearest(model.rstrip("/").rsplit("/", 1)[-1], here)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _siblings(path: Path) -> list[Located]:
    """The model directories beside a path."""
    parent = path.parent
    beside = sorted(p for p in parent.iterdir() if p.is_dir()) if parent.is_dir() else []
    found = [p for p in beside if _may_be_model(p)]
    return [Located(p.name, str(p), "directory", p) for p in found]


def hub_cache() -> Path:
    """The hub cache directory, by the same variables as huggingface_hub."""
    env = os.environ
    if named := env.get("HF_HUB_CACHE") or env.get("HUGGINGFACE_HUB_CACHE"):
        return path_of(named)
    if home := env.get("HF_HOME"):
        return path_of(home) / "hub"
    base = env.get("XDG_CACHE_HOME") or "~/.cache"
    return path_of(base) / "huggingface" / "hub"


def offline() -> bool:
    """Whether the environment forbids asking the hub."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(n, "").upper() in ("1", "ON", "YES", "TRUE") for n in names)


def hub_models() -> list[Located]:
    """The models of the hub cache, one for each repository: `main`, else the newest snapshot."""
    cache = hub_cache()
    if not cache.is_dir():
        return []
    repositories = sorted(cache.glob("models--*"))
    return [found for repo in repositories if (found := _snapshot(repo, ""))]


def _entry(place: Located, path: Path, memory: int, gpu: int) -> ModelEntry:
    checkpoint = read_checkpoint(path)
    on_gpu, on_cpu = (
        footprint(
            checkpoint, dtype, in_full=held_in_full(checkpoint.quantization, cpu=cpu)
        ).needed()
        for dtype, cpu in (("auto", False), ("float32", True))
    )
    return ModelEntry(
        name=place.source,
        origin=place.origin,
        path=str(path),
        revision=place.revision,
        family=checkpoint.family,
        parameters=checkpoint.parameters,
        dtype=checkpoint.dtype,
        disk_bytes=checkpoint.disk_bytes,
        problems=checkpoint.problems,
        chat_template=checkpoint.chat_template,
        causal=checkpoint.causal,
        needed_bytes=on_gpu if on_gpu <= gpu else on_cpu,
        fits=on_gpu <= gpu or on_cpu <= memory,
    )


def _shipped(name: str) -> Located:
    """A model that we ship, whether its files are here or not."""
    if name == EMBEDDED:
        return Located(EMBEDDED_TITLE, EMBEDDED, "embedded", EMBEDDED_DIRECTORY)
    return Located(SPARSE, SPARSE, "embedded", SPARSE_DIRECTORY)


def _embedded(revision: str, name: str = EMBEDDED) -> Located:
    if revision:
        raise UsageError(f"revision {revision} is not possible: the {name} model has only one.")
    found = _shipped(name)
    if found.path is None or not (found.path / "model.safetensors").is_file():
        raise ModelError(
            f"the {name} model is not part of this installation: name another MODEL, or install "
            "tokexplore again."
        )
    return found


def _directory(path: Path, revision: str) -> Located:
    if path.suffix.lower() == ".gguf":
        raise UsageError(f"{path} is a GGUF file, {GGUF_ADVICE}.")
    if not path.is_dir():
        raise UsageError(f"{path} is a file: give the directory that holds config.json.")
    if revision:
        raise UsageError(
            f"revision {revision} is not possible for the directory {path}: "
            "only a hub model has revisions."
        )
    real = path.resolve()
    if real.parent.name == "snapshots" and real.parent.parent.name.startswith("models--"):
        name = _repository_id(real.parent.parent).rsplit("/", 1)[-1]
        return Located(name, str(path), "directory", path, real.name)
    return Located(real.name, str(path), "directory", path)


def _cached(model: str, revision: str) -> Located | None:
    """A model of the hub cache by its id, or by its bare name where only one has it."""
    cache = hub_cache()
    if _HUB_ID.fullmatch(model):
        exact = _snapshot(cache / f"models--{model.replace('/', '--')}", revision)
        if exact or "/" in model:
            return exact
    alike = [p for p in cache.glob("models--*") if _repository_id(p).endswith(f"/{model}")]
    if len(alike) > 1:
        ids = ", ".join(sorted(_repository_id(p) for p in alike))
        raise UsageError(f"{model} names more than one cached model: give one of {ids}.")
    return _snapshot(alike[0], revision) if alike else None


def _snapshot(repository: Path, revision: str) -> Located | None:
    """A snapshot of a cached repository: of a branch, tag or commit; else `main` or the newest."""
    folder = repository / "snapshots"
    if not folder.is_dir():
        return None
    reference = repository / "refs" / (revision or "main")
    commits = sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
    if reference.is_file():
        wanted = reference.read_text("utf-8", "replace").strip()
        commits = [p for p in commits if p.name == wanted]
    elif revision:
        short = bool(_COMMIT.fullmatch(revision))
        commits = [p for p in commits if short and p.name.startswith(revision)]
    if not commits:
        return None
    source = _repository_id(repository)
    return Located(source.rsplit("/", 1)[-1], source, "hub", commits[0], commits[0].name)


def _repository_id(repository: Path) -> str:
    return repository.name.removeprefix("models--").replace("--", "/", 1)


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "/", "~")) or model.count("/") > 1 or model.endswith("/")


def describe_problems(name: str, problems: Iterable[str]) -> str:
    """One sentence with everything that is wrong with a model directory."""
    return f"{name} {'; it '.join(problems)}."
