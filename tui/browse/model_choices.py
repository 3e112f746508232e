"""The models that can be opened from the main screen."""

from functools import partial

from tokexplore.models.catalog.choices import Choices
from tokexplore.models.catalog.footprint import room_for
from tokexplore.models.session.listing import recent_models
from tokexplore.tui.explore.controller import Controller


def choices_of(controller: Controller, *, beside: bool = False) -> Choices:
    """The models of this machine, and those that were opened before.

    Args:
        beside: the model that is open stays, and makes no room.
    """
    options, info = controller.options, controller.link.info
    load = options.load
    # What is open tells where `auto` leads, and makes room.
    device = info.device if info and load.device == "auto" else load.device
    freed = info.weight_bytes if info and not beside and not controller.link.absent else 0
    return Choices(
        lambda: [load.model, *recent_models()],
        options.directories,
        partial(room_for, device, load.dtype, freed, load.device_map),
    )
