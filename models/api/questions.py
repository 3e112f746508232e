"""What can be asked of an engine and is answered by one plain value.

A question is a value that knows its answer's type and how to ask for it, so that it can be put to
an engine in another process. They are all here: messages are made of them.
"""

import functools
import operator
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, get_args

import msgspec

from tokexplore.models.api.chat import Chat, Rendered
from tokexplore.models.api.engine import Control, Engine, Held, ScoredToken
from tokexplore.models.api.instruments import Execution, Routing, Split, Summands
from tokexplore.models.api.interpreter import LayerStates
from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.diff.steps import Reading, Step
from tokexplore.models.diff.vocabularies import Shared
from tokexplore.models.distribution import Distribution, Rows, TokenRank
from tokexplore.models.interpret.layer_gaps import LayerGap, layer_gaps
from tokexplore.models.sampling.effects import Draws, Effect
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings

T_co = TypeVar("T_co", covariant=True)


class Question(msgspec.Struct, Generic[T_co], frozen=True, tag=True):
    """A question whose answer is a T_co."""

    @abstractmethod
    def ask(self, engine: Engine) -> T_co:
        """The engine's answer; it raises what the engine raises."""

    @classmethod
    def answer_type(cls) -> Any:
        """T_co, as the class states it: `Question[T_co]`."""
        (base,) = cls.__orig_bases__  # type: ignore[attr-defined]
        return get_args(base)[0]


class Encode(Question[list[int]], frozen=True):
    """See `Engine.encode`."""

    text: str
    continuation: bool = False
    literal: bool = False

    def ask(self, engine: Engine) -> list[int]:
        return engine.encode(self.text, continuation=self.continuation, literal=self.literal)


class Render(Question[Rendered], frozen=True):
    """See `Engine.render`."""

    chat: Chat

    def ask(self, engine: Engine) -> Rendered:
        return engine.render(self.chat)


class AppendTurns(Question[Rendered], frozen=True):
    """See `Engine.append_turns`."""

    ids: Sequence[int]
    chat: Chat
    known: int

    def ask(self, engine: Engine) -> Rendered:
        return engine.append_turns(self.ids, self.chat, self.known)


class Describe(Question[Distribution], frozen=True):
    """See `Engine.describe`."""

    ids: Sequence[int]
    whole: bool = False

    def ask(self, engine: Engine) -> Distribution:
        return engine.describe(self.ids, whole=self.whole)


class FindHeld(Question[Held], frozen=True):
    """See `Engine.held`."""

    ids: Sequence[int]

    def ask(self, engine: Engine) -> Held:
        return engine.held(self.ids)


class FindRows(Question[Rows], frozen=True):
    """See `Engine.rows`."""

    ids: Sequence[int]
    start: int
    count: int

    def ask(self, engine: Engine) -> Rows:
        return engine.rows(self.ids, self.start, self.count)


class Search(Question[Rows], frozen=True):
    """See `Engine.search`."""

    ids: Sequence[int]
    text: str
    limit: int

    def ask(self, engine: Engine) -> Rows:
        return engine.search(self.ids, self.text, self.limit)


class FindStandings(Question[list[TokenRank]], frozen=True):
    """See `Engine.standings`."""

    ids: Sequence[int]
    tokens: Sequence[int]

    def ask(self, engine: Engine) -> list[TokenRank]:
        return engine.standings(self.ids, self.tokens)


class FindScores(Question[list[TokenRank]], frozen=True):
    """Where each token of ids[start:] stands in the distribution before it: see `Engine.score`."""

    ids: Sequence[int]
    start: int

    def ask(self, engine: Engine) -> list[TokenRank]:
        events = engine.score(self.ids, self.start, Control())
        return [event.standing for event in events if isinstance(event, ScoredToken)]


class FindLogits(Question[bytes], frozen=True):
    """See `Engine.read`: the rows as f32, one after the other."""

    ids: Sequence[int]
    start: int

    def ask(self, engine: Engine) -> bytes:
        return engine.read(self.ids, self.start).tobytes()


