"""What vLLM's server can do with a model."""

import re
from typing import Any

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.engine.loading.generation_config import eos_ids, read_generation_config
from tokexplore.models.engine.text.byte_table import vocabulary_of
from tokexplore.models.server.asking.raw_logprobs import is_raw
from tokexplore.models.server.asking.served import MOST_ROWS, Look, Program, Served, stated
from tokexplore.models.server.asking.tokenizer_here import check_reading, tokenizer_here
from tokexplore.models.server.greedy_logprobs import GreedyLogprobs
from tokexplore.models.server.vllm.dialect import PATH, Vllm
from tokexplore.models.server.wire.http import Http, RefusedError

_MANY = 10**7
"""More candidates than there are: the refusal names the limit."""
_LIMIT = re.compile(r"max allowed:? (\d+)")
_WANTED = re.compile(r"logprobs of (\d+)")


def look(looking: Look, model: dict[str, Any], version: str) -> Served:
    """What it can do with the model that it lists so.

    Raises:
        ServerError: it does not answer as such a server does.
        ModelError: there is no tokenizer of the model here.
    """
    name, program = str(model["id"]), f"vLLM {version}"
    looking.tell(f"is {program}", "GET /version")
    located, tokenizer = tokenizer_here(looking, "vLLM", str(model.get("root") or name))
    looking.step(1, "what it lists, and how it reads texts")
    limit, rows = _limit(looking.http, name), _rows(Vllm(looking.http, program, name, 0))
    whole = limit >= rows
    listed = f"all {rows:,} tokens" if whole else f"up to {limit:,} of {rows:,} tokens"
    looking.tell(f"lists {listed} by id", f"POST {PATH} with logprobs -1")
    dialect = Vllm(looking.http, program, name, rows)
    raw = is_raw(looking, dialect)
    check_reading(looking, name, tokenizer)
    looking.tell("gives logprobs and ranks of a prompt", f"POST {PATH} with prompt_logprobs")
    generation, _ = read_generation_config(located.directory)
    return looking.served(
        Program("vLLM", version, name, stated(model.get("max_model_len"))),
        dialect if raw else GreedyLogprobs(dialect, scores=True),
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
