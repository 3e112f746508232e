"""What a server can do that answers OpenAI's `/v1/chat/completions`."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import msgspec
from transformers import PreTrainedTokenizerBase

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.chat import Chat, Message, no_template
from tokexplore.models.display import safe_text
from tokexplore.models.engine.loading.generation_config import eos_ids, read_generation_config
from tokexplore.models.engine.text.byte_table import vocabulary_of
from tokexplore.models.engine.text.turn_end import named_templates
from tokexplore.models.errors import ModelError, ServerError, UsageError
from tokexplore.models.server.asking.chat_template import TURNS
from tokexplore.models.server.asking.raw_logprobs import check_raw
from tokexplore.models.server.asking.served import UNSTATED, Look, Program, Served, stated
from tokexplore.models.server.asking.tokenizer_here import tokenizer_here
from tokexplore.models.server.dialect import Step
from tokexplore.models.server.openai.checks import (
    INSTEAD,
    LENGTH,
    MISTAKEN,
    RAW,
    SMALL_MASS,
    check_names,
    more_samples,
    most_listed,
    words_of,
)
from tokexplore.models.server.openai.dialect import Sampling, plain_sampling
from tokexplore.models.server.openai.look import ABSENT
from tokexplore.models.server.openai.reply import counted, decoded
from tokexplore.models.server.openai_chat.conversations import Conversations
from tokexplore.models.server.openai_chat.dialect import PATH, OpenAIChat, fresh_request
from tokexplore.models.server.openai_chat.prefill import find_prefill
from tokexplore.models.server.openai_chat.reply import Messages
from tokexplore.models.server.wire.http import RefusedError
from tokexplore.models.tokens import Vocabulary

QUESTION = Chat((Message("user", "Describe the sea to a child in two sentences."),))
_LENGTHS = ("max_tokens", "max_completion_tokens")
"""The field that says how many tokens are to be written: OpenAI's newer models refuse the first."""


class Kind(NamedTuple):
    """Which program answers chats, and what its sampler has."""

    name: str
    samples: frozenset[str] | None = None
    """None where it is to be found out."""
    sampling: Sampling = plain_sampling


@dataclass(frozen=True)
class Reader:
    """The tokenizer here; implements `TextModel`."""

    name: str
    tokenizer: PreTrainedTokenizerBase
    vocabulary: Vocabulary
    rows: int
    bos_id: int | None
    eos_ids: tuple[int, ...]
    turn_ids: tuple[int, ...] = ()


def look(looking: Look, model: dict[str, Any], kind: Kind, without: str = "") -> Served:
    """What it can do with the model that it lists so.

    Args:
        without: what it does in the place of completing prompts, where that was asked first.

    Raises:
        ServerError: it does not answer as such a server does.
        ModelError: it gives too little, or no tokenizer of the model was named.
    """
    name, host = str(model["id"]), safe_text(looking.http.address.host)
    program = f"{kind.name} at {host}"
    reply, length, limit = _probed(looking, name, kind, without)
    if not looking.options.server.tokenizer:
        raise ModelError(
            f"the chats of {host} write tokens as texts: name a directory that has the tokenizer "
            "of its model: --tokenizer DIR."
        )
    located, tokenizer = tokenizer_here(looking, program, "")
    if not named_templates(tokenizer):
        raise ModelError(
            f"{no_template(safe_text(located.source))[:-1]}, and {host} takes chats only."
        )
    looking.step(1, "what it lists, and whether it goes on from an answer")
    vocabulary = vocabulary_of(tokenizer, 0)
    vocabulary = msgspec.structs.replace(vocabulary, rows=len(vocabulary))
    generation, _ = read_generation_config(located.directory)
    ends = eos_ids(generation, {}, tokenizer, vocabulary.rows)
    heard = Conversations(Reader(name, tokenizer, vocabulary, vocabulary.rows, None, ends))
    samples = kind.samples or frozenset(("temperature", "top_p"))
    dialect = OpenAIChat(
        looking.http, program, name, vocabulary, heard, length, samples, kind.sampling
    )
    ids = heard.hear(QUESTION)
    dialect.counts = _counts_alike(looking, dialect, heard, reply)
    check_names(looking, dialect, vocabulary, ids, limit)
    check_raw(looking, dialect, RAW, ids=ids, top_p=SMALL_MASS)
    if kind.samples is None:
        dialect.samples |= more_samples(looking, dialect, ids)
    find_prefill(looking, dialect, ids, _answer(looking, dialect, ids, limit), limit)
    looking.tell("gives no logprobs of a prompt", f"no field of POST {PATH}")
    goes_on = dialect.prefill is not None
    return looking.served(
        Program(kind.name, UNSTATED, name, stated(model.get("max_model_len"))),
        dialect,
        tokenizer,
        vocabulary,
        ends,
        Capabilities(
            listed=limit,
            prompt_scores=False,
            forced_tokens=goes_on,
            prefill=goes_on,
            plain_prompts=False,
            instruments=False,
            serves=True,
            cold=False,
        ),
        heard.hear,
    )


