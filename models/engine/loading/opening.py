"""Open a model: resolve its name, choose device and dtype, load, refuse what cannot do the job."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from tokexplore.models.api.chat import no_template
from tokexplore.models.api.engine import Progress
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.provenance import AdapterInfo
from tokexplore.models.catalog.bases import needed_by
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.catalog.checkpoint import Checkpoint, read_checkpoint
from tokexplore.models.catalog.hub_cache import offline
from tokexplore.models.catalog.located import Located
from tokexplore.models.engine.forward.rope import stretched
from tokexplore.models.engine.forward.threads import Threads
from tokexplore.models.engine.loading.adapters import Found, find_adapters, inner_names, put_on
from tokexplore.models.engine.loading.allocator import blocks_returned
from tokexplore.models.engine.loading.device import choose_threads, devices_of
from tokexplore.models.engine.loading.download import download
from tokexplore.models.engine.loading.finite import check_weights
from tokexplore.models.engine.loading.generation_config import (
    eos_ids,
    read_generation_config,
    suggested,
)
from tokexplore.models.engine.loading.held import PLAIN, Held, held_as, weight_bytes
from tokexplore.models.engine.loading.muted_libraries import quietly
from tokexplore.models.engine.loading.plan import planned
from tokexplore.models.engine.loading.quantization import PACKAGED
from tokexplore.models.engine.loading.quantize import check_quantised
from tokexplore.models.engine.loading.suitability import (
    check_causality,
    check_files,
    plainly_causal,
)
from tokexplore.models.engine.loading.weights import (
    Opening,
    explained,
    open_config,
    open_model,
    open_tokenizer,
)
from tokexplore.models.engine.text.byte_table import adds_bos, vocabulary_of
from tokexplore.models.engine.text.turn_end import turn_ids
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary

_CONTEXT_NAMES = ("max_position_embeddings", "max_seq_len", "max_sequence_length", "seq_length")


@dataclass(frozen=True)
class Loaded:
    """A causal language model ready for forward passes, and the facts about it."""

    model: PreTrainedModel
    """In eval mode, on its device or devices, no parameter requiring a gradient."""
    tokenizer: PreTrainedTokenizerBase
    vocabulary: Vocabulary
    name: str
    source: str
    revision: str
    """Commit of a hub snapshot; empty for a plain directory."""
    family: str
    """Class of the model, such as LlamaForCausalLM."""
    dtype: str
    """As shown, such as `bfloat16`."""
    device: str
    """As shown: `cpu`, `cuda:1`, `cuda:0+cpu`."""
    context: int
    """Positions that the model was made for; 0 where its config names none."""
    parameters: int
    layers: int
    heads: int
    hidden: int
    rows: int
    """Rows of the logits."""
    bos_id: int | None
    eos_ids: tuple[int, ...]
    chat_template: bool
    suggested: SamplingSettings | None
    weight_bytes: int
    seconds: float
    notices: tuple[str, ...]
    config_hash: str
    """SHA-256 of config.json, or of a GGUF file's header."""
    turn_ids: tuple[int, ...] = ()
    """Tokens that end the assistant's turn by the chat template and that `eos_ids` lacks."""
    adds_bos: bool = False
    """Whether the tokenizer puts BOS in front of a prompt."""
    adapters: tuple[AdapterInfo, ...] = ()
    """Those that are on the model, all active together."""
    held: Held = PLAIN
    """How weights are held that are codes."""
    codes_by: str = ""
    """The package that computes with them, or made numbers of them; empty where torch itself."""
    threads: Threads = field(default_factory=Threads)
    """As many as torch has, where nothing was chosen."""


