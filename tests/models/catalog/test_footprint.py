"""What a model needs and what is free."""

from pathlib import Path
from typing import Any

import pytest

from tokexplore.models.catalog import footprint as module
from tokexplore.models.catalog.footprint import (
    Fit,
    Footprint,
    context_of,
    free_memory,
    gb,
    kv_values_per_token,
    room_for,
)
from tokexplore.models.errors import ModelError


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (
            {
                "num_hidden_layers": 28,
                "num_attention_heads": 28,
                "num_key_value_heads": 4,
                "hidden_size": 3584,
            },
            2 * 28 * 4 * 128,
        ),
        ({"n_layer": 12, "n_head": 12, "n_embd": 768, "model_type": "gpt2"}, 2 * 12 * 768),
        (
            {
                "num_hidden_layers": 4,
                "num_attention_heads": 8,
                "hidden_size": 64,
                "head_dim": 16,
                "num_key_value_heads": 2,
            },
            2 * 4 * 2 * 16,
        ),
        (
            {
                "num_hidden_layers": 4,
                "num_attention_heads": 8,
                "hidden_size": 64,
                "layer_types": ["linear_attention", "mamba", "full_attention", "conv"],
            },
            2 * 64,
        ),
        (
            {"n_layer": 3, "n_head": 4, "n_embd": 32, "multi_query": True},
            2 * 3 * 8,
        ),
        (
            {
                "num_hidden_layers": 3,
                "num_attention_heads": 4,
                "hidden_size": 64,
                "kv_lora_rank": 8,
                "qk_nope_head_dim": 16,
                "qk_rope_head_dim": 8,
                "v_head_dim": 16,
            },
            3 * 4 * (16 + 8 + 16),
        ),
        ({"model_type": "mamba", "num_hidden_layers": 4, "hidden_size": 64}, 0),
        ({}, 0),
    ],
)
def test_kv_values_of_a_token(config: dict[str, Any], values: int) -> None:
    assert kv_values_per_token(config) == values


def test_a_model_that_cannot_fit_is_refused_with_both_numbers() -> None:
    need = Footprint(14_200_000_000, 57_344)
    with pytest.raises(ModelError, match=r"big needs 14.2 GB .* cuda:1 has 9.50 GB free"):
        need.check(9_500_000_000, "cuda:1", "big")


def test_a_near_fit_is_a_warning_and_room_is_none() -> None:
    need = Footprint(10_000_000_000, 500_000)
    assert need.check(11_000_000_000, "cpu", "big").startswith("memory is near its limit: big")
    assert need.check(12_000_000_000, "cpu", "big") == ""


def test_the_sentence_has_both_sides() -> None:
    assert Footprint(14_200_000_000, 57_344).sentence(70_000_000_000, "cuda:1") == (
        "needs 14.2 GB for weights and 57 MB per 1,000 tokens; cuda:1 has 70.0 GB free"
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [(1_131_136, "1.1 MB"), (57e6, "57 MB"), (250e6, "0.25 GB"), (14.23e9, "14.2 GB")],
)
def test_gb(count: float, text: str) -> None:
    assert gb(int(count)) == text
    assert gb(141 * 10**9) == "141 GB"


def write_group(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("version", [1, 2])
def test_a_control_groups_limit_counts(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if version == 1:
        root, line, total = tmp_path / "memory", "4:memory:/job/step", "total_inactive_file"
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    else:
        root, line, total = tmp_path, "0::/job/step", "inactive_file"
        names = ("memory.max", "memory.current")
    limit, usage = names
    stat = f"anon 5\n{total} 200"
    write_group(root / "job", {limit: "1000", usage: "700", "memory.stat": stat})
    unlimited = "max" if version == 2 else str(2**63)
    write_group(root / "job" / "step", {limit: unlimited, usage: "700", "memory.stat": stat})
    monkeypatch.setattr(module, "_CGROUPS", tmp_path)
    monkeypatch.setattr(module, "_own_groups", lambda: [line])
    assert free_memory() == 1000 - 700 + 200


def test_the_emptiest_gpu_by_the_drivers_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho GPU-a, 1000\necho GPU-b, 81000\necho GPU-c, [N/A]\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert room_for("cuda").gpu == 81000 * 2**20
    monkeypatch.setenv("PATH", "/nowhere")
    assert room_for("cuda").gpu == 0


@pytest.mark.parametrize(
    ("free", "context", "each", "known", "words"),
    [
        (2 * 10**9, 4096, 1000, True, "fits"),
        (10**9 + 60 * 10**6, 131_072, 1000, True, "fits up to 10,000 tokens"),
        (9 * 10**8, 4096, 1000, True, "does not fit: needs 1.05 GB, 0.90 GB free"),
        (2 * 10**9, 0, 1000, True, "fits"),
        (2 * 10**9, 131_072, 0, True, "fits"),
        (2 * 10**9, 4096, 1000, False, "not known"),
        (0, 0, 0, True, "does not fit: needs 1.05 GB, 0.0 MB free"),
    ],
)
def test_whether_weights_and_cache_fit_in_words(
    free: int, context: int, each: int, known: bool, words: str
) -> None:
    assert Fit.of(Footprint(10**9, each), free, context, is_known=known).words() == words


def test_a_short_context_needs_no_more_than_itself() -> None:
    assert Fit.of(Footprint(10**9, 10**6), 0, 512, is_known=True).needed == 1_562_000_000


def test_room_is_that_of_the_device_and_of_the_model_that_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "free_memory", lambda: 100)
    monkeypatch.setattr(module, "free_by_gpu", lambda: {"a": 40})
    assert room_for()[:2] == (100, 40)
    assert room_for("auto", freed=7)[:2] == (100, 40), "it may be on the other"
    assert room_for("cpu", freed=7)[:2] == (107, 0)
    assert room_for("cuda:0", freed=7)[:2] == (0, 47)
    monkeypatch.setattr(module, "free_by_gpu", lambda: {"a": 40, "b": 60})
    assert room_for("auto", device_map="auto", freed=7)[:2] == (0, 207)
    assert room_for("cuda:0", freed=7)[:2] == (0, 60), "the emptiest is another one"


def test_a_context_by_the_names_that_families_have() -> None:
    assert [context_of({name: 7}) for name in ("max_position_embeddings", "n_ctx")] == [7, 7]
    assert context_of({"max_position_embeddings": "many"}) == 0
