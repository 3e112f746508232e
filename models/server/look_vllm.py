"""What vLLM's server can do with a model."""

import re
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.catalog.catalog import Located, locate
from tokexplore.models.display import safe_text
from tokexplore.models.engine.loading.generation_config import eos_ids, read_generation_config
from tokexplore.models.engine.loading.weights import open_tokenizer
from tokexplore.models.engine.text.byte_table import vocabulary_of
from tokexplore.models.errors import ModelError, TokexploreError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.chat_template import check_template
from tokexplore.models.server.http import Http, RefusedError
from tokexplore.models.server.served import Look, Program, Served, stated
from tokexplore.models.server.vllm import PATH, Vllm
from tokexplore.models.untrusted import brief, object_of

MOST_ROWS = 2_000_000
"""Of a vocabulary: more than any model has."""
_MANY = 10**7
"""More candidates than there are: the refusal names the limit."""
_LIMIT = re.compile(r"max allowed:? (\d+)")
_WANTED = re.compile(r"logprobs of (\d+)")
_PROBE = "The price of 3 apples is $42.\n  国王 said: «naïve» 😀"
"""A text that tokenizers cut in different ways."""
_RAW_ERROR = 0.05
"""Nats by which two temperatures may move a logprob that is raw."""


def look(looking: Look, model: dict[str, Any], version: str) -> Served:
    """What it can do with the model that it lists so.

    Raises:
        ServerError: it does not answer as such a server does.
        ModelError: there is no tokenizer of the model here, or it gives processed logprobs.
    """
    name, program = str(model["id"]), f"vLLM {version}"
    looking.tell(f"is {program}", "GET /version")
    located = _tokenizer_of(looking, model)
    tokenizer = open_tokenizer(
        located.name, located.directory, trust_remote_code=looking.options.trust_remote_code
    )
    looking.tell(f"leaves tokens to {safe_text(located.source)}", "no call tells their bytes")
    looking.step(1, "what it lists, and how it reads texts")
    limit, rows = _limit(looking.http, name), _rows(Vllm(looking.http, program, name, 0))
    whole = limit >= rows
    listed = f"all {rows:,} tokens" if whole else f"up to {limit:,} of {rows:,} tokens"
    looking.tell(f"lists {listed} by id", f"POST {PATH} with logprobs -1")
    dialect = Vllm(looking.http, program, name, rows)
    _check_raw(looking, dialect)
    _check_tokenizer(looking, name, tokenizer)
    check_template(
        looking,
        tokenizer,
        lambda turns: _rendered(looking.http, name, turns),
        lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"]),
        "POST /tokenize with messages",
    )
    looking.tell("gives logprobs and ranks of a prompt", f"POST {PATH} with prompt_logprobs")
    generation, _ = read_generation_config(located.directory)
    return looking.served(
        Program("vLLM", version, name, stated(model.get("max_model_len"))),
        dialect,
        tokenizer,
        vocabulary_of(tokenizer, rows),
        eos_ids(generation, {}, tokenizer, rows),
        Capabilities(
            listed=min(looking.options.server.top, limit),
            on_demand=whole,
            instruments=False,
            serves=True,
        ),
    )


def _rendered(http: Http, model: str, turns: Sequence[dict[str, Any]]) -> object:
    body = {"model": model, "messages": list(turns), "add_generation_prompt": True}
    return object_of(http.post("/tokenize", body)).get("tokens")


def _tokenizer_of(looking: Look, model: dict[str, Any]) -> Located:
    """Where the model's tokenizer is on this machine."""
    given = looking.options.server.tokenizer
    named = given or str(model.get("root") or model["id"])
    shown, advice = safe_text(brief(named)), "name a directory that has it: --tokenizer DIR"
    try:
        located = locate(named)
    except TokexploreError as error:
        if given:
            raise
        raise ModelError(
            f"vLLM tells no bytes of its tokens, and {shown}, which it says it runs, is not on "
            f"this machine: for its tokenizer, {advice}."
        ) from error
    if located.path is None:
        raise ModelError(
            f"the tokenizer of {shown} is not in the hub cache: `hf download {shown} --include "
            f"'*token*' '*.json' '*.jinja'` fetches it; or {advice}."
        )
    return located


def _limit(http: Http, model: str) -> int:
    """How many candidates it lists at most."""
    try:
        http.post(PATH, {"model": model, "prompt": [0], "max_tokens": 1, "logprobs": _MANY})
    except RefusedError as error:
        if (found := _LIMIT.search(str(error))) and 0 < int(found[1]) <= MOST_ROWS:
            return int(found[1])
        raise
    raise http.unreadable(f"takes {_MANY:,} candidates without a word")


def _rows(asked: Vllm) -> int:
    """How large the vocabulary is, which all of it or the refusal of all of it tells."""
    try:
        return len(asked.whole([0]))
    except RefusedError as error:
        if (found := _WANTED.search(str(error))) and 0 < int(found[1]) <= MOST_ROWS:
            return int(found[1])
        raise


def _check_raw(looking: Look, dialect: Vllm) -> None:
    """Raises:
    ModelError: logprobs are those after the server's sampler.
    """
    plain, hot = (
        dialect.step([0], SamplingSettings(temperature=heat), 0, 1).distribution
        for heat in (0.0, 2.0)
    )
    if plain.ids != hot.ids or abs(plain.logprob(0) - hot.logprob(0)) > _RAW_ERROR:
        raise ModelError(
            f"{dialect.program} gives logprobs after its sampler, from which the model's own "
            "cannot be told: start it with --logprobs-mode raw_logprobs."
        )
    looking.tell("gives logprobs before its sampler", "one step at temperatures 0 and 2")


def _check_tokenizer(looking: Look, model: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises:
    ModelError: the server reads texts otherwise than the tokenizer that is here.
    """
    body = {"model": model, "prompt": _PROBE, "add_special_tokens": False}
    try:
        theirs = object_of(looking.http.post("/tokenize", body)).get("tokens")
    except RefusedError:
        looking.tell("does not tell how it reads texts", "POST /tokenize")
        return
    if list(tokenizer(_PROBE, add_special_tokens=False)["input_ids"]) != theirs:
        raise ModelError(
            "the tokenizer that is here reads texts otherwise than the server: name the model's "
            "own with --tokenizer DIR."
        )
    looking.tell("reads texts as the tokenizer here does", "POST /tokenize")
