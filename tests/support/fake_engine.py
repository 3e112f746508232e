"""A deterministic engine without torch: exact numbers over a small vocabulary of its own.

The logits depend on the whole path through a hash, so branches diverge as a model's do. Tests may
plant logits after a path, hold the stream at a gate, and plant failures.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn

import msgspec
import numpy as np

from support import fake_vocabulary as vocabulary
from support.fake_bench import FakeBench
from support.fake_interpreter import FakeInterpreter
from support.fake_numbers import (
    drawn,
    drawn_place,
    effect_of,
    log_sum_exp,
    next_tokens_of,
    rows_at,
    sampler_view,
    standing_of,
)
from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.chat import Chat, ChatPart, PartKind, Rendered, no_template
from tokexplore.models.api.engine import (
    Continuation,
    Control,
    Described,
    DrawnToken,
    EndReason,
    Held,
    Progress,
    ScoredToken,
    StreamEnded,
    StreamEvent,
    StreamRequest,
)
from tokexplore.models.api.instruments import Logits
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.next_tokens import NextTokens
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.distribution import STORED_CANDIDATES, Distribution, Rows, TokenRank
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.effects import Draws, Effect
from tokexplore.models.sampling.randomness import extend_key, path_key, seed_key, uniform
from tokexplore.models.sampling.sampler_view import SamplerView
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary

SUGGESTED = SamplingSettings(temperature=0.7, top_k=20, top_p=0.8)
_LOGITS_KEY = 20_240_601
_FIRST_BYTE, _FIRST_WORD = vocabulary.FIRST_BYTE, vocabulary.FIRST_WORD

Failure = Exception | str
"""An exception to raise, or `die`."""


class FakeEngine:
    """Implements `models.api.engine.Engine`.

    Args:
        planted: logits to set after a path: `{ids: {token: logit}}`.
        gate: a permit is taken from it before each new token (cancelling still works).
        seconds_per_token: a pace for programs under test that have no gate; of all streams
            together, and what a token costs to make counts towards it.
        failures: what happens instead of the n-th forward pass of a stream or score (from 1,
            counted over the engine's life); each happens once.
        context: positions of the model.
        chunk: prompt tokens per prefill chunk.
        sharpness: what all logits are multiplied by, those that are planted apart.
        on_death: what `die` does; the process ends by default.
    """

    def __init__(
        self,
        *,
        name: str = "fake",
        planted: Mapping[tuple[int, ...], Mapping[int, float]] | None = None,
        gate: threading.Semaphore | None = None,
        seconds_per_token: float = 0.0,
        failures: Mapping[int, Failure] | None = None,
        context: int = 1024,
        chunk: int = 64,
        chat_template: bool = True,
        dtype: str = "float32",
        sharpness: float = 1.0,
        on_death: Callable[[], None] = lambda: os._exit(70),
    ) -> None:
        self.sharpness = sharpness
        self.planted = dict(planted or {})
        self.gate = gate
        self.seconds_per_token = seconds_per_token
        self._due = 0.0
        """When the next token is, by that pace."""
        self.failures = dict(failures or {})
        self.chunk = chunk
        self.on_death = on_death
        self.kept: Callable[[Sequence[int]], int] = len
        """How many tokens of a path need no prefill."""
        self.bench = FakeBench(self)
        self.interpreter = FakeInterpreter(self)
        self.control = Control()
        """Of the last stream."""
        self.passes = 0
        """Forward passes of streams and scores so far."""
        self._info = _info(name, context, chat_template, dtype)

    @classmethod
    def open(
        cls,
        options: LoadOptions,
        report: Callable[[Progress], None],
        *,
        files_gate: threading.Semaphore | None = None,
        load_gate: threading.Semaphore | None = None,
        load_error: Exception | None = None,
        **config: object,
    ) -> "FakeEngine":
        """Load, with progress; `files_gate` is waited for before its files are read, `load_gate`
        between the ten parts of the weights."""
        if files_gate is not None:
            files_gate.acquire()
        if not config.get("chat_template", True):
            report(Progress("reading", 2, 2, "files", why_no_chat=no_template(options.model)))
        for part in range(10):
            report(Progress("weights", part * 100, 1000, "bytes"))
            if load_gate is not None:
                load_gate.acquire()
        if load_error is not None:
            raise load_error
        report(Progress("weights", 1000, 1000, "bytes"))
        return cls(name=options.model, **config)  # type: ignore[arg-type]

    @property
    def info(self) -> ModelInfo:
        return self._info

    @property
    def vocabulary(self) -> Vocabulary:
        return vocabulary.VOCABULARY

    def encode(self, text: str, *, continuation: bool = False, literal: bool = False) -> list[int]:
        ids = vocabulary.encode(text, literal=literal)
        return ids if continuation or ids[:1] == [vocabulary.BOS] else [vocabulary.BOS, *ids]

    def render(self, chat: Chat) -> Rendered:
        if not self.info.chat_template:
            raise UsageError(no_template(self.info.name))
        roles = {
            "user": vocabulary.USER,
            "assistant": vocabulary.ASSISTANT,
            "system": vocabulary.SYSTEM,
        }
        ids, parts = [vocabulary.BOS], [ChatPart(1, -1, "", "template")]
        for index, message in enumerate(chat.messages):
            if message.role not in roles:
                raise UsageError(f"the template of {self.info.name} has no role {message.role!r}.")
            said = vocabulary.encode(message.content, literal=chat.literal)
            ids += [roles[message.role], *said, vocabulary.END]
            kinds: list[tuple[int, PartKind]] = [(1, "template"), (len(said), "content")]
            kinds.append((1, "template"))
            parts += [ChatPart(count, index, message.role, kind) for count, kind in kinds]
        said = vocabulary.encode(chat.prefill, literal=chat.literal)
        ids += [vocabulary.ASSISTANT, *said]
        parts.append(ChatPart(1, len(chat.messages), "assistant", "template"))
        parts.append(ChatPart(len(said), len(chat.messages), "assistant", "content"))
        return Rendered(tuple(ids), parts=tuple(part for part in parts if part.tokens))

    def append_turns(self, ids: Sequence[int], chat: Chat, known: int) -> Rendered:
        if not self.info.chat_template or not known:
            raise UsageError("there is no chat to go on with.")
        added = chat.messages[known:]
        if added and not any(message.content.strip() for message in added):
            raise UsageError("the next turn is empty: type at least one character.")
        told, closed = self.render(chat), ids[-1] == vocabulary.END
        parts = [part for part in told.parts if part.message >= known]
        if not closed:
            parts.insert(0, ChatPart(1, known - 1, "assistant", "template"))
        count = sum(part.tokens for part in parts)
        return Rendered(told.ids[-count:], parts=tuple(parts))

    def stream(self, request: StreamRequest, control: Control) -> Iterator[StreamEvent]:
        self.control = control
        if len(request.ids) > self.info.context:
            raise UsageError(
                f"the prompt is {len(request.ids)} tokens long and the context of "
                f"{self.info.name} is {self.info.context}: shorten it."
            )
        ids = list(request.ids)
        if request.score_prompt:
            yield from self.score(ids, 1, control)
        for done in range(self.chunk, len(ids), self.chunk):
            yield Progress("prefill", done, len(ids))
            if control.cancelled:
                yield StreamEnded(len(ids), "interrupted")
                return
        reason: EndReason | None = None
        key = _model_key(ids)
        while reason is None:
            reason = self._limit(ids, request, control)
            if reason is None:
                drawn = self._next(ids, key, request, control)
                if drawn is None:
                    continue
                ids.append(drawn.standing.token)
                key = extend_key(key, ids[-1])
                yield drawn
                reason = self._stopped(ids, request)
        if request.describe_end:
            yield Described(len(ids), self._distribution(ids, key, request.top, "step")[0])
        yield StreamEnded(len(ids), reason, _detail(ids, request) if reason == "stop" else "")

    def score(
        self, ids: Sequence[int], start: int, control: Control
    ) -> Iterator[Progress | ScoredToken]:
        key = _model_key(ids[:start])
        for position in range(start, len(ids)):
            if (position - start) % self.chunk == 0:
                yield Progress("scoring", position - start, len(ids) - start)
                if control.cancelled:
                    return
            self._forward()
            distribution, order, logits = self._distribution(ids[:position], key, 256, "prefill")
            standing = standing_of(order, logits, ids[position], distribution.lse)
            yield ScoredToken(position, distribution, standing)
            key = extend_key(key, ids[position])

    def logits(self, ids: Sequence[int], start: int, control: Control) -> Iterator[Logits]:
        for first in range(start, len(ids), self.chunk):
            if control.cancelled:
                return
            ends = range(first, min(first + self.chunk, len(ids)))
            yield np.stack([self.full(ids[:end]) for end in ends])

    def read(self, ids: Sequence[int], start: int) -> Logits:
        return np.stack([self.full(ids[:end]) for end in range(start, len(ids))])

    def held(self, ids: Sequence[int]) -> Held:
        if not self.info.kv_limit:
            return Held()
        kept = self.kept(ids)
        return Held(self.info.kv_bytes_per_token * kept, self.info.kv_limit, 1, kept)

    def describe(self, ids: Sequence[int], *, whole: bool = False) -> Distribution:
        del whole
        return self._distribution(ids, _model_key(ids), 256, "prefill")[0]

    def describe_all(
        self,
        paths: Sequence[Sequence[int]],
        settings: SamplingSettings | None = None,
        prompt_length: int = 0,
        *,
        start: int = 0,
        count: int = STORED_CANDIDATES,
    ) -> list[NextTokens]:
        found = []
        for ids in paths:
            self._forward()
            order, logits, _ = self._full(ids)
            view = None if settings is None else self.reshape(ids, settings, prompt_length)
            told = None if start else self.describe(ids)
            found.append(next_tokens_of(order, logits, view, start, count, told))
        return found

    def rows(self, ids: Sequence[int], start: int, count: int) -> Rows:
        order, logits, lse = self._full(ids)
        return rows_at(
            np.arange(start, min(start + count, len(order))), order, logits, len(order), lse
        )

    def search(self, ids: Sequence[int], text: str, limit: int) -> Rows:
        order, logits, lse = self._full(ids)
        wanted = text.lower()
        hits = [
            place
            for place, token in enumerate(order)
            if wanted in self.vocabulary.bytes_of(int(token)).decode("utf-8", "replace").lower()
            and self.vocabulary.bytes_of(int(token))
        ]
        return rows_at(np.array(hits[:limit], dtype=np.int64), order, logits, len(hits), lse)

    def standings(self, ids: Sequence[int], tokens: Sequence[int]) -> list[TokenRank]:
        order, logits, lse = self._full(ids)
        return [standing_of(order, logits, token, lse) for token in tokens]

    def reshape(
        self, ids: Sequence[int], settings: SamplingSettings, prompt_length: int = 0
    ) -> SamplerView:
        del prompt_length
        order, logits, _ = self._full(ids)
        return sampler_view(order, logits, settings)

    def effects(
        self, ids: Sequence[int], settings: Sequence[SamplingSettings], prompt_length: int = 0
    ) -> list[Effect]:
        order, logits, _ = self._full(ids)
        views = [self.reshape(ids, chosen, prompt_length) for chosen in settings]
        return [effect_of(order, logits, view) for view in views]

    def continuations(
        self, request: StreamRequest, seeds: Sequence[int], control: Control
    ) -> list[Continuation]:
        found = []
        for seed in seeds:
            settings = msgspec.structs.replace(request.settings, seed=seed)
            events = self.stream(msgspec.structs.replace(request, settings=settings), control)
            drawn = [event for event in events if isinstance(event, DrawnToken)]
            ids, logprobs, entropies = zip(
                *((e.standing.token, e.standing.logprob, e.distribution.entropy) for e in drawn),
                strict=True,
            )
            found.append(Continuation(seed, ids, logprobs, entropies, "length"))
        return [] if control.cancelled else found

    @property
    def requests(self) -> NoReturn:
        raise UsageError("requests that run at once need a server.")

    def draws(
        self, ids: Sequence[int], settings: SamplingSettings, count: int, prompt_length: int = 0
    ) -> Draws:
        order, logits, _ = self._full(ids)
        view, key = self.reshape(ids, settings, prompt_length), path_key(settings.seed, ids)
        if settings.greedy:
            return drawn({int(order[0]): count})
        kept = logits[order[: view.kept]].astype(np.float64)
        places = [drawn_place(kept, settings, uniform(key, n)) for n in range(count)]
        return drawn(Counter(int(order[place]) for place in places))

    # The model

    def full(self, ids: Sequence[int]) -> np.ndarray:
        """Raw logits after a path: f32, shape [V]."""
        return self._logits(ids, _model_key(ids))

    def _logits(self, ids: Sequence[int], key: bytes) -> np.ndarray:
        """Raw logits after a path: f32, shape [V]."""
        rows = self.vocabulary.rows
        random = np.random.Generator(np.random.PCG64(int.from_bytes(key, "little")))
        logits = random.standard_normal(rows, dtype=np.float32) * np.float32(2.0)
        logits[:_FIRST_BYTE] -= 10
        logits[_FIRST_BYTE:_FIRST_WORD] -= 6
        logits[len(self.vocabulary) :] -= 20
        logits[-1] = -np.inf
        for before, after in zip(
            vocabulary.SPLIT_CHARACTER, vocabulary.SPLIT_CHARACTER[1:], strict=False
        ):
            if ids[-1] == before:
                logits[after] += 30
        logits *= np.float32(self.sharpness)
        for token, logit in self.planted.get(tuple(ids), {}).items():
            logits[token] = logit
        return logits

    def _full(self, ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray, float]:
        logits = self._logits(ids, _model_key(ids))
        return np.argsort(-logits, kind="stable"), logits, log_sum_exp(logits)

    def _distribution(
        self, ids: Sequence[int], key: bytes, top: int, source: str
    ) -> tuple[Distribution, np.ndarray, np.ndarray]:
        """The distribution after a path, the candidate order [V] and the logits [V]."""
        began = time.perf_counter()
        logits = self._logits(ids, key)
        order = np.argsort(-logits, kind="stable")
        lse = log_sum_exp(logits)
        logprobs = logits.astype(np.float64) - lse
        p = np.exp(logprobs)
        entropy = float(-np.sum(p[p > 0] * logprobs[p > 0]))
        listed = order[:top]
        distribution = Distribution(
            listed.astype(np.uint32).tobytes(),
            logits[listed].tobytes(),
            len(logits),
            lse,
            entropy,
            source,
            time.perf_counter() - began,
        )
        return distribution, order, logits

    def _keep_pace(self) -> None:
        if self.seconds_per_token:
            time.sleep(max(0.0, self._due - time.monotonic()))
            self._due = max(self._due, time.monotonic() - self.seconds_per_token)
            self._due += self.seconds_per_token

    def _next(
        self, ids: list[int], key: bytes, request: StreamRequest, control: Control
    ) -> DrawnToken | None:
        """The next token, or None when cancelled at the gate."""
        if self.gate is not None:
            while not self.gate.acquire(timeout=0.005):
                if control.cancelled:
                    return None
        self._keep_pace()
        self._forward()
        first = len(ids) == len(request.ids)
        source = "prefill" if first else "step"
        distribution, order, logits = self._distribution(ids, key, request.top, source)
        settings = control.settings or request.settings
        view = sampler_view(order, logits, settings)
        draw = request.draw if first else 0
        number = None
        place = 0
        if not settings.greedy:
            number = uniform(path_key(settings.seed, ids), draw)
            place = drawn_place(logits[order[: view.kept]].astype(np.float64), settings, number)
        token = int(order[place])
        standing = standing_of(order, logits, token, distribution.lse)
        return DrawnToken(
            position=len(ids),
            distribution=distribution,
            standing=standing,
            settings=settings,
            sampler=view,
            chosen_by="greedy" if settings.greedy else "sampled",
            sampler_logprob=view.fate(token, standing.logit).logprob,
            draw=draw,
            uniform=number,
            threads=1,
            watched=tuple(standing_of(order, logits, t, distribution.lse) for t in request.watch),
        )

    def _forward(self) -> None:
        """Count a forward pass, or fail as planted."""
        self.passes += 1
        failure = self.failures.pop(self.passes, None)
        if failure == "die":
            self.on_death()
        if isinstance(failure, Exception):
            raise failure

    def _limit(self, ids: list[int], request: StreamRequest, control: Control) -> EndReason | None:
        if control.cancelled:
            return "interrupted"
        length = control.max_new_tokens or request.max_new_tokens
        if len(ids) - len(request.ids) >= length:
            return "length"
        return "context" if len(ids) >= self.info.context else None

    def _stopped(self, ids: list[int], request: StreamRequest) -> EndReason | None:
        if ids[-1] in self.info.eos_ids and not request.ignore_eos:
            return "eos"
        if ids[-1] in request.turn_ids and not request.ignore_eos:
            return "end of turn"
        return "stop" if ids[-1] in request.stop_ids or _detail(ids, request) else None


def _model_key(ids: Sequence[int]) -> bytes:
    key = seed_key(_LOGITS_KEY)
    for token in ids:
        key = extend_key(key, token)
    return key


def _detail(ids: Sequence[int], request: StreamRequest) -> str:
    """The stop text that the text after the prompt holds; empty for none."""
    if not request.stop_texts:
        return ""
    text = vocabulary.VOCABULARY.text(ids[request.stops_from :])
    return next((stop for stop in request.stop_texts if stop in text), "")


def _info(name: str, context: int, chat_template: bool, dtype: str) -> ModelInfo:
    return ModelInfo(
        name=name,
        source=name,
        revision="",
        family="FakeForCausalLM",
        parameters=12_345,
        layers=2,
        heads=4,
        hidden=64,
        vocabulary=vocabulary.VOCABULARY.rows,
        context=context,
        dtype=dtype,
        device="cpu",
        capabilities=Capabilities(batches=True, shares=True),
        attention="none",
        cache="whole-path hash",
        feed="batched",
        bos_id=vocabulary.BOS,
        eos_ids=(vocabulary.EOS, vocabulary.END),
        chat_template=chat_template,
        turn_ids=(vocabulary.USER,),
        adds_bos=True,
        suggested=SUGGESTED,
        weight_bytes=49_380,
        kv_bytes_per_token=1_024,
        threads="auto 1-2",
        seconds=0.01,
    )


def planted_text(
    engine: FakeEngine, prompt: str, text: str, *, logit: float = 20.0
) -> tuple[list[int], list[int]]:
    """Make greedy decoding after `prompt` say `text`, then end: the ids of both."""
    start, said = engine.encode(prompt), engine.encode(text, continuation=True)
    path = list(start)
    for token in [*said, vocabulary.EOS]:
        planted = engine.planted.get(tuple(path), {})
        engine.planted[tuple(path)] = {**planted, token: logit}
        path.append(token)
    return start, said
