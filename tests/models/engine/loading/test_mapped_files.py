"""Which weights stay mapped files, and that all of them are those of the file either way."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.made_models import SMALL, save, save_llama, tokenizer
from support.opening import opened
from transformers import MixtralConfig, MixtralForCausalLM, modeling_utils

from tokexplore.models.catalog.headers import TensorHeader
from tokexplore.models.engine.loading.mapped_files import held_as_stored

Taken = dict[str, set[str]]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """The tensors that transformers takes of its files, by the way they are read."""
    found: Taken = defaultdict(set)

    class Recorded:
        def __init__(self, file: str, framework: str, **settings: Any) -> None:
            self._file, self._how = real(file, framework, **settings), settings["backend"]

        def get_slice(self, name: str) -> Any:
            found[self._how].add(name)
            return self._file.get_slice(name)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

        def __exit__(self, *error: object) -> None:
            self._file.__exit__(*error)

    real = modeling_utils.safe_open
    monkeypatch.setattr(modeling_utils, "safe_open", Recorded)
    return found


def stored(path: Path) -> dict[str, torch.Tensor]:
    return {n: t for file in path.glob("*.safetensors") for n, t in load_file(file).items()}


def header(dtype: str, *shape: int) -> TensorHeader:
    return TensorHeader(dtype, list(shape), (0, 0))


def test_what_is_held_as_it_is_stored() -> None:
    tensors = {
        "same": header("F32", 4, 2),
        "converted": header("BF16", 4, 2),
        "put together": header("F32", 2, 2),
        "codes": header("F8_E4M3", 4, 2),
        "unheard of": header("F4", 4, 2),
    }
    assert held_as_stored(tensors, torch.float32, {(4, 2)}) == {"same"}
    assert held_as_stored(tensors, torch.bfloat16, {(4, 2)}) == {"converted"}
    assert held_as_stored(tensors, "auto", {(4, 2)}) == tensors.keys() - {"put together"}
    assert not held_as_stored(tensors, torch.float32, set())


@pytest.mark.parametrize("shards", ["5GB", "20KB"])
@pytest.mark.parametrize("tied", [True, False])
def test_weights_of_another_dtype_are_read(
    tmp_path: Path, taken: Taken, shards: str, tied: bool
) -> None:
    path = save_llama(tmp_path / "f32", shards=shards, tie_word_embeddings=tied)
    tensors = stored(path)
    assert (len([*path.glob("*.safetensors")]) > 1) == (shards == "20KB")
    for dtype, how in ((torch.float32, "mmap"), (torch.bfloat16, "pread")):
        taken.clear()
        model = opened(path, dtype=str(dtype)[6:], device="cpu").model
        assert taken == {how: set(tensors)}
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, tensors[name].to(dtype)), name
        head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
        assert (head.weight is embeddings.weight) == tied


def test_experts_that_are_put_together_are_read_and_the_rest_is_mapped(
    tmp_path: Path, taken: Taken
) -> None:
    words = tokenizer()
    torch.manual_seed(0)
    own = MixtralForCausalLM(
        MixtralConfig(
            vocab_size=len(words), num_local_experts=4, bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id, **(SMALL | {"intermediate_size": 48}),
        )
    )  # fmt: skip
    path = save(tmp_path / "experts", own, words)
    model = opened(path, dtype="float32", device="cpu").model
    experts = {name for name in stored(path) if ".experts." in name}
    assert len(experts) == 2 * 4 * 3
    assert taken == {"pread": experts, "mmap": stored(path).keys() - experts}
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, own.get_parameter(name)), name


def test_transformers_opens_files_as_it_does_afterwards(tmp_path: Path) -> None:
    before = modeling_utils.safe_open
    opened(save_llama(tmp_path / "whole"), dtype="bfloat16")
    assert modeling_utils.safe_open is before
