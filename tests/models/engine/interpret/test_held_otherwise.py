"""Models whose weights are held in other ways: adapters beside them, codes, weights on disk."""

from pathlib import Path

import pytest
import torch
from accelerate import cpu_offload
from support import families
from support.made_adapters import by_peft, lora, save_adapter
from support.made_models import save_llama
from support.made_quantised import save_wide

from tokexplore.models.api.engine import Control
from tokexplore.models.api.options import Adapter, LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError

IDS = [5, 6, 7, 40, 9, 11]
TOKENS = (7, 50)


def opened(path: Path, **options: object) -> LocalEngine:
    return LocalEngine.open(LoadOptions(str(path), **options), lambda _progress: None)  # type: ignore[arg-type]


def test_adapters_are_part_of_what_they_sit_on(tmp_path: Path) -> None:
    base = save_llama(tmp_path / "base")
    targets = ["q_proj", "o_proj", "down_proj"]
    adapter = save_adapter(tmp_path / "adapter", base, lora(target_modules=targets))
    engine = opened(base, adapters=(Adapter("one", str(adapter)),))
    truth = by_peft(base, [adapter], torch.tensor([IDS]))[0, -1].double().log_softmax(-1)

    (step,) = engine.interpreter.lens(IDS, 6, 6, Control(), tokens=TOKENS)
    whole = engine.interpreter.split(IDS, TOKENS)
    split = engine.interpreter.split(IDS, TOKENS, (1, 2))

    for rank in step.layers[-1].asked:
        assert rank.logprob == pytest.approx(truth[rank.token].item(), abs=1e-4)
    for one in (whole, split):
        assert one.difference == pytest.approx((truth[7] - truth[50]).item(), abs=1e-4)
        assert one.error <= 1e-3
    for layer in (1, 2):
        heads = [
            part.difference
            for part in split.parts
            if (part.layer, part.kind) == (layer, "attention")
        ]
        (block,) = (p.difference for p in whole.parts if (p.layer, p.kind) == (layer, "attention"))
        assert len(heads) == 4
        assert sum(heads) == pytest.approx(block, abs=1e-4)


def test_codes_are_read_and_split_unless_they_are_the_head(tmp_path: Path) -> None:
    engine = opened(save_wide(tmp_path / "base"), quantize="int8")
    (step,) = engine.interpreter.lens(IDS, 6, 6, Control(), tokens=TOKENS)
    split = engine.interpreter.split(IDS, TOKENS, (2,))
    row = engine.row(IDS)[0]

    assert step.layers[-1].asked[0].logit == pytest.approx(float(row.logits[7]), abs=1e-4)
    assert split.error <= 1e-3

    head = engine.core.forward.model.lm_head
    codes = engine.core.forward.model.model.layers[0].self_attn.q_proj.weight
    head.weight = torch.nn.Parameter(codes, requires_grad=False)
    with pytest.raises(UsageError, match="held as codes"):
        engine.interpreter.split(IDS, TOKENS)


def test_weights_that_are_offloaded_are_read_and_split() -> None:
    model = families.uneven("llama")
    here = LocalEngine(families.loaded(families.uneven("llama")))
    engine = LocalEngine(families.loaded(cpu_offload(model, torch.device("cpu"))))

    for one, other in zip(
        engine.interpreter.lens(IDS, 1, 6, Control()),
        here.interpreter.lens(IDS, 1, 6, Control()),
        strict=True,
    ):
        assert [layer.entropy for layer in one.layers] == pytest.approx(
            [layer.entropy for layer in other.layers], abs=1e-4
        )
    split, expected = (each.interpreter.split(IDS, TOKENS, (1,)) for each in (engine, here))
    assert [part.difference for part in split.parts] == pytest.approx(
        [part.difference for part in expected.parts], abs=1e-4
    )
    assert "forward" in vars(model.model.layers[0].mlp.up_proj), "accelerate's own is back"
