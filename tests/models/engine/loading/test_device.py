"""Which device, which dtype, how many threads, and whether it fits."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.made_models import llama, save_llama, tokenizer
from support.opening import opened, refusal
from support.written_models import edit_json

from tokexplore.models.catalog.checkpoint import read_checkpoint
from tokexplore.models.engine.loading import device as devices
from tokexplore.models.errors import UsageError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("models") / "whole", dtype=torch.bfloat16)


def test_auto_dtype_is_the_checkpoints_own_off_the_cpu(whole: Path, tmp_path: Path) -> None:
    plain = read_checkpoint(whole)
    assert devices.choose_dtype("auto", "cpu", plain) == "float32"
    assert devices.choose_dtype("auto", "cuda", plain) == "bfloat16"
    assert devices.choose_dtype("float16", "cuda", plain) == "float16"
    path = Path(shutil.copytree(whole, tmp_path / "packed"))
    edit_json(path / "config.json", quantization_config={"quant_method": "gptq"})
    for kind in ("cpu", "cuda"):
        assert devices.choose_dtype("auto", kind, read_checkpoint(path)) == "auto"


def test_device_map_auto_is_all_on_the_cpu_here(whole: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, which auto takes")
    assert opened(whole, device_map="auto").device == "cpu"


def test_a_spread_model_names_its_devices(whole: Path) -> None:
    model = opened(whole).model
    model.hf_device_map = {"model.embed_tokens": 0, "model.layers.0": 0, "lm_head": "cpu"}
    assert devices.devices_of(model) == "cuda:0+cpu"


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


FREE = [10 * 10**9, 70 * 10**9, 40 * 10**9]


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine with three GPUs; returns those that CUDA itself was asked about."""
    asked: list[int] = []

    def mem_get_info(index: int) -> tuple[int, int]:
        asked.append(index)
        return FREE[index], 80 * 10**9

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(FREE))
    monkeypatch.setattr(torch.cuda, "mem_get_info", mem_get_info)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda i: SimpleNamespace(uuid=f"number-{i}")
    )
    monkeypatch.setattr(devices, "free_by_gpu", dict)
    return asked


@pytest.mark.usefixtures("three_gpus")
def test_auto_takes_the_gpu_with_the_most_free_memory() -> None:
    for asked in ("auto", "cuda"):
        placement = devices.place(asked)
        assert placement.label == "cuda:1"
        assert placement.notice == "device cuda:1: the most free memory of 3 GPUs (70.0 GB)"
    assert devices.place("cuda:2").free == FREE[2]
    assert devices.place("auto", "auto").free > sum(FREE)
    with pytest.raises(UsageError, match="the last GPU is cuda:2"):
        devices.place("cuda:3")


def test_several_gpus_are_asked_about_through_the_driver(
    three_gpus: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the driver's order, which need not be CUDA's."""
    told = {"GPU-other": 99 * 10**9, "GPU-number-2": 3, "GPU-number-0": 1, "GPU-number-1": 2}
    monkeypatch.setattr(devices, "free_by_gpu", lambda: told)
    assert devices.free_gpus() == [1, 2, 3]
    assert not three_gpus
    del told["GPU-number-0"]
    assert devices.free_gpus() == FREE
    assert three_gpus == [0, 1, 2]


@pytest.mark.parametrize(
    ("cores", "parameters", "threads"),
    [
        (1, None, 1), (3, None, 3), (4, None, 3), (16, None, 15),
        (1, 5_000_000, 1), (2, 5_000_000, 1), (2, 500_000_000, 2), (16, 5_000_000, 15),
    ],
)  # fmt: skip
def test_threads_leave_a_core_to_the_interface_where_there_are_many(
    monkeypatch: pytest.MonkeyPatch, cores: int, parameters: int | None, threads: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: range(cores), raising=False)
    assert devices.choose_threads(0, parameters) == (threads, False)
    assert devices.choose_threads("auto", parameters) == (threads, True)
    assert devices.choose_threads(cores, parameters) == (cores, False)
    with pytest.raises(UsageError, match=f"give 1 to {cores}"):
        devices.choose_threads(cores + 1, parameters)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert devices.choose_threads("auto", parameters) == (torch.get_num_threads(), False)
    assert devices.choose_threads(cores, parameters) == (cores, False)


def test_a_model_that_cannot_fit_is_refused_before_it_is_loaded(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "free_memory", lambda: 100_000)
    assert "cpu has 0.1 MB free" in refusal(whole)
    weights = 4 * llama(len(tokenizer())).num_parameters()
    monkeypatch.setattr(devices, "free_memory", lambda: weights + 1000)
    assert any("memory is near its limit" in notice for notice in opened(whole).notices)
