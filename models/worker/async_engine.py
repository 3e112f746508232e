"""What the interface needs of an engine that works beside it, in another process or elsewhere."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, TypeVar

from tokexplore.models.api.engine import (
    Progress,
    ScoredToken,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.questions import Question
from tokexplore.models.interpret.inquiries import AnyInquiry, Finding
from tokexplore.models.lab.experiment import Experiment, Outcome
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary

T = TypeVar("T")
E = TypeVar("E")


class Handle(Protocol[E]):
    """A stream, a score, an experiment or an inquiry; whoever started it ends it.

    Iterating gives batches of events; leaving the loop before its end cancels. The engine's errors
    are raised after the events that came before them.
    """

    def __aiter__(self) -> AsyncIterator[list[E]]:
        """Batches of all that arrived since the last one was asked for, at least one event each."""

    def cancel(self) -> None:
        """End it between two tokens or chunks, as interrupted; its last events come still."""

    def configure(self, settings: SamplingSettings, max_new_tokens: int | None = None) -> None:
        """Settings, and length where given, for a stream from its next token on."""


class AsyncEngine(Protocol):
    """An `Engine` that is awaited; once it is lost, all that is asked of it raises why."""

    @property
    def info(self) -> ModelInfo:
        """What is loaded; after `start`."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Ids and exact bytes; after `start`."""

    async def start(self, report: Callable[[Progress], None]) -> None:
        """Load the model.

        Raises:
            ModelError, UsageError, OutOfMemoryError: as the engine raised it.
            EngineLostError: it ended while it was loading.
        """

    async def ask(self, question: Question[T]) -> T:
        """The answer to a question, which comes between two tokens of the streams.

        Raises:
            TokexploreError: as the engine raised it.
        """

    def stream(self, request: StreamRequest) -> Handle[StreamEvent]:
        """Start a stream at once; its last event is `StreamEnded`."""

    def score(self, ids: Sequence[int], start: int) -> Handle[Progress | ScoredToken]:
        """Score ids[start:] whenever there is no stream; cancelled, it just ends."""

    def repeat(self, experiment: Experiment) -> Handle[Outcome]:
        """Conduct an experiment; cancelled, it ends with what is done."""

    def interpret(self, inquiry: AnyInquiry) -> Handle[Finding]:
        """Look into the model; cancelled, it ends with what is done."""

    async def close(self) -> None:
        """End it, and wait until the memory of its device is free."""

    # The clock of a tape

    on_demand: bool
    """Each token of a stream that starts from here on waits for `let_come`, and no event tells how
    long it took: what comes does not depend on how fast the engine is."""

    @property
    def asked(self) -> bool:
        """Whether a question waits for its answer."""

    @property
    def holds(self) -> bool:
        """Whether there are streams, all of them wait for `let_come`, and what came was taken."""

    def let_come(self) -> None:
        """Let the next token come of one of the streams that wait: each in turn, as they began."""
