"""OpenAI's `/v1/completions`, and servers that answer as it does: prompts are ids, replies texts.

Candidates come as a map by text, without ids; what the texts are is told by a tokenizer on this
machine (`TokenNames`). What it answers is from documentation and public code: docs/servers.md.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tokexplore.models.api.engine import ScoredToken
from tokexplore.models.api.traffic import Load
from tokexplore.models.display import safe_text
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.dialect import (
    Ask,
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
    Completions,
    Reply,
    Written,
    check_whole,
    decoded,
)
from tokexplore.models.server.openai.steps import OpenAISteps
from tokexplore.models.server.openai.token_names import Spelling, TokenNames
from tokexplore.models.server.wire.http import LARGE, SMALL, Http
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.untrusted import brief

PATH = "/v1/completions"
NO_LOGPROB = -9999.0
"""What stands for minus infinity, which JSON has not."""
FORCING = 100
"""The largest bias: its token alone can be taken."""
_SEEDS = 2**63 - 1


Sampling = Callable[[SamplingSettings, int], dict[str, Any]]
"""The fields of a request for settings and a seed."""


def plain_sampling(settings: SamplingSettings, seed: int) -> dict[str, Any]:
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


class UnseenTokenError(ServerError):
    """A token that a server took and has no row for."""


class OpenAI:
    """Implements `Dialect`.

    Args:
        model: as the server names it.
        vocabulary: of the tokenizer here.
        samples: what was found that its sampler has as ours has it.
    """

    apart: frozenset[str] = frozenset()
    path: str = PATH
    """What is asked."""
    kind: type[Any] = Completions
    """The `Reply` that it gives."""

    def __init__(
        self,
        http: Http,
        program: str,
        model: str,
        vocabulary: Vocabulary,
        samples: frozenset[str] = frozenset(("temperature", "top_p")),
        sampling: Sampling = plain_sampling,
    ) -> None:
        self._http, self.program, self._model, self.samples = http, program, model, samples
        self.names, self._rows, self.sampling = TokenNames(vocabulary), vocabulary.rows, sampling

    def describe(self, ids: Sequence[int], top: int) -> Distribution:
        """See `Dialect.describe`."""
        began = time.perf_counter()
        written, _ = self.one(ids, self.body(ids, top, 1))
        return self.listed(written, ids, top, time.perf_counter() - began)

    def logprobs(self, *_: object) -> Logprobs:
        """See `Dialect.logprobs`."""
        raise UsageError(f"{self.program} lists the first candidates only.")

    def step(self, ask: Ask) -> Step:
        """See `Dialect.step`."""
        began = time.perf_counter()
        body = self.body(ask.ids, ask.top, 1) | self.sampling(ask.settings, ask.seed)
        written, ends = self.one(ask.ids, body)
        step = self.taken(written, ask.ids, ask.top, time.perf_counter() - began)
        return step._replace(ends=ends)

    def steps(self, ask: Ask, length: int) -> Steps:
        """See `Dialect.steps`; no request can be kept from its prefix cache."""
        body = self.body(ask.ids, ask.top, length) | self.sampling(ask.settings, ask.seed)
        return OpenAISteps(self, self._http, body | {"stream": True}, ask.ids, ask.top)

    def streams(self, settings: SamplingSettings) -> bool:
        """See `Dialect.streams`."""
        del settings
        return True

    def load(self) -> Load:
        """See `Dialect.load`; it says nothing."""
        return Load()

    def ends(self, ids: Sequence[int], token: int) -> bool:
        """See `Dialect.ends`."""
        return self.choice(self.forced(ids, token, 1)).finish_reason == STOP

    def scores(self, ids: Sequence[int], start: int, top: int) -> Iterator[ScoredToken]:
        """See `Dialect.scores`: the prompt is written back, and a token after it, as no server has
        to take a length of 0."""
        choice = self.choice(self.body(ids, top, 1) | {"echo": True}, LARGE)
        written = choice.written(self._http)
        if len(written) not in (len(ids), len(ids) + 1):  # an end is not written
            raise self._http.unreadable("has no logprobs of the prompt")
        for position in range(start, len(ids)):
            yield self._scored(ids, position, written[position], top)

    def _scored(self, ids: Sequence[int], position: int, told: Written, top: int) -> ScoredToken:
        token, path = ids[position], ids[:position]
        named = self.names.of(told.spelling, self.names.begun(path))
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
            **self.sampling(SamplingSettings(), 0),
        }

    def forced(self, ids: Sequence[int], token: int, top: int) -> dict[str, Any]:
        """A request of one step at which this token is taken."""
        settings = SamplingSettings(bias=(((token,), FORCING),))
        return self.body(ids, top, 1) | self.sampling(settings, 0)

    def asked(self, body: dict[str, Any], limit: int = SMALL) -> Any:
        """The reply to a request, of this kind.

        Raises:
            ServerError: there is none.
        """
        return decoded(self._http, self._http.post_raw(self.path, body, limit), self.kind)

    def choice(
        self, body: dict[str, Any], limit: int = SMALL, *, path: Sequence[int] = ()
    ) -> Choice:
        """What was written to a request, for a path where one is given.

        Raises:
            ServerError: nothing, only a part of it, or several things.
        """
        reply = self.asked(body, limit)
        if path:
            self.check_count(path, reply)
        if len(reply.choices) != 1:
            raise self._http.unreadable("has not the one text that was asked for")
        check_whole(reply.choices[0])
        return reply.choices[0]

    def check_count(self, path: Sequence[int], reply: Reply) -> None:
        """Hold what the server counted against a path, where it does not read ids.

        Raises:
            ServerError: it read others.
        """

    def taken(self, written: Written, path: Sequence[int], top: int, seconds: float) -> Step:
        """The step of a token that the server took after a path.

        Raises:
            ServerError: the tokenizer here cannot tell which token it is.
        """
        token = self.names.of(written.spelling, self.names.begun(path))
        if token is None:
            raise ServerError(
                f"the server took {_shown(written.spelling)}, which is no one token's exact bytes "
                "for the tokenizer here: what came before it stays."
            )
        if written.logprob is None:
            raise self._http.unreadable("has not a logprob and candidates for each token")
        distribution = self.listed(written, path, top, seconds)
        if distribution.index_of(token) is None and written.logprob > distribution.logprob(-1):
            raise ServerError(
                f"the server took {_shown(written.spelling)} and does not list it among candidates "
                "that are less probable: what came before it stays."
            )
        return Step(distribution, token, written.logprob)

    def listed(
        self, written: Written, path: Sequence[int], top: int, seconds: float
    ) -> Distribution:
        """The candidates of a step, down to the first that has no name: of those below it no rank
        is known.

        Raises:
            ServerError: the first of all has none.
        """
        begun, named = self.names.begun(path), list[tuple[int, float]]()
        own = written.spelling
        order = sorted(written.candidates, key=lambda row: (-row[1], row[0] == own))
        for told, logprob in order[:top]:  # the token that was taken stands beside the first ones
            token = self.names.of(told, begun)
            if token is None or logprob <= NO_LOGPROB:
                break
            named.append((token, logprob))
        if order and not named:
            raise ServerError(
                f"the most probable token there is {_shown(order[0][0])}, which is no one token's "
                "exact bytes for the tokenizer here: nothing that is listed below it has a rank."
            )
        return listed(named, self._rows, top, seconds)

    def one(self, ids: Sequence[int], body: dict[str, Any]) -> tuple[Written, bool]:
        """The one token of a request for a path, and whether the text ends with it.

        Raises:
            UnseenEndError: the text ends before it.
            UnseenTokenError: it is not shown.
            ServerError: there is no answer.
        """
        choice = self.choice(body, path=ids)
        written, ends = choice.written(self._http), choice.finish_reason == STOP
        if ends and (not written or written[0].spelling.unseen):
            raise UnseenEndError(
                "the text ends here at a token that the server does not show, and it lists no "
                "candidates of that step."
            )
        if not written and choice.finish_reason is not None:
            raise UnseenTokenError(
                "the server took a token that it has no row for, as of half a character: what came "
                "before it stays."
            )
        if len(written) != 1:
            raise self._http.unreadable("has not the one token that was asked for")
        return written[0], ends


def _shown(told: Spelling) -> str:
    return f"«{safe_text(brief(told.text))}»"
