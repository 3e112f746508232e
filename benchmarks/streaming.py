"""Tokens per second of the engine alone against `model.generate`, greedy, in one process.

    python benchmarks/streaming.py                 a random Llama of 5.6 M parameters on the CPU
    python benchmarks/streaming.py MODEL           any model, with --device, --dtype, --tokens

Runs alternate, so that whatever else the machine does falls on both; the median ratio is the claim.
"""

import argparse
import statistics
import time

import torch
from random_llama import random_llama
from transformers import PreTrainedModel

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.loading.opening import load
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.sampling.settings import SamplingSettings


def generate_rate(model: PreTrainedModel, prompt: list[int], tokens: int) -> float:
    """Tokens per second of `model.generate`."""
    inputs = torch.tensor([prompt], device=model.device)
    began = time.perf_counter()
    model.generate(
        inputs,
        attention_mask=torch.ones_like(inputs),
        max_new_tokens=tokens,
        eos_token_id=None,
        do_sample=False,
    )
    return tokens / (time.perf_counter() - began)


def engine_rate(engine: LocalEngine, prompt: list[int], tokens: int) -> float:
    """Tokens per second of the engine, every step summarised."""
    engine.core.release()
    request = StreamRequest(tuple(prompt), SamplingSettings(), tokens, ignore_eos=True)
    began = time.perf_counter()
    drawn = sum(isinstance(e, DrawnToken) for e in engine.stream(request, Control()))
    return drawn / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0, help="0: torch's own choice")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    options = LoadOptions(asked.model or "", device=asked.device, dtype=asked.dtype)
    loaded = load(options, lambda _: None) if asked.model else random_llama()
    engine = LocalEngine(loaded)
    prompt = torch.randint(0, loaded.rows, (16,), generator=torch.manual_seed(0)).tolist()
    generate_rate(loaded.model, prompt, 16)
    engine_rate(engine, prompt, 16)
    ratios = []
    for number in range(asked.rounds):
        reference = generate_rate(loaded.model, prompt, asked.tokens)
        ours = engine_rate(engine, prompt, asked.tokens)
        ratios.append(ours / reference)
        print(f"round {number}: generate {reference:.1f}/s, engine {ours:.1f}/s: {ratios[-1]:.3f}")
    print(f"ratio: median {statistics.median(ratios):.3f} of {asked.rounds} (target 1.05)")


if __name__ == "__main__":
    main()
