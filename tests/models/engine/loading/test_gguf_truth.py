"""GGUF models: numbers are those of the weights that were written, and those of llama.cpp."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, dequantize, quantize
from support.llama_server import GGUF, serving
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

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.catalog.checkpoint import read_checkpoint
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.engine.loading import suitability
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError
from tokexplore.models.sampling.settings import SamplingSettings

GEMMA = {"query_pre_attn_scalar": 16, "sliding_window": 64}
FAMILIES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "llama": (LlamaForCausalLM, {}),
    "qwen2": (Qwen2ForCausalLM, {"tie_word_embeddings": False}),
    "qwen3": (Qwen3ForCausalLM, {}),
    "gemma2": (Gemma2ForCausalLM, GEMMA),
    "gemma3": (Gemma3ForCausalLM, GEMMA | {"num_hidden_layers": 6}),
}
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


@pytest.fixture(scope="module")
def llama() -> PreTrainedModel:
    return random_model(LlamaForCausalLM)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_1", "Q4_0", "Q5_1", "BF16", "F16"])
def test_codes_become_the_numbers_that_they_stand_for(
    kind: str, llama: PreTrainedModel, tmp_path: Path
) -> None:
    file = write_gguf(tmp_path / "m.gguf", llama, "llama", kind=kind)
    checkpoint = read_checkpoint(file)
    assert checkpoint.dtype == {"BF16": "bfloat16", "F16": "float16"}.get(kind, kind)
    engine = opened(file)
    assert (engine.info.dtype, engine.info.parameters) == ("float32", llama.num_parameters())
    ids = engine.encode(TEXT)
    coded = random_model(LlamaForCausalLM)
    for name, weight in coded.named_parameters():
        if weight.ndim > 1:
            codes = quantize(_stored(name, weight), GGMLQuantizationType[kind])
            numbers = dequantize(codes, GGMLQuantizationType[kind]).reshape(weight.shape)
            weight.copy_(torch.from_numpy(_stored(name, torch.from_numpy(numbers), back=True)))
    np.testing.assert_allclose(ours(engine, ids), plain(coded, ids), atol=SAME)
    assert np.abs(plain(coded, ids) - plain(llama, ids)).max() > 1e-3, "codes are not the weights"


def _stored(name: str, weight: torch.Tensor, *, back: bool = False) -> np.ndarray:
    """A matrix with the rows of its heads as llama.cpp has them, or the other way."""
    numbers = weight.numpy()
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return np.ascontiguousarray(numbers)
    heads, rows = numbers.shape[0] // 16, numbers.shape[0]
    cut = (heads, 8, 2, -1) if back else (heads, 2, 8, -1)
    return np.ascontiguousarray(numbers.reshape(cut).swapaxes(1, 2)).reshape(rows, -1)


def test_a_model_of_several_files_is_whole(llama: PreTrainedModel, tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "m.gguf", llama, "llama", parts=3)
    engine = opened(tmp_path / "m-00003-of-00003.gguf")
    assert engine.info.name == "m"
    ids = engine.encode(TEXT)
    np.testing.assert_allclose(ours(engine, ids), plain(llama, ids), atol=SAME)
    first.with_name("m-00002-of-00003.gguf").unlink()
    with pytest.raises(ModelError, match=r"lacks 1 of its 3 files \(m-00002-of-00003\.gguf\)"):
        opened(first)


STRETCHED: dict[str, dict[str, Any]] = {
    "linear": {"llama__rope__scaling__type": "linear", "llama__rope__scaling__factor": 4.0},
    "yarn": {
        "llama__rope__scaling__type": "yarn", "llama__rope__scaling__factor": 4.0,
        "llama__rope__scaling__original_context_length": 128,
    },
    "factors": {"factors": np.linspace(1.0, 8.0, 8)},
}  # fmt: skip


@pytest.mark.parametrize("how", STRETCHED)
def test_positions_are_stretched_as_the_file_says(
    how: str, llama: PreTrainedModel, tmp_path: Path
) -> None:
    file = write_gguf(tmp_path / "m.gguf", llama, "llama", **STRETCHED[how])
    engine = opened(file)
    ids = engine.encode(TEXT)
    got = ours(engine, ids)
    assert np.abs(got - plain(llama, ids)).max() > 0.1, "stretching matters here"
    with serving(file) as url:
        theirs = by_llama_cpp(url, ids)
    np.testing.assert_allclose(got[list(theirs)], list(theirs.values()), atol=LLAMA_CPP)
    assert (how == "factors") == any("rope_freqs" in notice for notice in engine.info.notices)


def test_positions_stretched_in_other_ways_are_refused(
    llama: PreTrainedModel, tmp_path: Path
) -> None:
    said = {"llama__rope__scaling__type": "longrope", "llama__rope__scaling__factor": 4.0}
    with pytest.raises(ModelError, match="stretches its positions by 'longrope'"):
        opened(write_gguf(tmp_path / "m.gguf", llama, "llama", **said))


def test_what_has_no_place_is_told(llama: PreTrainedModel, tmp_path: Path) -> None:
    engine = opened(write_gguf(tmp_path / "m.gguf", llama, "llama", llama__logit_scale=0.5))
    assert any("logit_scale of the GGUF file" in notice for notice in engine.info.notices)
    other = write_gguf(tmp_path / "other.gguf", llama, "llama", general__architecture="rwkv9")
    with pytest.raises(ModelError, match="other"):
        opened(other)


def test_ends_and_begin_are_the_files(llama: PreTrainedModel, tmp_path: Path) -> None:
    more = {"tokenizer__ggml__eot_token_id": 7, "tokenizer__chat_template": "{{ messages }}"}
    engine = opened(write_gguf(tmp_path / "m.gguf", llama, "llama", **more))
    assert engine.info.eos_ids == (1, 7)
    assert engine.info.adds_bos
    assert engine.info.bos_id == 0
    assert engine.info.chat_template
    assert engine.info.context == 512
    assert engine.encode("a")[0] == 0
    local = LocalEngine.open(LoadOptions(str(EMBEDDED_DIRECTORY), threads=1), lambda _: None)
    for text in ("Once  upon 12 a\n time", "«Ça» 你好", "</s>"):
        assert engine.encode(text) == local.encode(text)


def test_texts_are_cut_as_the_file_says(llama: PreTrainedModel, tmp_path: Path) -> None:
    def read(pre: str) -> LocalEngine:
        return opened(
            write_gguf(tmp_path / f"{pre}.gguf", llama, "llama", tokenizer__ggml__pre=pre)
        )

    plainly, digits, unknown = read("gpt-2"), read("smollm"), read("klingon")
    text = "the 1234 kings"
    spelled = [digits.vocabulary.show(token) for token in digits.encode(text)]
    assert [token for token in spelled if token.isdigit()] == list("1234")
    assert digits.encode(text) != plainly.encode(text)
    with serving(tmp_path / "smollm.gguf") as url:
        asked = urllib.request.Request(
            f"{url}/tokenize", json.dumps({"content": text, "add_special": True}).encode()
        )
        asked.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(asked) as reply:
            assert json.load(reply)["tokens"] == digits.encode(text)
    assert any("'klingon', which is not known" in notice for notice in unknown.info.notices)
    assert not any("cut" in notice for notice in digits.info.notices)


def test_without_its_package_it_says_what_to_install(
    llama: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf(tmp_path / "m.gguf", llama, "llama")
    monkeypatch.setattr(suitability, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install gguf \(the extra tokexplore\[gguf\]\)"):
        opened(file)


class TestSmolLM2:
    """A real chat model, 4 bits a weight, against transformers' own reading of the file."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> LocalEngine:
        return opened(GGUF)

    @pytest.fixture(scope="class")
    @classmethod
    def truth(cls) -> PreTrainedModel:
        return AutoModelForCausalLM.from_pretrained(
            GGUF.parent, gguf_file=GGUF.name, dtype=torch.float32
        ).eval()

    def test_a_chat_with_a_prefill_in_chinese(
        self, engine: LocalEngine, truth: PreTrainedModel
    ) -> None:
        chat = Chat((Message("user", "用中文说：法国的首都是哪里？"),), prefill="法国的首都是")
        ids = list(engine.render(chat).ids)
        assert engine.vocabulary.text(ids).endswith("assistant\n法国的首都是")
        request = StreamRequest(tuple(ids), SamplingSettings(), 12)
        drawn = [e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken)]
        pieces = [engine.vocabulary.bytes_of(step.standing.token) for step in drawn]
        assert any(_is_part(piece) for piece in pieces), "characters of several tokens"
        path = [*ids, *(step.standing.token for step in drawn)]
        with torch.inference_mode():
            logits = truth(input_ids=torch.tensor([path])).logits[0].double()
        logprobs = torch.log_softmax(logits, -1)
        for place, step in enumerate(drawn, len(ids) - 1):
            assert step.standing.logprob == pytest.approx(
                float(logprobs[place, step.standing.token]), abs=SAME
            )

    def test_it_is_opened_by_its_name(self, engine: LocalEngine) -> None:
        named = locate("smollm2")
        assert named.path == GGUF
        assert engine.info.chat_template
        assert engine.info.eos_ids == (2,)
        assert engine.encode("a  123") == [81, 256, 33, 34, 35], "as llama.cpp reads it"


def _is_part(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return True
    return False
