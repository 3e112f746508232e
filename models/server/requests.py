"""Several requests of a server at once, as the lab runs them."""

import time
from collections.abc import Generator, Iterator, Sequence

from tokexplore.models.api.engine import (
    Control,
    DrawnToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.traffic import Load, Traffic
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.dialect import Dialect
from tokexplore.models.server.stream import Manner, ServerStream
from tokexplore.models.tokens import Vocabulary

PAUSE = 0.001
"""Seconds before streams of which none has anything are looked at again."""


class ServerRequests:
    """Implements `models.api.traffic.Requests`."""

    def __init__(self, dialect: Dialect, info: ModelInfo, vocabulary: Vocabulary) -> None:
        self._dialect, self._info, self._vocabulary = dialect, info, vocabulary

    @property
    def seeded(self) -> bool:
        return "seed" in self._dialect.samples

    def at_once(self, settings: SamplingSettings) -> bool:
        return self._dialect.streams(settings)

    def run(
        self, requests: Sequence[StreamRequest], traffic: Traffic, control: Control
    ) -> Iterator[tuple[int, DrawnToken | StreamEnded] | Load]:
        streams = [self._stream(request, traffic, control) for request in requests]
        others = [self._beside(ids, requests[0], traffic, control) for ids in traffic.beside]
        live, silent = dict(enumerate(streams)), set(range(len(streams)))
        try:
            while live:
                heard = [next(stream, None) for stream in others]
                for place, stream in list(live.items()):
                    heard.append(event := next(stream))
                    if isinstance(event, DrawnToken | StreamEnded):
                        yield place, event
                    if isinstance(event, StreamEnded):
                        del live[place]
                    elif isinstance(event, DrawnToken) and place in silent:
                        silent.remove(place)
                        if not silent:
                            yield self._dialect.load()
                if not any(isinstance(event, DrawnToken) for event in heard):
                    time.sleep(PAUSE)
        finally:
            for stream in (*streams, *others):
                stream.close()

    def _stream(
        self, request: StreamRequest, traffic: Traffic, control: Control
    ) -> Generator[StreamEvent]:
        manner = Manner(ours=False, cold=traffic.cold, patience=0.0)
        top = min(request.top, self._info.capabilities.listed)
        return ServerStream(
            self._dialect, self._info, self._vocabulary, request, control, top, manner
        ).events()

    def _beside(
        self, ids: Sequence[int], request: StreamRequest, traffic: Traffic, control: Control
    ) -> Generator[StreamEvent]:
        """Another request, which goes on as long as those that it runs beside; an answer of a chat
        as long as it is."""
        asked = StreamRequest(
            tuple(ids),
            SamplingSettings(),
            2 * request.max_new_tokens,
            ignore_eos=self._info.capabilities.plain_prompts,
            top=1,
        )
        return self._stream(asked, traffic, control)
