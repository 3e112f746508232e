"""The Hugging Face directory of a trained model: weights, tokenizer, card."""

import os
from pathlib import Path

import torch
from safetensors.torch import save
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from tokexplore.models.training.card import Facts, write_card
from tokexplore.models.training.checkpoint import Progress
from tokexplore.models.training.corpus import Corpus
from tokexplore.models.training.evaluate import load, score_books
from tokexplore.models.training.recipe import Recipe
from tokexplore.models.training.samples import draw_samples

_TIED = "lm_head.weight"
SUGGESTED = {"do_sample": True, "temperature": 0.8, "top_p": 0.9}
"""What the model suggests to who samples from it: at temperature 0 so small a model goes round."""


def write_model(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write configuration, tokenizer and the weights in bfloat16; the model stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    config = model.config.to_dict() | {"architectures": [type(model).__name__], "dtype": "bfloat16"}
    type(model.config).from_dict(config).save_pretrained(folder)
    GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, **SUGGESTED
    ).save_pretrained(folder)
    weights = {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != _TIED
    }
    draft = folder / "model.safetensors.draft"
    draft.write_bytes(save(weights, metadata={"format": "pt"}))
    os.replace(draft, folder / "model.safetensors")


def publish(
    folder: Path,
    name: str,
    corpus: Corpus,
    recipe: Recipe,
    progress: Progress,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
) -> Facts:
    """Write the directory, then measure and sample what was written, for the card."""
    write_model(folder, model, tokenizer)
    shipped, shipped_tokenizer = load(folder)
    facts = Facts(
        name=name,
        corpus=corpus,
        recipe=recipe,
        progress=progress,
        parameters=sum(parameter.numel() for parameter in shipped.parameters()),
        scores=tuple(score_books(shipped, shipped_tokenizer, corpus.held_out)),
        samples=tuple(draw_samples(shipped, shipped_tokenizer, recipe.seed)),
    )
    (folder / "README.md").write_text(write_card(facts), encoding="utf-8")
    return facts
