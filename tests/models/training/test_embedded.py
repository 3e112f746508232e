"""The model that is shipped: its size, its tokenizer, and how well it reads."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from tokexplore.models import embedded
from tokexplore.models.training.corpus import Book
from tokexplore.models.training.evaluate import load, score_books

FOLDER = Path(next(iter(embedded.__path__)))
EXCERPT = (
    "There was once upon a time a miller who had three sons, and when he came to die he left "
    "them nothing but his mill, his donkey and his cat. The eldest took the mill, the second took "
    'the donkey, and so the youngest had only the cat. "Alas!" said he, "my brothers can earn '
    "their bread together, but what shall I do with a cat? When I have eaten him, and made "
    'myself gloves of his skin, I must die of hunger."\n'
    'But the cat, who had heard all this, sat up and said to him: "Do not be troubled, my dear '
    "master. Give me only a sack, and have a pair of boots made for me, so that I may go through "
    'the wood, and you shall soon see that your share is not so poor as you think."\n'
)
"""Told anew after an old tale, so that no book holds these sentences."""

pytestmark = pytest.mark.skipif(
    not (FOLDER / "model.safetensors").is_file(), reason="no model is shipped in this tree"
)


@pytest.fixture(scope="module")
def shipped() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    return load(FOLDER)


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.*")) <= 25e6


def test_the_model_is_what_the_card_says(
    shipped: tuple[PreTrainedModel, PreTrainedTokenizerBase],
) -> None:
    model, tokenizer = shipped
    assert sum(parameter.numel() for parameter in model.parameters()) <= 10_000_000
    assert len(tokenizer) == model.config.vocab_size == 4096
    assert model.config.max_position_embeddings >= 1024
    assert str(AutoConfig.from_pretrained(FOLDER).dtype) == "torch.bfloat16"
    generation = model.generation_config
    assert (generation.bos_token_id, generation.eos_token_id) == (0, 1)


def test_the_tokenizer_gives_every_byte_back() -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    every_byte = "".join(map(chr, range(0x180))) + "从前有一只狐狸 🦊👩‍👧\r\n don 't , ."
    ids = tokenizer(every_byte)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids[1:]) == every_byte


def test_the_model_reads_a_tale(
    shipped: tuple[PreTrainedModel, PreTrainedTokenizerBase],
) -> None:
    [score] = score_books(*shipped, [Book("excerpt", EXCERPT)])
    assert score.bits_per_byte < 1.5


@torch.inference_mode()
def test_the_model_stays_sane_to_its_last_position(
    shipped: tuple[PreTrainedModel, PreTrainedTokenizerBase],
) -> None:
    model, tokenizer = shipped
    ids = tokenizer(EXCERPT, return_tensors="pt", add_special_tokens=False)["input_ids"]
    told_over = ids.repeat(1, 1 + 1024 // ids.shape[1])[:, :1024]
    logits = model(input_ids=told_over).logits[0, :-1]
    costs = -logits.log_softmax(-1).gather(1, told_over[0, 1:, None])
    assert costs[-200:].mean() <= costs[:200].mean()
