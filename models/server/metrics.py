"""Figures that a server keeps of itself, in Prometheus' text format."""

import math

from tokexplore.models.errors import ServerError
from tokexplore.models.server.http import Http

PATH = "/metrics"


def metrics(http: Http, prefix: str) -> dict[str, float]:
    """The figures whose names begin so, by the rest of their names; those of one name added up.

    A line is a name, perhaps labels in braces, and a number; others are left out. Empty where the
    server offers none.
    """
    try:
        text = http.get_text(PATH)
    except ServerError:
        return {}
    found: dict[str, float] = {}
    for line in text.splitlines():
        name, _, rest = line.removeprefix(prefix).partition(" ")
        if not line.startswith(prefix):
            continue
        name = name.partition("{")[0]
        try:
            value = float(rest.rpartition(" ")[2])
        except ValueError:
            continue
        if math.isfinite(value):
            found[name] = found.get(name, 0.0) + value
    return found
