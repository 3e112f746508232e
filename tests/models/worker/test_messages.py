"""Messages over the socket: framing, and that values arrive as they were."""

import math

import msgspec
import pytest
from support.fake_engine import FakeEngine

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Control, StreamEnded, StreamRequest
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.questions import FindStandings, Render
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker import messages
from tokexplore.models.worker.messages import (
    LARGEST,
    Asked,
    Configure,
    Emitted,
    Failed,
    Inbox,
    Load,
    Loaded,
    Stream,
    frame,
)

HOT = SamplingSettings(0.7, 9, 0.9, 0.1, 2**64 - 1)
REQUEST = StreamRequest((0, 300), HOT, 3, stop_texts=("你",), describe_end=True)
FROM_INTERFACE = [
    Load(LoadOptions("a/模型", "cuda:1", "bfloat16", "auto", "abc", True)),
    Asked(1, Render(Chat((Message("user", "你"),), "I", {"deep": {"list": [1, None, 2.5]}}))),
    Stream(2, REQUEST),
    Configure(2, HOT),
]


def test_commands_arrive_as_they_were_however_the_bytes_are_cut() -> None:
    data = b"".join(map(frame, FROM_INTERFACE))
    for size in (1, 3, 7, len(data)):
        inbox, arrived = Inbox("interface"), []
        for at in range(0, len(data), size):
            arrived += inbox.feed(data[at : at + size])
        assert arrived == FROM_INTERFACE


def test_reports_arrive_as_they_were() -> None:
    engine = FakeEngine()
    events = list(engine.stream(REQUEST, Control()))
    reports = [
        Loaded(engine.info, engine.vocabulary),
        *(Emitted(2, event) for event in events),
        Failed(3, "UsageError", "no"),
    ]
    assert isinstance(events[-1], StreamEnded)
    assert list(Inbox("engine").feed(b"".join(map(frame, reports)))) == reports


def test_minus_infinity_arrives() -> None:
    engine = FakeEngine()
    value = engine.standings([0], [engine.vocabulary.rows - 1])
    (report,) = Inbox("engine").feed(frame(messages.Answered(1, messages.raw(value))))
    decoded = msgspec.msgpack.decode(report.value, type=FindStandings.answer_type())
    assert decoded == value
    assert decoded[0].logprob == -math.inf


@pytest.mark.parametrize(
    "data",
    [
        (LARGEST + 1).to_bytes(4, "big"),
        b"\x00\x00\x00\x01\xc1",
        frame(Failed(1, "UsageError", "from the other side")),
    ],
    ids=["too long", "not MessagePack", "of the other side"],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, msgspec.DecodeError)):
        list(Inbox("interface").feed(data))
