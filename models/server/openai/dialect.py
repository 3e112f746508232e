"""OpenAI's `/v1/completions`, and servers that answer as it does: prompts are ids, replies texts.

Candidates come as a map by text, without ids; what the texts are is told by a tokenizer on this
machine (`TokenNames`). What it answers is from documentation and public code: docs/servers.md.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from tokexplore.models.api.engine import ScoredToken
from tokexplore.models.api.traffic import Load
from tokexplore.models.display import safe_text
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.dialect import (
    Logprobs,
    Step,
    Steps,
    UnseenEndError,
    listed,
    standing_in,
)
from tokexplore.models.server.openai.reply import (
    STOP,
    Choice,
    Reply,
    Written,
    check_whole,
    decoded,
    is_unseen,
    tokens_of,
)
from tokexplore.models.server.openai.token_names import TokenNames
from tokexplore.models.server.wire.event_stream import EventStream
from tokexplore.models.server.wire.http import LARGE, SMALL, Http
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.untrusted import brief

PATH = "/v1/completions"
NO_LOGPROB = -9999.0
"""What stands for minus infinity, which JSON has not."""
FORCING = 100
"""The largest bias: its token alone can be taken."""
_SEEDS = 2**63 - 1


class OpenAI:
    """Implements `Dialect`.

    Args:
        model: as the server names it.
        vocabulary: of the tokenizer here.
        samples: what was found that its sampler has as ours has it.
    """

    apart: frozenset[str] = frozenset()

    def __init__(
        self,
        http: Http,
        program: str,
        model: str,
        vocabulary: Vocabulary,
        samples: frozenset[str] = frozenset(("temperature", "top_p")),
    ) -> None:
        self._http, self.program, self._model, self.samples = http, program, model, samples
        self.names, self._rows = TokenNames(vocabulary), vocabulary.rows

    def describe(self, ids: Sequence[int], top: int) -> Distribution:
        """See `Dialect.describe`."""
        began = time.perf_counter()
        written, _ = self._one(ids, SamplingSettings(), 0, top)
        return self.listed(written, ids, top, time.perf_counter() - began)

    def logprobs(self, *_: object) -> Logprobs:
        """See `Dialect.logprobs`."""
        raise UsageError(f"{self.program} lists the first candidates only.")

    def step(
        self,
        ids: Sequence[int],
        settings: SamplingSettings,
        seed: int,
        top: int,
        *,
        cold: bool = False,
    ) -> Step:
        """See `Dialect.step`."""
        del cold
        began = time.perf_counter()
        written, ends = self._one(ids, settings, seed, top)
        step = self.taken(written, ids, top, time.perf_counter() - began)
        return step._replace(ends=ends)

    def steps(
        self,
        ids: Sequence[int],
        settings: SamplingSettings,
        seed: int,
        top: int,
        length: int,
        *,
        cold: bool = False,
    ) -> Steps:
        """See `Dialect.steps`; no request can be kept from its prefix cache."""
        del cold
        body = self.body(ids, top, length) | sampling(settings, seed) | {"stream": True}
        return _Steps(self, self._http, body, ids, top)

    def streams(self, settings: SamplingSettings) -> bool:
        """See `Dialect.streams`."""
        del settings
        return True

    def load(self) -> Load:
        """See `Dialect.load`; it says nothing."""
        return Load()

    def ends(self, ids: Sequence[int], token: int) -> bool:
        """See `Dialect.ends`."""
        body = self.body(ids, 1, 1) | {"logit_bias": {str(token): FORCING}}
        return self.choice(body).finish_reason == STOP

    def scores(self, ids: Sequence[int], start: int, top: int) -> Iterator[ScoredToken]:
        """See `Dialect.scores`: the prompt is written back, and a token after it, as no server has
        to take a length of 0."""
        choice = self.choice(self.body(ids, top, 1) | {"echo": True}, LARGE)
        written = tokens_of(self._http, choice)
        if len(written) not in (len(ids), len(ids) + 1):  # an end is not written
            raise self._http.unreadable("has no logprobs of the prompt")
        for position in range(start, len(ids)):
            yield self._scored(ids, position, written[position], top)

    def _scored(self, ids: Sequence[int], position: int, told: Written, top: int) -> ScoredToken:
        token, path = ids[position], ids[:position]
        named = self.names.token(told.text, self.names.begun(path))
        if told.logprob is None or named not in (None, token):
            raise self._http.unreadable("has no logprob of a token of the prompt")
        distribution = self.listed(told, path, top, 0.0)
        return ScoredToken(position, distribution, standing_in(distribution, token, told.logprob))

    def body(self, prompt: Sequence[int] | str, top: int, length: int) -> dict[str, Any]:
        """A greedy request."""
        return {
            "model": self._model,
            "prompt": prompt if isinstance(prompt, str) else list(prompt),
            "max_tokens": length,
            "logprobs": top,
            **sampling(SamplingSettings(), 0),
        }

    def asked(self, body: dict[str, Any], limit: int = SMALL) -> Reply:
        """The reply to a request.

        Raises:
            ServerError: there is none.
        """
        return decoded(self._http, self._http.post_raw(PATH, body, limit))

    def choice(self, body: dict[str, Any], limit: int = SMALL) -> Choice:
        """What was written to a request.

        Raises:
            ServerError: nothing, only a part of it, or several things.
        """
        reply = self.asked(body, limit)
        if len(reply.choices) != 1:
            raise self._http.unreadable("has not the one text that was asked for")
        check_whole(reply.choices[0])
        return reply.choices[0]

    def taken(self, written: Written, path: Sequence[int], top: int, seconds: float) -> Step:
        """The step of a token that the server took after a path.

        Raises:
            ServerError: the tokenizer here cannot tell which token it is.
        """
        token = self.names.token(written.text, self.names.begun(path))
        if token is None:
            raise ServerError(
                f"the server took {_shown(written.text)}, which is no one token's exact bytes for "
                "the tokenizer here: what came before it stays."
            )
        if written.logprob is None:
            raise self._http.unreadable("has not a logprob and candidates for each token")
        return Step(self.listed(written, path, top, seconds), token, written.logprob)

    def listed(
        self, written: Written, path: Sequence[int], top: int, seconds: float
    ) -> Distribution:
        """The candidates of a step, down to the first that has no name: of those below it no rank
        is known.

        Raises:
            ServerError: the first of all has none.
        """
        begun, named = self.names.begun(path), list[tuple[int, float]]()
        own, told = written.text, written.candidates.items()
        order = sorted(told, key=lambda row: (-row[1], row[0] == own))
        for text, logprob in order[:top]:  # the token that was taken stands beside the first ones
            token = self.names.token(text, begun)
            if token is None or logprob <= NO_LOGPROB:
                break
            named.append((token, logprob))
        if order and not named:
            raise ServerError(
                f"the most probable token there is {_shown(order[0][0])}, which is no one token's "
                "exact bytes for the tokenizer here: nothing that is listed below it has a rank."
            )
        return listed(named, self._rows, top, seconds)

    def _one(
        self, ids: Sequence[int], settings: SamplingSettings, seed: int, top: int
    ) -> tuple[Written, bool]:
        """One token, and whether the text ends with it."""
        choice = self.choice(self.body(ids, top, 1) | sampling(settings, seed))
        written, ends = tokens_of(self._http, choice), choice.finish_reason == STOP
        if ends and (not written or is_unseen(written[0])):
            raise UnseenEndError(
                "the text ends here at a token that the server does not show, and it lists no "
                "candidates of that step."
            )
        if len(written) != 1:
            raise self._http.unreadable("has not the one token that was asked for")
        return written[0], ends


class _Steps:
    """A stream whose events hold one token each, several, or none; implements `Steps`."""

    def __init__(
        self, server: OpenAI, http: Http, body: dict[str, Any], ids: Sequence[int], top: int
    ) -> None:
        self._server, self._http, self._path, self._top = server, http, list(ids), top
        self._events = EventStream(http, PATH, body)
        self.ends = False
        self._ready: deque[Step] = deque()
        self._fault: ServerError | None = None
        """What came before it is given first."""
        self._since = time.perf_counter()

    @property
    def over(self) -> bool:
        return self._events.over and not self._ready and self._fault is None

    def next(self, seconds: float) -> Step | None:
        if not self._ready and self._fault is not None:
            raise self._fault
        if not self._ready and (data := self._events.next(seconds)) is not None:
            try:
                self._take(data)
            except ServerError as fault:
                self._fault = fault
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        self._events.close()

    def _take(self, data: bytes) -> None:
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        for choice in decoded(self._http, data).choices:
            written, ends = tokens_of(self._http, choice), choice.finish_reason == STOP
            for number, told in enumerate(written, 1):
                if ends and number == len(written) and is_unseen(told):
                    break
                step = self._server.taken(told, self._path, self._top, seconds)
                self._path.append(step.token)
                self._ready.append(step)
            check_whole(choice)
            self.ends = self.ends or ends


def _shown(text: str) -> str:
    return f"«{safe_text(brief(text))}»"


def sampling(settings: SamplingSettings, seed: int) -> dict[str, Any]:
    """The fields of a request: all that such a server would set by itself is set."""
    biased = {str(tokens[0]): value for tokens, value in settings.bias}
    return {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seed": seed % _SEEDS,
        **({"logit_bias": biased} if biased else {}),
    }
