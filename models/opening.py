"""Which engine a model runs on: the only place that picks one."""

import os
from collections.abc import Callable

from tokexplore.models.api.engine import Engine, Progress
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.errors import UsageError
from tokexplore.models.server.wire.address import is_address

OpenEngine = Callable[[LoadOptions, Callable[[Progress], None]], Engine]
"""Opens a model as `open_engine` does."""


def open_engine(options: LoadOptions, report: Callable[[Progress], None]) -> Engine:
    """Open a model in this process, or one behind a server; importing its engine takes seconds and
    is a stage of its own.

    Raises:
        UsageError: a device, dtype or name that is not here; the current directory is gone.
        ModelError: files that are not a model that can do the job.
    """
    report(Progress("libraries", 0, 1, "imports"))
    if is_address(options.model):
        if options.adapters:
            raise UsageError(
                f"--adapter {options.adapters[0].source} cannot be put on a server's model: start "
                "the server with it, and name it by #NAME."
            )
        if options.quantize:
            raise UsageError(
                f"--quantize {options.quantize} cannot be asked of a server: leave it out."
            )
        if options.kv_memory:
            raise UsageError(
                f"--kv-memory {options.kv_memory:g} cannot be asked of a server, which keeps its "
                "caches by itself: leave it out."
            )
        from tokexplore.models.server.engine import ServerEngine

        report(Progress("libraries", 1, 1, "imports"))
        return ServerEngine.open(options, report)
    _check_place()
    if options.beside:
        os.environ.setdefault("GOMP_SPINCOUNT", "0")  # which is read as torch is imported
    from tokexplore.models.engine.local import LocalEngine

    report(Progress("libraries", 1, 1, "imports"))
    return LocalEngine.open(options, report)


def _check_place() -> None:
    """Refuse to compute where there is no current directory: MKL then ends the process."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError(
            "the current directory was removed, and no model can be computed in it: change to "
            "another one and start again."
        ) from None
