"""What the interface and the engine's process say to each other, and how it is framed.

Every message is a tagged struct in MessagePack behind a u32 length (big-endian): no pickle, so
neither side can be made to run code by what it reads.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from tokexplore.models.api.engine import (
    Progress,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.questions import AnyQuestion
from tokexplore.models.interpret.inquiries import AnyInquiry, Finding
from tokexplore.models.lab.experiment import Experiment, Outcome
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary

AHEAD = 64
"""How many tokens the engine may be ahead of the interface."""

_LENGTH = struct.Struct(">I")
LARGEST = 256 * 2**20
"""Bytes: a longer frame means that the two sides have lost each other."""


# From the interface


class Load(msgspec.Struct, frozen=True, tag=True):
    """The first message: open this model."""

    options: LoadOptions


class Asked(msgspec.Struct, frozen=True, tag=True):
    """A question under a number of its own."""

    number: int
    question: AnyQuestion


class Stream(msgspec.Struct, frozen=True, tag=True):
    """Start a stream; those that run take turns, an event each."""

    number: int
    request: StreamRequest
    ahead: int = AHEAD
    """Tokens that come before any is credited; with 0 each one waits for a credit."""


class Score(msgspec.Struct, frozen=True, tag=True):
    """Score a path whenever there is no stream and no experiment."""

    number: int
    ids: tuple[int, ...]
    start: int


class Repeat(msgspec.Struct, frozen=True, tag=True):
    """Conduct an experiment, which takes turns with the streams."""

    number: int
    experiment: Experiment


class Interpret(msgspec.Struct, frozen=True, tag=True):
    """Conduct an inquiry, which takes turns with the streams."""

    number: int
    inquiry: AnyInquiry


class Configure(msgspec.Struct, frozen=True, tag=True):
    """New sampling settings, and length, for a running stream."""

    number: int
    settings: SamplingSettings
    max_new_tokens: int | None = None


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """End a stream, a score, an experiment or an inquiry between two tokens or chunks."""

    number: int


class Credit(msgspec.Struct, frozen=True, tag=True):
    """The interface has taken in this many tokens of what it started."""

    number: int
    tokens: int


Command = Load | Asked | Stream | Score | Repeat | Interpret | Configure | Cancel | Credit


# From the engine

Event = StreamEvent | Outcome | Finding


class Loading(msgspec.Struct, frozen=True, tag=True):
    """How far loading is."""

    progress: Progress


class Loaded(msgspec.Struct, frozen=True, tag=True):
    """The model is ready."""

    info: ModelInfo
    vocabulary: Vocabulary


class Answered(msgspec.Struct, frozen=True, tag=True):
    """The answer to a question, of its `answer_type`."""

    number: int
    value: msgspec.Raw


class Emitted(msgspec.Struct, frozen=True, tag=True):
    """One event of a stream, a score, an experiment or an inquiry."""

    number: int
    event: Event


class Done(msgspec.Struct, frozen=True, tag=True):
    """A stream, a score, an experiment or an inquiry has no more events."""

    number: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An error: number 0 is loading, the rest are questions and what was started."""

    number: int
    kind: str
    """Class name in `models.errors`."""
    text: str


Report = Loading | Loaded | Answered | Emitted | Done | Failed

Sender = Literal["interface", "engine"]

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[Sender, msgspec.msgpack.Decoder[Any]] = {
    "interface": msgspec.msgpack.Decoder(Command),
    "engine": msgspec.msgpack.Decoder(Report),
}


def cost(event: Event) -> int:
    """The credit that an event costs: 1 for what carries a token, 0 for the rest."""
    return int(hasattr(event, "standing"))


def frame(message: Command | Report) -> bytes:
    """A message as bytes for the socket."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def raw(value: object) -> msgspec.Raw:
    """An answer's value, encoded."""
    return msgspec.Raw(_encoder.encode(value))


class Inbox:
    """Cuts a stream of bytes into messages from one side."""

    def __init__(self, sender: Sender) -> None:
        self._decode = _decoders[sender].decode
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """The messages that are complete now.

        Raises:
            ValueError, msgspec.DecodeError: for bytes that are no messages of ours.
        """
        self._data += data
        at = 0
        try:
            while len(self._data) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._data, at)
                if length > LARGEST:
                    raise ValueError(f"a frame of {length} bytes")
                begin = at + _LENGTH.size
                if len(self._data) - begin < length:
                    break
                body = bytes(memoryview(self._data)[begin : begin + length])
                at = begin + length
                yield self._decode(body)
        finally:
            del self._data[:at]


def total_cost(events: Iterable[Event]) -> int:
    """The credit that some events cost together."""
    return sum(map(cost, events))
