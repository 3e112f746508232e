"""Loading a model: what is told about it, and how far it is."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.made_models import llama, save_llama, tokenizer
from support.malformed import DEEP, LONG
from support.opening import opened, refusal
from support.written_models import edit_json
from transformers import LlamaConfig

from tokexplore.models.api.borders import Borders
from tokexplore.models.api.engine import Progress
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.engine.loading import opening
from tokexplore.models.engine.loading.opening import load
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("models") / "whole", dtype=torch.bfloat16)


@pytest.fixture
def model_dir(whole: Path, tmp_path: Path) -> Path:
    """A copy of a whole model, to be broken."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


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


def test_a_dynamic_rope_stretches_the_context(tmp_path: Path) -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 4.0}
    path = save_llama(tmp_path / "dynamic", max_position_embeddings=64, rope_parameters=rope)
    engine = LocalEngine.open(LoadOptions(model=str(path)), lambda _: None)

    assert engine.info.context == 256
    assert engine.info.borders == Borders(every=64)
    assert engine.describe([3] * 200).source == "prefill"


def test_what_layers_do_not_share_is_not_told() -> None:
    config = LlamaConfig(per_layer_config={0: {"intermediate_size": 48}}, hidden_size=64)

    assert opening._integer(config, "intermediate_size") == 0
    assert opening._integer(config, "intermediate_size", "hidden_size") == 64


def test_the_weights_are_those_of_the_file(whole: Path) -> None:
    own = llama(opened(whole).rows).to(torch.bfloat16).float()
    for name, parameter in opened(whole).model.named_parameters():
        assert torch.equal(parameter, own.get_parameter(name)), name


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_dtype_asked_for_is_had(whole: Path, dtype: str) -> None:
    loaded = opened(whole, dtype=dtype)
    assert loaded.dtype == dtype
    assert {p.dtype for p in loaded.model.parameters()} == {getattr(torch, dtype)}


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
    weights = load_file(model_dir / "model.safetensors")
    save_file({**weights, "visual.patch": torch.zeros(3)}, model_dir / "model.safetensors")
    loaded = load(LoadOptions(model=str(model_dir)), lambda r: print(r.stage, file=sys.stderr))
    out, err = capfd.readouterr()
    assert out == ""
    assert set(err.split()) == {"reading", "weights"}
    assert any("1 tensors of the checkpoint are not used" in n for n in loaded.notices)
    assert not any("LOAD REPORT" in n or "\x1b" in n for n in loaded.notices)


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
    assert reports[-1].done == reports[-1].total == 2 * loaded.parameters


# Ends of a text, and suggestions


def test_the_eos_list_is_generation_configs_and_the_tokenizers(model_dir: Path) -> None:
    edit_json(model_dir / "generation_config.json", eos_token_id=[7, 5])
    own = tokenizer().eos_token_id
    assert opened(model_dir).eos_ids == (7, 5, own)
    edit_json(model_dir / "generation_config.json", eos_token_id=9)
    assert opened(model_dir).eos_ids == (9, own)


def test_a_context_below_one_is_none(model_dir: Path) -> None:
    edit_json(model_dir / "config.json", max_position_embeddings=-1)
    assert opened(model_dir).context == 0


@pytest.mark.parametrize("content", ["{", "[]", "null", DEEP, f'{{"top_k": {LONG}}}'])
def test_a_broken_generation_config_is_said(model_dir: Path, content: str) -> None:
    (model_dir / "generation_config.json").write_text(content)
    assert any("generation_config.json is broken" in n for n in opened(model_dir).notices)


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


def test_a_suggestion_that_cannot_be_followed_is_said(model_dir: Path) -> None:
    edit_json(model_dir / "generation_config.json", repetition_penalty=1.05, no_repeat_ngram_size=3)
    expected = SamplingSettings(temperature=1.0, repetition_penalty=1.05, no_repeat_ngram=3)
    assert opened(model_dir).suggested == expected
    edit_json(model_dir / "generation_config.json", temperature=-3)
    loaded = opened(model_dir)
    assert loaded.suggested is None
    assert any("temperature -3" in notice for notice in loaded.notices)


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


def said_of_chats(path: Path) -> str:
    """Why there can be no chat, as it is told before the first weight is read."""
    reports: list[Progress] = []
    loaded = load(LoadOptions(model=str(path)), reports.append)
    why = {report.why_no_chat for report in reports}
    before = [r.why_no_chat for r in reports[: [r.stage for r in reports].index("weights")]]
    assert why - {""} <= set(before), "never later"
    assert loaded.chat_template == (not any(before))
    return max(before)


def test_that_there_is_no_chat_template_is_told_before_the_weights(model_dir: Path) -> None:
    assert said_of_chats(model_dir) == (
        "copy has no chat template: give plain text with --prompt instead of a chat."
    )


NAMED = [{"name": "rag", "template": "{{ messages }}"}]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("tokenizer_config.json", {"chat_template": "{{ messages }}"}),
        ("tokenizer_config.json", {"chat_template": NAMED}),
        ("chat_template.jinja", "{{ messages }}"),
        ("additional_chat_templates/rag.jinja", "{{ messages }}"),
        ("chat_template.json", {"chat_template": "{{ messages }}"}),
    ],
)
def test_a_chat_template_is_found_wherever_transformers_finds_it(
    model_dir: Path, file: str, text: object
) -> None:
    (model_dir / file).parent.mkdir(exist_ok=True)
    if isinstance(text, dict):
        edit_json(model_dir / file, **text)
    else:
        (model_dir / file).write_text(str(text))
    assert said_of_chats(model_dir) == ""


def test_a_chat_template_of_the_tokenizer_s_own_class_is_found(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tokenizer()
    words.chat_template = "{{ messages }}"
    monkeypatch.setattr(opening, "open_tokenizer", lambda *_, **__: words)
    assert said_of_chats(model_dir) == ""
