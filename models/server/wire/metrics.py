"""Figures that a server keeps of itself, in Prometheus' text format."""

import math

from tokexplore.models.api.traffic import Load
from tokexplore.models.errors import ServerError
from tokexplore.models.server.wire.http import Http

PATH = "/metrics"
_OF_ALL = 'priority=""'
"""Of SGLang's figures the one that holds those of each priority."""


def load_of(http: Http, running: str, waiting: str, cache: str = "") -> Load:
    """How busy a server is; None is what it does not tell.

    Args:
        running: the name of the figure that counts requests that are computed.
        waiting: of those in the queue.
        cache: of the share of the KV cache that is used.
    """
    found = _figures(http)
    return Load(_count(found.get(running)), _count(found.get(waiting)), _mean(found.get(cache)))


def _count(figures: list[float] | None) -> int | None:
    """Of all its engines together."""
    return None if figures is None else int(sum(figures))


def _mean(shares: list[float] | None) -> float | None:
    """Of all its engines, whose caches are of one size."""
    return None if shares is None else sum(shares) / len(shares)


def _figures(http: Http) -> dict[str, list[float]]:
    """The figures by name, one for each of its engines. Empty where the server offers none.

    A line is a name, perhaps labels in braces, and a number; others are left out.
    """
    try:
        text = http.get_text(PATH)
    except ServerError:
        return {}
    found: dict[str, list[float]] = {}
    for line in text.splitlines():
        labelled, _, figure = line.rpartition(" ")
        name, _, labels = labelled.partition("{")
        if "priority=" in labels and _OF_ALL not in labels:
            continue
        try:
            value = float(figure)
        except ValueError:
            continue
        if math.isfinite(value):
            found.setdefault(name, []).append(value)
    return found
