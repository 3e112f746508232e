"""What is told of a model that is loaded."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from tokexplore.models.api.borders import NO_BORDERS, Borders
from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.provenance import AdapterInfo, Provenance
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings


class ModelInfo(msgspec.Struct, frozen=True):
    """What was loaded, as it is: for the header, the inspector and provenance."""

    name: str
    """Short name for the header."""
    source: str
    """Directory or hub id that it was loaded from."""
    revision: str
    """Commit of a hub snapshot; empty for a plain directory."""
    family: str
    """Architecture class, such as LlamaForCausalLM."""
    parameters: int
    layers: int
    heads: int
    hidden: int
    vocabulary: int
    """Rows of the logits."""
    context: int
    """Positions that the model was made for; 0 where its config names none."""
    dtype: str
    device: str
    attention: str
    """Attention kernel: sdpa, eager, flash_attention_2."""
    cache: str
    """How branching reuses the KV cache, in words."""
    feed: Literal["batched", "twos", "stepwise", "whole"]
    """How several tokens go on top of a cache, as probed: at once, in twos, one by one, or not."""
    bos_id: int | None
    eos_ids: tuple[int, ...]
    chat_template: bool
    suggested: SamplingSettings | None
    """The sampling suggestions of the model's generation_config, if it has any."""
    weight_bytes: int
    kv_bytes_per_token: int
    """Of keys and values; 0 where nothing is kept or known."""
    seconds: float
    """Time that loading took."""
    kv_limit: int = 0
    """Bytes that are kept of paths that were left, at most; 0 where a server keeps them."""
    notices: tuple[str, ...] = ()
    """What the user should know: a fallback that was taken, a device that was chosen."""
    capabilities: Capabilities = Capabilities()
    borders: Borders = NO_BORDERS
    """Lengths of a path at which the model changes its rules."""
    turn_ids: tuple[int, ...] = ()
    """Tokens that end the assistant's turn by the chat template and that `eos_ids` lacks."""
    reasoning_marks: tuple[str, str] = ("", "")
    """What stands before and after an answer's reasoning by the chat template; empty where it has
    no place for any."""
    template_options: tuple[str, ...] = ()
    """Arguments that the chat template asks for, such as enable_thinking."""
    adds_bos: bool = False
    """Whether the tokenizer puts BOS in front of a prompt."""
    config_hash: str = ""
    """SHA-256 of the model's config.json, in hexadecimal."""
    threads: str = ""
    """Of the CPU, as `Provenance` has them."""
    versions: dict[str, str] = {}
    """Versions of the programs that compute, by name."""
    evidence: tuple[tuple[str, str], ...] = ()
    """Of a server: what it does, and the call that showed it."""
    adapters: tuple[AdapterInfo, ...] = ()
    """Those that are on the model, all active together."""
    weight_format: str = ""
    """Of weights that are held as codes what these are: `int8`; empty where none are."""
    weights: str = ""
    """`int8 weights in 14 linear layers; embeddings, norms, head float32`; empty as that is."""

    def check(self, ids: Sequence[int]) -> None:
        """Refuse a path that this model cannot have.

        Raises:
            UsageError: it is empty, longer than the context, or has ids that are no tokens.
        """
        if not ids:
            raise UsageError("an empty path has no distribution: give at least one token.")
        if 0 < self.context < len(ids):
            raise UsageError(
                f"the path is {len(ids)} tokens long and the context of {self.name} is "
                f"{self.context}: shorten the prompt."
            )
        self.check_tokens(ids)

    def check_tokens(self, ids: Sequence[int]) -> None:
        """Refuse ids that are no tokens of this model.

        Raises:
            UsageError: there is one.
        """
        if bad := [token for token in ids if not 0 <= token < self.vocabulary]:
            raise UsageError(f"token {bad[0]} is not in the vocabulary of {self.vocabulary} ids.")

    @property
    def precision(self) -> str:
        """The dtype that it computes in, and what its weights are where they are codes."""
        return f"{self.weight_format} weights, {self.dtype}" if self.weight_format else self.dtype

    @property
    def provenance(self) -> Provenance:
        """Where this engine's numbers come from."""
        return Provenance(
            model=self.name,
            source=self.source,
            revision=self.revision,
            config_hash=self.config_hash,
            dtype=self.dtype,
            device=self.device,
            attention=self.attention,
            vocabulary=self.vocabulary,
            threads=self.threads,
            versions=self.versions,
            evidence=self.evidence or msgspec.UNSET,
            adapters=self.adapters or msgspec.UNSET,
            weights=self.weights or msgspec.UNSET,
        )
