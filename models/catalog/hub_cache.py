"""The hub cache: where it lies, and which models are in it."""

import os
import re
from pathlib import Path

from tokexplore.models.catalog.located import Located, gguf_within
from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.untrusted import path_of

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


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
    """The models of the hub cache, one for each repository: `main`, else the newest snapshot; the
    folder of snapshots of one that cannot be looked into.

    Raises:
        UsageError: the cache itself cannot be read.
    """
    cache = hub_cache()
    try:
        names = os.listdir(cache)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UsageError(f"the hub cache ({cache}) cannot be read: {reason_of(error)}.") from None
    repositories = [cache / name for name in sorted(names) if name.startswith("models--")]
    return [
        model for repo in repositories if (found := _newest(repo)) for model in gguf_within(found)
    ]


def _newest(repository: Path) -> Located | None:
    try:
        return snapshot(repository, "")
    except OSError:  # such as one that another user of a shared cache has closed
        source = repository_id(repository)
        return Located(source.rsplit("/", 1)[-1], source, "hub", repository / "snapshots")


def cached(model: str, revision: str) -> Located | None:
    """A model of the hub cache by its id, or by its bare name where only one has it."""
    cache = hub_cache()
    if HUB_ID.fullmatch(model):
        exact = snapshot(cache / f"models--{model.replace('/', '--')}", revision)
        if exact or "/" in model:
            return exact
    alike = [p for p in cache.glob("models--*") if repository_id(p).endswith(f"/{model}")]
    if len(alike) > 1:
        ids = ", ".join(sorted(repository_id(p) for p in alike))
        raise UsageError(f"{model} names more than one cached model: give one of {ids}.")
    return snapshot(alike[0], revision) if alike else None


def snapshot(repository: Path, revision: str) -> Located | None:
    """A snapshot of a cached repository: of a branch, tag or commit; else `main` or the newest."""
    folder = repository / "snapshots"
    try:
        commits = sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    reference = repository / "refs" / (revision or "main")
    if reference.is_file():
        wanted = reference.read_text("utf-8", "replace").strip()
        commits = [p for p in commits if p.name == wanted]
    elif revision:
        short = bool(_COMMIT.fullmatch(revision))
        commits = [p for p in commits if short and p.name.startswith(revision)]
    if not commits:
        return None
    source = repository_id(repository)
    return Located(source.rsplit("/", 1)[-1], source, "hub", commits[0], commits[0].name)


def repository_id(repository: Path) -> str:
    return repository.name.removeprefix("models--").replace("--", "/", 1)
