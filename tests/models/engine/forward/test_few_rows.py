"""Products of a few rows, the other way round."""

import pytest
import torch
from torch import nn

from tokexplore.models.engine.forward.few_rows import LEAST, MOST, FewRows, linear


class Doubled(nn.Linear):
    """A layer that is no plain one."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(input)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(8, 1, 5), (7, 5), (2, 3, 1, 5)])
def test_the_products_are_those_of_the_layer(bias: bool, shape: tuple[int, ...]) -> None:
    module, rows = nn.Linear(5, 9, bias), torch.randn(shape)
    with torch.inference_mode():
        assert torch.allclose(linear(module, rows), module(rows), atol=1e-6)


class Codes(torch.Tensor):
    """Weights that are not what they look like."""


def test_weights_of_another_kind_are_left_to_their_layer() -> None:
    module = nn.Linear(4, 4)
    module.weight = nn.Parameter(torch.ones(4, 4).as_subclass(Codes), requires_grad=False)
    with FewRows(nn.Sequential(module)).on(LEAST):
        assert "forward" not in vars(module)


def test_a_product_may_be_viewed_in_any_way() -> None:
    assert linear(nn.Linear(5, 12), torch.randn(7, 1, 5)).detach().view(7 * 12).shape == (84,)


def test_plain_layers_alone_are_run_so_and_only_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(4, 4), Doubled(4, 4), nn.Linear(4, 4).bfloat16())
    offloaded = nn.Linear(4, 4)
    offloaded.forward = lambda rows: rows  # type: ignore[method-assign]
    model.append(offloaded)
    ran: list[nn.Module] = []

    def ran_on(module: nn.Module, rows: torch.Tensor) -> torch.Tensor:
        ran.append(module)
        return rows

    monkeypatch.setattr("tokexplore.models.engine.forward.few_rows.linear", ran_on)
    few = FewRows(model)
    for rows in (1, LEAST - 1, LEAST, MOST, MOST + 1):
        with few.on(rows):
            model[0](torch.ones(rows, 4))
    assert ran == [model[0], model[0]]
    with few.on(LEAST):
        assert [module for module in model if "forward" in vars(module)] == [model[0], offloaded]
    with pytest.raises(TypeError), few.on(LEAST):
        model[0](torch.ones(LEAST, 4), 1)
    assert [module for module in model if "forward" in vars(module)] == [offloaded]


def test_hooks_hear_the_layer_all_the_same() -> None:
    module, heard = nn.Linear(4, 3), list[torch.Size]()
    module.register_forward_hook(lambda _module, _inputs, given: heard.append(given.shape))
    with FewRows(nn.Sequential(module)).on(LEAST), torch.inference_mode():
        module(torch.ones(LEAST, 1, 4))
    assert heard == [(LEAST, 1, 3)]
