"""Which token ends a stream, and why."""

from tokexplore.models.api.engine import EndReason, StreamRequest
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.tokens import Vocabulary


class StopCriteria:
    """End-of-text tokens, stop ids, and stop texts over the bytes of the generated part."""

    def __init__(self, info: ModelInfo, vocabulary: Vocabulary, request: StreamRequest) -> None:
        self._bytes_of = vocabulary.bytes_of
        self._eos = frozenset(() if request.ignore_eos else info.eos_ids)
        self._turn = frozenset(() if request.ignore_eos else request.turn_ids)
        self._ids = frozenset(request.stop_ids)
        self._texts = [(text, text.encode()) for text in request.stop_texts if text]
        self._window = max((len(data) for _, data in self._texts), default=1) - 1
        self._tail = b""
        for token in request.ids[request.stops_from :]:
            self._remember(token)
        self.met = ""
        """The stop text that was met."""

    def reason(self, token: int) -> EndReason | None:
        """Whether the path ends with this new token; it goes on from there."""
        found = self.would_end(token)
        if self._texts:
            self._remember(token)
        return found

    def would_end(self, token: int) -> EndReason | None:
        """Whether the path would end with this token."""
        if token in self._eos:
            return "eos"
        if token in self._turn:
            return "end of turn"
        if token in self._ids:
            return "stop"
        if self._texts:
            seen = self._tail + self._bytes_of(token)
            self.met = next((text for text, data in self._texts if data in seen), "")
        return "stop" if self.met else None

    def _remember(self, token: int) -> None:
        """Keep as many bytes as can be the start of a stop text, one less than the longest."""
        seen = self._tail + self._bytes_of(token)
        self._tail = seen[len(seen) - self._window :] if len(seen) > self._window else seen
