"""`tokexplore why` on the model that comes with the program: its numbers against plain passes."""

import json
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.tui.cli import dispatch

LENS = 1e-4
SPLIT = 1e-3
"""Nats: what the parts' sum may be off by."""
EFFECT = 2e-4
"""Nats: two passes on top of a cache sum in another order than plain ones."""
PROMPT = "Once there was a girl. She had a red ball. One day the girl lost her red"
"""Where one word decides, and it stands there once."""


@pytest.fixture(scope="module")
def plain() -> PreTrainedModel:
    """The same weights in f64, eager."""
    model = AutoModelForCausalLM.from_pretrained(EMBEDDED_DIRECTORY, attn_implementation="eager")
    return model.double().eval()


def told(capfd: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    command = ["why", "--prompt", PROMPT, *arguments, "--format", "jsonl", "--device", "cpu"]
    assert dispatch.main([*command, "--threads", "1"]) == 0
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


@torch.no_grad()
def logits(plain: PreTrainedModel, ids: list[int], hidden: range = range(0)) -> torch.Tensor:
    """After the path, [V], with places that no later token sees: by a mask that is made by hand."""
    mask = torch.full((len(ids), len(ids)), -1e300, dtype=torch.float64).triu(1)
    for place in hidden:
        mask[place + 1 :, place] = -1e300
    given = torch.tensor([ids])
    return plain(given, attention_mask=mask[None, None], use_cache=False).logits[0, -1]


def test_the_lens_ends_with_what_the_model_says(
    plain: PreTrainedModel, capfd: pytest.CaptureFixture[str]
) -> None:
    head, *rest = told(capfd, "--lens", "--positions", "3", "--token", " ball")
    ids, token = head["prompt_ids"], head["token"]["id"]
    steps = [line for line in rest if line["type"] == "step"]
    assert [step["position"] for step in steps] == [len(ids) - 2, len(ids) - 1, len(ids)]
    for step in steps:
        layers = [
            line
            for line in rest
            if line["type"] == "layer" and line["position"] == step["position"]
        ]
        assert len(layers) == plain.config.num_hidden_layers + 1
        known = logits(plain, ids[: step["position"]]).log_softmax(-1)
        last = layers[-1]
        assert step["error"] < LENS
        assert last["token"]["logprob"] == pytest.approx(known[token].item(), abs=LENS)
        assert [t["id"] for t in last["top"]] == known.topk(5).indices.tolist()
        assert last["entropy"] == pytest.approx(-(known.exp() @ known).item(), abs=LENS)
        assert last["kl"] == pytest.approx(0.0, abs=LENS)


def test_the_parts_add_up_to_the_model_s_difference(
    plain: PreTrainedModel, capfd: pytest.CaptureFixture[str]
) -> None:
    head, split, *parts, _ = told(capfd, "--layers", "--heads", "2", "--against", " hair")
    row = logits(plain, head["prompt_ids"])
    known = (row[head["token"]["id"]] - row[head["against"]["id"]]).item()
    assert split["difference"] == pytest.approx(known, abs=SPLIT)
    assert sum(part["difference"] for part in parts) == pytest.approx(known, abs=SPLIT)
    heads = [part["head"] for part in parts if part["head"] is not None]
    assert heads == list(range(plain.config.num_attention_heads))


def test_effects_are_those_of_passes_with_a_mask_and_the_word_that_decides_is_found(
    plain: PreTrainedModel, capfd: pytest.CaptureFixture[str]
) -> None:
    head, *rest = told(capfd, "--words", "--gradients", "--points", "8", "--attention")
    ids, token = head["prompt_ids"], head["token"]["id"]
    assert head["token"]["text"] == "␣ball"
    base = logits(plain, ids).log_softmax(-1)[token].item()
    units = [line for line in rest if line["type"] == "unit"]
    assert {unit["kind"] for unit in units} >= {"template", "sentence", "word"}
    for unit in units:
        hidden = range(unit["start"], unit["end"])
        known = logits(plain, ids, hidden).log_softmax(-1)[token].item()
        assert unit["logprobs"] == [pytest.approx(known, abs=EFFECT)]
        assert unit["effect"] == pytest.approx(base - known, abs=EFFECT)
    words = [unit for unit in units if unit["kind"] in ("word", "token")]
    assert "ball" in max(words, key=lambda unit: unit["effect"])["text"]


def test_estimates_say_how_much_they_leave_out(
    plain: PreTrainedModel, capfd: pytest.CaptureFixture[str]
) -> None:
    head, *rest = told(
        capfd, "--words", "--finest", "sentence", "--gradients", "--points", "8", "--attention"
    )  # fmt: skip
    ids, token = head["prompt_ids"], head["token"]["id"]
    value = logits(plain, ids).log_softmax(-1)[token].item()
    nothing = torch.zeros(1, len(ids), plain.config.hidden_size, dtype=torch.float64)
    with torch.no_grad():
        row = plain(inputs_embeds=nothing).logits[0, -1]
    baseline = row.log_softmax(-1)[token].item()
    made = [line for line in rest if line["type"] == "estimate"]
    assert [line["gradients"] for line in made] == [1, 8]
    for line in made:
        assert len(line["scores"]) == len(ids)
        assert line["value"] == pytest.approx(value, abs=EFFECT)
        assert line["baseline"] == pytest.approx(baseline, abs=EFFECT)
        left_out = abs(sum(line["scores"]) - (value - baseline))
        assert line["completeness_error"] == pytest.approx(left_out, abs=1e-3)
    (attention,) = (line for line in rest if line["type"] == "attention")
    assert sum(attention["weights"]) == pytest.approx(1.0, abs=1e-5)
    assert len(attention["weights"]) == len(ids)
