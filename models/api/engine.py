"""What the explorer asks of an engine, and the values that pass between the two.

An engine is synchronous and answers by value or by iterator. Paths are sequences of token ids:
an engine knows nothing of the tree.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from tokexplore.models.api.chat import Chat, Rendered
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.distribution import STORED_CANDIDATES, Distribution, Rows, TokenRank
from tokexplore.models.sampling.effects import Draws, Effect
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary

if TYPE_CHECKING:
    from tokexplore.models.api.instruments import Instruments, Logits
    from tokexplore.models.api.interpreter import Interpreter
    from tokexplore.models.api.traffic import Requests

EndReason = Literal["eos", "end of turn", "stop", "length", "context", "interrupted"]


class StreamRequest(msgspec.Struct, frozen=True):
    """Extend a path token by token."""

    ids: tuple[int, ...]
    """The path so far: not empty."""
    settings: SamplingSettings
    max_new_tokens: int
    prompt_length: int = 0
    """Tokens of `ids` that are prompt: presence and frequency are counted after them."""
    stops_from: int = 0
    """Stop texts are looked for after so many tokens of `ids`."""
    draw: int = 0
    """Draw number of the first token (`draw again` raises it); later tokens use 0."""
    stop_texts: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    turn_ids: tuple[int, ...] = ()
    """Tokens that end the assistant's turn: the reason is then `end of turn`."""
    ignore_eos: bool = False
    """Go on past the ends of the text and of the turn."""
    score_prompt: bool = False
    """Yield `ScoredToken` for every position of `ids` before the first new token: only of an engine
    that has prompt scores."""
    describe_end: bool = False
    """Yield the distribution after the last token when the stream ends."""
    top: int = STORED_CANDIDATES
    """Candidates to store in each distribution."""
    watch: tuple[int, ...] = ()
    """Tokens whose standing is told at every step, whatever their rank; where the engine lists the
    first candidates only, as far as they are among them."""


class Progress(msgspec.Struct, frozen=True, tag=True):
    """How far a long piece of work is."""

    stage: str
    """`libraries`, `reading`, `download`, `weights`, `probe`, `prefill`, `scoring`, `server`."""
    done: int
    total: int
    unit: str = "tokens"
    detail: str = ""
    """A sentence to show beside it, such as what a model needs and what is free."""
    why_no_chat: str = ""
    """Of loading, once the files say it: why there can be no chat with the model, as a sentence."""


class ScoredToken(msgspec.Struct, frozen=True, tag=True):
    """The distribution after ids[:position] and how the token at `position` stands in it."""

    position: int
    distribution: Distribution
    standing: TokenRank
    watched: tuple[TokenRank, ...] = ()
    """How the tokens that are watched stand in it."""


class DrawnToken(msgspec.Struct, frozen=True, tag=True):
    """A new token at `position`, and the distribution after ids[:position] that it came from."""

    position: int
    distribution: Distribution
    standing: TokenRank
    settings: SamplingSettings
    """Those in force."""
    sampler: SamplerView | None
    """None where it depends on candidates that the engine does not list."""
    chosen_by: Literal["greedy", "sampled", "server"]
    """Of a server: its own sampler, where ours would need candidates that are not listed."""
    sampler_logprob: float | None
    """Nats, under the settings in force; 0 for greedy, None where it is not known."""
    draw: int = 0
    uniform: float | None = None
    """The number that a sampled token was drawn with."""
    threads: int = 0
    """Of the CPU, which the last step was computed with; 0 on another device."""
    watched: tuple[TokenRank, ...] = ()
    """How the tokens that are watched stand in the distribution."""


class Described(msgspec.Struct, frozen=True, tag=True):
    """The distribution after the whole path, `position` tokens long."""

    position: int
    distribution: Distribution


class StreamEnded(msgspec.Struct, frozen=True, tag=True):
    """The last event of every stream."""

    position: int
    """Length of the path."""
    reason: EndReason
    detail: str = ""
    """The stop text that was met, for example."""


StreamEvent = Progress | ScoredToken | DrawnToken | Described | StreamEnded


class Continuation(msgspec.Struct, frozen=True):
    """One continuation of a prompt, with the model's numbers of each step."""

    seed: int
    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    """The model's logprob (nats) of each token, whatever the sampler made of it."""
    entropies: tuple[float | None, ...]
    """The model's entropy (nats) at each step; None where it is not known."""
    ended: EndReason


class Held(msgspec.Struct, frozen=True):
    """What an engine keeps of paths, so that going on from them costs no prefill."""

    bytes: int = 0
    """Of caches and logits; what several paths share counts once."""
    limit: int = 0
    """Bytes up to which it keeps them; those of streams that are under way may go beyond it."""
    paths: int = 0
    tokens: int = 0
    """How many tokens of the path that was asked about need not be fed to go on from its end."""


class Control:
    """The caller's hand on a running stream; read between two tokens and two prefill chunks."""

    def __init__(self, settings: SamplingSettings | None = None) -> None:
        self.cancelled = False
        self.settings = settings
        """New settings, in force from the next token on; None keeps the request's."""
        self.max_new_tokens: int | None = None
        """A new length; None keeps the request's."""


