"""What a config asks for, laid out on a model without memory, before any weight is loaded."""

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from tokexplore.models.catalog.catalog import describe_problems
from tokexplore.models.catalog.checkpoint import Checkpoint
from tokexplore.models.catalog.codes import problems_of_codes
from tokexplore.models.catalog.footprint import gb
from tokexplore.models.engine.loading.device import Placement
from tokexplore.models.engine.loading.mapped_files import Shape
from tokexplore.models.engine.loading.suitability import auto_class
from tokexplore.models.errors import ModelError

_SLACK = 4
"""Times the elements of the weights that a config may ask for: a head that is tied counts twice,
and what asks for a little more is told tensor by tensor once it is loaded."""
_PACKED = 16
"""The same by the byte, where packed weights do not tell their elements."""


def skeleton(config: PreTrainedConfig, *, trust_remote_code: bool) -> PreTrainedModel:
    """The model of a config, of which no tensor has memory."""
    with torch.device("meta"):
        model: PreTrainedModel = auto_class(config).from_config(
            config, trust_remote_code=trust_remote_code
        )
    return model


def check_skeleton(
    name: str,
    config: PreTrainedConfig,
    checkpoint: Checkpoint,
    placement: Placement,
    *,
    trust_remote_code: bool,
) -> set[Shape]:
    """Refuse what the files cannot fill, or would fill with what are no weights; the shapes of the
    model's weights, none where it cannot be made.

    transformers would take the memory for it, fill at random what the files do not have, and take
    codes for floating-point numbers.

    Raises:
        ModelError: parameters that the files cannot have, tables that do not fit, or codes.
    """
    try:
        model = skeleton(config, trust_remote_code=trust_remote_code)
    except Exception:
        return set()  # opening it fails in the same way, and says why
    asked = sum(parameter.numel() for parameter in model.parameters())
    held = checkpoint.parameters
    if asked > (_PACKED * checkpoint.weight_bytes if held is None else _SLACK * held):
        found = f"{gb(checkpoint.weight_bytes)}" if held is None else f"{held:,} parameters"
        raise ModelError(
            f"{name} has a config.json that asks for {asked:,} parameters, and its weights are "
            f"{found}: the files do not belong together."
        )
    tables = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    if tables > placement.free:
        raise ModelError(
            f"{name} has a config.json that asks for {gb(tables)} of tables beside the weights, "
            f"and {placement.label} has {gb(placement.free)} free: check its largest position."
        )
    state = model.state_dict()
    shapes = {tuple(value.shape) for value in state.values()}
    if checkpoint.gguf:
        return shapes  # it says of each tensor how its codes become numbers
    floating = {key for key, value in state.items() if value.is_floating_point()}
    floating |= {key.partition(".")[2] for key in floating}  # files may lack the model's prefix
    if problems := problems_of_codes(checkpoint.config, checkpoint.tensors, floating):
        raise ModelError(describe_problems(name, problems))
    return shapes
