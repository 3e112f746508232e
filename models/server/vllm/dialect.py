"""vLLM's server, asked by `/v1/completions` with ids, whose candidates are asked for as ids.

What it answers was found by asking it: docs/servers.md has it with the calls that show it.
"""

import math
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tokexplore.models.api.engine import ScoredToken
from tokexplore.models.api.traffic import Load
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import ServerError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.dialect import (
    Ask,
    Logprobs,
    Step,
    Steps,
    by_id,
    listed,
    standing_in,
)
from tokexplore.models.server.event_steps import EventSteps
from tokexplore.models.server.wire.event_stream import EventStream
from tokexplore.models.server.wire.http import LARGE, Http
from tokexplore.models.server.wire.metrics import load_of

PATH = "/v1/completions"
WHOLE = -1
"""So many logprobs are those of the whole vocabulary."""
NO_LOGPROB = -9999.0
"""What stands for a token that was cut, where the server gives logprobs after sampling."""
STOP = "stop"
"""Why a stream ended: at a token that ends a text; we give no texts to stop at."""
_AS_ID = "token_id:"
_SEEDS = 2**63 - 1


class Told(msgspec.Struct):
    """Of the tokens of a reply, or of one event: the lists go together."""

    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float | None] | None] = []


class Ranked(msgspec.Struct):
    """A token of a prompt's step."""

    logprob: float
    rank: int | None = None


class Choice(msgspec.Struct):
    """What was written, of which only ids and numbers are read: texts may belong elsewhere."""

    token_ids: list[int] | None = None
    logprobs: Told | None = None
    prompt_logprobs: list[dict[str, Ranked] | None] | None = None
    finish_reason: str | None = None


class Reply(msgspec.Struct):
    """A reply, or an event of a stream."""

    choices: list[Choice] = []


