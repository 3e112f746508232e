"""What a config asks for, counted on a model without memory, before any weight is loaded."""

import torch
from transformers import PreTrainedConfig

from tokexplore.models.checkpoint import Checkpoint
from tokexplore.models.engine.device import Placement
from tokexplore.models.engine.suitability import auto_class
from tokexplore.models.errors import ModelError
from tokexplore.models.footprint import gb

_SLACK = 4
"""Times the elements of the weights that a config may ask for: a head that is tied counts twice,
and what asks for a little more is told tensor by tensor once it is loaded."""
_PACKED = 16
"""The same by the byte, where packed or pickled weights do not tell their elements."""


def check_size(
    name: str,
    config: PreTrainedConfig,
    checkpoint: Checkpoint,
    placement: Placement,
    *,
    trust_remote_code: bool,
) -> None:
    """Refuse a config that asks for far more than the files hold.

    transformers would take the memory for it, and fill at random what the files do not have.

    Raises:
        ModelError: parameters that the files cannot have, or tables that do not fit.
    """
    try:
        with torch.device("meta"):
            model = auto_class(config).from_config(config, trust_remote_code=trust_remote_code)
        asked = sum(parameter.numel() for parameter in model.parameters())
        tables = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    except Exception:
        return  # opening it fails in the same way, and says why
    held = checkpoint.parameters
    if asked > (_PACKED * checkpoint.weight_bytes if held is None else _SLACK * held):
        found = f"{gb(checkpoint.weight_bytes)}" if held is None else f"{held:,} parameters"
        raise ModelError(
            f"{name} has a config.json that asks for {asked:,} parameters, and its weights are "
            f"{found}: the files do not belong together."
        )
    if tables > placement.free:
        raise ModelError(
            f"{name} has a config.json that asks for {gb(tables)} of tables beside the weights, "
            f"and {placement.label} has {gb(placement.free)} free: check its largest position."
        )
