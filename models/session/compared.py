"""What two models say of a token, or of a stretch of the text, as the JSON of a session file.

JSON has no infinite numbers: they are the texts `inf` and `-inf`.
"""

import math
from typing import Annotated, Literal

import msgspec

from tokexplore.models.diff.spans import Side, Span
from tokexplore.models.diff.steps import Reading, Step

_Number = float | Literal["inf", "-inf"]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Reading(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    logprob: _Number
    rank: _Count
    greedy: _Count
    margin: _Number | None


class _Body(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A list of lists, in the order of `Step`."""

    position: _Count
    token: _Count
    first: _Reading
    second: _Reading
    kl: _Number | None
    kl_back: _Number | None
    js: float | None
    acceptance: _Share | None
    left_out: tuple[_Share, _Share]


class _Side(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    ids: Annotated[tuple[_Count, ...], msgspec.Meta(min_length=1)]
    logprob: _Number


class _SpanBody(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A list of lists, in the order of `Span`."""

    start: _Count
    end: _Count
    first: _Side
    second: _Side


_DECODER = msgspec.json.Decoder(_Body)
_SPAN = msgspec.json.Decoder(_SpanBody)


def body_of(step: Step) -> str:
    """A comparison as JSON."""
    body = _Body(
        step.position, step.token, _row(step.first), _row(step.second), _told(step.kl),
        _told(step.kl_back), step.js, step.acceptance, step.left_out,
    )  # fmt: skip
    return msgspec.json.encode(body).decode()


def step_of(body: str) -> Step:
    """The comparison that JSON tells.

    Raises:
        msgspec.MsgspecError: it tells none.
    """
    row = _DECODER.decode(body)
    return Step(
        row.position, row.token, _reading(row.first), _reading(row.second), _value(row.kl),
        _value(row.kl_back), row.js, row.acceptance, row.left_out,
    )  # fmt: skip


def span_body_of(span: Span) -> str:
    """A span of which both say something as JSON."""
    body = _SpanBody(span.start, span.end, _side_row(span.first), _side_row(span.second))
    return msgspec.json.encode(body).decode()


def span_of(body: str) -> Span:
    """The span that JSON tells.

    Raises:
        msgspec.MsgspecError: it tells none.
    """
    row = _SPAN.decode(body)
    first, second = (Side(side.ids, float(side.logprob)) for side in (row.first, row.second))
    return Span(row.start, row.end, first, second)


def _side_row(side: Side) -> _Side:
    logprob = _told(side.logprob)
    assert logprob is not None
    return _Side(side.ids, logprob)


def _row(reading: Reading) -> _Reading:
    logprob = _told(reading.logprob)
    assert logprob is not None
    return _Reading(logprob, reading.rank, reading.greedy, _told(reading.margin))


def _reading(row: _Reading) -> Reading:
    return Reading(float(row.logprob), row.rank, row.greedy, _value(row.margin))


def _told(value: float | None) -> _Number | None:
    if value is None or math.isfinite(value):
        return value
    return "inf" if value > 0 else "-inf"


def _value(value: _Number | None) -> float | None:
    return None if value is None else float(value)
