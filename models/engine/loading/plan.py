"""Where a model goes and in which dtype, found out before its weights are read."""

from collections.abc import Collection
from typing import NamedTuple

from transformers import PreTrainedConfig

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.catalog.checkpoint import Checkpoint
from tokexplore.models.catalog.footprint import footprint
from tokexplore.models.engine.loading.device import Placement, choose_dtype, place
from tokexplore.models.engine.loading.mapped_files import Shape
from tokexplore.models.engine.loading.quantization import check_quantization
from tokexplore.models.engine.loading.quantize import check_dtype, check_quantize, quantised_need
from tokexplore.models.engine.loading.skeleton import check_skeleton
from tokexplore.models.engine.loading.weights import explained


class Plan(NamedTuple):
    """How the weights are to be held."""

    placement: Placement
    dtype: str
    in_full: bool
    """Whether quantised weights are made numbers of."""
    shapes: Collection[Shape]
    """Of the weights, as far as they are known."""
    near: str
    """The sentence that says that memory is short; empty where it is not."""
    sentence: str
    """What the model needs and what is free."""


def planned(
    name: str, checkpoint: Checkpoint, config: PreTrainedConfig, options: LoadOptions
) -> Plan:
    """Choose device and dtype, and refuse what cannot be held there.

    Raises:
        UsageError: a device, dtype or quantisation that is not possible here.
        ModelError: files that are not a model that can do the job, or do not fit.
    """
    placement = place(options.device, options.device_map)
    shapes = check_skeleton(
        name, config, checkpoint, placement, trust_remote_code=options.trust_remote_code
    )
    check_quantize(name, options.quantize, checkpoint, placement, options.device_map)
    with explained(name, placement.label):
        full = check_quantization(name, checkpoint, config, placement)
    dtype = choose_dtype(options.dtype, placement.kind, checkpoint, in_full=full)
    check_dtype(options.quantize, dtype)
    need = footprint(checkpoint, dtype, in_full=full)
    need = quantised_need(options.quantize, checkpoint, dtype, need)
    near = need.check(placement.free, placement.label, name)
    sentence = f"{name} {need.sentence(placement.free, placement.label)}"
    return Plan(placement, dtype, full, shapes, near, sentence)
