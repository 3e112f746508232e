"""What llama.cpp's server can do with a model."""

from typing import Any

import msgspec

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.display import safe_text
from tokexplore.models.server.asking.chat_template import check_template
from tokexplore.models.server.asking.served import UNSTATED, Look, Program, Served, stated
from tokexplore.models.server.llama_cpp.dialect import LlamaCpp
from tokexplore.models.server.llama_cpp.replies import PATH, Reply
from tokexplore.models.server.llama_cpp.served_tokenizer import ServedTokenizer
from tokexplore.models.server.wire.http import LARGE, Http
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.untrusted import brief, object_of

OWNER = "llamacpp"
"""Whom the server names as the maker of its models."""
NAME = "llama.cpp's server"


def look(looking: Look, model: dict[str, Any]) -> Served:
    """What it can do with the model that it lists so.

    Raises:
        ServerError: it does not answer as such a server does.
    """
    http, tell = looking.http, looking.tell
    properties, meta = object_of(http.get("/props")), object_of(model.get("meta"))
    rows = stated(meta.get("n_vocab"))
    if not rows:
        raise http.unreadable("does not say how large the vocabulary is")
    build = safe_text(brief(str(properties.get("build_info") or UNSTATED)))
    tell(f"is {NAME}, build {build}", "GET /props")
    looking.step(1, "every token's bytes, which the server lists in one reply")
    vocabulary, control = whole_vocabulary(http, rows)
    tell(
        f"lists {rows:,} tokens with ids and bytes, {len(control)} of them control tokens",
        "POST /completion with n_probs",
    )
    tell("gives logprobs before its sampler", "POST /completion")
    tell("gives no logprobs of a prompt", "no call has them")
    tokenizer = ServedTokenizer(http, vocabulary, properties)
    tell("reads texts itself", "POST /tokenize")
    if slots := stated(properties.get("total_slots")):
        tell(f"answers {slots} requests at once, others wait", "GET /props")
    check_template(
        looking,
        tokenizer,
        lambda turns: object_of(http.post("/apply-template", {"messages": list(turns)})).get(
            "prompt"
        ),
        lambda text: text,
        "POST /apply-template",
    )
    eos = tokenizer.added_tokens_encoder.get(str(tokenizer.eos_token or ""))
    generation = object_of(properties.get("default_generation_settings"))
    return looking.served(
        Program(
            NAME,
            build,
            str(model["id"]),
            stated(generation.get("n_ctx")),
            dtype=safe_text(brief(str(meta.get("ftype") or UNSTATED))),
            parameters=stated(meta.get("n_params")),
            weight_bytes=stated(meta.get("size")),
        ),
        LlamaCpp(http, NAME, vocabulary),
        tokenizer,
        vocabulary,
        () if eos is None else (eos,),
        Capabilities(
            listed=looking.options.server.top,
            on_demand=True,
            prompt_scores=False,
            instruments=False,
            serves=True,
        ),
    )


def whole_vocabulary(http: Http, rows: int) -> tuple[Vocabulary, list[int]]:
    """Every token's bytes, in one reply that lists them all, and the ids of control tokens.

    Control tokens have no bytes there: their names are asked for one by one.

    Raises:
        ServerError: it does not list them all.
    """
    data = http.post_raw(
        PATH,
        {"prompt": [0], "n_predict": 1, "n_probs": rows, "temperature": 0.0, "cache_prompt": False},
        LARGE,
    )
    try:
        reply = msgspec.json.decode(data, type=Reply)
        candidates = reply.completion_probabilities[0].top_logprobs
        bytes_of = {candidate.id: bytes(candidate.bytes) for candidate in candidates}
    except (msgspec.MsgspecError, IndexError, ValueError, RecursionError):
        raise http.unreadable("does not list the vocabulary") from None
    if bytes_of.keys() != set(range(rows)):
        raise http.unreadable(f"lists {len(bytes_of):,} of {rows:,} tokens")
    control = [token for token, spelled in bytes_of.items() if not spelled]
    for token in control:
        named = object_of(http.post("/detokenize", {"tokens": [token]})).get("content", "")
        bytes_of[token] = str(named).encode("utf-8", "replace")
    said = object_of(http.post("/tokenize", {"content": "a", "add_special": False})).get("tokens")
    first = said[0] if isinstance(said, list) and said else None
    spaced = isinstance(first, int) and bytes_of.get(first, b"").startswith(b" ")
    tokens = [bytes_of[token] for token in range(rows)]
    return Vocabulary.pack(tokens, control, rows, leading_space=spaced), sorted(control)
