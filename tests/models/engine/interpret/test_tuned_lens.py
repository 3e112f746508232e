"""Tuned lenses as their authors' program writes them, whole and broken."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support import families
from support.by_hand import ByHand
from torch import nn

from tokexplore.models.api.engine import Control
from tokexplore.models.api.interpreter import LensStep
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError

IDS = [3, 1, 4, 1, 5, 9]
LAYERS, SIZE = 2, 32
CONFIG = {
    "base_model_name_or_path": "some/other-name",
    "d_model": SIZE,
    "num_hidden_layers": LAYERS,
    "bias": True,
    "base_model_revision": None,
    "unembed_hash": "0123",
    "lens_type": "linear_tuned_lens",
}


def translators(spread: float, *, bias: bool = True) -> nn.ModuleList:
    torch.manual_seed(4)
    made = nn.ModuleList(nn.Linear(SIZE, SIZE, bias=bias) for _ in range(LAYERS))
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=spread)
    return made.requires_grad_(False)


def write(folder: Path, made: nn.Module | None = None, **config: Any) -> Path:
    """A directory as `TunedLens.save` of the package tuned-lens leaves it."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    torch.save((made or translators(0.1)).state_dict(), folder / "params.pt")
    return folder


def read(folder: Path | str, model: Any = None) -> LensStep:
    engine = LocalEngine(families.loaded(model or families.uneven("llama")))
    steps = engine.interpreter.lens(IDS, 6, 6, Control(), tokens=(7,), tuned=str(folder))
    return next(iter(steps))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_states_are_translated_before_they_are_read(bias: bool, old: bool, tmp_path: Path) -> None:
    made, model = translators(0.1, bias=bias), families.uneven("llama")
    folder = write(tmp_path / "lens", made, bias=bias)
    if old:
        torch.save(made.state_dict(), folder / "params.pt", _use_new_zipfile_serialization=False)
    hand = ByHand("llama", model, IDS)

    step = read(folder, model)

    states = [h + own.double()(h) for h, own in zip(hand.states, made, strict=False)]
    rows = [*(hand.read(state) for state in states), hand.logits]
    for reading, row in zip(step.layers, rows, strict=True):
        logprobs = row.log_softmax(-1)
        for rank in (*reading.top, *reading.asked):
            assert rank.logprob == pytest.approx(logprobs[rank.token].item(), abs=1e-4)


def test_translators_of_nothing_are_the_logit_lens(tmp_path: Path) -> None:
    tuned, plain = read(write(tmp_path / "lens", translators(0.0))), read("")
    assert [one.top for one in tuned.layers] == [one.top for one in plain.layers]


def test_half_precision_is_read(tmp_path: Path) -> None:
    made = translators(0.1)
    whole = read(write(tmp_path / "whole", made))
    half = read(write(tmp_path / "half", made.half()))
    for one, two in zip(whole.layers, half.layers, strict=True):
        assert one.asked[0].logprob == pytest.approx(two.asked[0].logprob, abs=0.05)


def _lost(folder: Path) -> None:
    (folder / "params.pt").unlink()


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _no_json(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff{")


def _no_numbers(folder: Path) -> None:
    (folder / "config.json").write_text('{"d_model": "wide"}')


def _cut(folder: Path) -> None:
    file = folder / "params.pt"
    file.write_bytes(file.read_bytes()[:3000])


def _empty(folder: Path) -> None:
    (folder / "params.pt").write_bytes(b"")


def _no_dict(folder: Path) -> None:
    torch.save(torch.zeros(3), folder / "params.pt")


class _Harmful:
    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["HARM"],)


def _harmful(folder: Path) -> None:
    torch.save({"0.weight": _Harmful()}, folder / "params.pt")


def _harmful_old(folder: Path) -> None:
    (folder / "params.pt").write_bytes(pickle.dumps(_Harmful()))


@pytest.mark.parametrize(
    ("breaking", "words"),
    [
        (_lost, r"params\.pt cannot be read \(no such file"),
        (_no_config, r"config\.json cannot be read \(no such file"),
        (_no_json, r"config\.json is not that of a tuned lens"),
        (_no_numbers, r"config\.json is not that of a tuned lens"),
        (_cut, r"params\.pt .*copy or download the tuned lens again"),
        (_empty, r"params\.pt .*copy or download the tuned lens again"),
        (_no_dict, r"params\.pt holds 0\.weight not at all"),
        (_harmful, r"params\.pt asks for Python's"),
        (_harmful_old, r"params\.pt .*copy or download the tuned lens again"),
    ],
)
def test_what_is_broken_is_named(
    breaking: Callable[[Path], None],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HARM", str(tmp_path / "harm"))
    folder = write(tmp_path / "lens")
    breaking(folder)
    with pytest.raises(UsageError, match=words) as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"d_model": 64}, "for 2 layers of width 64, this model has 2 of width 32"),
        ({"num_hidden_layers": 3}, "for 3 layers of width 32, this model has 2"),
        ({"lens_type": "mlp"}, "a lens of the kind mlp"),
        ({"bias": False}, r"holds 0\.bias \[32\], by its config.json it is no part"),
    ],
)
def test_a_lens_of_another_model_is_refused(
    config: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        read(write(tmp_path / "lens", **config))


def test_a_directory_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere/config\.json cannot be read"):
        read(tmp_path / "nowhere")
