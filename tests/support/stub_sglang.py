"""SGLang's `/generate` and what it says of itself, over a stub's engine.

No server was recorded: shapes, names and sentences are those of the source of SGLang 0.5.23
(srt/entrypoints/http_server.py, srt/managers/tokenizer_manager.py, srt/layers/sampler.py).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from support.stub_server import Stub

FLOOR = float(np.finfo(np.float32).min)
"""What its sampler makes of minus infinity."""


def answer(stub: "Stub", path: str, body: dict[str, Any]) -> Any:
    """A status and a reply, or the events of a stream; None for a path of others."""
    match path:
        case "/server_info":
            seeded = {"enable_deterministic_inference": stub.seeded}
            return 200, {"version": "0.5.23", "frontend": "python", **seeded}
        case "/model_info":
            model = {"model_path": "owner/stub", "tokenizer_path": "owner/stub"}
            return 200, model | {"is_generation": True, "disaggregation_mode": stub.disaggregation}
        case "/generate":
            return _generate(stub, body)
    return None


def _generate(stub: "Stub", body: dict[str, Any]) -> Any:
    ids, sampling = body["input_ids"], body["sampling_params"]
    for token in sampling.get("logit_bias") or {}:
        if not 0 <= int(token) < stub.rows:
            words = f"logit_bias must has keys in [0, {stub.rows - 1}], got {token}."
            return 400, {"error": {"message": words}}
    asked, room = len(ids) + sampling["max_new_tokens"], stub.context
    if asked > room:
        words = (
            f"Requested token count exceeds the model's maximum context length of {room} tokens."
        )
        refused = {"error": {"message": words}}
        return iter([refused]) if body.get("stream") else (400, refused)
    assert body.get("top_logprobs_num", 0) <= stub.rows, "more candidates end the real one"
    if body.get("stream"):
        return _events(stub, body)
    return 200, list(_events(stub, body))[-1]


def _events(stub: "Stub", body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    path, sampling, top = list(body["input_ids"]), body["sampling_params"], body["top_logprobs_num"]
    cold, count = "cache_salt" in body, len(body["input_ids"])
    told: dict[str, list[Any]] = {"output_token_logprobs": [], "output_top_logprobs": []}
    ids: list[int] = []
    whole = not (body.get("stream") and stub.incremental)
    for index in range(sampling["max_new_tokens"]):
        values = _logprobs(stub, path, sampling, cold=cold)
        how = {"temperature": sampling["temperature"], "seed": sampling.get("sampling_seed", 42)}
        token = stub.taken(values, how)
        path.append(token)
        ids.append(token)
        told["output_token_logprobs"].append([float(values[token]), token, None])
        told["output_top_logprobs"].append(_first(values, top))
        ended = token in stub.engine.info.eos_ids
        reason = {"type": "stop", "matched": token} if ended else None
        if not ended and index + 1 == sampling["max_new_tokens"]:
            reason = {"type": "length", "length": index + 1}
        since = 0 if whole else index
        meta = {
            "id": "stub",
            "finish_reason": reason,
            "prompt_tokens": count,
            "completion_tokens": index + 1,
            "cached_tokens": 0 if cold and stub.keeps_salts else count - 1,
            "output_token_logprobs_length": index + 1,
            **{name: list(rows[since:]) for name, rows in told.items()},
            **_prompt(stub, body),
        }
        yield {"text": "", "output_ids": ids[since:], "meta_info": meta}
        if ended:
            return


def _logprobs(stub: "Stub", path: list[int], sampling: dict[str, Any], *, cold: bool) -> np.ndarray:
    """As its sampler gives them: after biases and, unless told to keep the original ones, after the
    temperature."""
    values = stub.logprobs(path, cold=cold).copy()
    for token, amount in (sampling.get("logit_bias") or {}).items():
        values[int(token)] += amount
    if stub.processed and sampling["temperature"]:
        values = values / sampling["temperature"]
    values -= values.max()
    values -= np.log(np.exp(values).sum())
    return np.where(values < -1000, FLOOR, values)


def _first(values: np.ndarray, top: int) -> list[list[Any]]:
    order = np.argsort(-values, kind="stable")[:top]
    return [[float(values[token]), int(token), None] for token in order]


def _prompt(stub: "Stub", body: dict[str, Any]) -> dict[str, Any]:
    """The prompt's side: nothing of the first position, and no id as large as the last."""
    ids, start = body["input_ids"], body.get("logprob_start_len", -1)
    if start < 0:
        return {"input_token_logprobs": [], "input_top_logprobs": []}
    own, rows = [[None, _named(stub, ids[start]), None]], [None]
    for position in range(start + 1, len(ids)):
        values = stub.logprobs(ids[:position])
        own.append([float(values[ids[position]]), _named(stub, ids[position]), None])
        rows.append(_first(values, body["top_logprobs_num"]))
    return {"input_token_logprobs": own, "input_top_logprobs": rows}


def _named(stub: "Stub", token: int) -> int:
    return token if token < stub.rows - 1 else 0
