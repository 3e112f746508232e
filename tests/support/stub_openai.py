"""OpenAI's `/v1/completions` over a stub's engine.

No server was recorded. Shapes are those of recorded replies in public threads (the logprobs of a
reply in openai/openai-python#38, a stream with them in simonw/llm#284), names those of
openai-python's types, sentences those in EleutherAI/lm-evaluation-harness, stanford-crfm/helm#2317,
lmg-anon/mikupad#55 and keirp/automatic_prompt_engineer#25.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from support.stub_server import Stub

PATH = "/v1/completions"


class Manners:
    """What servers of this kind do in different ways."""

    def __init__(self) -> None:
        self.echoes = False
        """A prompt gets logprobs, as of davinci-002 and not of gpt-3.5-turbo-instruct."""
        self.shows_ends = False
        """A token that ends a text is written: by its name, or as `end`."""
        self.end: str | None = None
        self.in_an_event = 1
        """Tokens of one event."""
        self.texts: dict[int, str] = {}
        """Tokens that are written otherwise than by their bytes."""
        self.seeded = True
        self.biased = True
        """Logprobs are those after the biases."""
        self.drawn = 0


def answer(stub: "Stub", path: str, body: dict[str, Any]) -> Any:
    """A status and a reply, or the events of a stream."""
    if path == "/v1/models":
        made = {"object": "model", "created": 1692634615, "owned_by": "system"}
        return 200, {"object": "list", "data": [{"id": name, **made} for name in stub.models]}
    if path != PATH:
        return 404, {"error": {"message": f"Invalid URL (POST {path})", "code": None}}
    if body["logprobs"] > stub.limit:
        words = f"{body['logprobs']} is greater than the maximum of {stub.limit} - 'logprobs'"
        return _refused(words, "logprobs")
    if body["max_tokens"] < 1:
        return _refused("0 is less than the minimum of 1 - 'max_tokens'", "max_tokens")
    if body.get("echo") and not stub.manners.echoes:
        words = "Setting 'echo' and 'logprobs' at the same time is not supported for this model."
        return _refused(words, "logprobs")
    prompt = body["prompt"]
    ids = stub.engine.encode(prompt) if isinstance(prompt, str) else list(prompt)
    taken = list(steps(stub, ids, body, _row))
    if body.get("stream"):
        return _events(stub, taken)
    reason = "stop" if taken[-1][1] else "length"
    shown = [row for row, _ in taken if row is not None]
    echoed = _echoed(stub, ids, body["logprobs"]) if body.get("echo") else []
    return 200, _reply([*echoed, *shown], reason) | {"usage": {"prompt_tokens": len(ids)}}


def _refused(words: str, field: str) -> Any:
    error = {"message": words, "type": "invalid_request_error", "param": field, "code": None}
    return 400, {"error": error}


Row = tuple[bytes, str, float | None, dict[str, float] | None]
"""A token's part of the text, its own text, its logprob, and candidates."""


def written(stub: "Stub", token: int) -> str:
    """A token as OpenAI writes it."""
    if token in stub.manners.texts:
        return stub.manners.texts[token]
    data = stub.engine.vocabulary.bytes_of(token)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def steps(
    stub: "Stub", ids: list[int], body: dict[str, Any], row_of: Callable[..., Any]
) -> Iterator[tuple[Any, bool]]:
    """The tokens, and whether each ends the text; None where it is not shown."""
    manners, path = stub.manners, list(ids)
    manners.drawn += 1
    if not manners.seeded:
        body = body | {"seed": manners.drawn}
    if body["top_p"] < 0.1:
        body = body | {"seed": 0}
    for _ in range(body["max_tokens"]):
        values = stub.logprobs(path)
        token = stub.taken(values, body)
        for biased, amount in (body.get("logit_bias") or {}).items() if manners.biased else ():
            values[int(biased)] += amount
            values -= values.max() + np.log(np.exp(values - values.max()).sum())
        if stub.processed and body["temperature"]:
            values = values / body["temperature"]
        row = row_of(stub, token, values, body["logprobs"])
        ends = token in stub.engine.info.eos_ids
        if ends and manners.end is not None:
            row = (b"", manners.end, *row[2:])
        yield (None if ends and not manners.shows_ends else row), ends
        if ends:
            return
        path.append(token)


def _row(stub: "Stub", token: int, values: np.ndarray, top: int) -> Row:
    """A token among the first ones by text, in no order; beside them where it is none of them."""
    order = np.argsort(-values, kind="stable")[:top].tolist()
    shown = sorted(dict.fromkeys([*order, token]))
    names = {written(stub, t): float(values[t]) for t in shown}
    data = stub.engine.vocabulary.bytes_of(token)
    return data, written(stub, token), float(values[token]), names


def _echoed(stub: "Stub", ids: list[int], top: int) -> list[Row]:
    rows: list[Row] = [(b"", written(stub, ids[0]), None, None)]
    for position in range(1, len(ids)):
        rows.append(_row(stub, ids[position], stub.logprobs(ids[:position]), top))
    return rows


def _reply(rows: list[Row], reason: str | None) -> dict[str, Any]:
    told = {
        "tokens": [row[1] for row in rows],
        "token_logprobs": [row[2] for row in rows],
        "top_logprobs": [row[3] for row in rows],
        "text_offset": [0 for _ in rows],
    }
    text = b"".join(row[0] for row in rows).decode("utf-8", "replace")
    choice = {"text": text, "index": 0, "logprobs": told, "finish_reason": reason}
    return {"id": "cmpl-stub", "object": "text_completion", "choices": [choice]}


def _events(stub: "Stub", steps: list[tuple[Row | None, bool]]) -> Iterator[dict[str, Any]]:
    """Tokens as they come, then an event of none that says why the text ended."""
    rows, size = [row for row, _ in steps if row is not None], stub.manners.in_an_event
    for at in range(0, len(rows), size):
        last = at + size >= len(rows)
        ended = last and steps[-1][1] and stub.manners.shows_ends
        yield _reply(rows[at : at + size], "stop" if ended else None)
    yield _reply([], "stop" if steps[-1][1] else "length")