class Vllm:
    """Implements `Dialect`.

    Args:
        model: as the server names it.
        vocabulary: rows of its logits.
    """

    samples = frozenset(
        ("temperature", "top_k", "top_p", "min_p", "seed", "repetition_penalty", "bias")
    )
    apart: frozenset[str] = frozenset()

    def __init__(self, http: Http, program: str, model: str, vocabulary: int) -> None:
        self._http, self.program, self._model, self._rows = http, program, model, vocabulary

    def describe(self, ids: Sequence[int], top: int) -> Distribution:
        """See `Dialect.describe`."""
        return self.step(Ask(ids, top)).distribution

    def logprobs(self, ids: Sequence[int]) -> Logprobs:
        """See `Dialect.logprobs`."""
        named = self.whole(ids)
        values = (-math.inf if v is None or v <= NO_LOGPROB else v for v in named.values())
        return by_id(map(_id, named), values, self._rows)

    def whole(self, ids: Sequence[int]) -> dict[str, float | None]:
        """The logprob of every token of the vocabulary after a path, by the server's names.

        Raises:
            ServerError: there is no answer; a refusal of a server that lists fewer.
        """
        body = self._body(Ask(ids, WHOLE))
        (choice, *_) = self._decoded(self._http.post_raw(PATH, body, LARGE)).choices or (Choice(),)
        told = choice.logprobs.top_logprobs if choice.logprobs else []
        if len(told) != 1 or told[0] is None:
            raise self._http.unreadable("has not the whole vocabulary that was asked for")
        return told[0]

    def step(self, ask: Ask) -> Step:
        """See `Dialect.step`."""
        began = time.perf_counter()
        data = self._http.post_raw(PATH, self._body(ask))
        steps = self.read(data, ask.top, time.perf_counter() - began)
        if len(steps) != 1:
            raise self._http.unreadable("has not the one token that was asked for")
        return steps[0]

    def steps(self, ask: Ask, length: int) -> Steps:
        """See `Dialect.steps`."""
        body = self._body(ask, length) | {"stream": True}
        return EventSteps(
            EventStream(self._http, PATH, body), lambda data, spent: self.read(data, ask.top, spent)
        )

    def ends(self, ids: Sequence[int], token: int) -> bool:
        """See `Dialect.ends`."""
        body = self._body(Ask(ids, 1)) | {"allowed_token_ids": [token]}
        (choice, *_) = self._decoded(self._http.post_raw(PATH, body)).choices or (Choice(),)
        return choice.token_ids == [token] and choice.finish_reason == STOP

    def streams(self, settings: SamplingSettings) -> bool:
        """See `Dialect.streams`."""
        del settings
        return True

    def load(self) -> Load:
        """See `Dialect.load`."""
        return load_of(
            self._http,
            "vllm:num_requests_running",
            "vllm:num_requests_waiting",
            "vllm:kv_cache_usage_perc",
        )

    def scores(self, ids: Sequence[int], start: int, top: int) -> Iterator[ScoredToken]:
        """See `Dialect.scores`."""
        body = self._body(Ask(ids, 1)) | {"prompt_logprobs": top}
        reply = self._decoded(self._http.post_raw(PATH, body, LARGE))
        steps = reply.choices[0].prompt_logprobs if reply.choices else None
        if steps is None or len(steps) != len(ids):
            raise self._http.unreadable("has no logprobs of the prompt")
        for position in range(start, len(ids)):
            yield self._scored(position, ids[position], steps[position] or {}, top)

    def _scored(
        self, position: int, token: int, ranked: dict[str, Ranked], top: int
    ) -> ScoredToken:
        rows = {_id(name): row for name, row in ranked.items()}
        own = rows.get(token)
        if own is None:
            raise self._http.unreadable("has no logprob of a token of the prompt")
        pairs = [(t, row.logprob) for t, row in rows.items() if t != token or _is_listed(row, top)]
        distribution = listed(pairs, self._rows, top, 0.0)
        standing = standing_in(distribution, token, own.logprob)
        if standing.index < 0 and own.rank:
            standing = msgspec.structs.replace(standing, rank=own.rank)
        return ScoredToken(position, distribution, standing)

    def read(self, data: bytes, top: int, seconds: float) -> list[Step]:
        """The steps of a reply or of an event.

        Raises:
            ServerError: what it says of them does not go together.
        """
        steps: list[Step] = []
        for choice in self._decoded(data).choices:
            tokens = choice.token_ids or []
            told = choice.logprobs or Told()
            if not len(tokens) == len(told.token_logprobs) == len(told.top_logprobs):
                raise self._http.unreadable("has not a logprob for each token")
            for token, logprob, names in zip(
                tokens, told.token_logprobs, told.top_logprobs, strict=True
            ):
                if logprob is None or names is None:
                    raise self._http.unreadable("has not a logprob for each token")
                steps.append(self._step(token, logprob, names, top, seconds))
            if choice.finish_reason == STOP and steps:
                steps[-1] = steps[-1]._replace(ends=True)
        return steps

    def _step(
        self, token: int, logprob: float, names: dict[str, float | None], top: int, seconds: float
    ) -> Step:
        rows = {_id(name): value for name, value in names.items() if value is not None}
        kept = [(t, value) for t, value in rows.items() if value > NO_LOGPROB]
        if len(kept) > top:  # the token that was taken stands there beside the first ones
            smallest = min(kept, key=lambda row: (row[1], row[0] != token))
            kept.remove(smallest)
        return Step(listed(kept, self._rows, top, seconds), token, logprob)

    def _decoded(self, data: bytes) -> Reply:
        try:
            return msgspec.json.decode(data, type=Reply)
        except (msgspec.MsgspecError, RecursionError):
            raise self._http.unreadable("has no logprobs as vLLM writes them") from None

    def _body(self, ask: Ask, length: int = 1) -> dict[str, Any]:
        return {
            "model": self._model,
            "prompt": list(ask.ids),
            "max_tokens": length,
            "logprobs": ask.top,
            "return_token_ids": True,
            "return_tokens_as_token_ids": True,
            # Blocks of another salt are not shared.
            **({"cache_salt": secrets.token_hex(16)} if ask.cold else {}),
            **sampling(ask.settings, ask.seed),
        }


def _is_listed(row: Ranked, top: int) -> bool:
    """Whether the prompt's own token is one of the first, among which it stands in any case."""
    return row.rank is None or row.rank <= top


def _id(name: str) -> int:
    """The id in the name of a candidate.

    Raises:
        ServerError: it is none.
    """
    try:
        return int(name.removeprefix(_AS_ID))
    except ValueError:
        raise ServerError("the server names candidates by text, which several share.") from None


def sampling(settings: SamplingSettings, seed: int) -> dict[str, Any]:
    """The fields of a request: all that the server would set by itself is set."""
    biased = {str(tokens[0]): value for tokens, value in settings.bias}
    return {
        "temperature": settings.temperature,
        "top_k": settings.top_k or -1,
        "top_p": settings.top_p,
        "min_p": settings.min_p,
        "repetition_penalty": settings.repetition_penalty,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": seed % _SEEDS,
        **({"logit_bias": biased} if biased else {}),
    }
