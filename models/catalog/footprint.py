"""What a model needs and what is free, in bytes, before anything is loaded."""

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tokexplore.models.api.options import Dtype
from tokexplore.models.catalog.checkpoint import DTYPE_BYTES, Checkpoint
from tokexplore.models.errors import ModelError

GB = 1e9
WORKING_TOKENS = 2048
"""A path this long should fit beside the weights before we call memory comfortable."""
_OVERHEAD = 1.05
"""Activations, logits rows and the allocator's own, as a share of the weights."""
_ATTENTION = frozenset({"full_attention", "sliding_attention", "chunked_attention", "attention"})
_CGROUPS = Path("/sys/fs/cgroup")
_CONTEXT_NAMES = (
    *("max_position_embeddings", "n_positions", "n_ctx"),
    *("max_seq_len", "max_sequence_length", "seq_length"),
)


class Room(NamedTuple):
    """What is free for a model: bytes, 0 where it is not to be loaded; and how it will be held."""

    cpu: int
    gpu: int
    dtype: Dtype = "auto"


class Footprint(msgspec.Struct, frozen=True):
    """Memory that a model takes in a given dtype."""

    weight_bytes: int
    kv_bytes_per_token: int

    def needed(self, tokens: int = WORKING_TOKENS) -> int:
        """Bytes for the weights and a path of `tokens` tokens."""
        return int(self.weight_bytes * _OVERHEAD) + self.kv_bytes_per_token * tokens

    def sentence(self, free: int, place: str) -> str:
        """What it needs and what is free, in GB: for the load screen."""
        cache = self.kv_bytes_per_token * 1000
        text = f"needs {gb(self.weight_bytes)} for weights"
        if cache:
            text += f" and {gb(cache)} per 1,000 tokens"
        return f"{text}; {place} has {gb(free)} free"

    def check(self, free: int, place: str, name: str) -> str:
        """A warning when it is near the limit, else an empty text.

        Raises:
            ModelError: when the weights alone do not fit into `free` bytes.
        """
        if self.weight_bytes > free:
            raise ModelError(
                f"{name} needs {gb(self.weight_bytes)} for its weights and {place} has "
                f"{gb(free)} free: choose another device, a smaller --dtype, or --device-map auto."
            )
        if self.needed() > free:
            return f"memory is near its limit: {name} {self.sentence(free, place)}"
        return ""


class Fit(msgspec.Struct, frozen=True):
    """Whether a model and its KV cache fit into the memory that is free."""

    needed: int
    """Bytes for the weights and a working path."""
    free: int
    """Bytes."""
    longest: int
    """Tokens of the longest path that fits, the model's context at most; 0 where none does."""
    context: int
    """Tokens that the model was made for; 0 where its config names none."""
    is_known: bool
    """Whether its files tell what it needs."""

    @classmethod
    def of(cls, need: Footprint, free: int, context: int, *, is_known: bool) -> "Fit":
        """How a footprint fits into `free` bytes."""
        working = min(WORKING_TOKENS, context or WORKING_TOKENS)
        needed, each = need.needed(working), need.kv_bytes_per_token
        longest = (free - need.needed(0)) // each if each else context
        return cls(needed, free, max(0, min(longest, context)), context, is_known)

    @property
    def fits(self) -> bool:
        """Whether the weights and a working path do."""
        return self.needed <= self.free

    def words(self) -> str:
        """It in a few words: what fits, or what is needed and free."""
        if not self.is_known:
            return "not known"
        if not self.fits:
            return f"does not fit: needs {gb(self.needed)}, {gb(self.free)} free"
        return "fits" if self.longest == self.context else f"fits up to {self.longest:,} tokens"


def footprint(checkpoint: Checkpoint, dtype: str, *, in_full: bool = False) -> Footprint:
    """What a checkpoint takes with its floating-point weights as `dtype` (`auto`: its own), and
    those that are stored as codes too where they are held `in_full`."""
    held = checkpoint.dtype if dtype == "auto" else dtype
    width = max(2, DTYPE_BYTES.get(held, 2))
    return Footprint(
        checkpoint.bytes_as(dtype, in_full=in_full),
        kv_values_per_token(checkpoint.text_config) * width,
    )


