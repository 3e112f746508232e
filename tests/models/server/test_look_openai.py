"""What answers OpenAI's completions is looked at, and refused where it gives too little."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from support.stub_server import Stub, send, serving

from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError
from tokexplore.models.server.engine import ServerEngine
from tokexplore.models.server.wire import http

HERE = str(EMBEDDED_DIRECTORY)
COMPLETIONS = "/v1/completions"
LISTED = 5


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine.open(LoadOptions(threads=1), lambda _: None)


def opened(url: str, **options: object) -> ServerEngine:
    server = ServerOptions(**{"tokenizer": HERE, **options})  # type: ignore[arg-type]
    return ServerEngine.open(LoadOptions(url, server=server), lambda _: None)


@pytest.fixture
def stub(local: LocalEngine) -> Stub:
    return Stub(local, "openai", limit=LISTED)


def test_as_many_are_listed_as_it_takes(local: LocalEngine) -> None:
    for limit, top, listed in ((3, 20, 3), (1, 20, 1), (20, 20, 20), (5, 2, 2)):
        with serving(Stub(local, "openai", limit=limit)) as url:
            engine = opened(url, top=top)
            assert engine.info.capabilities.listed == listed
            assert len(engine.describe(engine.encode("The"))) == listed


def test_without_a_tokenizer_it_says_what_to_name(stub: Stub) -> None:
    with serving(stub) as url, pytest.raises(ModelError, match=r"as texts: .* --tokenizer DIR"):
        opened(url, tokenizer="")


def test_logprobs_after_its_sampler_are_refused(local: LocalEngine) -> None:
    with (
        serving(Stub(local, "openai", limit=LISTED, processed=True)) as url,
        pytest.raises(ModelError, match="gives logprobs after its sampler"),
    ):
        opened(url)


def test_a_tokenizer_that_is_not_the_servers_is_refused(stub: Stub) -> None:
    encode, truth = stub.engine.encode, stub.engine

    class Other:
        def encode(self, text: str, **how: Any) -> list[int]:
            return encode(text + "!", **how)

        def __getattr__(self, name: str) -> object:
            return getattr(truth, name)

    stub.engine = Other()  # type: ignore[assignment]
    with serving(stub) as url, pytest.raises(ModelError, match="tokens of a test text, "):
        opened(url)


def test_texts_that_are_not_the_tokenizers_are_refused(stub: Stub, local: LocalEngine) -> None:
    vocabulary = local.vocabulary
    stub.manners.texts = {
        token: vocabulary.bytes_of(token).decode("utf-8", "replace").strip()
        for token in range(len(vocabulary))
    }
    with serving(stub) as url, pytest.raises(ModelError, match=r"has \d+ of \d+ candidates"):
        opened(url)


Answer = Callable[[BaseHTTPRequestHandler], None]


def answers(status: int, value: Any, kind: str = "application/json", **headers: str) -> Answer:
    return lambda handler: send(handler, status, value, kind, **headers)


def refused(words: str) -> dict[str, Any]:
    return {"error": {"message": words, "type": "invalid_request_error", "code": None}}


CHAT = "This is a chat model and not supported in the v1/completions endpoint."
"""OpenAI's own words, as many threads have them."""
WITHOUT: dict[str, Any] = {
    "object": "text_completion",
    "choices": [{"text": " a", "index": 0, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 39, "completion_tokens": 1, "total_tokens": 40},
}
"""transformers serve 5.23.0, which leaves out what is null; TGI has `"logprobs": null`."""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answers(404, {"detail": "Not Found"}), "does not complete prompts .*Not Found.* vLLM"),
        (answers(404, refused(CHAT)), r"does not complete prompts .*This is a chat model"),
        (answers(405, {"detail": "Method Not Allowed"}), "does not complete prompts"),
        (answers(404, "<html>", "text/html"), "a page for browsers"),
        (answers(200, "<html>hello</html>", "text/html"), "has no logprobs as OpenAI writes"),
        (answers(200, WITHOUT), "without listing candidates .*TGI and `transformers serve`"),
        (
            answers(200, {"choices": [{"text": " a", "logprobs": None}]}),
            "without listing candidates",
        ),
        (
            answers(200, {"choices": [{"text": " a", "logprobs": {
                "tokens": [" a"], "token_logprobs": [-0.5], "top_logprobs": None}}]}),
            "without listing candidates",
        ),
        (
            answers(200, {"choices": [{"text": " a", "logprobs": {
                "content": [{"token": " a", "logprob": -0.5, "top_logprobs": []}]}}]}),
            "without listing candidates",
        ),
        (answers(200, {"error": "no room"}), "gave the request up: no room"),
        (answers(401, {"error": {"message": "bad key"}}), "--api-key-env"),
        (answers(403, "no"), "--api-key-env"),
        (answers(500, {"error": {"message": "boom"}}), r"\(500\): boom\."),
    ],
)  # fmt: skip
def test_what_gives_too_little_is_refused_in_a_sentence(
    stub: Stub, answer: Answer, words: str
) -> None:
    stub.faults[COMPLETIONS] = [answer]
    with serving(stub) as url, pytest.raises(ModelError, match=words) as error:
        opened(url)
    assert "\n" not in str(error.value)
    assert "127.0.0.1" in str(error.value) or "no room" in words


def test_a_busy_server_is_asked_again(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(http, "_waited", lambda seconds, _: waited.append(seconds) or True)
    stub.faults[COMPLETIONS] = [answers(429, refused("slow down"), Retry_After="7")]
    with serving(stub) as url:
        assert opened(url).info.name == "stub"
        assert waited == [7.0]
        stub.faults[COMPLETIONS] = [answers(503, refused("overloaded"))] * 10
        with pytest.raises(ModelError, match=r"\(503\): overloaded"):
            opened(url)


def test_a_server_that_takes_no_ids_is_refused(stub: Stub) -> None:
    answer = stub.answer
    stub.answer = lambda path, body: (  # type: ignore[method-assign]
        (400, {"detail": "prompt must be a string."})
        if isinstance(body.get("prompt"), list)
        else answer(path, body)
    )
    with serving(stub) as url, pytest.raises(ModelError, match=r"takes no prompts as ids .*string"):
        opened(url)
