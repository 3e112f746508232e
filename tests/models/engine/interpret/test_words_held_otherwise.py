"""Words that did it, in models whose weights are held in other ways: adapters beside them, codes,
weights on disk, low precision."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from support import families
from support.made_adapters import by_peft, lora, save_adapter
from support.made_models import save_llama
from support.made_quantised import save_wide
from support.plain_passes import logprobs_without, plain, slopes

from tokexplore.models.api.engine import Control
from tokexplore.models.api.interpreter import Attributions
from tokexplore.models.api.options import Adapter, LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError

IDS = [5, 6, 7, 40, 9, 11, 30, 22, 8, 14]
HIDDEN = [range(0), range(1, 2), range(3, 6), range(8, 9)]
TOKENS = (7, 50)


def opened(path: Path, **options: object) -> LocalEngine:
    return LocalEngine.open(LoadOptions(str(path), **options), lambda _progress: None)  # type: ignore[arg-type]


def occluded(engine: LocalEngine) -> list[tuple[float, ...]]:
    found = dict(engine.interpreter.occlude(IDS, HIDDEN, TOKENS, Control()))
    return [found[at] for at in range(len(HIDDEN))]


def scores(engine: LocalEngine) -> tuple[float, ...]:
    (found,) = engine.interpreter.gradients(IDS, [7], 0, Control())
    assert isinstance(found, Attributions)
    return found.scores


def weights(engine: LocalEngine) -> np.ndarray:
    return np.frombuffer(engine.interpreter.attention(IDS).weights, np.float32)


def check(engine: LocalEngine, other: LocalEngine) -> None:
    """Both say the same."""
    for one, two in zip(occluded(engine), occluded(other), strict=True):
        assert one == pytest.approx(two, abs=1e-4)
    assert scores(engine) == pytest.approx(scores(other), abs=1e-3)
    assert weights(engine) == pytest.approx(weights(other), abs=1e-5)


def test_adapters_are_part_of_what_they_sit_on(tmp_path: Path) -> None:
    base = save_llama(tmp_path / "base")
    targets = ["q_proj", "o_proj", "down_proj"]
    adapter = save_adapter(tmp_path / "adapter", base, lora(target_modules=targets))
    engine = opened(base, adapters=(Adapter("one", str(adapter)),))
    truth = by_peft(base, [adapter], torch.tensor([IDS]))[0, -1].double().log_softmax(-1)

    told = occluded(engine)
    assert told[0] == pytest.approx(truth[list(TOKENS)].tolist(), abs=1e-4)
    twin = plain(engine.core.forward.model)
    for stretch, logprobs in zip(HIDDEN, told, strict=True):
        wanted = logprobs_without(twin, IDS, stretch)[list(TOKENS)]
        assert logprobs == pytest.approx(wanted.tolist(), abs=1e-4)
    assert scores(engine) == pytest.approx(slopes(twin, IDS, [7], 1.0).tolist(), abs=1e-3)


def test_weights_that_are_offloaded() -> None:
    engine = LocalEngine(families.loaded(cpu_offload(families.model("llama"), torch.device("cpu"))))
    check(engine, LocalEngine(families.loaded(families.model("llama"))))


def test_codes(tmp_path: Path) -> None:
    base = save_wide(tmp_path / "base")
    engine, full = opened(base, quantize="int8"), opened(base)
    for one, two in zip(occluded(engine), occluded(full), strict=True):
        assert one == pytest.approx(two, abs=0.1)
    assert np.corrcoef(scores(engine), scores(full))[0, 1] > 0.99
    assert weights(engine) == pytest.approx(weights(full), abs=0.05)


@pytest.mark.parametrize("family", ["llama", "gemma3", "mixtral", "gpt_oss"])
def test_low_precision_is_near_the_full_one(family: str) -> None:
    rounded = families.model(family).bfloat16()
    engine = LocalEngine(families.loaded(rounded, dtype="bfloat16"))
    full = LocalEngine(families.loaded(families.model(family)))
    for one, two in zip(occluded(engine), occluded(full), strict=True):
        assert one == pytest.approx(two, abs=0.5)
    assert np.corrcoef(scores(engine), scores(full))[0, 1] > 0.9
    assert weights(engine) == pytest.approx(weights(full), abs=0.05)


@pytest.mark.parametrize("family", ["lfm2", "mamba2", "qwen3_next", "falcon_h1"])
def test_low_precision_hides_no_leak(family: str) -> None:
    rounded = families.model(family).bfloat16()
    engine = LocalEngine(families.loaded(rounded, dtype="bfloat16"))
    with pytest.raises(UsageError, match="carries tokens on"):
        occluded(engine)