def kv_values_per_token(config: dict[str, Any]) -> int:
    """Numbers that one token adds to the KV cache, over all layers; 0 where the config lacks them.

    Attention layers only: two vectors of head size for each key-value head. Latent attention
    (DeepSeek's MLA) is counted expanded, as transformers caches it.
    """
    layers = _first(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    heads = _first(config, "num_attention_heads", "n_head", "n_heads", "num_heads")
    hidden = _first(config, "hidden_size", "n_embd", "d_model")
    if kinds := config.get("layer_types"):
        layers = sum(kind in _ATTENTION for kind in kinds)
    if not heads or config.get("model_type") in ("mamba", "mamba2", "falcon_mamba", "rwkv"):
        return 0
    if _first(config, "kv_lora_rank"):
        key = _first(config, "qk_nope_head_dim") + _first(config, "qk_rope_head_dim")
        return layers * heads * (key + _first(config, "v_head_dim"))
    size = _first(config, "head_dim") or hidden // heads
    shared = 1 if config.get("multi_query") else heads
    return 2 * layers * size * (_first(config, "num_key_value_heads") or shared)


def context_of(config: dict[str, Any]) -> int:
    """Positions that a model was made for by its config; 0 where that names none."""
    return _first(config, *_CONTEXT_NAMES)


def room_for(
    device: str = "auto", dtype: Dtype = "auto", freed: int = 0, device_map: str = ""
) -> Room:
    """What is free on a device as `--device` names them, of which `auto` is any.

    Args:
        freed: bytes of the model that is open and will make room, on that device.
        device_map: empty, or a way to spread a model over all devices.
    """
    if device_map and (gpus := free_by_gpu()):
        return Room(0, sum(gpus.values()) + free_memory() + freed, dtype)
    cpu = 0 if device.startswith("cuda") else free_memory()
    if device == "cpu":
        return Room(cpu + freed, 0, dtype)
    gpus = free_by_gpu()
    alone = device.startswith("cuda") and len(gpus) == 1  # of several another may be the emptiest
    return Room(cpu, max(gpus.values(), default=0) + (freed if alone else 0), dtype)


def free_memory() -> int:
    """Bytes of main memory that this process can still take: the machine's, or its cgroup's."""
    import psutil

    return min([psutil.virtual_memory().available, *_cgroup_headroom()])


def free_by_gpu() -> dict[str, int]:
    """Free bytes of each NVIDIA GPU by its UUID, as the driver's own tool tells.

    Asking CUDA itself would make a context of some hundred MB on every GPU asked about.
    """
    query = ["nvidia-smi", "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    rows = [line.split(", ") for line in answer.stdout.splitlines()]
    return {r[0].strip(): int(r[1]) * 2**20 for r in rows if len(r) == 2 and r[1].isdigit()}


def gb(count: int) -> str:
    """Bytes in GB (10^9) with two digits that mean something; MB below a tenth of one."""
    if count < GB / 10:
        return f"{count / 1e6:.{0 if count >= 1e7 else 1}f} MB"
    return f"{count / GB:.{0 if count >= 100 * GB else 1 if count >= 10 * GB else 2}f} GB"


def _first(config: dict[str, Any], *names: str) -> int:
    """The first of these that is a size, else 0."""
    sizes = (config.get(name) for name in names)
    return next((size for size in sizes if isinstance(size, int) and 0 <= size < 2**63), 0)


def _cgroup_headroom() -> list[int]:
    """Headroom under each memory limit that this process's control groups (v1 or v2) set."""
    rooms = []
    for line in _own_groups():
        _, controllers, place = line.split(":", 2)
        if controllers == "memory":
            root, names = _CGROUPS / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        elif not controllers:
            root, names = _CGROUPS, ("memory.max", "memory.current")
        else:
            continue
        folder = root / place.lstrip("/")
        for group in [folder, *folder.parents]:
            if group.is_relative_to(root) and (room := _headroom(group, *names)) is not None:
                rooms.append(room)
    return rooms


def _own_groups() -> list[str]:
    try:
        return Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []


def _headroom(group: Path, limit_name: str, usage_name: str) -> int | None:
    """Limit minus use, file cache that can be dropped not counted as use; None without a limit."""
    try:
        limit = (group / limit_name).read_text().strip()
        usage = int((group / usage_name).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if not limit.isdigit():
        return None
    droppable = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return max(0, int(limit) - usage + droppable)