class Engine(Protocol):
    """A causal language model that tells the truth about every step.

    What it cannot do is in the capabilities of its `info`. Where it is asked for it all the same it
    raises a UsageError, the sentence of `Capabilities.why_not`: one that has no whole rows for
    everything that needs them (`rows`, `search`, `standings`, `reshape`, `effects`, `draws`, a
    whole distribution), one that lists the first candidates for `logits`, one without prompt scores
    for `score` and for streams that are to score the prompt.
    """

    @property
    def info(self) -> ModelInfo:
        """What is loaded."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Ids and exact bytes."""

    def encode(self, text: str, *, continuation: bool = False, literal: bool = False) -> list[int]:
        """Text as token ids: as a prompt (BOS where the model uses one) or as a continuation.

        The name of a token (`</s>`) in it is read as that token; as its characters where `literal`.

        Raises:
            UsageError: for an empty prompt on a model that has neither BOS nor EOS.
        """

    def render(self, chat: Chat) -> Rendered:
        """A conversation as the ids of its rendered template, ready for the assistant to go on.

        Raises:
            UsageError: when the model has no chat template or the template refuses the messages.
        """

    def append_turns(self, ids: Sequence[int], chat: Chat, known: int) -> Rendered:
        """The ids to append to a path on which the assistant speaks, for the turns that follow.

        The path tells the first `known` messages, whose last one is the assistant's. The ids close
        it as far as the path has not done so, hold the other messages, if there are any, and open
        the assistant's next turn with the prefill.

        Raises:
            UsageError: for turns without words, no chat template, or a template that refuses them.
        """

    def stream(self, request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        """Extend a path. Ends with `StreamEnded`, also when cancelled.

        Several may be live: between two events of one others go on and questions are answered.

        Raises:
            UsageError: when the path is longer than the context.
            OutOfMemoryError: the cache of this path does not fit the device.
        """

    def score(
        self, ids: Sequence[int], start: int, control: Control
    ) -> Iterator[Progress | ScoredToken]:
        """The distribution before each token of ids[start:] (start >= 1), in bounded memory.

        Raises:
            UsageError: an engine without prompt scores.
        """

    def logits(self, ids: Sequence[int], start: int, control: Control) -> "Iterator[Logits]":
        """The raw logits before each token of ids[start:] (start >= 1), a chunk at a time: the
        rows that `score` sums up. Fewer where it is cancelled.

        Another engine of this process may compute between two chunks.

        Raises:
            UsageError: an engine that lists the first candidates only.
        """

    def read(self, ids: Sequence[int], start: int) -> "Logits":
        """The raw logits before each token of ids[start:] (start >= 1), f32, shape
        [len(ids) - start, V]: of steps that were streamed the rows that were drawn from, where they
        are still held. What is read stays in the cache, for whoever reads on from there.

        Raises:
            UsageError: an engine that lists the first candidates only.
        """

    def held(self, ids: Sequence[int]) -> Held:
        """What is kept of paths, and how much of this one; all 0 where a server keeps it."""

    def describe(self, ids: Sequence[int], *, whole: bool = False) -> Distribution:
        """The distribution after a path.

        Args:
            whole: complete also from an engine that lists the first candidates unless asked.
        """

    def describe_all(
        self,
        paths: Sequence[Sequence[int]],
        settings: SamplingSettings | None = None,
        prompt_length: int = 0,
        *,
        start: int = 0,
        count: int = STORED_CANDIDATES,
    ) -> list[NextTokens]:
        """What can come after each of several paths, most of which begin alike.

        Args:
            settings: of the sampler whose probabilities are told; None for the model's own.
            prompt_length: tokens of each path that are prompt, as in a `StreamRequest`.
            start: place in the order of these probabilities of the first token to list.
            count: tokens to list after each path, at most.

        Raises:
            UsageError: for `settings` or `start` of one that lists the first candidates only; when
                the settings ban every token.
        """

    def rows(self, ids: Sequence[int], start: int, count: int) -> Rows:
        """Candidates `start` to `start + count` (from 0) of the whole vocabulary after a path.

        Raises:
            UsageError: one that lists the first candidates only; so too for those that follow.
        """

    def search(self, ids: Sequence[int], text: str, limit: int) -> Rows:
        """The most probable tokens after a path whose text holds `text`, case ignored."""

    def standings(self, ids: Sequence[int], tokens: Sequence[int]) -> list[TokenRank]:
        """Where each of `tokens` stands in the distribution after a path."""

    def reshape(
        self, ids: Sequence[int], settings: SamplingSettings, prompt_length: int = 0
    ) -> SamplerView:
        """The distribution after a path as the sampler sees it under `settings`.

        Raises:
            UsageError: when they ban every token.
        """

    def effects(
        self, ids: Sequence[int], settings: Sequence[SamplingSettings], prompt_length: int = 0
    ) -> list[Effect]:
        """What each of some settings makes of the distribution after a path, in figures.

        Raises:
            UsageError: when one of them bans every token.
        """

    def continuations(
        self, request: StreamRequest, seeds: Sequence[int], control: Control
    ) -> list[Continuation]:
        """The request's stream under each of these seeds, as rows of one batch.

        The numbers of a batch differ from those of single streams by what floating-point sums
        depend on. Empty where it was cancelled.

        Raises:
            UsageError: for more than one seed where it runs no batches.
        """

    @property
    def bench(self) -> "Instruments":
        """The same paths computed in other ways, for the lab.

        Raises:
            UsageError: where it has no instruments.
        """

    @property
    def interpreter(self) -> "Interpreter":
        """The inside of the model: why it said what it said.

        Raises:
            UsageError: where nothing is seen of its inside.
        """

    @property
    def requests(self) -> "Requests":
        """Several requests at once, as a server takes them, for the lab.

        Raises:
            UsageError: where it is no server.
        """

    def draws(
        self, ids: Sequence[int], settings: SamplingSettings, count: int, prompt_length: int = 0
    ) -> Draws:
        """What the first `count` draws after a path give: the draws that `draw again` makes."""
