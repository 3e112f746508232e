"""`tokexplore run` on a real, tiny model: its numbers against a plain forward, its refusals."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support import made_tokenizers
from support.made_models import llama, save, save_llama
from support.written_models import edit_json
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, BertForMaskedLM

from tokexplore.models.session.reader import open_session
from tokexplore.tui.cli import dispatch

PROMPT = "Once upon a time 从前"
TOLERANCE = 1e-4
_BYTE = re.compile(rb"<([0-9A-F]{2})>")
"""A byte outside UTF-8, as the text shows it."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("model") / "tiny", initializer_range=0.3)


def told(
    capfd: pytest.CaptureFixture[str], model: Path, *arguments: str, code: int = 0
) -> list[dict[str, Any]]:
    plain = ["--format", "jsonl", "--device", "cpu"]
    assert dispatch.main(["run", str(model), *plain, *arguments]) == code
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def check_against_a_plain_forward(model: Path, lines: list[dict[str, Any]]) -> None:
    """Every number of every line, from one full forward of transformers in f32."""
    head, *steps, end = lines
    path = head["prompt_ids"] + [s["id"] for s in steps if s["origin"] == "generated"]
    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    with torch.inference_mode():
        logits = reference(torch.tensor([path])).logits[0]  # [T, V]
    logprobs = logits.log_softmax(-1)
    assert [s["position"] for s in steps] == list(range(1, len(path)))
    for step in steps:
        row, raw = logprobs[step["position"] - 1], logits[step["position"] - 1]
        near = pytest.approx
        assert step["logprob"] == near(row[step["id"]].item(), abs=TOLERANCE)
        assert step["lse"] == near(raw.logsumexp(-1).item(), abs=TOLERANCE)
        assert step["entropy"] == near(-(row.exp() * row).sum().item(), abs=TOLERANCE)
        assert step["rank"] == 1 + int((raw > raw[step["id"]]).sum())
        top = row.topk(len(step["candidates"]))
        assert [c["id"] for c in step["candidates"]] == top.indices.tolist()
        for candidate, value in zip(step["candidates"], top.values.tolist(), strict=True):
            assert candidate["logprob"] == near(value, abs=TOLERANCE)
        assert step["margin"] == near((top.values[0] - top.values[1]).item(), abs=TOLERANCE)
        assert step["tail_mass"] == near(1 - top.values.exp().sum().item(), abs=TOLERANCE)
    assert head["prompt_ids"] == AutoTokenizer.from_pretrained(model)(PROMPT).input_ids
    said = b"".join(bytes.fromhex(s["bytes"]) for s in steps if s["origin"] == "generated")
    assert _BYTE.sub(lambda b: bytes.fromhex(b[1].decode()), end["text"].encode()) == said


