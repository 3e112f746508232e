"""Loading a model: what is told about it, how far it is, and every refusal as one sentence."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.made_models import SMALL, drop_tensor, edit_json, llama, save, save_llama, tokenizer
from transformers import (
    CONFIG_MAPPING,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForSequenceClassification,
    T5Config,
    T5ForConditionalGeneration,
    dynamic_module_utils,
)
from transformers.models.auto import modeling_auto

from tokexplore.models.catalog import locate
from tokexplore.models.checkpoint import ENCODER_FAMILIES, read_checkpoint
from tokexplore.models.engine import device as devices
from tokexplore.models.engine.loading import Loaded, load
from tokexplore.models.errors import ModelError, TokexploreError, UsageError
from tokexplore.models.options import LoadOptions
from tokexplore.models.protocol import Progress
from tokexplore.models.sampling import SamplingSettings


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("models") / "whole", dtype=torch.bfloat16)


@pytest.fixture
def model_dir(whole: Path, tmp_path: Path) -> Path:
    """A copy of a whole model, to be broken."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def opened(path: Path | str, **options: object) -> Loaded:
    return load(LoadOptions(model=str(path), **options), lambda _: None)  # type: ignore[arg-type]


def refusal(path: Path | str, kind: type[TokexploreError] = ModelError, **options: object) -> str:
    """The one sentence that loading ends with."""
    with pytest.raises(kind) as caught:
        opened(path, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence


def test_what_is_told_about_a_model(whole: Path) -> None:
    loaded = opened(whole)
    assert (loaded.name, loaded.source, loaded.revision) == ("whole", str(whole), "")
    assert loaded.family == "LlamaForCausalLM"
    assert (loaded.dtype, loaded.device) == ("float32", "cpu")
    assert (loaded.layers, loaded.heads, loaded.hidden, loaded.context) == (2, 4, 32, 256)
    assert loaded.rows == len(loaded.vocabulary) == loaded.model.config.vocab_size
    assert loaded.parameters == loaded.model.num_parameters()
    assert loaded.weight_bytes == 4 * loaded.parameters
    assert loaded.bos_id == loaded.tokenizer.bos_token_id
    assert loaded.eos_ids == (loaded.tokenizer.eos_token_id,)
    assert loaded.suggested is None
    assert not loaded.chat_template
    assert not loaded.notices
    assert loaded.seconds > 0
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())


def test_the_weights_are_those_of_the_file(whole: Path) -> None:
    own = llama(opened(whole).rows).to(torch.bfloat16).float()
    for name, parameter in opened(whole).model.named_parameters():
        assert torch.equal(parameter, own.get_parameter(name)), name


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_asked_for_is_had(whole: Path, dtype: str) -> None:
    loaded = opened(whole, dtype=dtype)
    assert loaded.dtype == dtype
    assert {p.dtype for p in loaded.model.parameters()} == {getattr(torch, dtype)}


def test_auto_dtype_is_the_checkpoints_own_off_the_cpu(whole: Path, tmp_path: Path) -> None:
    plain = read_checkpoint(whole)
    assert devices.choose_dtype("auto", "cpu", plain) == "float32"
    assert devices.choose_dtype("auto", "cuda", plain) == "bfloat16"
    assert devices.choose_dtype("float16", "cuda", plain) == "float16"
    path = Path(shutil.copytree(whole, tmp_path / "packed"))
    edit_json(path / "config.json", quantization_config={"quant_method": "gptq"})
    for kind in ("cpu", "cuda"):
        assert devices.choose_dtype("auto", kind, read_checkpoint(path)) == "auto"


def test_progress_is_monotonic_and_in_bytes(tmp_path: Path) -> None:
    path = save_llama(tmp_path / "sharded", shards="20KB")
    reports: list[Progress] = []
    load(LoadOptions(model=str(path)), reports.append)
    stages = [r.stage for r in reports]
    assert list(dict.fromkeys(stages)) == ["reading", "weights"]
    weights = [r for r in reports if r.stage == "weights"]
    tensors = json.loads((path / "model.safetensors.index.json").read_text())["metadata"]
    assert {(r.total, r.unit) for r in weights} == {(tensors["total_size"], "bytes")}
    done = [r.done for r in weights]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, tensors["total_size"])
    assert "needs" in weights[0].detail
    assert "free" in weights[0].detail


def test_nothing_reaches_the_terminal_but_what_the_caller_prints(
    model_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    edit_json(model_dir / "config.json", num_hidden_layers=1)
    loaded = load(LoadOptions(model=str(model_dir)), lambda r: print(r.stage, file=sys.stderr))
    out, err = capfd.readouterr()
    assert out == ""
    assert set(err.split()) == {"reading", "weights"}
    assert any("9 tensors of the checkpoint are not used" in n for n in loaded.notices)


def test_device_map_auto_is_all_on_the_cpu_here(whole: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, which auto takes")
    assert opened(whole, device_map="auto").device == "cpu"


def test_a_spread_model_names_its_devices(whole: Path) -> None:
    model = opened(whole).model
    model.hf_device_map = {"model.embed_tokens": 0, "model.layers.0": 0, "lm_head": "cpu"}
    assert devices.devices_of(model) == "cuda:0+cpu"


# Devices


def test_cuda_where_there_is_none_is_refused(whole: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    for name in ("cuda", "cuda:3"):
        assert f"device {name} is not here" in refusal(whole, UsageError, device=name)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:-1", "tpu:0"])
def test_an_unknown_device_is_refused(whole: Path, name: str) -> None:
    assert f"device {name} is not known" in refusal(whole, UsageError, device=name)


def test_device_maps_are_checked(whole: Path) -> None:
    assert "spread" in refusal(whole, UsageError, device_map="spread")
    both = refusal(whole, UsageError, device_map="auto", device="cpu")
    assert "exclude each other" in both


def test_auto_takes_the_gpu_with_the_most_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    free = [10 * 10**9, 70 * 10**9, 40 * 10**9]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: (free[i], 80 * 10**9))
    for asked in ("auto", "cuda"):
        placement = devices.place(asked)
        assert placement.label == "cuda:1"
        assert placement.notice == "device cuda:1: the most free memory of 3 GPUs (70.0 GB)"
    assert devices.place("cuda:2").free == free[2]
    assert devices.place("auto", "auto").free > sum(free)
    with pytest.raises(UsageError, match="the last GPU is cuda:2"):
        devices.place("cuda:3")


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (3, 3), (4, 3), (16, 15)])
def test_threads_leave_a_core_to_the_interface_where_there_are_many(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    asked: list[int] = []
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: range(cores), raising=False)
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    devices.set_threads()
    assert asked == [threads]


