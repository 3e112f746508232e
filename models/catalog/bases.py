"""The model below an adapter: where it is found, and whether it is the one that was meant."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tokexplore.models.catalog.adapter import AdapterFiles, is_adapter, read_adapter
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.catalog.gguf_names import GGUF
from tokexplore.models.catalog.located import Located
from tokexplore.models.errors import ModelError, TokexploreError, UsageError
from tokexplore.models.server.wire.address import is_address
from tokexplore.models.untrusted import brief, path_of, read_json


def adapter_at(located: Located) -> AdapterFiles | None:
    """The adapter that a name stands for; None where it stands for a model."""
    path = located.path
    try:
        is_one = path is not None and path.suffix != GGUF and is_adapter(path)
        return read_adapter(path) if path is not None and is_one else None
    except OSError:
        return None  # what opens it says why


@contextmanager
def needed_by(located: Located) -> Iterator[None]:
    """Say of what keeps a base from being opened that an adapter needs it, and which.

    Raises:
        ModelError: in the place of any error of ours.
    """
    try:
        yield
    except TokexploreError as error:
        adapter = adapter_at(located)
        raise ModelError(
            f"{located.name} is an adapter of {brief(adapter.base if adapter else '')}, which "
            f"cannot be opened ({str(error).rstrip('.?')}): give its base as MODEL and --adapter "
            f"{located.source}."
        ) from error


def base_of(located: Located) -> Located:
    """The model that is loaded for a name: of an adapter the one that its config names.

    Raises:
        ModelError: an adapter that names none, or one that is not to be found.
    """
    adapter = adapter_at(located)
    if adapter is None:
        return located
    if not adapter.base:
        raise ModelError(
            f"{located.name} is an adapter whose adapter_config.json names no base: give its base "
            f"as MODEL and --adapter {located.source}."
        )
    if is_address(adapter.base):
        raise ModelError(
            f"{located.name} is an adapter of a server's model ({brief(adapter.base)}): give its "
            f"base as MODEL and --adapter {located.source}."
        )
    with needed_by(located):
        found = locate(adapter.base, adapter.base_revision)
    if adapter_at(found):
        raise ModelError(
            f"{located.name} is an adapter of {brief(adapter.base)}, which is an adapter itself: "
            "merge that one into its base first."
        )
    return found


def check_base(name: str, adapter: AdapterFiles, base: Located) -> None:
    """Refuse an adapter that was made for another model.

    Its config names a hub id or a path on the machine it was trained on: it is the same model where
    that is what was given, lies in the same place, or has the same last name.

    Raises:
        UsageError: naming both.
    """
    if not adapter.base or _same(adapter.base, base):
        return
    raise UsageError(
        f"{name} is an adapter of {brief(adapter.base)}, and MODEL is {base.source}: give its base "
        "as MODEL (where this is the same model under another name, write that into the adapter's "
        "adapter_config.json)."
    )


def _same(stated: str, base: Located) -> bool:
    names = {base.name, base.source.rstrip("/").rpartition("/")[2]}
    if base.path is not None:
        names |= _own_names(base.path)
        try:
            if path_of(stated).resolve() == base.path.resolve():
                return True
        except OSError:
            pass
    last = stated.rstrip("/").rpartition("/")[2]
    return stated in names or last.casefold() in {n.rpartition("/")[2].casefold() for n in names}


def _own_names(path: Path) -> set[str]:
    """What a model's config.json says that it was saved from."""
    try:
        stated = read_json(path / "config.json", dict[str, Any]).get("_name_or_path")
    except (OSError, ValueError):
        return set()
    return {stated} if isinstance(stated, str) and stated else set()
