"""Events as rows of a session file, and back."""

import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, get_args

import msgspec
import numpy as np

from tokexplore.models.api.chat import Chat, ChatPart
from tokexplore.models.api.provenance import Provenance
from tokexplore.models.sampling.sampler_view import Cut, SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session import schema
from tokexplore.models.session.compared import body_of, span_body_of, span_of, step_of
from tokexplore.models.tree import events
from tokexplore.models.tree.events import Act, Event, Origin
from tokexplore.models.tree.study import Study

MOST_ROWS = 2**32
"""Events and distributions that can have a number."""

MOST_LOGPROB = 1e-3
"""Nats; above 0 by no more than rounding leaves: what is beyond it is damage."""
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class EventRow(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """A row of the table `event`, its columns in order."""

    seq: Count
    at: int
    """Microseconds since the session was made."""
    kind: str
    """One of `KINDS`."""
    act: Act | None = None
    node: Count | None = None
    parent: Count | None = None
    token: Count | None = None
    origin: Origin | None = None
    settings: Count | None = None
    model: Count | None = None
    branch: Count | None = None
    draw: Count | None = None
    cursor: Annotated[int, msgspec.Meta(ge=-1, lt=2**32)] | None = None
    logprob: float | None = None
    rank: Count | None = None
    sampler_logprob: float | None = None
    kept: Count | None = None
    log_norm: float | None = None
    body: str | None = None
    """JSON of what has no column of its own."""


COLUMNS = ", ".join(field.name for field in msgspec.structs.fields(EventRow))
INSERT = f"INSERT INTO event ({COLUMNS}) VALUES ({', '.join('?' * 19)})"


class _PromptBody(msgspec.Struct):
    form: str
    chat: Chat | None = None
    parts: tuple[ChatPart, ...] | msgspec.UnsetType = msgspec.UNSET
    reasoning: tuple[str, str] | msgspec.UnsetType = msgspec.UNSET


class _ViewBody(msgspec.Struct, array_like=True):
    """What a sampler's view has besides its columns."""

    cuts: tuple[Cut, ...] = ()
    dynamic: float | None = None


_VIEW = msgspec.json.Decoder(_ViewBody)
_PROMPT = msgspec.json.Decoder(_PromptBody)
_SETTINGS = msgspec.json.Decoder(SamplingSettings)
_PROVENANCE = msgspec.json.Decoder(Provenance)
_STUDY = msgspec.json.Decoder(Study)
_TEXT = msgspec.json.Decoder(str)
_FLAG = msgspec.json.Decoder(bool)

KINDS: dict[type[Event], str] = {
    events.TokenTaken: "taken",
    events.Scored: "scored",
    events.SecondLoaded: "second",
    events.Compared: "compared",
    events.Spanned: "span",
    events.Configured: "configured",
    events.ModelLoaded: "loaded",
    events.Prompted: "prompted",
    events.Ended: "ended",
    events.Labelled: "labelled",
    events.Noted: "noted",
    events.Bookmarked: "bookmarked",
    events.Studied: "studied",
    events.Named: "named",
    events.Hidden: "hidden",
    events.Unhidden: "unhidden",
    events.Opened: "opened",
    events.Extended: "extended",
    events.Withdrawn: "withdrawn",
    events.Restored: "restored",
    events.Viewed: "viewed",
}
"""The word of a file for each kind of event; distributions have tables of their own."""
_EVENTS = {kind: event for event, kind in KINDS.items()}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def row_of(event: Event, act: Act, seq: int, at: int) -> tuple[object, ...]:
    """An event as the values of its row; distributions have tables of their own."""
    row = EventRow(seq, at, KINDS[type(event)], act or None)
    match event:
        case events.TokenTaken():
            _fill_taken(row, event)
        case events.Scored(node, logprob, rank):
            row.node, row.logprob, row.rank = node, logprob, rank
        case events.Configured(number, settings):
            row.settings, row.body = number, _json(settings)
        case events.ModelLoaded(number, provenance) | events.SecondLoaded(number, provenance):
            row.model, row.body = number, _json(provenance)
        case events.Compared(node, second, step):
            row.node, row.model, row.body = node, second, body_of(step)
        case events.Spanned(node, second, span):
            row.node, row.model, row.body = node, second, span_body_of(span)
        case events.Prompted(node, form, chat, parts, reasoning):
            body = _PromptBody(form, chat, parts or msgspec.UNSET)
            body.reasoning = reasoning if any(reasoning) else msgspec.UNSET
            row.node, row.body = node, _json(body)
        case events.Ended(node, text) | events.Labelled(node, text) | events.Noted(node, text):
            row.node, row.body = node, _json(text)
        case events.Bookmarked(node, marked):
            row.node, row.body = node, _json(marked)
        case events.Studied(node, study):
            row.node, row.body = node, _json(study)
        case events.Named(branch, name):
            row.branch, row.body = branch, _json(name)
        case events.Hidden(branch) | events.Unhidden(branch) | events.Opened(branch):
            row.branch = branch
        case events.Extended(node) | events.Withdrawn(node) | events.Restored(node):
            row.node = node
        case events.Viewed(leaf, cursor):
            row.node, row.cursor = leaf, cursor
    return msgspec.structs.astuple(row)


def _fill_taken(row: EventRow, event: events.TokenTaken) -> None:
    row.node, row.parent, row.token, row.origin = (
        event.node, event.parent, event.token, event.origin
    )  # fmt: skip
    row.settings, row.draw = event.settings, event.draw or None
    row.logprob, row.rank, row.sampler_logprob = event.logprob, event.rank, event.sampler_logprob
    if (view := event.sampler) is not None:
        row.kept, row.log_norm = view.kept, view.log_norm
        if view.cuts or view.dynamic is not None:
            row.body = _json(_ViewBody(view.cuts, view.dynamic))


def event_of(row: EventRow, settings: Sequence[SamplingSettings]) -> Event:
    """The event that a row tells.

    Args:
        settings: those that the events before it brought, by number.

    Raises:
        ValueError: for a row that tells none.
    """
    body = row.body or ""
    match _EVENTS.get(row.kind):
        case events.TokenTaken:
            return _taken(row, settings)
        case events.Scored:
            logprob = possible(_number(row.logprob))
            score = (math.nan, 0) if logprob is None else (logprob, _required(row.rank))
            return events.Scored(_required(row.node), *score)
        case events.Configured:
            return events.Configured(_required(row.settings), _SETTINGS.decode(body).checked())
        case events.ModelLoaded:
            return events.ModelLoaded(_required(row.model), _PROVENANCE.decode(body))
        case events.SecondLoaded:
            return events.SecondLoaded(_required(row.model), _PROVENANCE.decode(body))
        case events.Compared:
            return events.Compared(_required(row.node), _required(row.model), step_of(body))
        case events.Spanned:
            return events.Spanned(_required(row.node), _required(row.model), span_of(body))
        case events.Prompted:
            prompt = _PROMPT.decode(body)
            return events.Prompted(
                _required(row.node),
                prompt.form,
                prompt.chat,
                prompt.parts or (),
                prompt.reasoning or ("", ""),
            )
        case events.Ended:
            return events.Ended(_required(row.node), _TEXT.decode(body))
        case events.Labelled:
            return events.Labelled(_required(row.node), _TEXT.decode(body))
        case events.Noted:
            return events.Noted(_required(row.node), _TEXT.decode(body))
        case events.Bookmarked:
            return events.Bookmarked(_required(row.node), _FLAG.decode(body))
        case events.Studied:
            return events.Studied(_required(row.node), _STUDY.decode(body))
        case events.Named:
            return events.Named(_required(row.branch), _TEXT.decode(body))
        case events.Hidden:
            return events.Hidden(_required(row.branch))
        case events.Unhidden:
            return events.Unhidden(_required(row.branch))
        case events.Opened:
            return events.Opened(_required(row.branch))
        case events.Extended:
            return events.Extended(_required(row.node))
        case events.Withdrawn:
            return events.Withdrawn(_required(row.node))
        case events.Restored:
            return events.Restored(_required(row.node))
        case events.Viewed:
            return events.Viewed(_required(row.node), -1 if row.cursor is None else row.cursor)
    raise ValueError(f"{row.kind!r} is no kind of event")


def _taken(row: EventRow, settings: Sequence[SamplingSettings]) -> events.TokenTaken:
    node, parent, token, origin = row.node, row.parent, row.token, row.origin
    if node is None or parent is None or token is None or origin is None:
        raise ValueError("a taken token lacks its node, parent, id or origin")
    number, view = row.settings or 0, None
    if number and number >= len(settings):
        raise ValueError(f"settings number {number} are not known")
    if row.kept is not None:
        view = view_of(settings, number, token, row.kept, row.log_norm, row.body)
    return events.TokenTaken(
        node, parent, token, origin, number, row.draw or 0,
        possible(row.logprob), row.rank, possible(row.sampler_logprob), view,
    )  # fmt: skip


def view_of(
    settings: Sequence[SamplingSettings],
    number: int,
    token: int,
    kept: int,
    log_norm: float | None,
    body: str | None,
) -> SamplerView:
    """The sampler's view that a row of a taken token tells.

    Raises:
        ValueError, msgspec.MsgspecError: for a row that tells none.
    """
    if number >= len(settings) or log_norm is None:
        raise ValueError(f"settings number {number} are not known")
    view = _VIEW.decode(body) if body else _ViewBody()
    chosen = token if settings[number].greedy else None
    return SamplerView(settings[number], kept, log_norm, view.cuts, view.dynamic, chosen)


def possible(logprob: float | None) -> float | None:
    """A stored logprob (nats); None where it is none."""
    return logprob if logprob is None or logprob <= MOST_LOGPROB else None


def _required(value: int | None) -> int:
    if value is None:
        raise ValueError("a number is missing")
    return value


def _number(value: float | None) -> float:
    if value is None:
        raise ValueError("a number is missing")
    return value


NO_ENTROPY = -1.0
"""What `entropy` of an incomplete distribution is, in a file of format 5."""
ENTROPY = (
    f"CASE WHEN entropy = {NO_ENTROPY} AND (SELECT user_version FROM pragma_user_version) >= "
    f"{schema.INCOMPLETE} THEN NULL ELSE entropy END"
)
"""SQL: the entropy, NULL where there is none."""


Told = events.DistributionComputed | events.DistributionRecomputed | events.DistributionCompleted
TOLD = get_args(Told)


class DistributionRow(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """A row of the table `distribution`, its columns in order; nats."""

    seq: Count
    node: Count
    again: Count
    """The event, as a place in `TOLD`."""
    model: Count | None
    vocabulary: Count
    lse: float
    entropy: float
    """`NO_ENTROPY` of an incomplete distribution."""
    margin: float | None
    """None is infinity: one candidate."""
    top_logprob: float
    source: str
    seconds: float


DISTRIBUTION_COLUMNS = ", ".join(f.name for f in msgspec.structs.fields(DistributionRow))
INSERT_DISTRIBUTION = (
    f"INSERT INTO distribution ({DISTRIBUTION_COLUMNS}) VALUES ({', '.join('?' * 11)})"
)
INSERT_CANDIDATES = "INSERT INTO candidates (seq, packed) VALUES (?, ?)"


def typed(rows: Sequence[tuple[object, ...]], first: int) -> Iterator[EventRow]:
    """Rows of `event` with their types checked; `first` is the number of the first, for errors."""
    for number, row in enumerate(rows, first):
        try:
            yield msgspec.convert(row, EventRow)
        except msgspec.ValidationError as error:
            raise ValueError(f"event {number}: {error}") from None


def columns(
    connection: sqlite3.Connection, source: str, whole: Mapping[str, Any], exact: Mapping[str, Any]
) -> list[list[Any]]:
    """The rows of a table by rising `seq`, column by column, with their types checked.

    Args:
        source: the SQL that tells which rows.
        whole: lists without floats, by the SQL of each column, `seq` first. They come as JSON
            arrays, which take a third of the time of rows, but SQLite rounds floats in them.
        exact: lists with floats.

    Raises:
        ValueError: a value of another type.
    """
    arrays = ", ".join(f"json_group_array({name})" for name in whole)
    texts = connection.execute(f"SELECT {arrays} {source}").fetchone()
    rows = connection.execute(f"SELECT {', '.join(exact)} {source} ORDER BY seq").fetchall()
    floats = zip(*rows, strict=True) if rows else [()] * len(exact)
    read = [
        *(_checked(msgspec.json.decode, *pair) for pair in zip(texts, whole.items(), strict=True)),
        *(_checked(msgspec.convert, *pair) for pair in zip(floats, exact.items(), strict=True)),
    ]
    # A table is read in the order of its key, but arrays are promised no order.
    if np.any(np.diff(np.array(read[0], "i8")) <= 0):
        raise ValueError("rows are not in their order")
    return read


def _checked(read: Callable[..., Any], values: object, wanted: tuple[str, Any]) -> list[Any]:
    name, kind = wanted
    try:
        column: list[Any] = read(values, type=kind)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{name}: {error}") from None
    return column
