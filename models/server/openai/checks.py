"""What looks at OpenAI's APIs ask alike."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from tokexplore.models.errors import ModelError, ServerError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.asking.served import Look
from tokexplore.models.server.dialect import Ask
from tokexplore.models.server.openai.dialect import OpenAI
from tokexplore.models.server.openai.token_names import Spelling
from tokexplore.models.server.wire.http import RefusedError
from tokexplore.models.tokens import Vocabulary

_COUNTS = (20, 5, 1)
"""Candidates that are asked for where more are refused; OpenAI's completions list 5."""
_MOST = re.compile(r"(?:maximum of|more than|value <=) (\d+)")
"""Where a refusal says how many there can be."""
MISTAKEN = (400, 422)
INSTEAD = "serve the model with vLLM, SGLang or llama.cpp's server"
RAW = "raw logprobs, where it has them"
LENGTH = 16
"""Tokens that are written where several are looked at."""
ERROR = 0.25
"""Nats by which logprobs of one step may differ between two requests: other requests run beside."""
_NAMED = 0.9
"""Share of the candidates that a tokenizer has to name."""
HEAT = 1.5
SMALL_MASS = 0.01
"""A nucleus of the first candidate alone."""

Candidates = Sequence[tuple[Spelling, float]]
T = TypeVar("T")


def most_listed(top: int, ask: Callable[[int], T]) -> tuple[T, int]:
    """What is answered where as many candidates are asked for as are not refused, and how many.

    Raises:
        RefusedError: the first refusal, where there is no answer.
    """
    counts, refused = [top, *(count for count in _COUNTS if count < top)], list[RefusedError]()
    while counts:
        count = counts.pop(0)
        try:
            return ask(count), count
        except RefusedError as error:
            if error.code not in MISTAKEN:
                raise
            refused.append(error)
            if (found := _MOST.search(str(error))) and int(found[1]) in range(1, count):
                counts = [int(found[1]), *(other for other in counts if other < int(found[1]))]
    raise refused[0]


def alike(ours: Candidates, theirs: Candidates) -> bool:
    """Whether two lists of candidates are of one step."""
    first, second = dict(ours), dict(theirs)
    both = first.keys() & second.keys()
    near = all(abs(first[name] - second[name]) <= ERROR for name in both)
    return near and 2 * len(both) >= max(len(ours), len(theirs))


def check_names(
    looking: Look, dialect: OpenAI, vocabulary: Vocabulary, ids: Sequence[int], limit: int
) -> None:
    """Whether the candidates of a few steps are tokens of the tokenizer here, and spell the text.

    Raises:
        ModelError: they are others.
    """
    choice = dialect.choice(dialect.body(ids, limit, LENGTH))
    path, named, total = list(ids), 0, 0
    for written in choice.written(looking.http):
        begun = dialect.names.begun(path)
        named += sum(dialect.names.of(told, begun) is not None for told, _ in written.candidates)
        total += len(written.candidates)
        if (token := dialect.names.of(written.spelling, begun)) is None:
            break
        path.append(token)
    ends = vocabulary.special
    data = b"".join(vocabulary.bytes_of(token) for token in path[len(ids) :] if token not in ends)
    spelled = data.decode("utf-8", "ignore").strip()
    if named < _NAMED * total or not choice.text.strip().startswith(spelled):
        raise ModelError(
            f"the tokenizer that is here has {named} of {total} candidates of the server, or they "
            "do not spell its text: name the model's own with --tokenizer DIR."
        )
    looking.tell(
        f"lists up to {limit:,} candidates as texts; the tokenizer here has {named} of {total}",
        f"POST {dialect.path} with logprobs {limit}",
    )


def more_samples(looking: Look, dialect: OpenAI, ids: Sequence[int]) -> frozenset[str]:
    """What its sampler has beside a temperature and a nucleus, as ours has it."""
    found, settings = set[str](), SamplingSettings(temperature=HEAT)
    body = dialect.body(ids, 1, LENGTH) | dialect.sampling(settings, 7)
    texts = {dialect.choice(body).text for _ in range(2)}
    if len(texts) == 1:
        found.add("seed")
        looking.tell("drew twice alike by one seed", f"POST {dialect.path} with seed")
    else:
        looking.tell("draws anew, whatever the seed", f"POST {dialect.path} with seed")
    plain = dialect.step(Ask(ids, 1))
    changed = SamplingSettings(bias=(((plain.token,), 5.0),))
    try:
        biased = dialect.step(Ask(ids, 1, changed))
    except ServerError:
        return frozenset(found)
    if biased.token == plain.token and abs(biased.logprob - plain.logprob) <= ERROR:
        found.add("bias")
        looking.tell("gives logprobs before its biases", f"POST {dialect.path} with logit_bias")
    return frozenset(found)


def words_of(error: RefusedError) -> str:
    """What a server said, inside of a sentence."""
    return str(error).rstrip(".")
