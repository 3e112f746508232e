"""What a server can do that answers OpenAI's `/v1/completions`, and is of no other kind."""

import re
from typing import Any

import msgspec
from transformers import PreTrainedTokenizerBase

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.display import safe_text
from tokexplore.models.engine.loading.generation_config import eos_ids, read_generation_config
from tokexplore.models.engine.text.byte_table import vocabulary_of
from tokexplore.models.errors import ModelError, ServerError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.asking.raw_logprobs import check_raw
from tokexplore.models.server.asking.served import UNSTATED, Look, Program, Served, stated
from tokexplore.models.server.asking.tokenizer_here import PROBE, tokenizer_here
from tokexplore.models.server.openai.dialect import PATH, OpenAI, sampling
from tokexplore.models.server.openai.reply import Reply, Written, tokens_of
from tokexplore.models.server.wire.http import RefusedError
from tokexplore.models.tokens import NO_VOCABULARY, Vocabulary

NAME = "OpenAI's API"
_COUNTS = (20, 5, 1)
"""Candidates that are asked for where more are refused; OpenAI lists 5."""
_MOST = re.compile(r"(?:maximum of|more than) (\d+)")
"""Where a refusal says how many there can be."""
_ABSENT, _MISTAKEN = (404, 405, 501), (400, 422)
_INSTEAD = "serve the model with vLLM, SGLang or llama.cpp's server"
_LENGTH = 16
"""Tokens that are written where several are looked at."""
_ERROR = 0.25
"""Nats by which logprobs of one step may differ between two requests: other requests run beside."""
_NAMED = 0.9
"""Share of the candidates that a tokenizer has to name."""
_HEAT = 1.5
_SMALL_MASS = 0.01
"""A nucleus of the first candidate alone."""


def look(looking: Look, model: dict[str, Any]) -> Served:
    """What it can do with the model that it lists so.

    Raises:
        ServerError: it does not answer as such a server does.
        ModelError: it gives too little, or no tokenizer of the model was named.
    """
    name, tell = str(model["id"]), looking.tell
    host = safe_text(looking.http.address.host)
    program = f"{NAME} at {host}"
    blind = OpenAI(looking.http, program, name, NO_VOCABULARY)
    probed, limit = _probed(looking, blind)
    if not looking.options.server.tokenizer:
        raise ModelError(
            f"{host} is none of vLLM, SGLang and llama.cpp's server, and writes tokens as texts: "
            "name a directory that has the tokenizer of its model: --tokenizer DIR."
        )
    located, tokenizer = tokenizer_here(looking, program, "")
    looking.step(1, "what it lists, and how it reads texts")
    vocabulary = vocabulary_of(tokenizer, 0)
    vocabulary = msgspec.structs.replace(vocabulary, rows=len(vocabulary))
    dialect = OpenAI(looking.http, program, name, vocabulary)
    ids = _read(looking, dialect, tokenizer, probed)
    _check_names(looking, dialect, vocabulary, ids, limit)
    check_raw(looking, dialect, "raw logprobs, where it has them", ids=ids, top_p=_SMALL_MASS)
    samples = dialect.samples | _more_samples(looking, dialect, ids)
    scores = _scores(looking, dialect, ids, limit)
    tell("cannot be told to keep a request from its prefix cache", f"no field of POST {PATH}")
    generation, _ = read_generation_config(located.directory)
    return looking.served(
        Program(NAME, UNSTATED, name, stated(model.get("max_model_len"))),
        OpenAI(looking.http, program, name, vocabulary, samples),
        tokenizer,
        vocabulary,
        eos_ids(generation, {}, tokenizer, vocabulary.rows),
        Capabilities(
            listed=limit, prompt_scores=scores, instruments=False, serves=True, cold=False
        ),
    )


def _probed(looking: Look, blind: OpenAI) -> tuple[Reply, int]:
    """The reply to a text, and how many candidates it lists at most.

    Raises:
        ModelError: there are no candidates to be had.
    """
    host, top = safe_text(looking.http.address.host), looking.options.server.top
    counts, refused = [top, *(count for count in _COUNTS if count < top)], None
    while counts:
        try:
            reply = blind.asked(blind.body(PROBE, count := counts.pop(0), 1))
        except RefusedError as error:
            if error.code in _ABSENT:
                raise ModelError(
                    f"{host} is none of vLLM, SGLang and llama.cpp's server, and does not complete "
                    f"prompts ({_words(error)}): chats alone show no candidates on a path that is "
                    f"given by ids; {_INSTEAD}."
                ) from None
            if error.code not in _MISTAKEN:
                raise
            refused = refused or error
            if (found := _MOST.search(str(error))) and int(found[1]) in range(1, count):
                counts = [int(found[1]), *(other for other in counts if other < int(found[1]))]
        else:
            listed = len(_first(looking, reply).candidates)
            return reply, min(count, listed)
    raise refused or ServerError(f"{host} does not answer.")


