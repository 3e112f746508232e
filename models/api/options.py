"""What the user asks for when a model is opened and prompted."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from tokexplore.models.api.chat import Chat

Dtype = Literal["auto", "own", "float32", "bfloat16", "float16"]
Quantize = Literal["", "int8", "int4"]
MOST_GIGABYTES = 1e6
EMBEDDED = "embedded"
"""The name that stands for the model we ship."""
EMBEDDED_TITLE = "fable"
"""What that model is called on screen."""
SPARSE = "flock"
"""The name of the small mixture of experts that we ship beside it."""
SHIPPED = (EMBEDDED, SPARSE)
SMOLLM2 = "smollm2"
"""The name of a chat model that a package brings, where it is installed."""


class ServerOptions(msgspec.Struct, frozen=True):
    """How a server is asked; no secret is in it."""

    key_env: str = ""
    """Name of the environment variable that holds the key."""
    key_file: str = ""
    """A file that holds it, which nobody else may read."""
    header_env: tuple[str, ...] = ()
    """`NAME=VARIABLE`: headers whose values stand in variables."""
    tokenizer: str = ""
    """A directory or hub id of the model's tokenizer, where the server has none."""
    timeout: float = 120.0
    """Seconds that the server may be silent."""
    top: int = 20
    """Candidates that are asked for at every step, as far as the server lists so many."""

    def without_secrets(self) -> "ServerOptions":
        """The same for a server whose address somebody else chose: nothing of the user's is sent
        there."""
        return msgspec.structs.replace(self, key_env="", key_file="", header_env=())

    def with_keys_of(self, other: "ServerOptions") -> "ServerOptions":
        """The same with what another one sends to authenticate us, and nothing else."""
        return msgspec.structs.replace(
            self, key_env=other.key_env, key_file=other.key_file, header_env=other.header_env
        )

    def with_given(self, given: Mapping[str, Any]) -> "ServerOptions":
        """The same with the fields that the user gave; a key that is named takes another's place,
        wherever the two stand."""
        bare = {"key_env": "", "key_file": ""} if {"key_env", "key_file"} & given.keys() else {}
        return msgspec.structs.replace(self, **{**bare, **given})


class Adapter(msgspec.Struct, frozen=True):
    """A small set of weights (LoRA and its kin) that is put on a model."""

    name: str
    """What it is called on screen."""
    source: str
    """A directory, a hub id, or the name of a repository in the hub cache."""


class LoadOptions(msgspec.Struct, frozen=True):
    """Which model to load, and how."""

    model: str = EMBEDDED
    """A directory, a GGUF file, a name in the hub cache, a hub id, one of ours, or the address of a
    server."""
    device: str = "auto"
    """`auto` (the GPU with the most free memory, else the CPU), `cpu`, `cuda`, `cuda:1`, `mps`."""
    dtype: Dtype = "auto"
    """`own` is the checkpoint's; `auto` is float32 on a CPU and the checkpoint's own on a GPU."""
    device_map: str = ""
    """`auto` spreads the model over several devices through accelerate; empty is off."""
    revision: str = ""
    trust_remote_code: bool = False
    threads: int | Literal["auto"] = 0
    """Of the CPU. 0 is what the sizes of machine and model say; `auto` begins with as many and
    takes fewer while that is faster, so that a busy machine does not hold the numbers up."""
    server: ServerOptions = ServerOptions()
    """Of a model behind a server."""
    adapters: tuple[Adapter, ...] = ()
    """On the model, all of them active together, beside the one that `model` may name itself."""
    quantize: Quantize = ""
    """How the weights of linear layers are held, beside what `dtype` says of the others; empty is
    as it says too."""
    beside: bool = False
    """Another model computes on the same processors: threads that wait for each other sleep, so
    that they take nothing from it."""
    kv_memory: Annotated[float, msgspec.Meta(ge=0, le=MOST_GIGABYTES)] = 0.0
    """GB (1e9 bytes) of keys, values and logits that are kept of paths at most, so that going back
    to them costs no prefill; 0 is what the machine has room for."""


class PromptSpec(msgspec.Struct, frozen=True):
    """A prompt as it was given: plain text, or a chat. Exactly one of the two."""

    text: str | None = None
    chat: Chat | None = None
    literal: bool = False
    """Read the names of tokens in a plain text (`</s>`) as their characters."""
    notice: str = ""
    """What was left out when it was read; empty where nothing was."""
