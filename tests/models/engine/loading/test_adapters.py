"""Adapters: their numbers are peft's own, off they are the base's, and misfits are refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import IA3Config, LoHaConfig, LoKrConfig, PeftConfig, PromptTuningConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import load_file, save_file
from support.made_adapters import bare, by_peft, lora, save_adapter
from support.made_models import save_llama
from support.opening import opened, refusal
from support.written_gguf import random_model, write_gguf
from support.written_models import edit_json
from transformers import LlamaForCausalLM

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import Adapter, LoadOptions
from tokexplore.models.engine.loading import adapters as loading
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings

IDS = torch.arange(5, 25)[None]
CONFIGS: dict[str, Callable[[], PeftConfig]] = {
    "queries and values": lora,
    "all layers, ranks apart": lambda: lora(
        target_modules="all-linear", use_rslora=True, rank_pattern={"k_proj": 2}
    ),
    "DoRA": lambda: lora(target_modules=["q_proj"], use_dora=True),
    "a whole head": lambda: lora(target_modules=["q_proj"], modules_to_save=["lm_head"]),
    "head and embeddings": lambda: lora(target_modules=["lm_head", "embed_tokens"]),
    "some tokens": lambda: lora(target_modules=["q_proj"], trainable_token_indices=[3, 7, 9]),
    "IA3": lambda: IA3Config(
        target_modules=["q_proj", "down_proj"], feedforward_modules=["down_proj"]
    ),
    "LoHa": lambda: LoHaConfig(r=4, target_modules=["q_proj"]),
    "LoKr": lambda: LoKrConfig(r=4, target_modules=["q_proj"]),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def style(base: Path) -> Path:
    return save_adapter(base.parent / "style", base)


@pytest.fixture
def copy(style: Path, tmp_path: Path) -> Path:
    """A copy of the adapter, to be changed."""
    return Path(shutil.copytree(style, tmp_path / "copy"))


def on(*adapters: Path) -> tuple[Adapter, ...]:
    return tuple(Adapter(path.name, str(path)) for path in adapters)


@torch.inference_mode()
def logits(model: torch.nn.Module) -> torch.Tensor:
    found: torch.Tensor = model(IDS).logits
    return found


def switch(model: torch.nn.Module, *, active: bool) -> None:
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.enable_adapters(active)


@pytest.mark.parametrize("name", CONFIGS)
def test_numbers_are_those_of_peft_alone(base: Path, tmp_path: Path, name: str) -> None:
    path = save_adapter(tmp_path / "one", base, CONFIGS[name]())
    wanted = by_peft(base, [path], IDS)
    by_option, by_itself = opened(base, adapters=on(path)), opened(path)
    for loaded in (by_option, by_itself):
        assert (logits(loaded.model) - wanted).abs().max() < 1e-4
    assert (wanted - logits(bare(base))).abs().max() > 1e-3
    assert by_option.adapters[0] == by_itself.adapters[0]
    assert by_itself.source == str(base)


def test_switched_off_it_is_the_base_exactly(base: Path, style: Path) -> None:
    model = opened(base, adapters=on(style)).model
    switch(model, active=False)
    assert torch.equal(logits(model), logits(bare(base)))
    switch(model, active=True)
    assert not torch.equal(logits(model), logits(bare(base)))


def test_several_are_active_together(base: Path, style: Path, tmp_path: Path) -> None:
    other = save_adapter(tmp_path / "other", base, lora(target_modules=["q_proj", "up_proj"]), 4)
    loaded = opened(style, adapters=on(other))
    assert [each.name for each in loaded.adapters] == ["style", "other"]
    assert loaded.name == "base+style+other"
    wanted = by_peft(base, [style, other], IDS)
    assert (logits(loaded.model) - wanted).abs().max() < 1e-4
    assert (wanted - by_peft(base, [style], IDS)).abs().max() > 1e-2


def test_streams_on_a_cache_are_passes_of_peft(base: Path, style: Path) -> None:
    """Caches, probes and rows work on the model that the adapter is in."""
    engine = LocalEngine.open(LoadOptions(str(base), adapters=on(style)), lambda _: None)
    assert engine.info.feed == "batched"
    prompt = tuple(IDS[0].tolist())
    request = StreamRequest(prompt, SamplingSettings(), 12, ignore_eos=True)
    drawn = [e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken)]
    path = [*prompt, *(event.standing.token for event in drawn)]
    wanted = by_peft(base, [style], torch.tensor([path]))[0]
    for event in drawn:
        row = wanted[event.position - 1]
        assert event.standing.token == int(row.argmax())
        lse = row.double().logsumexp(0).item()
        assert event.distribution.lse == pytest.approx(lse, abs=1e-4)


def test_it_is_told_where_numbers_come_from(base: Path, style: Path) -> None:
    engine = LocalEngine.open(LoadOptions(str(base), adapters=on(style)), lambda _: None)
    (told,) = engine.info.adapters
    assert told.words == "LoRA of rank 4 on q_proj, v_proj"
    assert (told.name, told.source, told.base) == ("style", str(style), str(base))
    here = engine.info.provenance
    assert here.adapters == (told,)
    assert "peft" in here.versions
    plain = LocalEngine.open(LoadOptions(str(base)), lambda _: None).info.provenance
    assert plain.differences(here) == [
        f"adapters none, now style ({told.weights_hash[:8]})",
    ]


def test_ranks_that_differ_are_told(base: Path, tmp_path: Path) -> None:
    config = lora(target_modules=["q_proj", "k_proj"], rank_pattern={"k_proj": 2})
    loaded = opened(save_adapter(tmp_path / "one", base, config))
    assert loaded.adapters[0].words == "LoRA of rank 2 to 4 on k_proj, q_proj"


def test_another_base_is_refused(style: Path, tmp_path: Path) -> None:
    other = save_llama(tmp_path / "other")
    said = refusal(other, UsageError, adapters=on(style))
    assert said.startswith("style is an adapter of ")
    assert f", and MODEL is {other}: give its base as MODEL" in said


def test_a_base_is_known_by_its_last_name(base: Path, copy: Path) -> None:
    edit_json(copy / "adapter_config.json", base_model_name_or_path="somebody/Base")
    assert opened(base, adapters=on(copy)).name == "base+copy"
    assert "copy is an adapter of somebody/Base, which cannot be opened (" in refusal(copy)


def test_an_adapter_that_names_no_base(base: Path, copy: Path) -> None:
    edit_json(copy / "adapter_config.json", base_model_name_or_path=None)
    assert opened(base, adapters=on(copy)).name == "base+copy"
    assert "names no base: give its base as MODEL and --adapter" in refusal(copy)


def test_an_adapter_of_a_servers_model_asks_no_server(copy: Path) -> None:
    edit_json(copy / "adapter_config.json", base_model_name_or_path="http://127.0.0.1:9")
    assert "copy is an adapter of a server's model (http://127.0.0.1:9)" in refusal(copy)


def _changed(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})


def _without_first(path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors[FIRST]

    _changed(path, change)


FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "another shape": (
        lambda p: _changed(p, lambda t: t.update({FIRST: torch.zeros(4, 48)})),
        f"has 1 tensors of another shape than this model needs ({FIRST} is 4x48 and should be "
        "4x32)",
    ),
    "another rank": (
        lambda p: edit_json(p / "adapter_config.json", r=8),
        "of another shape than this model needs",
    ),
    "missing": (
        _without_first,
        f"lacks 1 of the tensors that its adapter_config.json asks for ({FIRST})",
    ),
    "a layer too many": (
        lambda p: _changed(
            p, lambda t: t.update({FIRST.replace("layers.0", "layers.7"): torch.zeros(4, 32)})
        ),
        "has 1 tensors that this model has no place for",
    ),
    "no such modules": (
        lambda p: edit_json(p / "adapter_config.json", target_modules=["c_attn"]),
        "does not fit the model (Target modules",
    ),
    "pickled": (
        lambda p: (p / "adapter_model.safetensors").rename(p / "adapter_model.bin"),
        "is an adapter whose weights are pickled (adapter_model.bin)",
    ),
    "no weights": (
        lambda p: (p / "adapter_model.safetensors").unlink(),
        "is an adapter (adapter_config.json) without its weights (adapter_model.safetensors)",
    ),
    "cut short": (
        lambda p: (p / "adapter_model.safetensors").write_bytes(b"12345678"),
        "has an adapter_model.safetensors that is not a safetensors file",
    ),
    "broken JSON": (
        lambda p: (p / "adapter_config.json").write_text("{"),
        "has an adapter_config.json that cannot be an adapter's",
    ),
    "another kind": (
        lambda p: edit_json(p / "adapter_config.json", peft_type="PREFIX_TUNING"),
        "is an adapter of kind PREFIX_TUNING (peft_type in adapter_config.json): those of LoRA,",
    ),
    "activated by tokens": (
        lambda p: edit_json(p / "adapter_config.json", alora_invocation_tokens=[3]),
        "begins where certain tokens stand (alora_invocation_tokens in adapter_config.json)",
    ),
    "repeated layers": (
        lambda p: edit_json(p / "adapter_config.json", layer_replication=[[0, 2], [1, 2]]),
        "repeats layers of its base",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_adapter_that_does_not_fit_is_refused(base: Path, copy: Path, case: str) -> None:
    spoil, expected = BROKEN[case]
    spoil(copy)
    for said in (refusal(base, adapters=on(copy)), refusal(copy)):
        assert said.startswith("copy ")
        assert expected in said


def test_prompt_tuning_is_refused(base: Path, tmp_path: Path) -> None:
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    assert "of kind PROMPT_TUNING" in refusal(save_adapter(tmp_path / "p", base, config))


def test_weights_of_the_base_that_an_adapter_changes_are_refused(
    base: Path, tmp_path: Path
) -> None:
    """It could not be switched off."""
    path = save_adapter(tmp_path / "one", base, lora(target_modules=["embed_tokens"]))
    name = "base_model.model.model.embed_tokens.base_layer.weight"

    def change(tensors: dict[str, torch.Tensor]) -> None:
        own = bare(base).get_input_embeddings().weight.detach()
        tensors[name] = own.clone()

    _changed(path, change)
    opened(path)
    _changed(path, lambda t: t[name].add_(1.0))
    assert f"weights of its base that it changes itself ({name})" in refusal(path)


def test_kinds_and_names_have_to_agree(base: Path, style: Path, tmp_path: Path) -> None:
    other = save_adapter(tmp_path / "style", base, CONFIGS["IA3"]())
    assert "two adapters are called style" in refusal(base, UsageError, adapters=on(style, other))
    named = (*on(style), Adapter("other", str(other)))
    assert "of several kinds (IA3, LoRA)" in refusal(base, UsageError, adapters=named)
    assert f"{base} is no adapter" in refusal(base, UsageError, adapters=on(base))
    spread = refusal(base, UsageError, adapters=on(style), device_map="auto")
    assert "--device-map auto spreads the model over devices" in spread


def test_without_peft_the_extra_is_named(
    base: Path, style: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda _name: None)
    expected = (
        "style is an adapter, which needs a package that is not installed: pip install peft "
        "(the extra tokexplore[peft])."
    )
    assert refusal(style) == refusal(base, adapters=on(style)) == expected


def test_it_is_found_in_the_hub_cache(
    base: Path, style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shutil.copytree(style, tmp_path / "hub" / "models--owner--style" / "snapshots" / ("c" * 40))
    wanted = by_peft(base, [style], IDS)
    by_option = opened(base, adapters=(Adapter("s", "owner/style"),))
    by_itself = opened("owner/style")
    for loaded in (by_option, by_itself):
        assert (logits(loaded.model) - wanted).abs().max() < 1e-4
    assert (by_option.name, by_itself.name) == ("base+s", "base+style")
    assert by_itself.adapters[0].source == "owner/style"
    away = refusal(base, adapters=(Adapter("x", "owner/away"),))
    assert away.startswith("owner/away is not in the hub cache")


def test_it_goes_on_a_gguf_file(tmp_path: Path) -> None:
    """Whose modules have the names of any other checkpoint of the model."""
    model = random_model(LlamaForCausalLM)
    model.save_pretrained(tmp_path / "full")
    style = save_adapter(tmp_path / "style", tmp_path / "full")
    edit_json(style / "adapter_config.json", base_model_name_or_path=None)
    file = write_gguf(tmp_path / "m.gguf", model, "llama")
    loaded = opened(file, adapters=on(style))
    wanted = by_peft(tmp_path / "full", [style], IDS)
    assert (logits(loaded.model) - wanted).abs().max() < 1e-4


def test_a_model_in_one_folder_with_an_adapter_is_refused(base: Path, style: Path, tmp_path: Path
) -> None:  # fmt: skip
    """transformers would put it on the model and say nothing."""
    both = Path(shutil.copytree(base, tmp_path / "both"))
    shutil.copytree(style, both, dirs_exist_ok=True)
    assert "both holds a model and an adapter" in refusal(both)
