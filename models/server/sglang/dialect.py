"""SGLang's server, asked by its own `/generate`, which takes ids and gives ids.

What it answers is as the source of SGLang 0.5.23 has it: docs/servers.md says so.
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
from tokexplore.models.server.dialect import Ask, Logprobs, Step, Steps, by_id, listed, standing_in
from tokexplore.models.server.event_steps import EventSteps
from tokexplore.models.server.wire.event_stream import EventStream
from tokexplore.models.server.wire.http import LARGE, SMALL, Http, said_by
from tokexplore.models.server.wire.metrics import load_of

PATH = "/generate"
STOP, ABORT = "stop", "abort"
"""Why a text ended: at a token that ends it (we give nothing else to stop at); given up."""
FLOOR = -3e38
"""The lowest f32, or what bf16 makes of it, stands for a logprob of minus infinity."""
FORCING = 1e9
"""Added to a logit so that its token is taken."""
_SEEDS = 2**63

Entry = tuple[float | None, int, str | None]
"""A logprob, an id and the text, which is left out."""


class Finish(msgspec.Struct):
    """Why there are no more tokens."""

    type: str
    matched: Any = None
    """The token that ends the text; a sentence where its numbers were none."""
    message: str | None = None


class Told(msgspec.Struct):
    """Of the tokens of a reply, or of an event: the lists of one side go together."""

    completion_tokens: int
    """In all, also where an event has only the new ones."""
    finish_reason: Finish | None = None
    cached_tokens: int = 0
    output_token_logprobs: list[Entry] = []
    output_top_logprobs: list[list[Entry] | None] = []
    input_token_logprobs: list[Entry] = []
    input_top_logprobs: list[list[Entry] | None] = []


class Reply(msgspec.Struct):
    """A reply, or an event of a stream; one that is refused once the stream is open has no more."""

    meta_info: Told | None = None
    error: Any = None


class Sglang:
    """Implements `Dialect`.

    Its biases and penalties are left out: they change the logprobs that it gives.

    Args:
        vocabulary: rows of its logits: asked for more candidates than that, the server ends.
        context: positions; 0 where it states none.
        seeded: it draws by the seeds of requests, for which its min-p is not made.
    """

    apart = frozenset(("top_k", "top_p"))

    def __init__(
        self, http: Http, program: str, vocabulary: int, context: int = 0, *, seeded: bool = False
    ) -> None:
        self._http, self.program, self._rows, self._context = http, program, vocabulary, context
        self.samples = frozenset(("temperature", "top_k", "top_p", "seed" if seeded else "min_p"))

    def describe(self, ids: Sequence[int], top: int) -> Distribution:
        """See `Dialect.describe`."""
        return self.step(Ask(ids, top)).distribution

    def logprobs(self, ids: Sequence[int]) -> Logprobs:
        """See `Dialect.logprobs`."""
        told = self._asked(self._body(Ask(ids, self._rows)), LARGE)
        rows = told.output_top_logprobs[0] if told.output_top_logprobs else None
        pairs = [self._pair(entry) for entry in rows or []]
        return by_id((token for token, _ in pairs), (value for _, value in pairs), self._rows)

    def step(self, ask: Ask) -> Step:
        """See `Dialect.step`."""
        began = time.perf_counter()
        told = self._asked(self._body(ask))
        steps = self._steps(told, 0, ask.top, time.perf_counter() - began)
        if len(steps) != 1:
            raise self._http.unreadable("has not the one token that was asked for")
        return steps[0]

    def steps(self, ask: Ask, length: int) -> Steps:
        """See `Dialect.steps`."""
        body = self._body(ask, length) | {"stream": True}
        count = 0

        def read(data: bytes, spent: float) -> list[Step]:
            nonlocal count
            told = self._told(data)
            if ask.cold and told.cached_tokens:
                raise ServerError(
                    f"{self.program} took {told.cached_tokens:,} tokens from its prefix cache, "
                    "which they were to be kept from."
                )
            steps = self._steps(told, count, ask.top, spent)
            count += len(steps)
            return steps

        return EventSteps(EventStream(self._http, PATH, body), read)

    def ends(self, ids: Sequence[int], token: int) -> bool:
        """See `Dialect.ends`."""
        body = self._body(Ask(ids, 1))
        body["sampling_params"]["logit_bias"] = {str(token): FORCING}
        told = self._asked(body)
        taken = [entry[1] for entry in told.output_token_logprobs]
        return taken == [token] and _ended(told)

    def streams(self, settings: SamplingSettings) -> bool:
        """See `Dialect.streams`."""
        del settings
        return True

    def load(self) -> Load:
        """See `Dialect.load`; it keeps the metrics to itself unless started with
        --enable-metrics."""
        return load_of(
            self._http, "sglang:num_running_reqs", "sglang:num_queue_reqs", "sglang:token_usage"
        )

    def scores(self, ids: Sequence[int], start: int, top: int) -> Iterator[ScoredToken]:
        """See `Dialect.scores`."""
        first = start - 1  # of the first position that it is asked for it tells nothing
        body = self._body(Ask(ids, top)) | {"logprob_start_len": first}
        told = self._asked(body, LARGE)
        own, rows = told.input_token_logprobs, told.input_top_logprobs
        if not len(own) == len(rows) == len(ids) - first:
            raise self._http.unreadable("has no logprobs of the prompt")
        for position in range(start, len(ids)):
            # The ids that it names with them are not all those that it was given.
            _, logprob = self._pair(own[position - first])
            pairs = [self._pair(entry) for entry in rows[position - first] or []]
            distribution = listed(pairs, self._rows, top, 0.0)
            yield ScoredToken(
                position, distribution, standing_in(distribution, ids[position], logprob)
            )

    def _steps(self, told: Told, count: int, top: int, seconds: float) -> list[Step]:
        """The steps after the first `count` of a stream, of which an event has all or the new."""
        own, rows = told.output_token_logprobs, told.output_top_logprobs
        total = told.completion_tokens
        if count + len(own) > total:
            own, rows = own[count:total], rows[count:total]
        if not len(own) == len(rows) == total - count:
            raise self._http.unreadable("has not a logprob for each token")
        steps = []
        for entry, row in zip(own, rows, strict=True):
            token, logprob = self._pair(entry)
            pairs = [self._pair(candidate) for candidate in row or []]
            steps.append(Step(listed(pairs, self._rows, top, seconds), token, logprob))
        if steps and _ended(told):
            steps[-1] = steps[-1]._replace(ends=True)
        return steps

    def _pair(self, entry: Entry) -> tuple[int, float]:
        logprob, token, _ = entry
        if logprob is None:
            raise self._http.unreadable("has not a logprob for each token")
        return token, logprob if logprob > FLOOR else -math.inf

    def _asked(self, body: dict[str, Any], limit: int = SMALL) -> Told:
        return self._told(self._http.post_raw(PATH, body, limit))

    def _told(self, data: bytes) -> Told:
        """Raises:
        ServerError: it cannot be read, or the server has given the request up.
        """
        try:
            reply = msgspec.json.decode(data, type=Reply)
        except (msgspec.MsgspecError, RecursionError):
            raise self._http.unreadable("has no logprobs as SGLang writes them") from None
        if reply.error is not None or reply.meta_info is None:
            error = reply.error
            raise self._given_up(error.get("message") if isinstance(error, dict) else error)
        finish = reply.meta_info.finish_reason
        if finish is not None and finish.type == ABORT:
            raise self._given_up(finish.message)
        if finish is not None and finish.type == STOP and isinstance(finish.matched, str):
            raise self._given_up(finish.matched)
        return reply.meta_info

    def _given_up(self, words: object) -> ServerError:
        return ServerError(f"{self.program} gave the request up: {said_by(str(words or ''))}")

    def _body(self, ask: Ask, length: int = 1) -> dict[str, Any]:
        left = self._context - len(ask.ids) if self._context else length
        return {
            "input_ids": list(ask.ids),
            "return_logprob": True,
            "top_logprobs_num": min(ask.top, self._rows),
            # Prefixes of another salt are not shared.
            **({"cache_salt": secrets.token_hex(16)} if ask.cold else {}),
            "sampling_params": {
                "max_new_tokens": max(1, min(length, left)),
                **self._sampling(ask.settings, ask.seed),
            },
        }

    def _sampling(self, settings: SamplingSettings, seed: int) -> dict[str, Any]:
        """The fields of a request: all that the server would set by itself is set."""
        return {
            "temperature": settings.temperature,
            "top_k": min(settings.top_k, self._rows) or -1,
            "top_p": settings.top_p,
            "min_p": settings.min_p,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "sampling_seed": seed % _SEEDS,
            "min_new_tokens": 0,
            "ignore_eos": False,
            "stop": [],
            "stop_token_ids": [],
        }


def _ended(told: Told) -> bool:
    return told.finish_reason is not None and told.finish_reason.type == STOP