def load(options: LoadOptions, report: Callable[[Progress], None]) -> Loaded:
    """Load a model and its tokenizer.

    `report` is called with the stages `download` (hub ids that are not cached), `reading` and
    `weights`; `done` never falls within one. The first report of `weights` carries what the model
    needs and what is free.

    Raises:
        UsageError: a device, dtype, revision or name that is not possible here.
        ModelError: files that are not a model that can do the job, or do not fit.
        OutOfMemoryError: the device ran out of memory all the same.
    """
    started = time.perf_counter()
    located = locate(options.model, options.revision)
    with explained(located.name, "the machine"), quietly() as libraries:
        report = libraries.aloud(report)
        located, checkpoint, adapters = _files(located, options, report)
        threads = Threads(*choose_threads(options.threads, checkpoint.parameters))
        opening = Opening(located.name, checkpoint, options.trust_remote_code)
        check_files(located.name, checkpoint, trust_remote_code=options.trust_remote_code)
        report(Progress("reading", 0, 2, "files"))
        config = open_config(opening)
        report(Progress("reading", 1, 2, "files"))
        tokenizer = open_tokenizer(
            opening.name, opening.path, trust_remote_code=opening.trust_remote_code
        )
        why_no_chat = "" if _has_chat_template(tokenizer) else no_template(located.name)
        report(Progress("reading", 2, 2, "files", why_no_chat=why_no_chat))
        plan = planned(located.name, checkpoint, config, options)
        with blocks_returned():
            model, notices = open_model(
                opening, config, plan.dtype, plan.placement, report, plan.sentence,
                options.quantize, shapes=plan.shapes,
            )  # fmt: skip
        rows = _rows(model)
        _complete(located.name, model, adapters, plan.placement.label)
        # Some quantisers unpack their weights in the first pass, with bars on the terminal.
        if checkpoint.quantization or not plainly_causal(checkpoint):
            check_causality(located.name, model, rows, _context(model))
        messages = libraries.messages
        if plan.in_full:  # which transformers says of another dtype
            messages = [message for message in messages if "dequantiz" not in message]
            messages.append(f"its {checkpoint.quantization} weights are held in {_dtype(model)}")
        notices = [n for n in (plan.placement.notice, plan.near, *notices, *messages) if n]
        described = _describe(located, checkpoint, model, tokenizer, rows, notices, started)
        held = held_as(model, checkpoint.quantization)
        check_quantised(located.name, options.quantize, held)
        method = "torchao" if options.quantize else checkpoint.quantization
        return replace(
            described,
            name="+".join([located.name, *(each.name for each in adapters)]),
            adapters=tuple(each.info for each in adapters),
            threads=threads,
            held=held,
            codes_by=method if method in PACKAGED else "",
        )


def _files(
    located: Located, options: LoadOptions, report: Callable[[Progress], None]
) -> tuple[Located, Checkpoint, tuple[Found, ...]]:
    """The files of the model, of an adapter those of its base; and the adapters to put on it."""
    checkpoint = _checkpoint(located, options, report)
    given = msgspec.structs.replace(located, path=checkpoint.path)
    base, adapters = find_adapters(given, options, report)
    if checkpoint.adapter:
        with needed_by(given):
            checkpoint = _checkpoint(base, options, report)
    return base, checkpoint, adapters


def _complete(name: str, model: PreTrainedModel, adapters: Sequence[Found], where: str) -> None:
    """Put the adapters on a model and look at all of its weights."""
    with explained(", ".join(each.name for each in adapters), where):
        put_on(model, adapters)
    called = {inner: each.name for inner, each in inner_names(adapters).items()}
    with explained(name, where):
        check_weights("+".join([name, *called.values()]), model, called)


def _checkpoint(
    located: Located, options: LoadOptions, report: Callable[[Progress], None]
) -> Checkpoint:
    """The files of the model, downloaded where a hub model lacks some and the hub may be asked."""
    if located.path:
        checkpoint = read_checkpoint(located.path)
        if located.origin != "hub" or checkpoint.complete or offline():
            return checkpoint
    path = download(located, report, trust_remote_code=options.trust_remote_code)
    return read_checkpoint(path)


