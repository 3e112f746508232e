"""A model directory through the real engine: a token, or one sentence, within bounds.

`FUZZ=500 pytest tests/fuzz` tries that many, others every time.
"""

import contextlib
import io
import os
import resource
import shutil
import time
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.made_models import SMALL, save_llama
from support.malformed import DEEP, LONG, written

from tokexplore.tui.cli import dispatch

ASKED = os.environ.get("FUZZ", "")
SECONDS, BYTES = 10, 1 << 30
TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"
FILES: dict[str, object] = {
    "config.json": SMALL
    | {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 386,
        "bos_token_id": 0, "eos_token_id": 1, "dtype": "float32", "head_dim": 8,
        "tie_word_embeddings": False, "rms_norm_eps": 1e-6, "hidden_act": "silu",
        "rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}, "initializer_range": 0.02,
    },
    "generation_config.json": {
        "do_sample": True, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "eos_token_id": [1, 2],
        "repetition_penalty": 1.1, "no_repeat_ngram_size": 0,
    },
    "special_tokens_map.json": {"bos_token": "<s>", "eos_token": {"content": "</s>"}},
    "chat_template.jinja": TEMPLATE,
}  # fmt: skip
TEMPLATES = st.sampled_from(
    [
        TEMPLATE, "{{ 'x' * 10**10 }}", "{% for", "{{ raise_exception('no') }}", "{{ messages }}",
        "{{ 1 / 0 }}", "{{ messages[0].content * 3 }}", "{{ messages[9].content }}", "\0", "",
        "{{ ''.__class__ }}", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("fuzz") / "whole")


def of(name: str) -> st.SearchStrategy[tuple[str, str]]:
    text = TEMPLATES if name.endswith("jinja") else written(FILES[name])
    return st.tuples(st.just(name), text)


@settings(
    max_examples=int(ASKED or 40), database=None, derandomize=not ASKED,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.sampled_from(sorted(FILES)).flatmap(of))
@example(("config.json", f'{{"a": {DEEP}}}'))
@example(("tokenizer.json", DEEP))
@example(("generation_config.json", f'{{"top_k": {LONG}}}'))
@example(("generation_config.json", '{"do_sample": true, "top_k": Infinity}'))
@example(("tokenizer_config.json", '{"model_max_length": "x"}'))
@example(("chat_template.jinja", "{{ 'x' * 10**10 }}"))
def test_a_directory_gives_a_token_or_a_sentence(whole: Path, file: tuple[str, str]) -> None:
    name, text = file
    place = whole.parent / "spoilt"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place)
    (place / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    how = ["--chat"] if name.endswith("jinja") else []
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        arguments = ["run", str(place), "--prompt", "a", "--max-new-tokens", "1", *how]
        code = dispatch.main([*arguments, "--device", "cpu"])
    said = err.getvalue()
    assert code in (0, 2), (code, said)
    assert "Traceback" not in said
    assert not code or said.splitlines()[-1].startswith("tokexplore: ")
    assert time.process_time() - began < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < BYTES


torch.set_num_threads(1)
