"""What a server can do that answers OpenAI's `/v1/completions`, and is of no other kind."""

from typing import Any

import msgspec
from transformers import PreTrainedTokenizerBase

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.display import safe_text
from tokexplore.models.engine.loading.generation_config import eos_ids, read_generation_config
from tokexplore.models.engine.text.byte_table import vocabulary_of
from tokexplore.models.errors import ModelError, ServerError
from tokexplore.models.server.asking.raw_logprobs import check_raw
from tokexplore.models.server.asking.served import UNSTATED, Look, Program, Served, stated
from tokexplore.models.server.asking.tokenizer_here import PROBE, tokenizer_here
from tokexplore.models.server.openai.checks import (
    ERROR,
    INSTEAD,
    MISTAKEN,
    RAW,
    SMALL_MASS,
    alike,
    check_names,
    more_samples,
    most_listed,
    words_of,
)
from tokexplore.models.server.openai.dialect import PATH, OpenAI
from tokexplore.models.server.openai.reply import Completions, Written, counted
from tokexplore.models.server.wire.http import RefusedError
from tokexplore.models.tokens import NO_VOCABULARY

NAME = "OpenAI's API"
ABSENT = (404, 405, 501)


class NoCompletionsError(ServerError):
    """What it does in the place of completing prompts with candidates: it may do so with chats."""


def look(looking: Look, model: dict[str, Any]) -> Served:
    """What it can do with the model that it lists so.

    Raises:
        NoCompletionsError: it completes no prompts with candidates.
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
    check_names(looking, dialect, vocabulary, ids, limit)
    check_raw(looking, dialect, RAW, ids=ids, top_p=SMALL_MASS)
    samples = dialect.samples | more_samples(looking, dialect, ids)
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


def _probed(looking: Look, blind: OpenAI) -> tuple[Completions, int]:
    """The reply to a text, and how many candidates it lists at most.

    Raises:
        NoCompletionsError: there are no candidates to be had.
    """
    try:
        reply, count = most_listed(
            looking.options.server.top, lambda count: blind.asked(blind.body(PROBE, count, 1))
        )
    except RefusedError as error:
        if error.code in ABSENT:
            raise NoCompletionsError(f"does not complete prompts ({words_of(error)})") from None
        raise
    return reply, min(count, len(_first(looking, reply).candidates))


def _first(looking: Look, reply: Completions) -> Written:
    """The first token of a reply.

    Raises:
        NoCompletionsError: there are no candidates beside it.
    """
    told = reply.choices[0].logprobs if len(reply.choices) == 1 else None
    if told is None or not told.top_logprobs or not told.top_logprobs[0]:
        raise NoCompletionsError(
            f"completes prompts without listing candidates (POST {PATH} with logprobs, as TGI and "
            "`transformers serve` answer it)"
        )
    return reply.choices[0].written(looking.http)[0]


def _read(
    looking: Look, dialect: OpenAI, tokenizer: PreTrainedTokenizerBase, probed: Completions
) -> list[int]:
    """The ids of the probe, with which the server goes on as with its text.

    Raises:
        ModelError: it takes no ids, or the tokenizer here gives others.
    """
    count = counted(probed)
    wanted, top = _first(looking, probed).candidates, len(_first(looking, probed).candidates)
    readings = [
        list(tokenizer(PROBE, add_special_tokens=special)["input_ids"]) for special in (True, False)
    ]
    for ids in readings if readings[0] != readings[1] else readings[:1]:
        if count not in (None, len(ids)):
            continue
        try:
            reply = dialect.asked(dialect.body(ids, top, 1))
        except RefusedError as error:
            if error.code not in MISTAKEN:
                raise
            raise ModelError(
                f"{safe_text(looking.http.address.host)} takes no prompts as ids "
                f"({words_of(error)}): {INSTEAD}."
            ) from None
        if counted(reply) == count and alike(wanted, _first(looking, reply).candidates):
            many = "as many tokens" if count else "their number is not told"
            looking.tell(f"goes on with ids as with their text ({many})", f"POST {PATH} with both")
            return ids
    raise ModelError(
        "the tokenizer that is here reads texts otherwise than the server"
        + (f" ({len(readings[0])} tokens of a test text, {count} there)" if count else "")
        + ": name the model's own with --tokenizer DIR."
    )


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
    scores = first and abs(told.logprob(0) - last.distribution.logprob(0)) <= ERROR
    what = "of a prompt, without ranks" if scores else "of a prompt that are not those of its steps"
    looking.tell(f"gives logprobs {what}", call)
    return scores
