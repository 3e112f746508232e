"""Servers of chats on the embedded model: what is shown has the model's ids and numbers."""

from collections.abc import Iterator

import pytest
from support.chats_here import save_with_template
from support.served import check, events
from support.stub_chat import ChatManners
from support.stub_server import Stub, serving

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError, ServerError, UsageError
from tokexplore.models.lab.served import served_conditions
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine

LISTED = 5
WAYS = ("continue_final_message", "last", "prefix")
CHAT = Chat((Message("user", "Tell me of the fox."),))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The embedded model with a chat template."""
    return save_with_template(tmp_path_factory.mktemp("chats") / "model")


@pytest.fixture(scope="module")
def local(here: str) -> LocalEngine:
    return LocalEngine.open(LoadOptions(here, threads=1), lambda _: None)


@pytest.fixture
def stub(local: LocalEngine) -> Stub:
    return Stub(local, "chat", limit=LISTED)


@pytest.fixture
def manners(stub: Stub) -> ChatManners:
    assert isinstance(stub.manners, ChatManners)
    return stub.manners


def opened(url: str, here: str, **options: object) -> ServerEngine:
    server = ServerOptions(**{"tokenizer": here, **options})  # type: ignore[arg-type]
    return ServerEngine.open(LoadOptions(url, server=server), lambda _: None)


@pytest.fixture
def engine(stub: Stub, manners: ChatManners, here: str) -> Iterator[ServerEngine]:
    """A server that goes on from an answer."""
    manners.goes_on = "continue_final_message"
    with serving(stub) as url:
        yield opened(url, here)


def said(engine: ServerEngine) -> str:
    return " ".join(what for what, _ in engine.info.evidence)


def test_openai_begins_every_answer_anew(stub: Stub, local: LocalEngine, here: str) -> None:
    with serving(stub) as url:
        engine = opened(url, here)
        assert engine.info.capabilities == Capabilities(
            listed=LISTED, prompt_scores=False, plain_prompts=False, prefill=False,
            forced_tokens=False, instruments=False, serves=True, cold=False,
        )  # fmt: skip
        for words in ("begins every answer anew", "reads as many tokens of a chat", "before its"):
            assert words in said(engine)
        assert any("begins every answer anew" in notice for notice in engine.info.notices)
        ids = list(engine.render(CHAT).ids)
        check(events(engine, ids, 8)[0], events(local, ids, 8)[0])
        drawn, ended = events(engine, ids, 8, temperature=0.9, top_p=0.5, seed=2)
        assert (len(drawn), {step.chosen_by for step in drawn}) == (8, {"server"})
        assert ended.reason == "length"
        path = [*ids, drawn[0].standing.token]
        for ask in (lambda: engine.describe(path), lambda: events(engine, path, 2)):
            with pytest.raises(UsageError, match="begins every answer anew and goes on from none"):
                ask()
        asked = [
            body["messages"][-1] for path, body in stub.asked if path.endswith("chat/completions")
        ]
        assert {"role": "assistant", "content": ""} not in asked


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_goes_on_in_the_way_that_the_server_has(
    stub: Stub, manners: ChatManners, local: LocalEngine, here: str, way: str
) -> None:
    manners.goes_on, manners.repeats = way, way == "last"
    with serving(stub) as url:
        engine = opened(url, here)
        assert engine.info.capabilities.prefill
        assert engine.info.capabilities.forced_tokens
        name = "a last message of the assistant's" if way == "last" else way
        assert f"begun, by {name}: after 3 beginnings" in said(engine)
        assert ("repeats that beginning" in said(engine)) == (way == "last")
        ids = list(engine.render(CHAT).ids)
        truth = [step.standing.token for step in events(local, ids, 6)[0]]
        other = local.describe([*ids, *truth[:3]]).id_view[2]
        path = [*ids, *truth[:3], other]
        check(events(engine, path, 8)[0], events(local, path, 8)[0])
        hot = {"temperature": 0.3, "top_p": 0.6, "seed": 5}
        ours, theirs = events(engine, path, 8, **hot)[0], events(local, path, 8, **hot)[0]
        same = next((i for i, step in enumerate(ours) if step.chosen_by == "server"), len(ours))
        assert same > 1
        check(ours[:same], theirs[:same])


def test_a_second_turn_is_asked_as_messages(engine: ServerEngine, local: LocalEngine) -> None:
    ids = list(engine.render(CHAT).ids)
    answer = [step.standing.token for step in events(local, ids, 5)[0]]
    text = b"".join(map(engine.vocabulary.bytes_of, answer)).decode()
    more = (*CHAT.messages, Message("assistant", text), Message("user", "And then?"))
    path = [*ids, *answer]
    path += engine.append_turns(path, Chat(more), 2).ids
    check(events(engine, path, 4)[0], events(local, path, 4)[0])


def test_what_is_no_conversation_is_refused(stub: Stub, engine: ServerEngine) -> None:
    ids, asked = engine.encode("Once upon a time"), len(stub.asked)
    with pytest.raises(UsageError, match="takes chats only, as their messages"):
        engine.describe(ids)
    path = list(engine.render(CHAT).ids)
    half = engine.encode("国", continuation=True)[:-1]
    with pytest.raises(UsageError, match="it ends within a character"):
        engine.describe([*path, *half])
    end = engine.info.eos_ids[0]
    with pytest.raises(UsageError, match=r"is no part of: it cannot be asked what comes after"):
        engine.describe([*path, end])
    letters = [engine.encode(letter, continuation=True)[0] for letter in "the"]
    assert engine.encode("the", continuation=True) != letters
    with pytest.raises(UsageError, match="would be read as other tokens"):
        engine.describe([*path, *letters])
    assert len(stub.asked) == asked, "nothing was asked for"


def test_an_answer_that_the_server_reads_otherwise_is_refused(
    manners: ChatManners, engine: ServerEngine
) -> None:
    path = [*engine.render(CHAT).ids, *engine.encode("The fox \n", continuation=True)]
    assert engine.describe(path)
    manners.trims = True
    with pytest.raises(ServerError, match=r"read \d+ tokens where this path has \d+"):
        engine.describe(path)
    again = [*path, *engine.encode("\n\n", continuation=True)]
    with pytest.raises((ServerError, UsageError), match=r"read \d+ tokens|other tokens"):
        events(engine, again, 2)


@pytest.mark.parametrize("more", [None, 7])
def test_where_tokens_are_not_counted_alike_it_says_so(
    stub: Stub, manners: ChatManners, local: LocalEngine, here: str, more: int | None
) -> None:
    manners.goes_on, manners.more_counted = "prefix", more
    with serving(stub) as url:
        engine = opened(url, here)
        notices = " ".join(engine.info.notices)
        assert ("those that the server reads" in notices) == (more == 7)
        assert ("does not tell how many tokens" in said(engine)) == (more is None)
        ids = list(engine.render(CHAT).ids)
        path = [*ids, *engine.encode("The fox", continuation=True)]
        check(events(engine, path, 4)[0], events(local, path, 4)[0])
        blank = [*path, *engine.encode("\n", continuation=True)]
        with pytest.raises(UsageError, match="it keeps the blanks around"):
            engine.describe(blank)


def test_half_a_character_without_a_row(
    manners: ChatManners, stub: Stub, local: LocalEngine, here: str
) -> None:
    manners.halves, manners.biased, manners.goes_on = False, False, "prefix"
    with serving(stub) as url:
        check_half(stub, opened(url, here), local)


def check_half(stub: Stub, engine: ServerEngine, local: LocalEngine) -> None:
    ids = list(engine.render(CHAT).ids)
    half = engine.encode("国", continuation=True)[0]
    truth = local.describe(ids)
    stub.taken = lambda _, body: (  # type: ignore[method-assign]
        half if not body.get("logit_bias") else int(next(iter(body["logit_bias"])))
    )
    assert engine.describe(ids).ids == truth.ids[: 4 * LISTED]
    with pytest.raises(ServerError, match="no row for, as of half a character"):
        events(engine, ids, 3, temperature=1.0)


def test_names_are_bytes_where_they_are_told_and_texts_else(
    manners: ChatManners, engine: ServerEngine, local: LocalEngine
) -> None:
    ids = list(engine.render(CHAT).ids)
    manners.texts = {local.describe(ids).id_view[1]: "\ufffd"}
    assert len(engine.describe(ids)) == LISTED
    manners.bytes = False
    assert len(engine.describe(ids)) == 1, "what stands below it has no rank"


def test_more_is_found_out(stub: Stub, manners: ChatManners, here: str) -> None:
    manners.length, stub.limit = "max_completion_tokens", 20
    with serving(stub) as url:
        assert opened(url, here, top=64).info.capabilities.listed == 20
        assert opened(url + "/v1/chat/completions", here).info.capabilities.listed == 20
    asked = [path for path, _ in stub.asked]
    assert asked.count("/v1/completions") == 1, "it is asked for chats alone where those are named"


def test_what_gives_too_little_is_refused(
    stub: Stub, manners: ChatManners, here: str, local: LocalEngine
) -> None:
    with serving(stub) as url:
        with pytest.raises(ModelError, match=r"write tokens as texts: .* --tokenizer DIR"):
            opened(url, here, tokenizer="")
        with pytest.raises(ModelError, match=r"has no chat template.*takes chats only"):
            opened(url, here, tokenizer=str(EMBEDDED_DIRECTORY))
        manners.listed = False
        with pytest.raises(ModelError, match="answers chats without listing candidates"):
            opened(url, here)
    with (
        serving(Stub(local, "openai", limit=LISTED)) as url,
        pytest.raises(ModelError, match=r"answers no chats \("),
    ):
        opened(url + "/v1/chat/completions", here)
    with (
        serving(Stub(local, "chat", limit=LISTED, processed=True)) as url,
        pytest.raises(ModelError, match="gives logprobs after its sampler"),
    ):
        opened(url, here)


def test_the_lab_asks_chats_beside_it(engine: ServerEngine) -> None:
    ids = tuple(engine.render(CHAT).ids)
    request = StreamRequest(ids, SamplingSettings(), 4)
    conditions = served_conditions(engine, ids, 4, ("batch",), 1, concurrency=(3,))
    (traffic,) = [c.traffic for c in conditions if c.traffic and c.traffic.beside]
    assert len(traffic.beside) == 2
    found = list(engine.requests.run([request], traffic, Control()))
    drawn = [event[1] for event in found if isinstance(event, tuple)]
    assert sum(isinstance(event, DrawnToken) for event in drawn) == 4