class Compare(Question[list[Step]], frozen=True):
    """What another model and this one say before each token of ids[start:], this one second."""

    ids: Sequence[int]
    start: int
    logits: bytes
    """The other's answer to `FindLogits`."""
    shared: Shared
    names: tuple[str, str]
    """Of the other and of this one, for errors."""

    def ask(self, engine: Engine) -> list[Step]:
        import numpy as np  # the interface does without it until it has painted

        from tokexplore.models.diff.rows import Pairs

        ours = engine.read(self.ids, self.start)
        others = np.frombuffer(self.logits, np.float32).reshape(len(ours), -1)
        pairs, places = Pairs(self.shared, self.names), range(self.start, len(self.ids))
        return list(map(pairs.step, others, ours, places, self.ids[self.start :]))


class FindReadings(Question[list[Reading]], frozen=True):
    """What an engine says of each token of ids[start:] that need not list all candidates."""

    ids: Sequence[int]
    start: int

    def ask(self, engine: Engine) -> list[Reading]:
        from tokexplore.models.diff.along import readings

        return list(readings(engine, self.ids, self.start, Control()))


class DescribeAll(Question[list[NextTokens]], frozen=True):
    """See `Engine.describe_all`."""

    paths: Sequence[tuple[int, ...]]
    settings: SamplingSettings | None = None
    prompt_length: int = 0
    start: int = 0

    def ask(self, engine: Engine) -> list[NextTokens]:
        return engine.describe_all(self.paths, self.settings, self.prompt_length, start=self.start)


class Reshape(Question[SamplerView], frozen=True):
    """See `Engine.reshape`."""

    ids: Sequence[int]
    settings: SamplingSettings
    prompt_length: int = 0

    def ask(self, engine: Engine) -> SamplerView:
        return engine.reshape(self.ids, self.settings, self.prompt_length)


class FindEffects(Question[list[Effect]], frozen=True):
    """See `Engine.effects`."""

    ids: Sequence[int]
    settings: Sequence[SamplingSettings]
    prompt_length: int = 0

    def ask(self, engine: Engine) -> list[Effect]:
        return engine.effects(self.ids, self.settings, self.prompt_length)


class Draw(Question[Draws], frozen=True):
    """See `Engine.draws`."""

    ids: Sequence[int]
    settings: SamplingSettings
    count: int
    prompt_length: int = 0

    def ask(self, engine: Engine) -> Draws:
        return engine.draws(self.ids, self.settings, self.count, self.prompt_length)


class FindAttentions(Question[tuple[str, ...]], frozen=True):
    """See `Instruments.attentions`."""

    def ask(self, engine: Engine) -> tuple[str, ...]:
        return engine.bench.attentions


class FindSummands(Question[Summands], frozen=True):
    """See `Instruments.summands`."""

    ids: Sequence[int]

    def ask(self, engine: Engine) -> Summands:
        return engine.bench.summands(self.ids)


class FindSplits(Question[list[Split]], frozen=True):
    """See `Instruments.split`; all of its passes are made before anything else is done."""

    ids: Sequence[int]
    blocks: Sequence[int]

    def ask(self, engine: Engine) -> list[Split]:
        return list(engine.bench.split(self.ids, self.blocks))


class FindRouting(Question[Routing], frozen=True):
    """See `Instruments.routing`."""

    ids: Sequence[int]
    first: int
    execution: Execution = Execution()
    stepwise: bool = False

    def ask(self, engine: Engine) -> Routing:
        found = engine.bench.routing(
            self.ids, self.first, self.execution, Control(), stepwise=self.stepwise
        )
        assert found is not None, "nobody cancels it"
        return found


class FindStates(Question[LayerStates], frozen=True):
    """See `Interpreter.states`."""

    ids: Sequence[int]

    def ask(self, engine: Engine) -> LayerStates:
        return engine.interpreter.states(self.ids)


class FindLayerGaps(Question[list[LayerGap]], frozen=True):
    """How far another model with the same tokens and this one, the second, are apart after each
    layer at the step after a path."""

    ids: Sequence[int]
    others: LayerStates
    """The other's answer to `FindStates`."""

    def ask(self, engine: Engine) -> list[LayerGap]:
        return layer_gaps(self.others, engine.interpreter.states(self.ids))


if TYPE_CHECKING:
    AnyQuestion: TypeAlias = Question[Any]
else:
    AnyQuestion = functools.reduce(operator.or_, Question.__subclasses__())
    """The union of all questions, as a decoder needs it."""
