"""Fetch a hub model into the hub cache, once."""

import errno
import os
from pathlib import Path, PurePath
from typing import Any
from urllib.request import getproxies

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import tqdm

from tokexplore.models.api.engine import Progress
from tokexplore.models.catalog.catalog import suggestion
from tokexplore.models.catalog.gguf_names import GGUF, gguf_models, parts_of
from tokexplore.models.catalog.hub_cache import hub_cache
from tokexplore.models.catalog.located import Located
from tokexplore.models.display import counted
from tokexplore.models.engine.loading.load_progress import Report
from tokexplore.models.errors import ModelError, TokexploreError, UsageError

_ALWAYS = (".json", ".txt", ".model", ".jinja", ".tiktoken")
_WEIGHTS = {".safetensors", ".bin", GGUF}
_SHOWN = 8


def download(located: Located, report: Report, *, trust_remote_code: bool) -> Path:
    """The snapshot of a hub model, or the first file of a GGUF model in one, fetched as far as it
    is not in the cache yet.

    Only what is loaded is fetched: safetensors, or pickled weights where there are none, and
    Python files only when they may run. Reports the stage `download`.

    Raises:
        UsageError: for a revision that the repository has not.
        ModelError: for a repository that is not there, is gated or cannot be reached.
    """
    name = located.repository
    try:
        info = HfApi().model_info(name, revision=located.revision or None, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        wanted = _wanted_gguf(located, list(sizes)) or wanted_files(
            list(sizes), trust_remote_code=trust_remote_code
        )
        bar = _bar_class(sum(sizes[file] for file in wanted), report)
        folder = snapshot_download(
            name,
            revision=info.sha,
            cache_dir=hub_cache(),
            allow_patterns=wanted,
            tqdm_class=bar,
        )
    except TokexploreError:
        raise
    except RevisionNotFoundError as error:
        raise UsageError(
            f"{name} has no revision {located.revision or 'main'} on the hub."
        ) from error
    except GatedRepoError as error:
        raise ModelError(
            f"{name} is gated: accept its terms on huggingface.co and log in with `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{name} is neither a directory nor a model on the hub that you may read: check the "
            f"name, or log in with `hf auth login`.{suggestion(name)}"
        ) from error
    except Exception as error:
        at = f" at revision {located.revision}" if located.revision else ""
        raise ModelError(
            f"{name}{at} is neither a directory nor complete in the hub cache ({hub_cache()}), and "
            f"{_reason(error)}.{suggestion(name)}"
        ) from error
    return Path(folder, wanted[0]) if wanted[0].endswith(GGUF) else Path(folder)


def _wanted_gguf(located: Located, names: list[str]) -> list[str]:
    """The files of a GGUF model in a repository, the first one first; none where another
    checkpoint is meant.

    Raises:
        ModelError: the repository has other GGUF models than the one that is named, or several and
            none is named.
    """
    models = gguf_models(name for name in names if "/" not in name)
    named = located.gguf
    if not named and {PurePath(name).suffix for name in names} & _WEIGHTS != {GGUF}:
        return []
    chosen = [named] if named in models else ([] if named else models)
    if len(chosen) == 1:
        return parts_of(chosen[0])
    some = ", ".join(f"{located.repository}/{model}" for model in models[:_SHOWN])
    more = f", and {len(models) - _SHOWN} more" if len(models) > _SHOWN else ""
    raise ModelError(
        f"{located.source} names none of the {counted(len(models), 'GGUF model')} on the hub: give "
        f"one of {some}{more}."
    )


def _reason(error: BaseException) -> str:
    """Why nothing came, and what to do, read after "and": by the answer, or by its absence."""
    chain = [error]
    while cause := chain[-1].__cause__:  # a snapshot wraps what stopped one of its files
        chain.append(cause)
    for each in reversed(chain):
        status = getattr(getattr(each, "response", None), "status_code", None)
        if isinstance(status, int):
            return _answer(status, each.response.headers.get("Retry-After"))  # type: ignore[attr-defined]
        if isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES):
            return f"the cache cannot be written ({os.strerror(each.errno)}): set HF_HUB_CACHE"
        kinds = {
            kind.__name__ for kind in type(each).__mro__
        }  # of httpx or httpx2, by the hub's age
        if "ProxyError" in kinds:
            return "the proxy on the way does not let it through: check HTTPS_PROXY and NO_PROXY"
        if "TimeoutException" in kinds:
            return f"the hub ({constants.ENDPOINT}) does not answer in time: try again later"
        if isinstance(each, OfflineModeIsEnabled):
            return "this machine is set to be offline (HF_HUB_OFFLINE)"
    if isinstance(error, ValueError | LookupError | TypeError):
        return f"what answers at {constants.ENDPOINT} does not answer as the hub does"
    through = " through the proxy that is set" if getproxies() else ""
    return f"the hub cannot be reached{through} ({type(error).__name__})"


def _answer(status: int, wait: str | None) -> str:
    """What an HTTP status of the hub, or of a proxy before it, means for the user."""
    if status == 401:
        return "the hub does not accept your token (401): log in again with `hf auth login`"
    if status == 403:
        return "the hub does not let you read it (403): check what your token may do"
    if status == 407:
        return "the proxy on the way wants a user and a password (407): name them in HTTPS_PROXY"
    if status == 429:
        when = f"in {wait} seconds" if wait and wait.isdigit() else "in some minutes"
        return f"the hub was asked too often (429): try again {when}, or `hf auth login`"
    if status >= 500:
        return f"the hub has a fault of its own ({status}): try again later"
    return f"the hub answers with an error ({status})"


def wanted_files(names: list[str], *, trust_remote_code: bool) -> list[str]:
    """The files of a repository that loading reads, top level only."""
    top = [name for name in names if "/" not in name]
    endings = [*_ALWAYS, *([".py"] if trust_remote_code else [])]
    safe = any(name.endswith(".safetensors") for name in top)
    chosen = [name for name in top if name.endswith(tuple(endings))]
    if safe:
        return chosen + [name for name in top if name.endswith(".safetensors")]
    return chosen + [n for n in top if n.startswith("pytorch_model") and n.endswith(".bin")]


def _bar_class(total: int, report: Report) -> type[Any]:
    """A tqdm that draws nothing and reports bytes; the hub keeps two byte bars, received and
    written, and the larger one counts."""
    reported = 0

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._counts_bytes = kwargs.get("unit") == "B"
            kwargs.pop("name", None)
            super().__init__(*args, **(kwargs | {"disable": True}))
            self._bytes = 0

        def update(self, n: float | None = 1) -> None:
            nonlocal reported
            if not self._counts_bytes:
                return
            self._bytes += int(n or 0)
            if self._bytes > reported:
                reported = min(self._bytes, total)
                report(Progress("download", reported, total, "bytes"))

    return Bar