def test_a_model_that_cannot_fit_is_refused_before_it_is_loaded(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "free_memory", lambda: 100_000)
    assert "cpu has 0.1 MB free" in refusal(whole)
    weights = 4 * llama(len(tokenizer())).num_parameters()
    monkeypatch.setattr(devices, "free_memory", lambda: weights + 1000)
    assert any("memory is near its limit" in notice for notice in opened(whole).notices)


# Ends of a text, and suggestions


def test_the_eos_list_is_generation_configs_and_the_tokenizers(model_dir: Path) -> None:
    edit_json(model_dir / "generation_config.json", eos_token_id=[7, 5])
    own = tokenizer().eos_token_id
    assert opened(model_dir).eos_ids == (7, 5, own)
    edit_json(model_dir / "generation_config.json", eos_token_id=9)
    assert opened(model_dir).eos_ids == (9, own)


def test_a_default_that_no_file_states_is_no_eos(model_dir: Path) -> None:
    (model_dir / "generation_config.json").unlink()
    edit_json(model_dir / "config.json", eos_token_id=None)
    assert opened(model_dir).eos_ids == (tokenizer().eos_token_id,)
    edit_json(model_dir / "config.json", eos_token_id=11)
    assert opened(model_dir).eos_ids == (11, tokenizer().eos_token_id)


@pytest.mark.parametrize(
    ("generation", "expected"),
    [
        ({"do_sample": True}, SamplingSettings(temperature=1.0)),
        (
            {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.8},
            SamplingSettings(temperature=0.7, top_k=20, top_p=0.8),
        ),
        ({"top_p": 0.9, "min_p": 0.1}, SamplingSettings(temperature=1.0, top_p=0.9, min_p=0.1)),
        ({"do_sample": False, "temperature": 0.6}, None),
        ({"max_length": 20}, None),
    ],
)
def test_sampling_suggestions(
    model_dir: Path, generation: dict[str, object], expected: SamplingSettings | None
) -> None:
    edit_json(model_dir / "generation_config.json", **generation)
    assert opened(model_dir).suggested == expected


def test_a_suggestion_that_we_do_not_follow_is_said(model_dir: Path) -> None:
    edit_json(model_dir / "generation_config.json", do_sample=True, repetition_penalty=1.05)
    notices = opened(model_dir).notices
    assert "the model suggests repetition_penalty 1.05, which is not applied" in notices
    edit_json(model_dir / "generation_config.json", temperature=-3)
    loaded = opened(model_dir)
    assert loaded.suggested is None
    assert any("temperature -3" in notice for notice in loaded.notices)


# Refusals by what is in the directory


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
        "needs a package that is not installed",
    ),
    "an adapter": (
        lambda p: [
            (p / "model.safetensors").unlink(),
            (p / "adapter_config.json").write_text("{}"),
        ],
        "is an adapter",
    ),
    "only GGUF": (
        lambda p: (p / "model.safetensors").rename(p / "model.gguf"),
        "holds GGUF files",
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
    forward = GPT2LMHeadModel.forward

    def ahead(self: GPT2LMHeadModel, input_ids: torch.Tensor, **more: object) -> object:
        out = forward(self, input_ids=input_ids, **more)
        out.logits = out.logits + out.logits.flip(1)
        return out

    monkeypatch.setattr(GPT2LMHeadModel, "forward", ahead)
    assert "looks ahead" in refusal(path)


def test_tied_weights_are_not_missing(tmp_path: Path) -> None:
    path = save_llama(tmp_path / "tied", tie_word_embeddings=True)
    loaded = opened(path)
    assert loaded.parameters == loaded.model.num_parameters()
    head, words = loaded.model.get_output_embeddings(), loaded.model.get_input_embeddings()
    assert head.weight is words.weight


def test_pickled_weights_load_too(model_dir: Path, whole: Path) -> None:
    torch.save(load_file(model_dir / "model.safetensors"), model_dir / "pytorch_model.bin")
    (model_dir / "model.safetensors").unlink()
    loaded = opened(model_dir)
    assert loaded.parameters == opened(whole).parameters
    reports: list[Progress] = []
    load(LoadOptions(model=str(model_dir)), reports.append)
    assert reports[-1].done == reports[-1].total == (model_dir / "pytorch_model.bin").stat().st_size


# The hub


def test_a_hub_id_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    sentence = refusal("someone/some-model")
    assert sentence.startswith("someone/some-model is not in the hub cache")
    assert "offline" in sentence


def test_a_cached_hub_model_loads_by_id_with_its_commit(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--story"
    shutil.copytree(whole, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    loaded = opened("someone/story")
    assert (loaded.name, loaded.source, loaded.revision) == ("story", "someone/story", commit)
    assert opened(repository / "snapshots" / commit).revision == commit
    assert locate("story").source == "someone/story"


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
