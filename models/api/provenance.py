"""Where numbers come from: the model, its precision, its device and the programs that ran it."""

import msgspec


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

    def differences(self, other: "Provenance") -> list[str]:
        """What another one does not share, in words: `dtype float32, now bfloat16`."""
        names = {"source": "model", "revision": "revision", "config_hash": "config"}
        fields = ("source", "revision", "config_hash", "dtype", "device", "attention")
        return [
            f"{names.get(field, field)} {_short(getattr(self, field))}, "
            f"now {_short(getattr(other, field))}"
            for field in fields
            if getattr(self, field) != getattr(other, field)
        ]


def _short(value: str) -> str:
    return value[:12] if len(value) >= 40 and "/" not in value else value or "none"
