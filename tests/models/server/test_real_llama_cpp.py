"""The real llama.cpp server: what we show is what it says when it is asked in another way."""

import json
import math
import urllib.request
from typing import Any

import pytest
from support.llama_server import GGUF, serving

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Control, DrawnToken, StreamEnded, StreamRequest
from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.diff.along import along
from tokexplore.models.diff.vocabularies import shared_tokens
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine

SAME = 0.05
"""Nats by which a quantised model's numbers may move with what the prefix cache holds."""
CHINESE = "Some emoji: 😀 🚀 🎉 and 你好世界 你好世界 你好"


def ask(url: str, path: str, body: dict[str, Any]) -> Any:
    data = json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


def drawn(engine: ServerEngine, ids: list[int], length: int, **how: Any) -> list[DrawnToken]:
    request = StreamRequest(tuple(ids), SamplingSettings(**how), length)
    events = list(engine.stream(request, Control()))
    assert isinstance(events[-1], StreamEnded)
    return [event for event in events if isinstance(event, DrawnToken)]


def check_texts(engine: ServerEngine, url: str) -> None:
    for text in ("Hello 国王", "a  123\n x", "<|im_start|>user", "\ttab", " leading"):
        for literal in (False, True):
            ids = engine.encode(text, continuation=True, literal=literal)
            assert b"".join(map(engine.vocabulary.bytes_of, ids)) == text.encode()
        assert engine.encode(text) == ask(url, "/tokenize", {"content": text})["tokens"]
    said = [{"role": "user", "content": "Hi 😀"}]
    rendered = engine.render(Chat((Message("user", "Hi 😀"),)))
    prompt = ask(url, "/apply-template", {"messages": said})["prompt"]
    assert b"".join(map(engine.vocabulary.bytes_of, rendered.ids)) == prompt.encode()


def check_greedy(engine: ServerEngine, url: str, text: str) -> None:
    """The tokens of one reply without a stream, and the numbers of each step asked for alone."""
    ids = engine.encode(text)
    steps = drawn(engine, ids, 10)
    body = {"prompt": ids, "n_predict": 10, "temperature": 0, "return_tokens": True}
    assert [s.standing.token for s in steps] == ask(url, "/completion", body)["tokens"]
    path = list(ids)
    for step in steps[:6]:
        alone = engine.describe(path)
        for index in range(5):
            token = step.distribution.id_view[index]
            place = alone.index_of(token)
            assert place is not None
            assert alone.logprob(place) == pytest.approx(step.distribution.logprob(index), abs=SAME)
        path.append(step.standing.token)


def check_whole(engine: ServerEngine) -> None:
    """All candidates of a step, and the first of them as they are listed unasked."""
    ids = engine.encode("The capital of France is")
    told, listed = engine.describe(ids, whole=True), engine.describe(ids)
    assert told.complete
    assert abs(told.lse) < 1e-3, "they add up to 1, but for how the server rounds"
    for index, token in enumerate(listed.id_view[:10]):
        (standing,) = engine.standings(ids, [token])
        assert standing.logprob == pytest.approx(listed.logprob(index), abs=SAME)
    assert engine.rows(ids, 49_150, 9).total == 49_152


def check_against_itself(engine: ServerEngine) -> None:
    """Its whole rows are those of tokens that it lists: two readings of a text are alike."""
    ids, shared = engine.encode("The capital of France is Paris."), shared_tokens(engine, engine)
    assert shared is not None
    assert shared.complete
    steps = list(along(engine, engine, ids, 1, shared, Control()))
    assert [step.token for step in steps] == ids[1:]
    for step in steps:
        assert step.js is not None
        assert step.js < SAME**2
        assert abs(step.delta) < SAME
        assert step.first.greedy == engine.describe(ids[: step.position]).id_view[0]


def same_candidates(ours: Distribution, theirs: Distribution) -> None:
    """The first of those that are listed, with their numbers."""
    for index in range(5):
        place = theirs.index_of(ours.id_view[index])
        assert place is not None
        assert theirs.logprob(place) == pytest.approx(ours.logprob(index), abs=SAME)


def check_chats(native: ServerEngine, url: str, tokenizer: str) -> None:
    """What its chats say of a path is what `/completion` says of its ids."""
    options = ServerOptions(tokenizer=tokenizer)
    chats = ServerEngine.open(LoadOptions(f"{url}/v1/chat/completions", server=options), print)
    assert (chats.info.notices, chats.info.capabilities.prefill) == ((), True)
    said = " ".join(what for what, _ in chats.info.evidence)
    assert "reads as many tokens of a chat as its template makes here" in said
    assert "goes on from an answer that is begun, by a last message of the assistant's" in said
    assert "repeats that beginning in front of the text of its answer" in said
    ids = list(chats.render(Chat((Message("user", "Describe the sea."),))).ids)
    assert ids == list(native.render(Chat((Message("user", "Describe the sea."),))).ids)
    answer = drawn(chats, ids, 6)
    same_candidates(answer[0].distribution, native.describe(ids))
    taken = [step.standing.token for step in answer]
    branch = [*ids, *taken[:3], answer[3].distribution.id_view[2]]
    path = list(branch)
    for step in drawn(chats, branch, 4):
        same_candidates(step.distribution, native.describe(path))
        path.append(step.standing.token)
    chinese = [*ids, *chats.encode("你好世界", continuation=True)]
    same_candidates(chats.describe(chinese), native.describe(chinese))
    with pytest.raises(UsageError, match="ends within a character"):
        chats.describe(chinese[:-1])
    begun = [*ids, *chats.encode("你好世界 你好", continuation=True)]
    same_candidates(chats.describe(begun), native.describe(begun))
    with pytest.raises(ServerError, match="which is no one token's exact bytes"):
        drawn(chats, begun, 4)
    hot = drawn(chats, branch, 4, temperature=0.7, top_k=4, seed=3)
    assert {step.chosen_by for step in hot} == {"sampled"}
    alike = drawn(native, branch, 4, temperature=0.7, top_k=4, seed=3)
    assert [step.standing.token for step in hot] == [step.standing.token for step in alike]


def test_a_real_server() -> None:
    assert GGUF.exists(), "make .venv/installed-dev installs it"
    with serving() as url:
        engine = ServerEngine.open(LoadOptions(url), lambda _: None)
        assert (engine.info.vocabulary, len(engine.vocabulary)) == (49_152, 49_152)
        assert engine.vocabulary.bytes_of(1) == b"<|im_start|>"
        assert engine.info.eos_ids == (2,)
        check_texts(engine, url)
        check_greedy(engine, url, "The capital of France is")
        check_greedy(engine, url, CHINESE)
        check_whole(engine)
        check_against_itself(engine)
        sampled = drawn(engine, engine.encode("Once"), 6, temperature=0.7, top_k=4, seed=3)
        assert {step.chosen_by for step in sampled} == {"sampled"}
        again = drawn(engine, engine.encode("Once"), 6, temperature=0.7, top_k=4, seed=3)
        assert [s.standing.token for s in again] == [s.standing.token for s in sampled]
        for step in sampled:
            kept = [math.exp(step.distribution.logprob(i) / 0.7) for i in range(4)]
            share = kept[step.standing.index] / sum(kept)
            assert step.sampler_logprob == pytest.approx(math.log(share), abs=1e-5)
        theirs = drawn(engine, engine.encode("Once"), 6, temperature=1.5, seed=3)
        assert "server" in {step.chosen_by for step in theirs}
        check_chats(engine, url, str(GGUF))
