"""Loading progress in bytes, read off the progress bars that transformers makes."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tokexplore.models.api.engine import Progress

_INTERVAL = 1 / 30
_PREFIXES = ("", "model.", "transformer.")
Report = Callable[[Progress], None]


class Meter:
    """Turns "tensor N of M is loaded" into bytes of the checkpoint, at most 30 times a second.

    A tensor that is named as in the checkpoint counts its own bytes; those that are put together
    from several share the rest evenly. `done` never falls.
    """

    def __init__(self, sizes: Mapping[str, int], total: int, report: Report) -> None:
        self._sizes = sizes
        self._total = total
        self._report = report
        self._done = 0
        self._reported_at = 0.0

    def hook(self, _factory: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "_Bar":
        """For `transformers.utils.logging.set_tqdm_hook`."""
        items = args[0] if args else kwargs.get("iterable", ())
        weights = kwargs.get("desc") == "Loading weights"
        return _Bar(self._counted(items) if weights else iter(items or ()))

    def start(self, detail: str) -> None:
        self._report(Progress("weights", 0, self._total, "bytes", detail))

    def finish(self) -> None:
        self._report(Progress("weights", self._total, self._total, "bytes"))

    def _counted(self, items: Any) -> Iterator[Any]:
        pairs = list(items)
        sizes = [self._size(pair[0]) for pair in pairs]
        unknown = sum(size is None for size in sizes)
        rest = max(0, self._total - sum(size or 0 for size in sizes))
        share = rest // unknown if unknown else 0
        for pair, size in zip(pairs, sizes, strict=True):
            yield pair
            self._add(share if size is None else size)

    def _size(self, name: str) -> int | None:
        for prefix in _PREFIXES:
            for key in (prefix + name, name.removeprefix(prefix)):
                if key in self._sizes:
                    return self._sizes[key]
        return None

    def _add(self, count: int) -> None:
        self._done = min(self._total, self._done + count)
        now = time.monotonic()
        if now - self._reported_at >= _INTERVAL:
            self._reported_at = now
            self._report(Progress("weights", self._done, self._total, "bytes"))


class _Bar:
    """As much of tqdm as libraries use, drawing nothing."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return self._items

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_kwargs: None
