"""Where numbers come from: the model, its precision, its device and the programs that ran it."""

import msgspec


class AdapterInfo(msgspec.Struct, frozen=True):
    """An adapter that is on a model."""

    name: str
    source: str
    """Directory or hub id."""
    base: str
    """The model that it was made for, as its config names it."""
    kind: str
    """`LoRA`, `IA3`, `LoHa`, `LoKr`."""
    rank: str
    """`8`, or `2 to 8` where modules differ; empty for kinds that have none."""
    targets: tuple[str, ...]
    """The last names of the modules that it changes."""
    weights_hash: str
    """SHA-256 of its weights' file, in hexadecimal."""

    @property
    def words(self) -> str:
        """What it is, in one line: `LoRA of rank 8 on q_proj, v_proj`."""
        rank = f" of rank {self.rank}" if self.rank else ""
        return f"{self.kind}{rank} on {', '.join(self.targets)}"


class Provenance(msgspec.Struct, frozen=True):
    """Everything that can change a distribution, but the path and how its KV cache was had."""

    model: str
    """Short name."""
    source: str
    """Directory or hub id."""
    revision: str
    """Commit of a hub snapshot; empty for a plain directory."""
    config_hash: str
    """SHA-256 of the model's config.json, in hexadecimal; empty where it has none."""
    dtype: str
    device: str
    attention: str
    """Attention kernel: sdpa, eager, flash_attention_2."""
    vocabulary: int
    """Rows of the logits."""
    batch: int = 1
    """Rows in each forward pass."""
    threads: str = ""
    """Of the CPU: `2`, or `auto 1-2` where each step took what was faster; on them the last bits of
    a sum depend. Empty on another device, and in old sessions."""
    versions: dict[str, str] = {}
    """Version of each program that had a part in it, by name."""

    evidence: tuple[tuple[str, str], ...] | msgspec.UnsetType = msgspec.UNSET
    """Of a server: what it does, and the call that showed it."""
    adapters: tuple[AdapterInfo, ...] | msgspec.UnsetType = msgspec.UNSET
    """Those that are on the model, all active together; unset where there are none."""
    weights: str | msgspec.UnsetType = msgspec.UNSET
    """How weights are held that are codes, as `ModelInfo` has it; unset where none are."""

    def differences(self, other: "Provenance") -> list[str]:
        """What another one does not share, in words: `dtype float32, now bfloat16`."""
        names = {"source": "model", "revision": "revision", "config_hash": "config"}
        fields = ("source", "revision", "config_hash", "dtype", "device", "attention")
        told = [
            f"{names.get(field, field)} {_short(getattr(self, field))}, "
            f"now {_short(getattr(other, field))}"
            for field in fields
            if getattr(self, field) != getattr(other, field)
        ]
        held = [each.weights or "" for each in (self, other)]
        if held[0] != held[1]:
            told.append(f"weights {held[0] or 'in full'}, now {held[1] or 'in full'}")
        mine, theirs = ((each.adapters or ()) for each in (self, other))
        if [each.weights_hash for each in mine] != [each.weights_hash for each in theirs]:
            told.append(f"adapters {_named(mine)}, now {_named(theirs)}")
        return told


def _named(adapters: tuple[AdapterInfo, ...]) -> str:
    """Their names, with the beginning of the hash that tells two of one name apart."""
    return ", ".join(f"{each.name} ({each.weights_hash[:8]})" for each in adapters) or "none"


def _short(value: str) -> str:
    return value[:12] if len(value) >= 40 and "/" not in value else value or "none"
