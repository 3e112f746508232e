"""Multimodal models: their text model gives the numbers that the whole gives for text alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf
from support.made_models import save, tokenizer
from support.opening import opened, refusal
from support.written_models import edit_json
from transformers import PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING

from tokexplore.models.catalog.checkpoint import read_checkpoint
from tokexplore.models.engine.forward.cache_probe import probe
from tokexplore.models.engine.forward.forward_pass import Forward

WORDS = tokenizer()
TEXT = {
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 160,
    "pad_token_id": 0,
}
VISION = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
VISION |= {"num_attention_heads": 4, "image_size": 28, "patch_size": 14}
QWEN_VISION = {"hidden_size": 32, "intermediate_size": 48, "depth": 1, "num_heads": 4}
ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}
AUDIO = {"d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 4, "encoder_ffn_dim": 48}


def text(model_type: str, **more: object) -> dict[str, object]:
    return {**TEXT, "model_type": model_type, **more}


def vision(model_type: str) -> dict[str, object]:
    return {**VISION, "model_type": model_type}


WRAPPERS: dict[str, Callable[[], PreTrainedConfig]] = {
    "llava": lambda: hf.LlavaConfig(
        text_config=text("llama"), vision_config=vision("clip_vision_model")
    ),
    "mistral3": lambda: hf.Mistral3Config(
        text_config=text("mistral"), vision_config=vision("pixtral")
    ),
    "qwen2_5_vl": lambda: hf.Qwen2_5_VLConfig(
        text_config=text("qwen2_5_vl_text", rope_parameters=ROPE),
        vision_config={**QWEN_VISION, "out_hidden_size": 32},
    ),
    "qwen3_vl": lambda: hf.Qwen3VLConfig(
        text_config=text("qwen3_vl_text", rope_parameters=ROPE),
        vision_config={**QWEN_VISION, "out_hidden_size": 32},
    ),
    "gemma3": lambda: hf.Gemma3Config(
        text_config=text("gemma3_text"), vision_config=vision("siglip_vision_model")
    ),
    "internvl": lambda: hf.InternVLConfig(
        text_config=text("qwen2"),
        vision_config={**VISION, "image_size": [28, 28], "patch_size": [14, 14]},
    ),
    "llama4": lambda: hf.Llama4Config(
        text_config=text("llama4_text", intermediate_size_mlp=48, num_local_experts=2),
        vision_config={**VISION, "vision_output_dim": 32, "projector_input_dim": 32}
        | {"projector_output_dim": 32},
    ),
    "qwen2_audio": lambda: hf.Qwen2AudioConfig(text_config=text("qwen2"), audio_config=AUDIO),
}
KEPT = {"qwen2_audio"}
"""Wrappers that ask their tower for something while they read text."""
TEXT_CLASS = {"llama4"}
"""Wrappers that transformers opens as their text model."""


def made(name: str, path: Path) -> hf.PreTrainedModel:
    """A random wrapper with logits of standard deviation above 1, saved to `path`."""
    config = WRAPPERS[name]()
    torch.manual_seed(0)
    model = MODEL_FOR_MULTIMODAL_LM_MAPPING[type(config)](config).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25)
    save(path, model, WORDS)
    return model


@pytest.mark.parametrize("name", WRAPPERS)
def test_the_numbers_are_those_of_the_whole_for_text_alone(name: str, tmp_path: Path) -> None:
    whole = made(name, tmp_path / name)
    loaded = opened(tmp_path / name)
    ids = list(range(3, 27))
    inputs = torch.tensor([ids])
    truth = whole(input_ids=inputs, attention_mask=torch.ones_like(inputs)).logits[0]  # [24, V]
    assert truth.std() > 0.5
    forward = Forward(loaded.model, loaded.rows)
    assert (forward(ids, 0, None, len(ids)) - truth).abs().max() < 1e-4
    assert probe(forward, loaded.context).feed == "batched"
    assert (loaded.layers, loaded.hidden, loaded.context) == (2, 32, 160)
    if name in TEXT_CLASS:
        assert any("vision_model" in notice for notice in loaded.notices)
    else:
        assert any(notice.startswith("text only: ") for notice in loaded.notices)
    if name not in KEPT | TEXT_CLASS:
        parts = whole.get_decoder(), whole.get_output_embeddings()
        read = {parameter for part in parts for parameter in part.parameters()}
        assert loaded.parameters == sum(parameter.numel() for parameter in read)


def test_an_old_config_that_nests_no_text_model_is_known(tmp_path: Path) -> None:
    """As Qwen2-VL's was published: the text model's sizes stand beside `vision_config`."""
    whole = made("qwen2_5_vl", tmp_path / "old")
    config = whole.config.to_dict()
    flat = {key: config["text_config"][key] for key in (*TEXT, "rope_parameters")}
    edit_json(tmp_path / "old" / "config.json", text_config=None, **flat)
    assert read_checkpoint(tmp_path / "old").causal
    assert opened(tmp_path / "old").hidden == 32


def test_a_wrapper_that_sees_the_whole_prompt_at_once_is_refused(tmp_path: Path) -> None:
    config = hf.PaliGemmaConfig(
        text_config=text("gemma"), vision_config=vision("siglip_vision_model"), projection_dim=32
    )
    torch.manual_seed(0)
    save(tmp_path / "pali", hf.PaliGemmaForConditionalGeneration(config), WORDS)
    assert "pali looks ahead" in refusal(tmp_path / "pali")


def test_a_wrapper_that_needs_an_image_is_refused(tmp_path: Path) -> None:
    config = hf.BlipConfig(
        text_config={"vocab_size": len(WORDS), "hidden_size": 32, "intermediate_size": 48}
        | {"num_hidden_layers": 1, "num_attention_heads": 4, "encoder_hidden_size": 32},
        vision_config={**VISION},
        projection_dim=32,
    )
    save(tmp_path / "blip", hf.BlipForConditionalGeneration(config), WORDS)
    assert "blip takes no text alone" in refusal(tmp_path / "blip")
