"""The text model inside a multimodal one: what only sees images or sound is left out.

A wrapper is opened as its own class, whose pass over text alone is the truth, and not as the text
model that its config names: families scale, cap and place tokens in the wrapper.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import torch
from torch import nn
from transformers import PreTrainedModel

from tokexplore.models.errors import ModelError

_IDS = 4


def leave_out_towers(name: str, model: PreTrainedModel) -> str:
    """Take every part out of a model that a pass over text alone does not call; a notice.

    Raises:
        ModelError: the model takes no text alone.
    """
    whole = model.num_parameters()
    towers = list(_towers(model, _called(name, model)))
    if not towers:
        return ""
    places = [(model.get_submodule(path.rpartition(".")[0]), path) for path in towers]
    modules = [model.get_submodule(path) for path in towers]
    parts = ", ".join(path.rpartition(".")[2] for path in towers)
    for parent, path in places:
        setattr(parent, path.rpartition(".")[2], None)
    try:
        _pass(model)
    except AttributeError:  # some wrappers ask a tower for its device or dtype
        for (parent, path), part in zip(places, modules, strict=True):
            setattr(parent, path.rpartition(".")[2], part)
        return f"text only: {parts} take no part, and stay loaded"
    left = whole - model.num_parameters()
    return f"text only: {parts} ({left:,} of {whole:,} parameters) are left out"


def _called(name: str, model: PreTrainedModel) -> set[nn.Module]:
    """The modules that take part in a pass over text alone."""
    called: set[nn.Module] = set()

    def note(module: nn.Module, _: object) -> None:
        called.add(module)

    with ExitStack() as stack:
        for module in model.modules():
            stack.callback(module.register_forward_pre_hook(note).remove)
        try:
            _pass(model)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise ModelError(
                f"{name} takes no text alone ({type(error).__name__} without an image or sound): "
                "choose a model of text."
            ) from error
    return called


@torch.inference_mode()
def _pass(model: PreTrainedModel) -> None:
    ids = torch.arange(_IDS, device=model.get_input_embeddings().weight.device)[None]  # [1, n]
    model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)


def _towers(
    module: nn.Module, called: set[nn.Module], path: str = "", decoder: nn.Module | None = None
) -> Iterator[str]:
    """Paths of the modules beside the text model of which nothing was called.

    Inside the text model everything stays: its experts wait for other tokens.
    """
    decoder = decoder or module.get_decoder()  # type: ignore[operator]
    for child, part in module.named_children():
        place = f"{path}.{child}" if path else child
        inside = set(part.modules())
        if not inside & called:
            yield place
        elif part is not decoder and decoder in inside:
            yield from _towers(part, called, place, decoder)
