"""A server that is busy, broken, somebody else or hostile: one sentence, and nothing is lost."""

import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from support.fake_engine import FakeEngine
from support.patience import LATE
from support.stub_server import Stub, send, serving

from tokexplore.models.api.engine import Control, DrawnToken, StreamEnded, StreamRequest
from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.errors import ModelError, ServerError, TokexploreError, UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine
from tokexplore.models.server.wire import http

KEY = "sk-very-secret"
MODELS = "/v1/models"
Answer = Callable[[BaseHTTPRequestHandler], None]


def answers(status: int, value: Any, kind: str = "application/json", **headers: str) -> Answer:
    return lambda handler: send(handler, status, value, kind, **headers)


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    """A reply that is cut."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"data": [')
    handler.close_connection = True


@pytest.fixture
def stub() -> Stub:
    return Stub(FakeEngine())


@pytest.fixture
def url(stub: Stub) -> Iterator[str]:
    with serving(stub) as address:
        yield address


def opened(url: str, **options: Any) -> ServerEngine:
    return ServerEngine.open(LoadOptions(url, server=ServerOptions(**options)), lambda _: None)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answers(401, {"error": {"message": f"bad key {KEY}"}}), r"refuses us \(401\): name the"),
        (answers(403, "no"), "--api-key-env"),
        (answers(404, {"detail": "Not Found"}), r"refuses /v1/models \(404\): Not Found\."),
        (answers(500, {"error": {"message": "boom\x1b[31m"}}), r"\(500\): boom␛\[31m\."),
        (answers(502, "<html>Bad Gateway</html>", "text/html"), "a page for browsers"),
        (answers(200, "<html>hello</html>", "text/html"), "is no JSON"),
        (answers(200, '{"data": ['), "is no JSON"),
        (answers(200, "[" * 100_000), "is no JSON"),
        (answers(200, [1, 2]), "lists no models"),
        (answers(200, {"data": []}), "serves no model"),
        (answers(301, "", Location="http://elsewhere.example/"), "sends us on to"),
        (hangs_up, "broke off"),
    ],
)
def test_what_is_no_such_server_is_refused_in_a_sentence(
    stub: Stub, url: str, answer: Answer, words: str
) -> None:
    stub.faults[MODELS] = [answer]
    with pytest.raises(ModelError, match=words) as refused:
        opened(url)
    assert "\n" not in str(refused.value)
    assert KEY not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)


def test_nobody_there_is_a_sentence() -> None:
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9 cannot be reached"):
        opened("http://127.0.0.1:9")


def test_another_kind_of_server_is_named(stub: Stub, url: str) -> None:
    stub.kind = "other"
    with pytest.raises(ModelError, match=r"none of vLLM, SGLang and llama\.cpp's server"):
        opened(url)


def test_a_model_is_named_where_there_are_several() -> None:
    with serving(Stub(FakeEngine(), models=("owner/a", "owner/b"))) as url:
        with pytest.raises(UsageError, match="several models: name one of owner/a, owner/b"):
            opened(url)
        with pytest.raises(UsageError, match="serves no 'c': choose one of owner/a, owner/b"):
            opened(f"{url}#c")
        assert opened(f"{url}#owner/b").info.name == "b"


def test_a_busy_server_is_asked_again_and_not_for_ever(
    stub: Stub, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(http, "_waited", lambda seconds, _: waited.append(seconds) or True)
    busy = answers(429, {"error": {"message": "slow down"}}, Retry_After="7")
    stub.faults[MODELS] = [busy, answers(503, "", Retry_After="soon")]
    assert opened(url).info.name == "stub"
    assert waited == [7.0, 1.0]
    stub.faults[MODELS] = [busy] * 10
    with pytest.raises(ModelError, match=r"\(429\): slow down"):
        opened(url)
    assert len(waited) == 2 + http.RETRIES
    stub.faults[MODELS] = [answers(429, "", Retry_After="1e9"), *([busy] * 10)]
    with pytest.raises(ModelError):
        opened(url)
    assert max(waited) == http.LONGEST_WAIT


def test_a_reply_has_a_largest_size(stub: Stub, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SMALL", 1000)
    stub.faults[MODELS] = [answers(200, {"data": "x" * 2000})]
    with pytest.raises(ModelError, match="is longer than"):
        opened(url)


def test_the_key_is_sent_and_stands_nowhere(
    stub: Stub, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    engine = opened(url, key_env="MY_KEY")
    assert all(headers["Authorization"] == f"Bearer {KEY}" for headers in stub.headers)
    assert KEY not in repr((engine.info, engine.info.provenance))


def request(engine: ServerEngine, length: int = 12) -> StreamRequest:
    return StreamRequest(tuple(engine.encode("Once")), SamplingSettings(), length)


def test_a_stream_that_breaks_off_goes_on_from_the_same_token(stub: Stub, url: str) -> None:
    engine = opened(url)
    expected = [e for e in engine.stream(request(engine), Control()) if isinstance(e, DrawnToken)]
    came, first = list[DrawnToken](), request(engine)

    def stream() -> None:
        for event in engine.stream(first, Control()):
            if isinstance(event, DrawnToken):
                came.append(event)
            stub.after = 3 if len(came) < 3 else 0

    stub.after = 3
    with pytest.raises(ServerError, match="without a token"):
        stream()
    assert 3 <= len(came) < 12
    stub.after = 10**9
    ids = (*first.ids, *(event.standing.token for event in came))
    rest = StreamRequest(ids, SamplingSettings(), 12 - len(came))
    came += [e for e in engine.stream(rest, Control()) if isinstance(e, DrawnToken)]
    assert [e.standing.token for e in came] == [e.standing.token for e in expected]


@pytest.mark.parametrize(
    "answer",
    [
        answers(500, {"error": {"message": "boom"}}),
        answers(200, "data: {nonsense\n\n", "text/event-stream"),
        answers(200, 'data: {"tokens_predicted": "many"}\n\n', "text/event-stream"),
    ],
)
def test_a_stream_that_is_none_is_a_sentence(stub: Stub, url: str, answer: Answer) -> None:
    engine = opened(url)
    stub.faults["/completion"] = [answer]
    with pytest.raises(TokexploreError):
        list(engine.stream(request(engine), Control()))
    events = list(engine.stream(request(engine), Control()))
    assert isinstance(events[-1], StreamEnded)


def test_a_silent_server_lets_others_have_their_turn_and_is_left_at_once(
    stub: Stub, url: str
) -> None:
    engine = opened(url)
    stub.faults["/completion"] = [lambda _: time.sleep(LATE)]
    control = Control()
    events = engine.stream(request(engine), control)
    assert next(events).stage == "server"  # type: ignore[union-attr]
    control.cancelled = True
    assert list(events)[-1] == StreamEnded(len(request(engine).ids), "interrupted")


@pytest.mark.parametrize(
    "row",
    [
        {"id": 10**6, "logprob": -1.0},
        {"id": -1, "logprob": -1.0},
        {"id": 3, "logprob": 2.0},
        {"id": 3, "logprob": 0.0},
    ],
)
def test_candidates_that_cannot_be_are_refused(stub: Stub, url: str, row: dict[str, Any]) -> None:
    engine = opened(url)
    top = [row, {"id": 7, "logprob": -0.1}]
    wrong = {"id": 7, "logprob": -0.1, "bytes": [97], "top_logprobs": top}
    stub.faults["/completion"] = [
        answers(200, {"tokens": [7], "completion_probabilities": [wrong]})
    ]
    with pytest.raises(ServerError, match="candidates that cannot be"):
        engine.describe(engine.encode("Once"))