def test_every_number_is_a_plain_forward_s(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sampled = ("--temperature", "0.9", "--top-k", "30", "--seed", "7")
    lines = told(capfd, model, "--prompt", PROMPT, "--max-new-tokens", "9", *sampled)
    check_against_a_plain_forward(model, lines)
    assert [s["chosen_by"] for s in lines[1:-1] if s["origin"] == "generated"] == ["sampled"] * 9


def test_the_same_seed_says_the_same(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def text(seed: str) -> str:
        given = ("--prompt", "Once", "--temperature", "1", "--seed", seed, "--max-new-tokens", "8")
        return str(told(capfd, model, *given)[-1]["text"])

    assert text("3") == text("3")
    assert text("3") != text("4")


def test_the_prompt_may_fill_the_context_and_no_more(
    model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ids = len(AutoTokenizer.from_pretrained(model)("é" * 100).input_ids)
    letters = "é" * (100 * 255 // (ids - 1))
    lines = told(capfd, model, "--prompt", letters)
    assert lines[-1]["reason"] == "context"
    assert len(lines[0]["prompt_ids"]) + sum(s.get("origin") == "generated" for s in lines) == 256
    assert dispatch.main(["run", str(model), "--prompt", letters * 2]) == 2
    assert "256" in capfd.readouterr().err


@pytest.mark.parametrize("prompt", ["", "   ", "\n\n", "\x1b]0;x\x07"])
def test_odd_prompts_are_prompts(
    model: Path, prompt: str, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = told(capfd, model, "--prompt", prompt, "--max-new-tokens", "2")
    assert lines[0]["prompt_ids"] == AutoTokenizer.from_pretrained(model)(prompt).input_ids
    assert len(lines) == len(lines[0]["prompt_ids"]) - 1 + 4


@pytest.mark.parametrize("broken", ["empty folder", "no weights", "corrupt weights", "encoder"])
def test_a_model_that_cannot_do_it_is_refused_in_one_sentence(
    broken: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "made"
    if broken == "empty folder":
        path.mkdir()
    elif broken == "encoder":
        small = BertConfig(
            vocab_size=99, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
            intermediate_size=8,
        )  # fmt: skip
        BertForMaskedLM(small).save_pretrained(path)
    else:
        save_llama(path)
        weights = path / "model.safetensors"
        if broken == "no weights":
            weights.unlink()
        else:
            weights.write_bytes(weights.read_bytes()[:1000])
    capfd.readouterr()
    assert dispatch.main(["run", str(path), "--prompt", "x"]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("tokexplore: ")
    assert shown.err.count("\n") == 1


def test_the_model_s_defaults_are_adopted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save_llama(tmp_path / "made")
    edit_json(path / "generation_config.json", do_sample=True, temperature=0.6, top_k=20, top_p=0.9)
    capfd.readouterr()
    given = ("--prompt", "x", "--max-new-tokens", "1")
    sampling = {"temperature": 0.6, "top_k": 20, "top_p": 0.9, "min_p": 0.0}
    assert told(capfd, path, *given, "--model-defaults")[0]["sampling"] == sampling
    plain = told(capfd, path, *given)[0]["sampling"]
    assert plain == {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    mixed = told(capfd, path, *given, "--model-defaults", "--top-k", "3")[0]["sampling"]
    assert mixed == {**sampling, "top_k": 3}


def test_the_installed_program_runs(model: Path) -> None:
    """From another folder, where a file that is named as a library must not be imported."""
    (model.parent / "tokenizers.py").write_text("raise RuntimeError('imported')")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "tokexplore", "run", "./tiny", "--max-new-tokens", "3"],
        input="Once upon\n",
        cwd=model.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<s>Once upon")
    assert "end: " in done.stdout
    assert done.stderr == ""


def test_a_run_can_be_kept_and_opened(
    capfd: pytest.CaptureFixture[str], model: Path, tmp_path: Path
) -> None:
    file = tmp_path / "run.tokx"
    asked = ("--prompt", PROMPT, "--max-new-tokens", "6", "--temperature", "1", "--seed", "3")
    lines = told(capfd, model, *asked, "--session", str(file))
    tree = open_session(file).tree
    leaf = tree.branches[0].tip
    steps = [line for line in lines if line["type"] == "step"]
    assert tree.ids(leaf)[1:] == [step["id"] for step in steps]
    assert [tree.logprob[n] for n in tree.path(leaf)[1:]] == [step["logprob"] for step in steps]
    assert len(tree.distribution[tree.parent[leaf]]) == 256
    assert leaf in tree.distribution
    assert dispatch.main(["run", str(model), *asked, "--session", str(file)]) == 2
    assert "is there already" in capfd.readouterr().err


# Chats

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose turns end with a token that no list of ends of text holds."""
    tokenizer = made_tokenizers.byte_level(extra=["<|im_start|>", "<|im_end|>"])
    words = made_tokenizers.wrapped(tokenizer, chat_template=TEMPLATE)
    named = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    return save(tmp_path_factory.mktemp("model") / "talker", llama(len(words), **named), words)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--user", "who"), "end of turn"),
        (("--user", "who", "--ignore-eos"), "length"),
        (("--prompt", "who"), "length"),
    ],
)
def test_a_chat_ends_where_its_template_ends_a_turn(
    talker: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], reason: str
) -> None:
    end = AutoTokenizer.from_pretrained(talker).convert_tokens_to_ids("<|im_end|>")
    likely = ("--bias-id", f"{end}=100", "--max-new-tokens", "3")
    *_, last, told_end = told(capfd, talker, *arguments, *likely)
    assert told_end["reason"] == reason
    assert last["id"] == end


def test_a_template_that_only_a_processor_reads_is_used(
    talker: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m"
    shutil.copytree(talker, path)
    (path / "chat_template.jinja").unlink()
    (path / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    asked = ("--user", "who", "--max-new-tokens", "1")
    assert (
        told(capfd, path, *asked)[0]["prompt_ids"] == told(capfd, talker, *asked)[0]["prompt_ids"]
    )


@pytest.mark.parametrize(
    ("text", "told_so"), [("Once", False), ("<s>Once", True), ("\ufeff<s>Once", True)]
)
def test_a_prompt_has_bos_once_and_no_byte_order_mark(
    model: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path, text: str, told_so: bool
) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text(text, encoding="utf-8")
    asked = ("--format", "jsonl", "--max-new-tokens", "1", "--prompt-file", str(file))
    assert dispatch.main(["run", str(model), *asked]) == 0
    out, err = capfd.readouterr()
    once = AutoTokenizer.from_pretrained(model)("Once").input_ids
    assert json.loads(out.splitlines()[0])["prompt_ids"] == once
    assert ("the text begins with <s>" in err) is told_so
    assert ("byte order mark" in err) is text.startswith("\ufeff")


def test_a_literal_prompt_names_no_tokens(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    head, *_ = told(capfd, model, "--prompt", "<s>a</s>", "--literal", "--max-new-tokens", "1")
    words = AutoTokenizer.from_pretrained(model)
    bos, *ids = head["prompt_ids"]
    assert bos == words.bos_token_id
    assert not {bos, words.eos_token_id} & set(ids)
    assert words.decode(ids) == "<s>a</s>"
