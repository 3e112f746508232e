"""Samples nobody selected, and two figures about how they read."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

OPENINGS = (
    "Once upon a time",
    "There was once a king who",
    "In the middle of the forest",
    "The old woman looked at",
    "A long time ago, beyond the sea,",
    '"Who are you?" said the',
    "The youngest brother",
    "When the princess heard this,",
    "One morning the little girl",
    "The wolf and the fox",
    "At last they came to a",
    '"I will go with you," said',
    "In a small house by the river",
    "The witch was very angry,",
    "Every night, when the moon rose,",
    "The prince mounted his horse",
    "Then the lion began to",
    "A poor fisherman and his wife",
    "She opened the door and",
    "The giant laughed and",
)
"""How the samples begin: fixed, so that none is picked for how it went on."""

TEMPERATURE = 0.8
LENGTH = 200
"""Tokens in a sample, the opening not counted."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True)
class Sample:
    """One text that a model wrote."""

    opening: str
    continuation: str
    tokens: tuple[int, ...]
    """The continuation's token ids."""
    ended: bool
    """The model closed the text itself; otherwise its last word may be cut."""


@torch.inference_mode()
def draw_samples(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seed: int
) -> list[Sample]:
    """One sample per opening, each from its own seed, at the temperature and with no filter."""
    samples = []
    for number, opening in enumerate(OPENINGS):
        torch.manual_seed(seed * 1000 + number)
        prompt = tokenizer(opening, return_tensors="pt").to(model.device)  # [1, prompt]
        output = model.generate(
            **prompt,
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
            top_p=1.0,
            max_new_tokens=LENGTH,
            pad_token_id=tokenizer.eos_token_id,
        )[0]
        tokens = output[prompt["input_ids"].shape[1] :].tolist()
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        ended = tokenizer.eos_token_id in tokens
        samples.append(Sample(opening, text, tuple(tokens), ended))
    return samples


def words(text: str) -> list[str]:
    """Runs of letters, apostrophes inside them included, in lower case."""
    return _WORD.findall(text.lower())


def word_coverage(samples: Iterable[Sample], texts: Iterable[str]) -> float:
    """Share of the samples' words that occur in the texts; a word cut by the length is left out."""
    vocabulary = {word for text in texts for word in words(text)}
    written = [word for sample in samples for word in _whole_words(sample)]
    return sum(word in vocabulary for word in written) / max(1, len(written))


def worst_repeat(samples: Sequence[Sample]) -> int:
    """How often the most frequent run of four tokens comes within one sample."""
    return max((_most_frequent(sample.tokens, 4) for sample in samples), default=0)


def _whole_words(sample: Sample) -> list[str]:
    text = sample.opening + sample.continuation
    if not sample.ended:
        text = re.sub(r"\S+$", "", text)
    return words(text)


def _most_frequent(tokens: Sequence[int], length: int) -> int:
    runs = Counter(zip(*(tokens[start:] for start in range(length)), strict=False))
    return max(runs.values(), default=0)