def _first(looking: Look, reply: Reply) -> Written:
    """The first token of a reply.

    Raises:
        ModelError: there are no candidates beside it.
    """
    host = safe_text(looking.http.address.host)
    told = reply.choices[0].logprobs if len(reply.choices) == 1 else None
    if told is None or not told.top_logprobs or not told.top_logprobs[0]:
        raise ModelError(
            f"{host} is none of vLLM, SGLang and llama.cpp's server, and completes prompts without "
            f"listing candidates (POST {PATH} with logprobs, as TGI and `transformers serve` "
            f"answer it): {_INSTEAD}."
        )
    return tokens_of(looking.http, reply.choices[0])[0]


def _read(
    looking: Look, dialect: OpenAI, tokenizer: PreTrainedTokenizerBase, probed: Reply
) -> list[int]:
    """The ids of the probe, with which the server goes on as with its text.

    Raises:
        ModelError: it takes no ids, or the tokenizer here gives others.
    """
    counted = probed.usage.prompt_tokens if probed.usage else None
    wanted, top = _first(looking, probed).candidates, len(_first(looking, probed).candidates)
    readings = [
        list(tokenizer(PROBE, add_special_tokens=special)["input_ids"]) for special in (True, False)
    ]
    for ids in readings if readings[0] != readings[1] else readings[:1]:
        if counted not in (None, len(ids)):
            continue
        try:
            reply = dialect.asked(dialect.body(ids, top, 1))
        except RefusedError as error:
            if error.code not in _MISTAKEN:
                raise
            raise ModelError(
                f"{safe_text(looking.http.address.host)} takes no prompts as ids "
                f"({_words(error)}): {_INSTEAD}."
            ) from None
        same = (reply.usage.prompt_tokens if reply.usage else None) == counted
        if same and _alike(wanted, _first(looking, reply).candidates):
            count = "as many tokens" if counted else "their number is not told"
            looking.tell(f"goes on with ids as with their text ({count})", f"POST {PATH} with both")
            return ids
    raise ModelError(
        "the tokenizer that is here reads texts otherwise than the server"
        + (f" ({len(readings[0])} tokens of a test text, {counted} there)" if counted else "")
        + ": name the model's own with --tokenizer DIR."
    )


def _alike(ours: dict[str, float], theirs: dict[str, float]) -> bool:
    """Whether two lists of candidates are of one step."""
    both = ours.keys() & theirs.keys()
    near = all(abs(ours[text] - theirs[text]) <= _ERROR for text in both)
    return near and 2 * len(both) >= max(len(ours), len(theirs))


def _check_names(
    looking: Look, dialect: OpenAI, vocabulary: Vocabulary, ids: list[int], limit: int
) -> None:
    """Whether the candidates of a few steps are tokens of the tokenizer here, and spell the text.

    Raises:
        ModelError: they are others.
    """
    choice = dialect.choice(dialect.body(ids, limit, _LENGTH))
    path, named, total = list(ids), 0, 0
    for written in tokens_of(looking.http, choice):
        begun = dialect.names.begun(path)
        named += sum(dialect.names.token(text, begun) is not None for text in written.candidates)
        total += len(written.candidates)
        if (token := dialect.names.token(written.text, begun)) is None:
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
        f"POST {PATH} with logprobs {limit}",
    )


def _more_samples(looking: Look, dialect: OpenAI, ids: list[int]) -> frozenset[str]:
    """What its sampler has beside a temperature and a nucleus, as ours has it."""
    found, settings = set(), SamplingSettings(temperature=_HEAT)
    body = dialect.body(ids, 1, _LENGTH) | sampling(settings, seed=7)
    texts = {dialect.choice(body).text for _ in range(2)}
    if len(texts) == 1:
        found.add("seed")
        looking.tell("drew twice alike by one seed", f"POST {PATH} with seed")
    else:
        looking.tell("draws anew, whatever the seed", f"POST {PATH} with seed")
    plain = dialect.step(ids, SamplingSettings(), 0, 1)
    changed = SamplingSettings(bias=(((plain.token,), 5.0),))
    try:
        biased = dialect.step(ids, changed, 0, 1)
    except ServerError:
        return frozenset(found)
    if biased.token == plain.token and abs(biased.logprob - plain.logprob) <= _ERROR:
        found.add("bias")
        looking.tell("gives logprobs before its biases", f"POST {PATH} with logit_bias")
    return frozenset(found)


def _scores(looking: Look, dialect: OpenAI, ids: list[int], limit: int) -> bool:
    """Whether it gives logprobs of a prompt, and they are those of its steps."""
    call = f"POST {PATH} with echo"
    try:
        *_, last = dialect.scores(ids, 1, limit)
        told = dialect.describe(ids[:-1], limit)
    except ServerError:
        looking.tell("gives no logprobs of a prompt", call)
        return False
    first = told.id_view[0] == last.distribution.id_view[0]
    scores = first and abs(told.logprob(0) - last.distribution.logprob(0)) <= _ERROR
    what = "of a prompt, without ranks" if scores else "of a prompt that are not those of its steps"
    looking.tell(f"gives logprobs {what}", call)
    return scores


def _words(error: RefusedError) -> str:
    return str(error).rstrip(".")
