"""Where a model runs and in which dtype, and with how many threads."""

import os
import re
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedModel

from tokexplore.models.api.options import Dtype
from tokexplore.models.catalog.checkpoint import Checkpoint
from tokexplore.models.catalog.footprint import free_by_gpu, free_memory, gb
from tokexplore.models.display import counted
from tokexplore.models.errors import UsageError

FEW_CORES = 4
"""With fewer cores than this the engine takes them all, for all but small models."""
SMALL_MODEL = 50_000_000
"""Parameters under which a thread more gains less than waiting for a shared core costs."""
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


_NUMBER = re.compile(r"[0-9]{1,4}")
_MAPS = ("auto", "balanced", "sequential")


@dataclass(frozen=True)
class Placement:
    """Where to load to."""

    device_map: str | dict[str, torch.device]
    """As transformers takes it: one device for everything, or a way to spread over several."""
    kind: str
    """`cpu`, `cuda` or `mps`: where the first layers go."""
    free: int
    """Bytes free there."""
    label: str
    """As shown: `cuda:1`."""
    notice: str = ""
    """What `auto` chose, for the user to see."""


def place(asked: str, device_map: str = "") -> Placement:
    """The device that `--device` names; `auto` is the GPU with the most free memory, then MPS,
    then the CPU. With a `device_map` all GPUs and the CPU's memory are one place.

    Raises:
        UsageError: for a device that this machine or this build of torch has not.
    """
    if device_map:
        return _spread(asked, device_map)
    if asked == "auto":
        return _best()
    kind, _, number = asked.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not _NUMBER.fullmatch(number)):
        raise UsageError(f"device {asked} is not known: give auto, cpu, cuda, cuda:1 or mps.")
    if kind == "cpu":
        return _on("cpu", free_memory())
    if kind == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError("device mps is not here: give --device cpu or leave it out.")
        return _on("mps", free_memory())
    free = free_gpus()
    if not free:
        reason = "this torch is built without CUDA" if not torch.version.cuda else "no GPU is seen"
        raise UsageError(f"device {asked} is not here ({reason}): give --device cpu.")
    if not number:
        return _best()
    if int(number) >= len(free):
        raise UsageError(f"device {asked} is not here: the last GPU is cuda:{len(free) - 1}.")
    return _on(asked, free[int(number)])


def free_gpus() -> list[int]:
    """Free bytes of each CUDA GPU that this process sees.

    Several are asked about through the driver, one through CUDA (`free_by_gpu` says why).
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    free = free_by_gpu() if count > 1 else {}
    names = [f"GPU-{torch.cuda.get_device_properties(i).uuid}" for i in range(count if free else 0)]
    if names and all(name in free for name in names):
        return [free[name] for name in names]
    return [torch.cuda.mem_get_info(i)[0] for i in range(count)]


def _on(device: str, free: int, notice: str = "") -> Placement:
    return Placement({"": torch.device(device)}, device.partition(":")[0], free, device, notice)


def _best() -> Placement:
    if free := free_gpus():
        best = max(range(len(free)), key=lambda i: free[i])
        among = f" of {len(free)} GPUs" if len(free) > 1 else ""
        notice = f"device cuda:{best}: the most free memory{among} ({gb(free[best])})"
        return _on(f"cuda:{best}", free[best], notice)
    if torch.backends.mps.is_available():
        return _on("mps", free_memory())
    return _on("cpu", free_memory())


def _spread(asked: str, device_map: str) -> Placement:
    if device_map not in _MAPS:
        raise UsageError(f"device map {device_map} is not known: give one of {', '.join(_MAPS)}.")
    if asked != "auto":
        raise UsageError(
            f"device {asked} and device map {device_map} exclude each other: give only one."
        )
    gpus = free_gpus()
    label = f"{len(gpus)} GPUs and the CPU" if gpus else "cpu"
    return Placement(device_map, "cuda" if gpus else "cpu", sum(gpus) + free_memory(), label)


def devices_of(model: PreTrainedModel) -> str:
    """The devices that hold the model's weights, in the order of its layers: `cuda:0+cpu`."""
    spread = getattr(model, "hf_device_map", None)
    if spread and len(set(spread.values())) > 1:
        names = [f"cuda:{d}" if isinstance(d, int) else str(d) for d in spread.values()]
    else:
        names = [str(parameter.device) for parameter in model.parameters()][:1]
    return "+".join(dict.fromkeys(names))


def choose_dtype(asked: Dtype, kind: str, checkpoint: Checkpoint, *, in_full: bool = False) -> str:
    """The name of the dtype to load in: `auto` is float32 on a CPU, elsewhere the checkpoint's own.

    A CPU gets float32 because half precision there is slow and its noise flips close calls.
    `auto` stays where transformers must decide: weights that are held as codes, and dtypes beyond
    the three that can be asked for. The codes of GGUF are held as bfloat16.

    Args:
        in_full: whether quantised weights are held at full width.
    """
    if asked not in ("auto", "own"):
        return asked
    if checkpoint.quantization and not in_full:
        return "auto"
    if kind == "cpu" and asked == "auto":
        return "float32"
    if checkpoint.dtype in _DTYPES:
        return checkpoint.dtype
    return "bfloat16" if checkpoint.gguf else "auto"


def torch_dtype(name: str) -> torch.dtype | str:
    """The torch dtype of a name; `auto` stays as it is."""
    return _DTYPES.get(name, name)


def choose_threads(asked: int | Literal["auto"], parameters: int | None) -> tuple[int, bool]:
    """Threads of the CPU at most, and whether fewer may be taken while they are faster.

    Without a number, all allowed cores when they are few, else one less, which the interface has. A
    small model leaves one always: its steps are so short that its threads spend them waiting for
    the one whose core the interface has. This rule knows sizes only, so that the same machine
    computes the same numbers. OMP_NUM_THREADS, where set, stays in force.

    Args:
        parameters: of the model; None where the checkpoint does not tell.

    Raises:
        UsageError: for more threads than cores: they would only wait for each other.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = cores or 1
    if isinstance(asked, int) and asked:
        if asked > cores:
            raise UsageError(
                f"{asked} threads are more than the {counted(cores, 'core')} "
                f"of this machine that may be used: give 1 to {cores}, or auto."
            )
        return asked, False
    if os.environ.get("OMP_NUM_THREADS"):
        return torch.get_num_threads(), False
    small = parameters is not None and parameters < SMALL_MODEL
    threads = cores if cores < FEW_CORES and not small else max(1, cores - 1)
    return threads, asked == "auto"
