"""Every model that cannot do the job is refused by one sentence."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.made_models import SMALL, drop_tensor, save, save_llama, tokenizer
from support.opening import opened, refusal
from support.written_models import edit_json
from transformers import (
    CONFIG_MAPPING,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPTJConfig,
    GPTJForCausalLM,
    LlamaConfig,
    LlamaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
    dynamic_module_utils,
)
from transformers.models.auto import modeling_auto

from tokexplore.models.catalog.checkpoint import ENCODER_FAMILIES
from tokexplore.models.errors import UsageError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("models") / "whole", dtype=torch.bfloat16)


@pytest.fixture
def model_dir(whole: Path, tmp_path: Path) -> Path:
    """A copy of a whole model, to be broken."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def test_a_missing_path() -> None:
    assert refusal("./not/here") == "there is no directory ./not/here: check the path."


def test_a_file_instead_of_a_directory(whole: Path) -> None:
    assert "give the directory" in refusal(whole / "config.json", UsageError)


def test_a_revision_of_a_directory(whole: Path) -> None:
    assert "revision v2" in refusal(whole, UsageError, revision="v2")


Break = Callable[[Path], object]
BROKEN: dict[str, tuple[Break, str]] = {
    "no config": (lambda p: (p / "config.json").unlink(), "has no config.json"),
    "config not JSON": (
        lambda p: (p / "config.json").write_text("{'a': 1}"),
        "a config.json that is not valid JSON",
    ),
    "config not an object": (
        lambda p: (p / "config.json").write_text("[1]"),
        "a config.json that is not a JSON object",
    ),
    "fewer layers in the config": (
        lambda p: edit_json(p / "config.json", num_hidden_layers=1),
        "weights for more layers than the 1 that its config asks for",
    ),
    "no weights": (lambda p: (p / "model.safetensors").unlink(), "has no weights"),
    "corrupt weights": (
        lambda p: (p / "model.safetensors").write_bytes(b"\xff" * 5000),
        "model.safetensors that is not a safetensors file",
    ),
    "weights cut short": (
        lambda p: (p / "model.safetensors").write_bytes(
            (p / "model.safetensors").read_bytes()[:-100]
        ),
        "model.safetensors that is cut short",
    ),
    "weights empty": (
        lambda p: (p / "model.safetensors").write_bytes(b""),
        "model.safetensors that is not a safetensors file",
    ),
    "no tokenizer": (lambda p: (p / "tokenizer.json").unlink(), "has no tokenizer"),
    "broken tokenizer": (
        lambda p: (p / "tokenizer.json").write_text("{"),
        "tokenizer could not be loaded: Expecting property name",
    ),
    "more layers than weights": (
        lambda p: edit_json(p / "config.json", num_hidden_layers=3),
        "lacks 9 of the tensors that its config asks for (model.layers.2",
    ),
    "a missing tensor": (
        lambda p: drop_tensor(p / "model.safetensors", "lm_head.weight"),
        "lacks 1 of the tensors that its config asks for (lm_head.weight",
    ),
    "another shape": (
        lambda p: edit_json(p / "config.json", intermediate_size=48),
        "tensors of another shape than its config asks for (model.layers.0.mlp.down_proj.weight "
        "is 32x64 and should be 32x48)",
    ),
    "unknown architecture": (
        lambda p: edit_json(p / "config.json", model_type="warp_drive", architectures=["Warp"]),
        "is not a causal language model (Warp)",
    ),
    "unknown model type": (
        lambda p: edit_json(
            p / "config.json", model_type="warp_drive", architectures=["WarpForCausalLM"]
        ),
        "is of an architecture that transformers",
    ),
    "an image model": (
        lambda p: edit_json(p / "config.json", model_type="vit", architectures=None),
        "is of type vit, which transformers",
    ),
    "own code": (
        lambda p: edit_json(
            p / "config.json",
            model_type="warp_drive",
            auto_map={"AutoConfig": "warp.Config", "AutoModelForCausalLM": "warp.Model"},
        ),
        "give --trust-remote-code",
    ),
    "a quantizer that is not installed": (
        lambda p: edit_json(
            p / "config.json",
            quantization_config={"quant_method": "gptq", "bits": 4, "group_size": 32},
        ),
        "is quantised by gptq, which needs packages that are not installed: pip install optimum",
    ),
    "an adapter": (
        lambda p: [
            (p / "model.safetensors").unlink(),
            (p / "adapter_config.json").write_text("{}"),
        ],
        "is an adapter",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_model_is_refused(
    model_dir: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> str:
        raise AssertionError("a question on standard input")

    monkeypatch.setattr("builtins.input", asked)
    spoil, expected = BROKEN[case]
    spoil(model_dir)
    sentence = refusal(model_dir)
    assert sentence.startswith("copy")
    assert expected in sentence


def test_layers_of_another_kind_are_left_aside(model_dir: Path) -> None:
    """A vision tower may be deeper than the text model; a head that looks further is a layer."""
    file = model_dir / "model.safetensors"
    more = {"visual.blocks.30.w": torch.zeros(3), "model.layers.2.eh_proj.weight": torch.zeros(3)}
    save_file({**load_file(file), **more}, file)
    assert "(model.layers.2.eh_proj.weight)" in refusal(model_dir)
    edit_json(model_dir / "config.json", num_nextn_predict_layers=1)
    assert any("2 tensors of the checkpoint are not used" in n for n in opened(model_dir).notices)


def test_a_missing_shard(tmp_path: Path) -> None:
    path = save_llama(tmp_path / "sharded", shards="20KB")
    shards = sorted(path.glob("model-*.safetensors"))
    assert len(shards) > 2
    shards[1].unlink()
    assert f"lacks 1 of {len(shards)} weight files ({shards[1].name})" in refusal(path)


def test_encoders_and_encoder_decoders(tmp_path: Path) -> None:
    words = tokenizer()
    shape = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    masked = save(tmp_path / "masked", BertForMaskedLM(BertConfig(**shape)), words)
    assert "is an encoder (BertForMaskedLM)" in refusal(masked)
    head = save(tmp_path / "head", BertLMHeadModel(BertConfig(**shape, is_decoder=True)), words)
    assert opened(head).family == "BertLMHeadModel"
    edit_json(head / "config.json", is_decoder=False)
    assert "is an encoder (BertLMHeadModel)" in refusal(head)
    t5 = T5Config(vocab_size=len(words), d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2)
    pair = save(tmp_path / "pair", T5ForConditionalGeneration(t5), words)
    assert "is an encoder-decoder model" in refusal(pair)


def test_the_encoder_families_are_those_of_this_transformers() -> None:
    """Families that transformers opens both masked and causal, encoder-decoders aside."""
    both = (
        modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.keys()
        & modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES.keys()
    )
    alone = {t for t in both if not CONFIG_MAPPING[t]().is_encoder_decoder}
    assert alone == ENCODER_FAMILIES


def test_a_classifier_is_no_language_model(tmp_path: Path) -> None:
    words = tokenizer()
    config = LlamaConfig(vocab_size=len(words), pad_token_id=0, **SMALL)
    path = save(tmp_path / "judge", LlamaForSequenceClassification(config), words)
    assert "is not a causal language model (LlamaForSequenceClassification)" in refusal(path)


def test_a_model_that_looks_ahead_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tokenizer()
    config = GPT2Config(vocab_size=len(words), n_embd=32, n_layer=1, n_head=2, n_positions=64)
    torch.manual_seed(1)
    path = save(tmp_path / "gpt", GPT2LMHeadModel(config), words)
    assert opened(path).context == 64
    config.n_positions = 6
    short = save(tmp_path / "short", GPT2LMHeadModel(config), words)
    assert opened(short).context == 6
    forward = GPT2LMHeadModel.forward

    def ahead(self: GPT2LMHeadModel, input_ids: torch.Tensor, **more: object) -> object:
        out = forward(self, input_ids=input_ids, **more)
        out.logits = out.logits + out.logits.flip(1)
        return out

    monkeypatch.setattr(GPT2LMHeadModel, "forward", ahead)
    assert "looks ahead" in refusal(path)


# Code that a model brings along


CUSTOM = """
from transformers import LlamaConfig, LlamaForCausalLM

print("hello from the model's own code")


class OwnConfig(LlamaConfig):
    model_type = "own_llama"


class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig

    def forward(self, *args, **kwargs):
        out = super().forward(*args, **kwargs)
        if self.config.attention_bias:
            out.logits = out.logits + out.logits.flip(1)
        return out
"""


@pytest.mark.parametrize("looks_ahead", [False, True])
def test_own_code_runs_only_when_trusted(
    model_dir: Path,
    looks_ahead: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    (model_dir / "own.py").write_text(CUSTOM)
    edit_json(
        model_dir / "config.json",
        model_type="own_llama",
        architectures=["OwnModel"],
        auto_map={"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},
    )
    assert "give --trust-remote-code" in refusal(model_dir)
    if looks_ahead:
        (model_dir / "own.py").write_text(CUSTOM.replace("if self.config.attention_bias:", "if 1:"))
        assert "looks ahead" in refusal(model_dir, trust_remote_code=True)
    else:
        assert opened(model_dir, trust_remote_code=True).family == "OwnModel"
    assert capfd.readouterr() == ("", "")


LARGE: dict[str, tuple[dict[str, object], str]] = {
    "wide heads": ({"head_dim": 10**5}, "that asks for 76,837,152 parameters, and its weights are"),
    "wide units": ({"intermediate_size": 10**5}, "that asks for 19,231,008 parameters, and its"),
    "wider units": ({"intermediate_size": 10**9}, "whose intermediate_size is 1,000,000,000, for"),
    "many layers": ({"num_hidden_layers": 20}, "that asks for 210,336 parameters"),
    "many labels": ({"num_labels": 10**9}, "whose num_labels is 1,000,000,000, for weights of"),
    "many key heads": ({"num_key_value_heads": 10**4}, "that asks for 10,281,248 parameters"),
}


@pytest.mark.parametrize(("changes", "text"), LARGE.values(), ids=LARGE.keys())
def test_absurd_sizes_take_no_memory(
    model_dir: Path, changes: dict[str, object], text: str
) -> None:
    import resource

    edit_json(model_dir / "config.json", **changes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert f"has a config.json {text}" in refusal(model_dir)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize(
    ("config", "how"),
    [({"quant_method": "foo"}, "by 'foo'"), ({"bits": 4}, "and its config.json does not say how")],
)
def test_a_quantisation_that_nobody_knows_is_refused(
    model_dir: Path, config: dict[str, object], how: str
) -> None:
    edit_json(model_dir / "config.json", quantization_config=config)
    assert f"is quantised {how}, which transformers" in refusal(model_dir)


def test_pickled_weights_are_counted_too(model_dir: Path) -> None:
    torch.save(load_file(model_dir / "model.safetensors"), model_dir / "pytorch_model.bin")
    (model_dir / "model.safetensors").unlink()
    assert opened(model_dir).layers == 2
    edit_json(model_dir / "config.json", intermediate_size=10**5)
    asked = "asks for 19,231,008 parameters, and its weights are 43,296 parameters"
    assert asked in refusal(model_dir)


def test_tables_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    words = tokenizer()
    config = GPTJConfig(vocab_size=len(words), n_embd=64, n_layer=1, n_head=1, n_positions=64)
    path = save(tmp_path / "gptj", GPTJForCausalLM(config), words)
    edit_json(path / "config.json", n_positions=10**9)
    assert "of tables beside the weights, and cpu has" in refusal(path)


GENERATION = {
    "an infinite top-k": ('{"do_sample": true, "top_k": Infinity}', "cannot be used"),
    "a huge temperature": ('{"do_sample": true, "temperature": 1e308}', "cannot be used"),
    "ends that are none": ('{"eos_token_id": [[1], {"a": 1}, "x", true]}', ""),
}


@pytest.mark.parametrize(("content", "text"), GENERATION.values(), ids=GENERATION.keys())
def test_suggestions_that_cannot_be_meant_are_left_out(
    model_dir: Path, content: str, text: str
) -> None:
    (model_dir / "generation_config.json").write_text(content)
    found = opened(model_dir)
    assert found.suggested is None
    assert text in "".join(found.notices)
    assert found.eos_ids == (found.tokenizer.eos_token_id,)
