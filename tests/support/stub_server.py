"""llama.cpp's server, vLLM and SGLang as they answer, over an engine of ours, on 127.0.0.1.

What the first two send was recorded from the real ones (docs/servers.md), what SGLang sends is in
its source (`stub_sglang`): candidates and texts come from the engine, the shapes and omissions are
theirs; what OpenAI's API sends is from public records (`stub_openai`, `stub_chat`). What else a
server may do is planted.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from support import stub_chat, stub_openai, stub_sglang
from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Engine

Fault = Callable[[BaseHTTPRequestHandler], None]
"""Answers a request in the stub's place."""
LOWEST = -9999.0
"""What JSON has for minus infinity."""


class Stub:
    """A server of a kind.

    Args:
        kind: `llama.cpp`, `vllm`, `sglang`, `openai` or `chat`.
        context: positions of its model.
        limit: candidates that vLLM and OpenAI's API list at most.
        processed: all but llama.cpp give logprobs after their samplers.
        seeded: SGLang draws by the seeds of requests.
    """

    def __init__(
        self,
        engine: Engine,
        kind: str = "llama.cpp",
        *,
        context: int = 0,
        limit: int = 20,
        processed: bool = False,
        seeded: bool = False,
        models: Sequence[str] = ("owner/stub",),
    ) -> None:
        self.engine, self.kind, self.limit, self.processed = engine, kind, limit, processed
        self.seeded = seeded
        self.incremental = False
        """SGLang's events have new tokens only."""
        self.manners = stub_openai.Manners() if kind != "chat" else stub_chat.ChatManners()
        self.keeps_salts = True
        """SGLang's prefix cache shares nothing between salts."""
        self.disaggregation = "null"
        """What SGLang says of the work that it does."""
        self.parent = ""
        """The model of which SGLang's models are adapters."""
        self.context = context or engine.info.context
        self.models = tuple(models)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        """Paths and bodies."""
        self.headers: list[dict[str, str]] = []
        self.faults: dict[str, list[Fault]] = {}
        """By path: what happens instead, once each."""
        self.opening = ""
        """Put in front of a chat by a template of its own."""
        self.after = 10**9
        """A stream breaks off after so many events."""
        self.cold_noise: dict[tuple[int, ...], dict[int, float]] = {}
        """By path: what is added to logprobs of tokens where a prompt is not cached."""
        self.gathers = 1
        """Streams wait for each other until so many run."""
        self.most = 0
        """The most streams that ran at once."""
        self._running, self._changed = 0, threading.Condition()

    @cached_property
    def rows(self) -> int:
        """Rows of the logits."""
        return self.engine.info.vocabulary

    def logprobs(self, ids: Sequence[int], *, cold: bool = False) -> np.ndarray:
        """Of the whole vocabulary after a path, nats, shape [V]."""
        page = self.engine.rows(ids, 0, self.rows)
        values = np.full(self.rows, LOWEST)
        order = np.frombuffer(page.ids, np.uint32)
        values[order] = np.maximum(np.frombuffer(page.logits, np.float32) - page.lse, LOWEST)
        for token, more in self.cold_noise.get(tuple(ids), {}).items() if cold else ():
            values[token] += more
        return values

    def taken(self, logprobs: np.ndarray, body: dict[str, Any]) -> int:
        """The token that it takes: the most probable one, else one that hangs on the seed."""
        changed = logprobs.copy()
        if allowed := body.get("allowed_token_ids"):
            return int(allowed[0])
        bias = body.get("logit_bias") or []
        for token, amount in bias.items() if isinstance(bias, dict) else bias:
            changed[int(token)] += LOWEST if amount is False else amount
        order = np.argsort(-changed, kind="stable")
        return int(order[0 if not body.get("temperature") else body["seed"] % 50])

    # llama.cpp

    def llama_steps(self, body: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """The tokens, each with its row where its characters are whole."""
        path, held = list(body["prompt"]), b""
        for _ in range(body["n_predict"]):
            values = self.logprobs(path, cold=not body.get("cache_prompt", True))
            token = self.taken(values, body)
            spelled = self.engine.vocabulary.bytes_of(token)
            held = b"" if token in self.engine.vocabulary.special else held + spelled
            row = None
            if _whole(held):
                top = np.argsort(-values, kind="stable")[: body.get("n_probs", 0)]
                own = self._llama_candidate(token, values)
                row = own | {
                    "bytes": list(held),
                    "top_logprobs": [self._llama_candidate(int(t), values) for t in top],
                }
                held = b""
            path.append(token)
            yield token, row
            if token in self.engine.info.eos_ids:
                return

    def _llama_candidate(self, token: int, values: np.ndarray) -> dict[str, Any]:
        vocabulary = self.engine.vocabulary
        spelled = b"" if token in vocabulary.special else vocabulary.bytes_of(token)
        return {"id": token, "logprob": float(values[token]), "bytes": list(spelled)}

    def completion(self, body: dict[str, Any]) -> Any:
        """`/completion`."""
        if not body["prompt"] or len(body["prompt"]) >= self.context:
            return 400, {"error": {"message": "exceeds the available context size", "code": 400}}
        if body.get("stream"):
            return self._llama_events(body)
        steps = list(self.llama_steps(body))
        return 200, self._llama_reply(steps, len(steps))

    def _llama_events(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        count, last = 0, -1
        for token, row in self.llama_steps(body):
            count, last = count + 1, token
            if row is not None:
                event = self._llama_reply([(token, row)], count) | {"stop": False}
                del event["stop_type"]
                yield event
        ended = self._llama_reply([(last, None)], count)
        yield ended | {"tokens": [], "stop": True}

    def _llama_reply(
        self, steps: Sequence[tuple[int, dict[str, Any] | None]], count: int
    ) -> dict[str, Any]:
        rows = [row for _, row in steps if row is not None]
        ended = bool(steps) and steps[-1][0] in self.engine.info.eos_ids
        return {
            "content": "",
            "tokens": [token for token, _ in steps],
            "tokens_predicted": count,
            "stop_type": "eos" if ended else "limit",
            **({"completion_probabilities": rows} if rows else {}),
        }

    def tokenize(self, body: dict[str, Any]) -> Any:
        """`/tokenize` of all."""
        if "content" in body:
            literal = not body.get("parse_special", False)
            whole = self.engine.encode(body["content"], literal=literal)
            own = self.engine.encode(body["content"], continuation=True, literal=literal)
            return 200, {"tokens": whole if body.get("add_special") else own}
        if "messages" in body:
            said = Chat(tuple(Message(m["role"], m["content"]) for m in body["messages"]))
            return 200, {"tokens": list(self.engine.render(said).ids)}
        return 200, {"tokens": self.engine.encode(body["prompt"], continuation=True, literal=True)}

    def template(self, body: dict[str, Any]) -> Any:
        """`/apply-template`."""
        turns = "".join(f"<|user|>{m['content']}<|end|>" for m in body["messages"])
        return 200, {"prompt": f"{self.opening}{turns}<|assistant|>"}

    def detokenize(self, body: dict[str, Any]) -> Any:
        """`/detokenize`."""
        spelled = b"".join(map(self.engine.vocabulary.bytes_of, body["tokens"]))
        return 200, {"content": spelled.decode("utf-8", "replace")}

    def props(self) -> Any:
        """`/props`."""
        bytes_of, info = self.engine.vocabulary.bytes_of, self.engine.info
        names = {
            "bos_token": "" if info.bos_id is None else bytes_of(info.bos_id).decode(),
            "eos_token": bytes_of(info.eos_ids[0]).decode() if info.eos_ids else "",
        }
        template = "{% for m in messages %}<|user|>{{ m['content'] }}<|end|>{% endfor %}"
        opened = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
        return 200, {
            **names,
            "build_info": "b11549-stub",
            "default_generation_settings": {"n_ctx": self.context},
            "chat_template": template + opened,
        }

    # vLLM

    def completions(self, body: dict[str, Any]) -> Any:
        """`/v1/completions`."""
        if body["logprobs"] < 0:
            body["logprobs"] = self.rows
        if body["logprobs"] > self.limit:
            words = f"Requested sample logprobs of {body['logprobs']}, which is greater than max "
            return 400, {"error": {"message": f"{words}allowed: {self.limit} (parameter)"}}
        if body["model"] not in self.models:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        if body.get("stream"):
            return self._vllm_events(body)
        choices = [choice["choices"][0] for choice in self._vllm_events(body)]
        told = [choice["logprobs"] for choice in choices]
        whole = choices[-1] | {
            "token_ids": [token for choice in choices for token in choice["token_ids"]],
            "logprobs": {
                name: [value for each in told for value in each[name]]
                for name in ("token_logprobs", "top_logprobs")
            },
        }
        if body.get("prompt_logprobs"):
            whole["prompt_logprobs"] = self._prompt(body["prompt"], body["prompt_logprobs"])
        return 200, {"choices": [whole]}

    def _vllm_events(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        path = list(body["prompt"])
        for index in range(body["max_tokens"]):
            values = self.logprobs(path, cold="cache_salt" in body)
            if self.processed and body["temperature"]:
                values = values / body["temperature"]
                values = values - np.logaddexp.reduce(values)
            token = self.taken(values, body)
            top = np.argsort(-values, kind="stable")[: body["logprobs"]].tolist()
            path.append(token)
            ended = token in self.engine.info.eos_ids
            reason = "stop" if ended else "length" if index + 1 == body["max_tokens"] else None
            names = {f"token_id:{t}": float(values[t]) for t in dict.fromkeys([token, *top])}
            told = {"token_logprobs": [float(values[token])], "top_logprobs": [names]}
            choice = {"token_ids": [token], "logprobs": told, "finish_reason": reason}
            yield {"choices": [choice]}
            if ended:
                return

    def _prompt(self, ids: Sequence[int], top: int) -> list[dict[str, Any] | None]:
        steps: list[dict[str, Any] | None] = [None]
        for position in range(1, len(ids)):
            values = self.logprobs(ids[:position])
            order = np.argsort(-values, kind="stable")
            shown = dict.fromkeys([ids[position], *order[:top].tolist()])
            ranks = {t: 1 + int((values > values[t]).sum()) for t in shown}
            steps.append({str(t): {"logprob": float(values[t]), "rank": ranks[t]} for t in shown})
        return steps

    # All

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        """A status and a reply, or the events of a stream."""
        match self.kind, path:
            case "chat", _:
                return stub_chat.answer(self, path, body)
            case "openai", _:
                return stub_openai.answer(self, path, body)
            case _, "/metrics":
                return 200, self._metrics()
            case _, "/v1/models":
                owner = "llamacpp" if self.kind == "llama.cpp" else self.kind
                meta = {"n_vocab": self.rows, "n_params": 1000, "size": 2000, "ftype": "F32"}
                listed = {"owned_by": owner, "meta": meta, "max_model_len": self.context}
                listed |= {"parent": self.parent} if self.parent else {}
                return 200, {"data": [{"id": name, **listed} for name in self.models]}
            case "llama.cpp", "/props":
                return self.props()
            case "llama.cpp", "/apply-template":
                return self.template(body)
            case "llama.cpp", "/completion":
                return self.completion(body)
            case "llama.cpp", "/detokenize":
                return self.detokenize(body)
            case "vllm", "/version":
                return 200, {"version": "0.32.0"}
            case "vllm", "/v1/completions":
                return self.completions(body)
            case _, "/tokenize":
                return self.tokenize(body)
            case "sglang", _ if found := stub_sglang.answer(self, path, body):
                return found
        return 404, {"detail": "Not Found"}

    def _metrics(self) -> str:
        running, waiting, cache = {
            "llama.cpp": ("llamacpp:requests_processing", "llamacpp:requests_deferred", "none"),
            "vllm": (
                "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"
            ),
            "sglang": ("sglang:num_running_reqs", "sglang:num_queue_reqs", "sglang:token_usage"),
        }[self.kind]  # fmt: skip
        return (
            f'# HELP of a figure\n{running}{{engine="0",priority=""}} {self._running}\n'
            f'{running}{{engine="0",priority="5"}} {self._running}\n{waiting} 2.0\n'
            f'{cache}{{engine="0"}} 0.125\n{cache}{{engine="1"}} 0.375\nbroken line\n'
        )

    @contextmanager
    def counted(self) -> Iterator[None]:
        """While a stream runs."""
        with self._changed:
            self._running += 1
            self.most = max(self.most, self._running)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self.gathers, timeout=30)
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1


def _whole(spelled: bytes) -> bool:
    try:
        spelled.decode()
    except UnicodeDecodeError as error:
        return error.reason != "unexpected end of data"
    return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Stub

    def do_GET(self) -> None:
        self._do({})

    def do_POST(self) -> None:
        self._do(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _do(self, body: dict[str, Any]) -> None:
        stub = self.stub
        stub.asked.append((self.path, body))
        stub.headers.append(dict(self.headers))
        if faults := stub.faults.get(self.path):
            faults.pop(0)(self)
            return
        answer = stub.answer(self.path, body)
        if isinstance(answer, tuple):
            send(self, *answer)
        else:
            self._stream(answer)

    def _stream(self, events: Iterator[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError), self.stub.counted():  # perhaps nobody listens any more
            for number, event in enumerate(events):
                if number >= self.stub.after:
                    return
                self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
                self.wfile.flush()
            if self.stub.kind != "llama.cpp":
                self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    value: Any,
    kind: str = "application/json",
    **headers: str,
) -> None:
    """Answer with a value as JSON, or with text as it is."""
    data = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data)))
    for name, text in headers.items():
        handler.send_header(name.replace("_", "-"), text)
    handler.end_headers()
    handler.wfile.write(data)


@contextmanager
def serving(stub: Stub) -> Iterator[str]:
    """Serve on a free port; the address."""
    handler = type("Handler", (_Handler,), {"stub": stub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
