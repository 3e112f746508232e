"""Strategies for what a stranger writes: JSON that is nearly right, and values that are not."""

import json
from typing import Any

from hypothesis import strategies as st

DEEP = "[" * 100_000 + "]" * 100_000
LONG = "9" * 5000
WHOLE = st.sampled_from(
    [
        0, 1, -1, 2, 7, 255, 10**4, 10**6, 10**9, 2**31, 2**32, -(2**31), 2**53, 2**63 - 1, 2**63,
        -(2**63), 2**64, 10**30, 10**400,
    ]
)  # fmt: skip
REAL = st.sampled_from(
    [0.0, -0.0, 0.5, -1.0, 1e-308, 1e308, -1e308, 1e20, float("inf"), float("-inf"), float("nan")]
)
TEXT = st.sampled_from(
    [
        "", "a", "llama", "model.safetensors", "../x", "/etc/passwd", "\0", "\x1b[31m", "\ud800",
        "é", "x" * 300, "9" * 400, "NaN", "{{ 1 }}", "<s>", "80x24", "wide",
    ]
)  # fmt: skip
SCALAR = st.one_of(st.none(), st.booleans(), WHOLE, REAL, TEXT)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=4,
)


@st.composite
def nearly(draw: st.DrawFn, right: Any) -> Any:
    """A right JSON value with some of its parts replaced, removed, doubled or wrapped."""
    if isinstance(right, dict) and right and draw(st.integers(0, 7)):
        name = draw(st.sampled_from(sorted(right)))
        part = draw(st.one_of(nearly(right[name]), st.just(_GONE)))
        rest = {key: value for key, value in right.items() if key != name}
        return rest if part is _GONE else rest | {name: part}
    if isinstance(right, list) and right and draw(st.integers(0, 7)):
        place = draw(st.integers(0, len(right) - 1))
        part = draw(st.one_of(nearly(right[place]), st.just(_GONE)))
        parts = [] if part is _GONE else [part] * draw(st.integers(1, 2))
        return [*right[:place], *parts, *right[place + 1 :]]
    return draw(VALUE)


_GONE = object()


@st.composite
def written(draw: st.DrawFn, right: Any) -> str:
    """JSON text of what is nearly `right`; now and then cut, or no JSON that can be read."""
    text = json.dumps(draw(nearly(right)))
    match draw(st.integers(0, 11)):
        case 0:
            return text[: draw(st.integers(0, len(text)))]
        case 1:
            return draw(st.sampled_from([DEEP, f'{{"a": {DEEP}}}', LONG, f'{{"a": {LONG}}}', ""]))
    return text
