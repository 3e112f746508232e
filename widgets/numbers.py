"""Numbers as a table shows them: short, and never a false zero or a false one."""

import math

NATS_PER_BIT = math.log(2)
MINUS_INFINITY = "-∞"
BARS = "▁▂▃▄▅▆▇█"
"""From an eighth of a cell to a whole one."""


def unit_of(*, bits: bool) -> tuple[str, float]:
    """The unit of logprobs, entropies and margins, and how many nats it is."""
    return ("bits", NATS_PER_BIT) if bits else ("nats", 1.0)


def percent(share: float) -> str:
    """A probability as text: `19.8%`, `0.03%`, `<0.01%`, `>99.9%`; `0%` and `100%` are exact."""
    if share <= 0:
        return "0%"
    if share >= 1:
        return "100%"
    if share < 0.0001:
        return "<0.01%"
    if share < 0.001:
        return f"{100 * share:.2f}%"
    return f"{100 * share:.1f}%" if share < 0.9995 else ">99.9%"


def duration(seconds: float) -> str:
    """How long something takes, in the unit that needs the fewest digits: `45 s`, `12 min`."""
    names = ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (63_072_000, 86_400, "days"))
    for limit, size, name in names:
        if seconds < limit:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds / 31_536_000:,.0f} years"


def figure(value: float | None, decimals: int) -> str:
    """A figure with so many decimals; `?` where it is not known."""
    return "?" if value is None else f"{value:.{decimals}f}"


def logprob_text(nats: float, *, bits: bool = False, digits: int = 4) -> str:
    """A logprob (nats) with `digits` decimals, in bits on demand; never a rounded `-0.0000`.

    A value that would round to zero is shown in powers of ten: `-3.1e-06`.
    """
    if nats == -math.inf:
        return MINUS_INFINITY
    value = nats / NATS_PER_BIT if bits else nats
    if value and abs(value) < 0.5 * 10.0**-digits:
        return f"{value:.1e}"
    return f"{value + 0.0:.{digits}f}"


def probability_text(nats: float) -> str:
    """A probability from its logprob (nats), however small: `12.34%`, `3.21e-57` below 0.01%."""
    if nats == -math.inf:
        return "0"
    if nats < math.log(1e-4):
        return _power_of_ten(nats)
    share = math.exp(nats)
    return f"{share:.2%}" if share < 0.99995 or share >= 1 else ">99.99%"


def mass_text(share: float) -> str:
    """A sum of probabilities: `12.34%`, `<0.01%`, `>99.99%`; `0%` alone is exact."""
    if share <= 0:
        return "0%"
    return "<0.01%" if share < 1e-4 else probability_text(math.log(share))


def ratio_text(nats: float) -> str:
    """How many times as probable, from the gap of two logprobs (nats, 0 or more): `12.3`."""
    if nats == math.inf:
        return "∞"
    if nats >= math.log(1e6):
        return _power_of_ten(nats)
    times = math.exp(nats)
    return f"{times:.2f}" if times < 9.995 else f"{times:.1f}" if times < 999.5 else f"{times:,.0f}"


def _power_of_ten(nats: float) -> str:
    """e to the `nats` with three digits, also where no float can hold it."""
    power = nats / math.log(10)
    exponent = math.floor(power)
    digits = f"{10 ** (power - exponent):.2f}"
    if digits == "10.00":
        digits, exponent = "1.00", exponent + 1
    return f"{digits}e{exponent:+03d}"


def count(number: int) -> str:
    """A whole number with thousands separated: `151,936`."""
    return f"{number:,}"


def short_count(number: int) -> str:
    """A whole number in at most five cells: `4096`, `12.3k`, `1.2M`."""
    if number < 10_000:
        return str(number)
    for unit, size in (("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)):
        if number < 999.5 * size:
            value = number / size
            return f"{value:.1f}{unit}" if value < 99.95 else f"{value:.0f}{unit}"
    return f"{number:.0e}"
