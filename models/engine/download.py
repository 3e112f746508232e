"""Fetch a hub model into the hub cache, once."""

from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import tqdm

from tokexplore.models.catalog import Located, hub_cache, suggestion
from tokexplore.models.engine.meter import Report
from tokexplore.models.errors import ModelError, UsageError
from tokexplore.models.protocol import Progress

_ALWAYS = (".json", ".txt", ".model", ".jinja", ".tiktoken")


def download(located: Located, report: Report, *, trust_remote_code: bool) -> Path:
    """The snapshot directory of a hub model, downloaded as far as it is not in the cache yet.

    Only what is loaded is fetched: safetensors, or pickled weights where there are none, and
    Python files only when they may run. Reports the stage `download`.

    Raises:
        UsageError: for a revision that the repository has not.
        ModelError: for a repository that is not there, is gated or cannot be reached.
    """
    name = located.source
    try:
        info = HfApi().model_info(name, revision=located.revision or None, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        wanted = wanted_files(list(sizes), trust_remote_code=trust_remote_code)
        bar = _bar_class(sum(sizes[file] for file in wanted), report)
        folder = snapshot_download(
            name,
            revision=info.sha,
            cache_dir=hub_cache(),
            allow_patterns=wanted,
            tqdm_class=bar,
        )
    except RevisionNotFoundError as error:
        raise UsageError(f"{name} has no revision {located.revision} on the hub.") from error
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
            f"the hub cannot be reached ({type(error).__name__}).{suggestion(name)}"
        ) from error
    return Path(folder)


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
    told = 0

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._counts_bytes = kwargs.get("unit") == "B"
            kwargs.pop("name", None)
            super().__init__(*args, **(kwargs | {"disable": True}))
            self._bytes = 0

        def update(self, n: float | None = 1) -> None:
            nonlocal told
            if not self._counts_bytes:
                return
            self._bytes += int(n or 0)
            if self._bytes > told:
                told = min(self._bytes, total)
                report(Progress("download", told, total, "bytes"))

    return Bar
