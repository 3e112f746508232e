"""GGUF models: numbers are those of the weights that were written, and those of llama.cpp."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.llama_server import serving
from support.written_gguf import random_model, write_gguf
from transformers import (
    AutoModelForCausalLM,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.catalog.catalog import EMBEDDED_DIRECTORY
from tokexplore.models.engine.local import LocalEngine

FAMILIES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "llama": (LlamaForCausalLM, {}),
    "qwen2": (Qwen2ForCausalLM, {"tie_word_embeddings": False}),
    "qwen3": (Qwen3ForCausalLM, {}),
    "gemma2": (Gemma2ForCausalLM, {"query_pre_attn_scalar": 16, "sliding_window": 64}),
    "gemma3": (
        Gemma3ForCausalLM, {"query_pre_attn_scalar": 16, "sliding_window": 64, "num_hidden_layers": 6},
    ),
}  # fmt: skip
SAME, LLAMA_CPP = 1e-4, 2e-2
"""Nats by which logprobs may differ: from a plain pass, and from llama.cpp's."""
TEXT = "Once upon a time there was a king who had 3 daughters."


def opened(file: Path, **options: Any) -> LocalEngine:
    return LocalEngine.open(LoadOptions(str(file), threads=1, **options), lambda _: None)


def plain(model: PreTrainedModel, ids: list[int]) -> np.ndarray:
    """Logprobs after a path by one pass, nats, shape [V]."""
    logits = model(input_ids=torch.tensor([ids])).logits[0, -1].double()
    return torch.log_softmax(logits, -1).numpy()


def ours(engine: LocalEngine, ids: list[int]) -> np.ndarray:
    row = engine.row(ids)[0]
    return np.asarray(row.logits, np.float64) - row.lse


def by_llama_cpp(url: str, ids: list[int]) -> dict[int, float]:
    body = {"prompt": ids, "n_predict": 1, "n_probs": 50, "temperature": 0.0}
    asked = urllib.request.Request(f"{url}/completion", json.dumps(body).encode())
    asked.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(asked) as reply:
        (row,) = json.load(reply)["completion_probabilities"]
    return {candidate["id"]: candidate["logprob"] for candidate in row["top_logprobs"]}


@pytest.mark.parametrize("family", FAMILIES)
def test_numbers_are_the_models_and_llama_cpps(family: str, tmp_path: Path) -> None:
    kind, more = FAMILIES[family]
    model = random_model(kind, **more)
    file = write_gguf(tmp_path / f"{family}.gguf", model, family)
    engine = opened(file)
    ids = engine.encode(TEXT)
    assert len(ids) > 8
    got = ours(engine, ids)
    np.testing.assert_allclose(got, plain(model, ids), atol=SAME)
    with serving(file) as url:
        theirs = by_llama_cpp(url, ids)
    np.testing.assert_allclose(got[list(theirs)], list(theirs.values()), atol=LLAMA_CPP)
