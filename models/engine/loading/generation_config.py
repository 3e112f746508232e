"""What a model's generation_config.json says: where it ends, and how it likes to be sampled."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import OFF, SUGGESTIONS, SamplingSettings
from tokexplore.models.untrusted import read_json


def read_generation_config(path: Path) -> tuple[dict[str, Any], list[str]]:
    """generation_config.json as it is written, with a notice where it is there and broken."""
    file = path / "generation_config.json"
    if not file.is_file():
        return {}, []
    try:
        value = read_json(file, object)
    except (OSError, ValueError):
        value = None
    if isinstance(value, dict):
        return value, []
    return {}, ["generation_config.json is broken: the ends of text that it names are not known"]


def eos_ids(
    generation: dict[str, Any],
    config: dict[str, Any],
    tokenizer: PreTrainedTokenizerBase,
    rows: int,
) -> tuple[int, ...]:
    """Every id that ends a text or a turn: generation_config's list and the tokenizer's EOS.

    config.json counts where generation_config names none. A default that no file states, such as
    Llama's 2, does not count.
    """
    named = generation.get("eos_token_id")
    if named is None:
        named = config.get("eos_token_id")
    listed = named if isinstance(named, list) else [named]
    found = [i for i in [*listed, tokenizer.eos_token_id] if type(i) is int and 0 <= i < rows]
    return tuple(dict.fromkeys(found))


def suggested(generation: dict[str, Any]) -> tuple[SamplingSettings | None, list[str]]:
    """The sampling settings that the model suggests, if any, with a notice where they are broken.

    A model that says not to sample suggests none.
    """
    given = {
        ours: generation[theirs]
        for theirs, ours in SUGGESTIONS.items()
        if generation.get(theirs) is not None
    }
    sampling = generation.get("do_sample")
    if sampling is False or not (sampling or given):
        return None, []
    try:
        values = {name: type(OFF[name])(value) for name, value in given.items()}
        settings = SamplingSettings(**{"temperature": 1.0, **values}).checked()
    except (UsageError, ArithmeticError, TypeError, ValueError) as error:
        return None, [f"the model's suggested sampling settings cannot be used: {error}"]
    return settings, []