def _probed(looking: Look, name: str, kind: Kind, without: str) -> tuple[Messages, str, int]:
    """The reply to a question, the field that takes its length, and how many candidates it lists.

    Raises:
        ModelError: there are no candidates to be had.
    """
    host = safe_text(looking.http.address.host)
    other = f"is none of vLLM, SGLang and llama.cpp's server, {without}, and " if without else ""
    for length in _LENGTHS:
        ask = partial(_asked, looking, name, kind, length)
        try:
            reply, count = most_listed(looking.options.server.top, ask)
        except RefusedError as error:
            if error.code in ABSENT:
                raise ModelError(
                    f"{host} {other}answers no chats ({words_of(error)}): {INSTEAD}."
                ) from None
            if error.code in MISTAKEN and length in str(error) and length != _LENGTHS[-1]:
                continue
            raise
        break
    written = reply.choices[0].written(looking.http) if len(reply.choices) == 1 else []
    if not written or not written[0].candidates:
        raise ModelError(
            f"{host} {other}answers chats without listing candidates (POST {PATH} with logprobs): "
            f"{INSTEAD}."
        )
    return reply, length, min(count, len(written[0].candidates))


def _counts_alike(
    looking: Look, dialect: OpenAIChat, heard: Conversations, first: Messages
) -> bool:
    """Whether a server reads as many tokens of conversations as its template makes here."""
    turns = Chat(tuple(Message(turn["role"], turn["content"]) for turn in TURNS))
    call = f"POST {PATH}: usage"
    pairs = [(counted(first), len(heard.hear(QUESTION)))]
    with contextlib.suppress(UsageError):  # a template that refuses such turns
        ids = heard.hear(turns)
        pairs.append((counted(dialect.asked(dialect.body(ids, 1, 1))), len(ids)))
    if any(theirs is None for theirs, _ in pairs):
        looking.tell("does not tell how many tokens it reads", call)
        return False
    if all(theirs == ours for theirs, ours in pairs):
        looking.tell("reads as many tokens of a chat as its template makes here", call)
        return True
    theirs, ours = next(pair for pair in pairs if pair[0] != pair[1])
    looking.tell(f"reads {theirs} tokens of a chat of which the template here makes {ours}", call)
    looking.notices.append(
        f"The server reads {theirs} tokens of a chat of which the template here makes {ours}: the "
        "prompt's tokens that are shown are the template's here, not those that the server reads."
    )
    return False


def _answer(looking: Look, dialect: OpenAIChat, ids: Sequence[int], top: int) -> list[Step]:
    """The first steps of an answer, as far as each is a token of a text."""
    path, steps = list(ids), list[Step]()
    for written in dialect.choice(dialect.body(ids, top, LENGTH)).written(looking.http):
        try:
            steps.append(dialect.taken(written, path, top, 0.0))
        except ServerError:
            break
        path.append(steps[-1].token)
    return steps


def _asked(looking: Look, name: str, kind: Kind, length: str, top: int) -> Messages:
    body = fresh_request(name, QUESTION, kind.sampling, {length: 1}, top=top)
    return decoded(looking.http, looking.http.post_raw(PATH, body), Messages)
