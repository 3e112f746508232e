"""The models that are here, with what their files say: a row of a list each."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from tokexplore.models.catalog.bases import base_of
from tokexplore.models.catalog.catalog import may_be_model
from tokexplore.models.catalog.checkpoint import Checkpoint, read_checkpoint
from tokexplore.models.catalog.codes import held_in_full
from tokexplore.models.catalog.footprint import Fit, Room, context_of, footprint, room_for
from tokexplore.models.catalog.hub_cache import hub_models
from tokexplore.models.catalog.located import Located, Origin, gguf_within, ours
from tokexplore.models.errors import TokexploreError, UsageError, reason_of
from tokexplore.models.untrusted import brief, path_of


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
    fit: Fit
    """Whether it fits: on a GPU where it does there, else on the CPU; of an adapter its base."""
    adapter_of: str = ""
    """Of an adapter the model that it was made for, `?` where it names none; else empty."""

    @property
    def complete(self) -> bool:
        return not self.problems

    @property
    def refusal(self) -> str:
        """Why it cannot be opened, to be read after its name; empty where it may."""
        if self.problems:
            return "; it ".join(self.problems)
        return "is no causal language model" if self.causal is False else ""


def list_models(directories: Iterable[str | Path] = ()) -> list[ModelEntry]:
    """Ours, the hub cache, and the models in `directories` (or one level below).

    Raises:
        UsageError: a directory is not there, or one of these cannot be read.
    """
    found = [*ours(), *hub_models()]
    for directory in directories:
        found += models_in(directory)
    return entries(found)


def list_directory(directory: str | Path) -> list[ModelEntry]:
    """The models in a directory, or one level below.

    Raises:
        UsageError: it is not there, or cannot be read.
    """
    return entries(models_in(directory))


def models_in(directory: str | Path) -> list[Located]:
    """Those of a directory: itself, or what lies one level below.

    Raises:
        UsageError: it is not there, or cannot be read.
    """
    root = path_of(directory)
    try:
        if not root.is_dir():
            raise UsageError(f"there is no directory {directory}.")
        homes = [root, *sorted(p for p in root.iterdir() if p.is_dir())]
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"{brief(str(directory))} cannot be read: {reason}.") from None
    return [model for home in homes for model in _at(home)]


def _at(folder: Path) -> list[Located]:
    """The models of a folder, as they can be given."""
    home = Located(folder.resolve().name, str(folder), "directory", folder)
    found = gguf_within(home)
    return found if found != [home] or may_be_model(folder) else []


def entries(found: Iterable[Located], room: Room | None = None) -> list[ModelEntry]:
    """Rows of those whose files are here.

    Args:
        room: what is free for them; None looks at all there is.
    """
    room = room or room_for()
    return [_entry(place, place.path, room) for place in found if place.path]


def _entry(place: Located, path: Path, room: Room) -> ModelEntry:
    checkpoint = read_checkpoint(path)
    adapter = checkpoint.adapter
    return ModelEntry(
        name=place.source,
        origin=place.origin,
        path=str(path),
        revision=place.revision,
        family=f"{adapter.kind or 'unknown'} adapter" if adapter else checkpoint.family,
        parameters=checkpoint.parameters,
        dtype=checkpoint.dtype,
        disk_bytes=checkpoint.disk_bytes,
        problems=checkpoint.problems,
        chat_template=checkpoint.chat_template,
        causal=checkpoint.causal,
        fit=_fit(_base(place) or checkpoint if adapter else checkpoint, room),
        adapter_of=(adapter.base or "?") if adapter else "",
    )


def _base(place: Located) -> Checkpoint | None:
    """The model below an adapter; None where it is not here."""
    try:
        base = base_of(place)
    except TokexploreError:
        return None
    return read_checkpoint(base.path) if base.path else None


def _fit(checkpoint: Checkpoint, room: Room) -> Fit:
    """On a GPU in its own dtype, or on the CPU in float32, where no other dtype is asked for."""
    own = "auto" if room.dtype == "own" else room.dtype
    on_gpu, on_cpu = (
        Fit.of(
            footprint(checkpoint, dtype, in_full=held_in_full(checkpoint.quantization, cpu=cpu)),
            free,
            context_of(checkpoint.text_config),
            is_known=checkpoint.complete and bool(checkpoint.elements) and not checkpoint.adapter,
        )
        for dtype, cpu, free in (
            (own, False, room.gpu),
            ("float32" if room.dtype == "auto" else own, True, room.cpu),
        )
    )
    return on_gpu if on_gpu.fits or not room.cpu else on_cpu
