"""What SGLang's server can do with a model."""

import re
from typing import Any

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.display import safe_text
from tokexplore.models.engine.loading.generation_config import eos_ids, read_generation_config
from tokexplore.models.engine.text.byte_table import vocabulary_of
from tokexplore.models.errors import ModelError, ServerError
from tokexplore.models.server.asking.raw_logprobs import is_raw
from tokexplore.models.server.asking.served import (
    MOST_ROWS,
    UNSTATED,
    Look,
    Program,
    Served,
    stated,
)
from tokexplore.models.server.asking.tokenizer_here import check_reading, tokenizer_here
from tokexplore.models.server.greedy_logprobs import GreedyLogprobs
from tokexplore.models.server.sglang.dialect import PATH, Sglang
from tokexplore.models.server.wire.http import Http, RefusedError
from tokexplore.models.untrusted import brief, object_of

OWNER = "sglang"
"""Whom the server names as the maker of its models."""
NAME = "SGLang"
_TOGETHER = "null"
"""The disaggregation mode of a server that does all of the work itself."""
_KEYS = re.compile(r"keys in \[0, (\d+)\]")


def look(looking: Look, model: dict[str, Any]) -> Served:
    """What it can do with the model that it lists so.

    Raises:
        ServerError: it does not answer as such a server does.
        ModelError: there is no tokenizer of the model here, or it cannot be asked by ids.
    """
    http, tell = looking.http, looking.tell
    name = str(model["id"])
    about, server = _about(http, model)
    version = safe_text(brief(str(server.get("version") or UNSTATED)))
    program, context = f"{NAME} {version}", stated(model.get("max_model_len"))
    tell(f"is {program}", "GET /server_info")
    path = about.get("tokenizer_path") or about.get("model_path") or name
    located, tokenizer = tokenizer_here(looking, NAME, str(path))
    looking.step(1, "what it lists, and how it reads texts")
    rows = _rows(http)
    seeded = server.get("enable_deterministic_inference") is True
    dialect = Sglang(http, program, rows, context, seeded=seeded)
    raw = is_raw(looking, dialect)
    dialect.logprobs([0])
    tell(f"lists all {rows:,} tokens by id", f"POST {PATH} with top_logprobs_num {rows}")
    scores = _scores(looking, dialect)
    tell(
        "draws by the seed of a request" if seeded else "draws anew, whatever the seed",
        "GET /server_info: enable_deterministic_inference",
    )
    check_reading(looking, name, tokenizer)
    generation, _ = read_generation_config(located.directory)
    return looking.served(
        Program(NAME, version, name, context),
        dialect if raw else GreedyLogprobs(dialect, scores=scores),
        tokenizer,
        vocabulary_of(tokenizer, rows),
        eos_ids(generation, {}, tokenizer, rows),
        Capabilities(
            listed=min(looking.options.server.top, rows),
            on_demand=True,
            prompt_scores=scores,
            instruments=False,
            serves=True,
        ),
    )


def _about(http: Http, model: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What it says of the model and of itself.

    Raises:
        ModelError: it is an adapter, or one server of several that share the work.
    """
    if parent := model.get("parent"):
        raise ModelError(
            f"{safe_text(brief(model['id']))} is an adapter, which cannot be asked for by ids yet: "
            f"open {safe_text(brief(str(parent)))}, which it is on."
        )
    about, server = object_of(http.get("/model_info")), object_of(http.get("/server_info"))
    mode = about.get("disaggregation_mode", _TOGETHER)
    if mode != _TOGETHER:
        raise ModelError(
            f"SGLang does only the {safe_text(brief(str(mode)))} there, which lists few "
            "candidates: open one that was started without --disaggregation-mode."
        )
    return about, server


def _rows(http: Http) -> int:
    """How large the vocabulary is, which the refusal of a bias beyond it tells: the request is
    refused before the model is asked."""
    beyond = {"max_new_tokens": 1, "logit_bias": {str(MOST_ROWS): 0.0}}
    try:
        http.post(PATH, {"input_ids": [0], "sampling_params": beyond})
    except RefusedError as error:
        if (found := _KEYS.search(str(error))) and int(found[1]) < MOST_ROWS:
            return int(found[1]) + 1
        raise
    raise http.unreadable(f"takes a bias on token {MOST_ROWS:,} without a word")


def _scores(looking: Look, dialect: Sglang) -> bool:
    """Whether it gives logprobs of a prompt, which some of its backends do not."""
    call = f"POST {PATH} with logprob_start_len"
    try:
        list(dialect.scores([0, 0], 1, 1))
    except ServerError:
        looking.tell("gives no logprobs of a prompt", call)
        return False
    looking.tell("gives logprobs of a prompt, without ranks", call)
    return True
