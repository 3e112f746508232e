"""llama.cpp's server, asked by its own `/completion`, which takes ids and gives ids and bytes.

What it answers was found by asking it: docs/servers.md has it with the calls that show it.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from tokexplore.models.api.engine import ScoredToken
from tokexplore.models.api.traffic import Load
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.dialect import Ask, Logprobs, Step, Steps, by_id, listed
from tokexplore.models.server.llama_cpp.replies import EOS, PATH, RankedReply, Reply, Row
from tokexplore.models.server.llama_cpp.steps import LlamaCppSteps
from tokexplore.models.server.single_steps import SingleSteps
from tokexplore.models.server.wire.http import LARGE, SMALL, Http
from tokexplore.models.server.wire.metrics import load_of
from tokexplore.models.tokens import Vocabulary

FORCING = 1e9
"""Added to a logit so that its token is taken; the logprobs that are given do not see it."""
_SEEDS = 2**32 - 1
"""The server reads the last seed of 32 bits as `any`."""

_ALL = 2**31 - 1
"""Tokens that a penalty looks back over: the whole path."""

_Row = TypeVar("_Row")
_Reply = TypeVar("_Reply", Reply, RankedReply)


class LlamaCpp:
    """Implements `Dialect`.

    Args:
        vocabulary: of the model, whole.
    """

    samples = frozenset((
        "temperature", "top_k", "top_p", "min_p", "typical_p", "seed", "repetition_penalty", "bias",
        "banned",
    ))  # fmt: skip
    apart: frozenset[str] = frozenset()

    def __init__(self, http: Http, program: str, vocabulary: Vocabulary) -> None:
        self._http, self.program, self.vocabulary = http, program, vocabulary
        self._plain = next(
            t for t in range(len(vocabulary)) if vocabulary.bytes_of(t) in (b"!", b".", b"a", b"e")
        )
        """A token that is a whole character: half a character would have no row."""

    def describe(self, ids: Sequence[int], top: int) -> Distribution:
        """See `Dialect.describe`."""
        return self._described(Ask(ids, top))

    def _described(self, ask: Ask) -> Distribution:
        began = time.perf_counter()
        reply = self._asked(self._forced(ask), Reply)
        row = self._one(reply.completion_probabilities)
        return self._listed(row, ask.top, time.perf_counter() - began)

    def logprobs(self, ids: Sequence[int]) -> Logprobs:
        """See `Dialect.logprobs`."""
        return self._whole(ids)

    def _whole(self, ids: Sequence[int], *, cold: bool = False) -> Logprobs:
        vocabulary = self.vocabulary.rows
        ask = Ask(ids, vocabulary, cold=cold)
        reply = self._asked(self._forced(ask), RankedReply, LARGE)
        rows = self._one(reply.completion_probabilities).top_logprobs
        return by_id((row.id for row in rows), (row.logprob for row in rows), vocabulary)

    def _forced(self, ask: Ask) -> dict[str, Any]:
        """The request of one step whose row is certain to be there."""
        return self._body(ask) | {"logit_bias": [[self._plain, FORCING]]}

    def _one(self, rows: Sequence[_Row]) -> _Row:
        if not rows:
            raise self._http.unreadable("lists no candidates")
        return rows[0]

    def step(self, ask: Ask) -> Step:
        """See `Dialect.step`."""
        began = time.perf_counter()
        body = self._body(ask) | sampling(ask.settings, ask.seed)
        reply = self._asked(body, Reply)
        if len(reply.tokens) != 1:
            raise self._http.unreadable("has not the one token that was asked for")
        (token,) = reply.tokens
        if not (rows := reply.completion_probabilities):  # half a character has none
            return self._found(ask, token)
        row, ends = rows[0], reply.stop_type == EOS
        distribution = self._listed(row, ask.top, time.perf_counter() - began)
        return Step(distribution, token, row.logprob, ends)

    def steps(self, ask: Ask, length: int) -> Steps:
        """See `Dialect.steps`."""
        if self.streams(ask.settings):
            return LlamaCppSteps(self, self._http, ask.plain, length)
        return SingleSteps(self, ask, length)

    def streams(self, settings: SamplingSettings) -> bool:
        """See `Dialect.streams`: what a stream leaves out can be found again where it is greedy."""
        return settings.greedy and not settings.looks_back

    def load(self) -> Load:
        """See `Dialect.load`; it keeps the metrics to itself unless started with --metrics."""
        return load_of(self._http, "llamacpp:requests_processing", "llamacpp:requests_deferred")

    def ends(self, ids: Sequence[int], token: int) -> bool:
        """See `Dialect.ends`."""
        body = self._body(Ask(ids, 1)) | {"logit_bias": [[token, FORCING]]}
        reply = self._asked(body, Reply)
        return reply.tokens == [token] and reply.stop_type == EOS

    def scores(self, *_: object) -> Iterator[ScoredToken]:
        """See `Dialect.scores`."""
        raise UsageError(f"{self.program} gives no logprobs of tokens that it is given.")

    def body(self, ask: Ask, length: int) -> dict[str, Any]:
        """The request of a stream."""
        return self._body(ask, length) | sampling(ask.settings, ask.seed) | {"stream": True}

    def taken(self, row: Row, top: int, seconds: float) -> Step:
        """A step that a stream brought."""
        return Step(self._listed(row, top, seconds), row.id, row.logprob)

    def greedy(self, ask: Ask) -> Step:
        """The most probable token after a path."""
        distribution = self._described(ask)
        return Step(distribution, distribution.id_view[0], distribution.logprob(0))

    def _found(self, ask: Ask, token: int) -> Step:
        distribution = self._described(ask)
        index = distribution.index_of(token)
        if index is None:
            return Step(distribution, token, float(self._whole(ask.ids, cold=ask.cold)[token]))
        return Step(distribution, token, distribution.logprob(index))

    def _body(self, ask: Ask, length: int = 1) -> dict[str, Any]:
        """A greedy request."""
        return {
            "prompt": list(ask.ids),
            "n_predict": length,
            "n_probs": ask.top,
            "temperature": 0.0,
            "return_tokens": True,
            "cache_prompt": not ask.cold,
        }

    def _asked(self, body: dict[str, Any], kind: type[_Reply], limit: int = SMALL) -> _Reply:
        data = self._http.post_raw(PATH, body, limit)
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, RecursionError):
            raise self._http.unreadable("has no rows of candidates") from None

    def _listed(self, row: Row, top: int, seconds: float) -> Distribution:
        rows = ((candidate.id, candidate.logprob) for candidate in row.top_logprobs)
        return listed(rows, self.vocabulary.rows, top, seconds)


def sampling(settings: SamplingSettings, seed: int) -> dict[str, Any]:
    """The fields of a request: all that the server would set by itself is set."""
    return {
        "temperature": settings.temperature,
        "top_k": settings.top_k,
        "top_p": settings.top_p,
        "min_p": settings.min_p,
        "typical_p": settings.typical_p,
        "repeat_penalty": settings.repetition_penalty,
        "repeat_last_n": _ALL,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "dry_multiplier": 0.0,
        "xtc_probability": 0.0,
        "seed": seed % _SEEDS,
        "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p", "typ_p"],
        "logit_bias": [
            *([tokens[0], value] for tokens, value in settings.bias),
            *([tokens[0], False] for tokens in settings.banned),
        ],
    }
