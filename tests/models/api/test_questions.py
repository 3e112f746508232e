"""Questions: each knows its answer's type, and over a socket it has the engine's own answer."""

from typing import Any, get_type_hints

import pytest
from support.connect import in_thread
from support.fake_engine import FakeEngine

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.questions import (
    AnyQuestion,
    AppendTurns,
    Describe,
    DescribeAll,
    Draw,
    Encode,
    FindAttentions,
    FindEffects,
    FindHeld,
    FindRows,
    FindScores,
    FindStandings,
    Question,
    Render,
    Reshape,
    Search,
)
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.worker.client import EngineClient
from tokexplore.models.worker.timeless import timeless

PATH = (0, 300, 310, 290)
HOT = SamplingSettings(temperature=0.7, top_k=9, top_p=0.9, min_p=0.01)
CHAT = Chat((Message("user", "who"),), "well", {"thinking": False})
DIALOGUE = Chat((*CHAT.messages, Message("assistant", "me"), Message("user", "so")))
ASKED = [
    Encode("Once 你"),
    Encode(" a", continuation=True),
    Encode("</s>", literal=True),
    Render(CHAT),
    AppendTurns(PATH, DIALOGUE, 2),
    Describe(PATH),
    FindHeld(PATH),
    DescribeAll((PATH, PATH[:3]), HOT, 2),
    DescribeAll((PATH,), start=7),
    FindRows(PATH, 5, 20),
    Search(PATH, "KING", 5),
    FindStandings(PATH, (3, 378)),
    FindScores(PATH, 2),
    Reshape(PATH, HOT),
    FindEffects(PATH, (HOT, SamplingSettings())),
    Draw(PATH, HOT, 100),
    FindAttentions(),
]


@pytest.mark.parametrize("kind", Question.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_question_says_the_type_of_its_answer(kind: type[Question[Any]]) -> None:
    assert kind.answer_type() == get_type_hints(kind.ask)["return"]
    assert kind in AnyQuestion.__args__  # type: ignore[attr-defined]


async def test_what_comes_over_the_socket_is_the_engine_s_own_answer() -> None:
    engine = FakeEngine()
    client = EngineClient(LoadOptions("fake"), connect=in_thread(lambda *_: engine))
    await client.start(lambda _: None)
    for question in ASKED:
        assert timeless(await client.ask(question)) == timeless(question.ask(engine))
    await client.close()
