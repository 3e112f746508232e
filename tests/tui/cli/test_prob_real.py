"""`tokexplore prob` on real models: its numbers against one plain forward pass of each text."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.made_models import save_llama
from transformers import AutoModelForCausalLM, AutoTokenizer

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.engine.forward import forward_pass
from tokexplore.models.engine.local import LocalEngine
from tokexplore.tui.cli import dispatch

TOLERANCE = 1e-4
"""Nats: a pass on top of the prompt's cache sums in another order than one over all."""
PROMPT = "Once upon a time"
TEXTS = (" there was a king", " there was a queen", " é 从前\n", "</s>", " the", "s")
CHAT = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}<s>assistant:"


def told(
    capfd: pytest.CaptureFixture[str], model: Path, *arguments: str, texts: tuple[str, ...] = TEXTS
) -> dict[str, Any]:
    given = [part for text in texts for part in ("--text", text)]
    command = ["prob", str(model), *arguments, *given, "--format", "json", "--device", "cpu"]
    assert dispatch.main(command) == 0
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    return found


def check_against_plain_forwards(model: Path, found: dict[str, Any]) -> None:
    reference = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    prompt = found["prompt_ids"]
    for text in found["texts"]:
        ids = [token["id"] for token in text["tokens"]]
        with torch.inference_mode():
            logits = reference(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        logprobs = logits.double().log_softmax(-1)  # [n, V]
        rows = zip(text["tokens"], logprobs, strict=True)
        known = [row[token["id"]].item() for token, row in rows]
        assert [t["logprob"] for t in text["tokens"]] == pytest.approx(known, abs=TOLERANCE)
        ranks = [
            1 + int((row > row[token]).sum()) for token, row in zip(ids, logprobs, strict=True)
        ]
        assert [t["rank"] for t in text["tokens"]] == ranks
        assert text["logprob"] == pytest.approx(sum(known), abs=TOLERANCE * len(ids))
        said = b"".join(bytes.fromhex(token["bytes"]) for token in text["tokens"])
        assert said == text["given"].encode()


def test_every_number_is_a_plain_forward_s(capfd: pytest.CaptureFixture[str]) -> None:
    found = told(capfd, EMBEDDED_DIRECTORY, "--prompt", PROMPT)
    words = AutoTokenizer.from_pretrained(EMBEDDED_DIRECTORY)
    assert found["prompt_ids"] == words(PROMPT).input_ids
    check_against_plain_forwards(EMBEDDED_DIRECTORY, found)
    king, queen, _, end, *_ = found["texts"]
    shared = len(king["tokens"]) - 1
    assert [t["id"] for t in king["tokens"][:shared]] == [t["id"] for t in queen["tokens"][:shared]]
    for one, other in zip(king["tokens"][:shared], queen["tokens"], strict=False):
        assert one["logprob"] == pytest.approx(other["logprob"], abs=TOLERANCE)
    assert [t["id"] for t in end["tokens"]] == [words.eos_token_id]


def test_names_of_tokens_are_characters_where_asked(capfd: pytest.CaptureFixture[str]) -> None:
    found = told(capfd, EMBEDDED_DIRECTORY, "--prompt", PROMPT, "--literal", texts=("</s>",))
    assert len(found["texts"][0]["tokens"]) > 1
    check_against_plain_forwards(EMBEDDED_DIRECTORY, found)


def test_an_empty_prompt_is_the_start_token(capfd: pytest.CaptureFixture[str]) -> None:
    found = told(capfd, EMBEDDED_DIRECTORY, "--prompt", "", texts=("Once", " upon"))
    assert len(found["prompt_ids"]) == 1
    check_against_plain_forwards(EMBEDDED_DIRECTORY, found)


def test_in_a_chat_the_texts_follow_the_opened_turn(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = save_llama(tmp_path / "tiny", initializer_range=0.3)
    words = AutoTokenizer.from_pretrained(model)
    words.chat_template = CHAT
    words.save_pretrained(model)
    capfd.readouterr()
    texts = (" a king", " a queen", "</s>")
    found = told(capfd, model, "--user", "who?", "--prefill", " It was", texts=texts)
    rendered = words.apply_chat_template([{"role": "user", "content": "who?"}], tokenize=False)
    whole = words(rendered, add_special_tokens=False).input_ids
    assert found["prompt_ids"][: len(whole)] == whole
    assert words.decode(found["prompt_ids"][len(whole) :]) == " It was"
    check_against_plain_forwards(model, found)


def test_the_prompt_is_fed_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fed: list[int] = []
    extend = forward_pass.Forward.__call__

    def counted(self: Any, tokens: Any, *rest: Any) -> Any:
        fed.append(len(tokens))
        return extend(self, tokens, *rest)

    engine = LocalEngine.open(LoadOptions(device="cpu"), lambda _: None)
    monkeypatch.setattr(forward_pass.Forward, "__call__", counted)
    prompt = "Once upon a time there was a little girl who lived in a small house. " * 8
    asked = [part for text in TEXTS for part in ("--text", text)]
    command = ["prob", "--prompt", prompt.strip(), *asked, "--format", "json"]
    assert dispatch.main(command, open_engine=lambda *_: engine) == 0
    found = json.loads(capfd.readouterr().out)
    own = sum(len(text["tokens"]) for text in found["texts"])
    # The last token of the prompt is fed with each text: the first distribution comes after it.
    assert sum(fed) == len(found["prompt_ids"]) + own