def _describe(
    located: Located,
    checkpoint: Checkpoint,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: int,
    notices: list[str],
    started: float,
) -> Loaded:
    config = model.config.get_text_config()
    generation, broken = _generation(checkpoint)
    notices += broken
    if checkpoint.gguf:
        from tokexplore.models.engine.loading.gguf.tokenizer import notice_of_cut

        notices.append(notice_of_cut(tokenizer, checkpoint.gguf))
    settings, left_out = suggested(generation)
    vocabulary = vocabulary_of(tokenizer, rows)
    ends = eos_ids(generation, checkpoint.text_config, tokenizer, rows)
    if len(vocabulary) > rows:
        notices.append(
            f"the tokenizer has {len(vocabulary):,} tokens and the model {rows:,} rows: "
            "the tokens beyond cannot be used"
        )
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        name=located.name,
        source=located.source,
        revision=_snapshot_commit(checkpoint.path) or located.revision,
        family=type(model).__name__,
        dtype=_dtype(model),
        device=devices_of(model),
        context=_context(model),
        parameters=model.num_parameters(),
        layers=_integer(config, "num_hidden_layers"),
        heads=_integer(config, "num_attention_heads"),
        hidden=_integer(config, "hidden_size"),
        rows=rows,
        bos_id=tokenizer.bos_token_id,
        eos_ids=ends,
        adds_bos=adds_bos(tokenizer),
        turn_ids=turn_ids(tokenizer, ends, rows),
        chat_template=_has_chat_template(tokenizer),
        suggested=settings,
        weight_bytes=weight_bytes(model),
        seconds=time.perf_counter() - started,
        notices=tuple(dict.fromkeys(filter(None, [*notices, *left_out]))),
        config_hash=hashlib.sha256(_config_bytes(checkpoint)).hexdigest(),
    )


def _generation(checkpoint: Checkpoint) -> tuple[dict[str, Any], list[str]]:
    """What ends a text and how the model likes to be sampled; a notice where that is broken."""
    if checkpoint.gguf is None:
        return read_generation_config(checkpoint.path)
    from tokexplore.models.engine.loading.gguf.config import ends_of

    return ends_of(checkpoint.gguf), []


def _config_bytes(checkpoint: Checkpoint) -> bytes:
    """config.json, or all of a GGUF file that stands before its tensors."""
    if checkpoint.gguf is None:
        return (checkpoint.path / "config.json").read_bytes()
    here = [t.start for t in checkpoint.gguf.tensors.values() if t.file == checkpoint.path]
    with checkpoint.path.open("rb") as stream:
        return stream.read(min(here, default=0))


def _has_chat_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    return bool(getattr(tokenizer, "chat_template", None))


def _dtype(model: PreTrainedModel) -> str:
    return str(model.dtype).removeprefix("torch.")


def _rows(model: PreTrainedModel) -> int:
    """Rows of the logits: of the head where the model names one, else by its config."""
    head = model.get_output_embeddings()
    if head is None:
        return int(model.config.get_text_config().vocab_size)
    return int(getattr(head, "out_features", head.weight.shape[0]))


def _context(model: PreTrainedModel) -> int:
    """Positions that the model was made for; 0 where its config names none."""
    config = model.config.get_text_config()
    return stretched(config, _integer(config, *_CONTEXT_NAMES))


def _integer(config: PreTrainedConfig, *names: str) -> int:
    """The first of `names` that the config has as an integer, else 0."""
    values = (_shared(config, name) for name in names)
    return next((value for value in values if isinstance(value, int) and value > 0), 0)


def _shared(config: PreTrainedConfig, name: str) -> object:
    """What a config says of all layers; None where it says nothing, or layers differ."""
    try:
        return getattr(config, name, None)
    except RuntimeError:
        return None


def _snapshot_commit(path: Path) -> str:
    return path.name if path.parent.name == "snapshots" else ""
