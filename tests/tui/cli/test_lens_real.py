"""`tokexplore lens` on the embedded model, against transformers' own processors after a forward."""

import json
from typing import Any

import pytest
import torch
from support.chains import transformers_chain
from transformers import AutoModelForCausalLM, LogitsProcessorList

from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli.dispatch import main

PROMPT = "Once upon a time there was a king who had a little king"
TOLERANCE = 1e-4
"""Of logprobs (nats) and, relative, of probabilities: f32 sums in another order."""


@pytest.fixture(scope="module")
def reference() -> Any:
    return AutoModelForCausalLM.from_pretrained(EMBEDDED_DIRECTORY, dtype=torch.float32).eval()


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (
            ("--top-p", "0.9,0.1"),
            [SamplingSettings(1.0, top_p=0.9), SamplingSettings(1.0, top_p=0.1)],
        ),
        (
            ("--temperature", "0.5,1,2", "--min-p", "0.02"),
            [SamplingSettings(t, min_p=0.02) for t in (0.5, 1.0, 2.0)],
        ),
        (
            ("--top-k", "5,50", "--typical-p", "0.7", "--repetition-penalty", "1.3"),
            [
                SamplingSettings(1.0, top_k=k, typical_p=0.7, repetition_penalty=1.3)
                for k in (5, 50)
            ],
        ),
        (
            ("--top-h", "0.4", "--epsilon-cutoff", "0.001,0.01", "--no-repeat-ngram", "1"),
            [
                SamplingSettings(1.0, top_h=0.4, epsilon_cutoff=e, no_repeat_ngram=1)
                for e in (0.001, 0.01)
            ],
        ),
        (("--eta-cutoff", "0.002"), [SamplingSettings(1.0, eta_cutoff=0.002)]),
    ],
)
def test_every_candidate_is_what_the_warpers_leave(
    reference: Any,
    arguments: tuple[str, ...],
    settings: list[SamplingSettings],
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked = ("lens", "--prompt", PROMPT, *arguments, "--top", "256", "--format", "json")
    assert main([*asked, "--device", "cpu"]) == 0
    held = json.loads(capfd.readouterr().out)
    ids = torch.tensor([held["prompt_ids"]])
    with torch.inference_mode():
        logits = reference(ids).logits[:, -1]  # [1, V]
    p = logits[0].double().softmax(-1)
    assert len(held["settings"]) == len(settings)
    for told, chosen in zip(held["settings"], settings, strict=True):
        scores = LogitsProcessorList(transformers_chain(chosen))(ids, logits.clone())[0]
        q = scores.double().softmax(-1)
        assert told["kept"] == int((q > 0).sum())
        assert told["entropy"] == pytest.approx(
            -(q * q.clamp_min(1e-300).log()).sum().item(), abs=TOLERANCE
        )
        assert told["removed"] == pytest.approx(p[q == 0].sum().item(), abs=TOLERANCE)
        for row in told["candidates"]:
            token = row["id"]
            assert row["logprob"] == pytest.approx(p[token].log().item(), abs=TOLERANCE)
            assert row["sampler_probability"] == pytest.approx(q[token].item(), rel=TOLERANCE)
            assert (row["cut"] is None) == (q[token].item() > 0)
        listed = torch.zeros_like(q, dtype=torch.bool)
        listed[[row["id"] for row in told["candidates"]]] = True
        assert told["tail_mass"] == pytest.approx(q[~listed].sum().item(), abs=TOLERANCE)
        assert held["tail_mass"] == pytest.approx(p[~listed].sum().item(), abs=TOLERANCE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("embedded",), "lens needs a prompt for a model (--prompt TEXT), or words"),
        (("--prompt", "Once", "--position", "9"), "--position 9 is not there: the prompt has"),
        (("--prompt", "Once", "--plot", "a.png"), "--plot a.png is no picture that lens draws"),
        (("no/such/model", "--prompt", "x"), "no/such/model"),
        (("--prompt", "Once", "--dynamic-range", "0.5,1"), "dynamic range 1 is not possible"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: tuple[str, ...], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["lens", *arguments]) == 2
    told = capfd.readouterr()
    assert said in told.err
    assert len(told.err.strip().split("\r")[-1].splitlines()) == 1
    assert told.out == ""
