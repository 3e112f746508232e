"""What a config.json says of a model's passes changes no number, or is refused by its name."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from support.made_models import SMALL, llama, save, save_llama, tokenizer
from support.opening import opened, refusal
from support.written_models import edit_json
from transformers import (
    BertConfig,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
)

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.loading.config import culprit
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError
from tokexplore.tui.cli import dispatch

ROWS = len(tokenizer())
MAKE: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": partial(llama, ROWS),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=ROWS, n_embd=32, n_layer=2, n_head=2, n_positions=64)
    ),
    "mixtral": lambda: MixtralForCausalLM(
        MixtralConfig(vocab_size=ROWS, num_local_experts=4, **SMALL)
    ),
    "bert": lambda: BertLMHeadModel(
        BertConfig(
            vocab_size=ROWS, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32, is_decoder=True,
        )
    ),
}  # fmt: skip
FORMS: list[dict[str, Any]] = [
    {"return_dict": False},
    {"return_dict": 0},
    {"output_hidden_states": True},
    {"output_hidden_states": [1]},
    {"output_attentions": True},
    {"output_router_logits": True},
    {"output_logits": True},
    {"use_cache": False},
    {"chunk_size_feed_forward": 4},
    {"return_dict": False, "output_hidden_states": True, "output_attentions": True},
]


@pytest.fixture(scope="module", params=sorted(MAKE))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path: Path = tmp_path_factory.mktemp("forms") / request.param
    return save(path, MAKE[request.param](), tokenizer())


def test_the_form_of_a_pass_is_ours_whatever_is_saved(whole: Path) -> None:
    file = whole / "config.json"
    saved = file.read_text()
    prompt = [3, 5, 7, 9, 11]
    plain = LocalEngine.open(LoadOptions(model=str(whole)), lambda _: None)
    truth = plain.describe(prompt)
    for form in FORMS:
        edit_json(file, **form)
        engine = LocalEngine.open(LoadOptions(model=str(whole)), lambda _: None)
        found = engine.describe(prompt)
        file.write_text(saved)
        assert (found.ids, found.logits) == (truth.ids, truth.logits), form
        assert engine.info.notices == plain.info.notices, form


def test_a_run_writes_the_same(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = save_llama(tmp_path / "m")
    capfd.readouterr()
    command = ["run", str(path), "--prompt", "a", "--max-new-tokens", "2", "--device", "cpu"]
    assert dispatch.main([*command, "--format", "text"]) == 0
    truth = capfd.readouterr()
    edit_json(path / "config.json", return_dict=False, output_attentions=True)
    assert dispatch.main([*command, "--format", "text"]) == 0
    assert capfd.readouterr() == truth


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("models") / "small")


NAMED: list[tuple[str, Any, str]] = [
    ("hidden_act", "warp", 'hidden_act is "warp"'),
    ("hidden_act", 3, "hidden_act is 3"),
    ("hidden_size", [8], "hidden_size is [8]"),
    ("hidden_size", 7, "hidden_size is 7"),
    ("num_attention_heads", 7, "num_attention_heads is 7"),
    ("num_key_value_heads", 0, "num_key_value_heads is 0"),
    ("head_dim", 7, "head_dim is 7"),
    ("rms_norm_eps", "x", 'rms_norm_eps is "x"'),
    ("use_cache", "x", 'use_cache is "x"'),
    ("pad_token_id", 10**6, "pad_token_id is 1000000"),
    ("dtype", "warp", 'dtype is "warp"'),
    ("rope_parameters", {"rope_type": "warp"}, 'rope_parameters.rope_type is "warp"'),
    ("attn_implementation", "warp", 'attn_implementation is "warp"'),
    ("layer_types", ["warp"] * 99, 'layer_types is ["warp", "warp", "warp", "warp", "warp",…'),
]


@pytest.mark.parametrize(("name", "value", "told"), NAMED, ids=[told for *_, told in NAMED])
def test_what_makes_no_model_is_named_with_its_value(
    small: Path, name: str, value: Any, told: str
) -> None:
    file = small / "config.json"
    saved = file.read_text()
    edit_json(file, **{name: value})
    said = refusal(small)
    file.write_text(saved)
    assert said.startswith(f"small has a config.json whose {told}, with which transformers runs")
    assert said.endswith("): put the model's own there, or choose another checkpoint of it.")


def test_a_null_is_named(small: Path) -> None:
    file = small / "config.json"
    saved = file.read_text()
    file.write_text(json.dumps(json.loads(saved) | {"vocab_size": None}))
    said = refusal(small)
    file.write_text(saved)
    assert said.startswith("small has a config.json whose vocab_size is null, with which")


def test_what_shows_in_a_pass_alone_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "experts", MAKE["mixtral"](), tokenizer())
    edit_json(path / "config.json", num_experts_per_tok=5)
    loaded = opened(path)
    with pytest.raises(
        ModelError, match=r"experts has a config\.json whose num_experts_per_tok is 5"
    ):
        LocalEngine(loaded)


def test_no_entry_is_named_without_a_proof(small: Path) -> None:
    config = json.loads((small / "config.json").read_text())
    warp = config | {"hidden_act": "warp"}
    assert culprit(warp, KeyError("warp")) == ("hidden_act", "warp")
    assert culprit(config, KeyError("warp")) is None
    assert culprit(warp, OSError("warp")) is None
    assert culprit(warp | {"pad_token_id": 10**6}, KeyError("warp")) is None
    assert culprit(warp | {"model_type": "warp"}, KeyError("warp")) is None
