"""Python's garbage collector, which need not walk through what is here to stay."""

import gc


def pause() -> None:
    """Collect nothing while what the first paint is made of is loaded."""
    gc.disable()


def resume() -> None:
    """Collect again; what there is by now is here to stay."""
    gc.freeze()
    gc.enable()


def release() -> None:
    """Collect also what was here to stay: it is left for another session or model."""
    gc.unfreeze()
