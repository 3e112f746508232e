"""`tokexplore why` on the fake engine: what is asked, and what is written."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from support import fake_vocabulary
from support.fake_engine import FakeEngine
from support.fake_interpreter import FakeInterpreter
from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.engine import Control, Engine
from tokexplore.models.api.interpreter import LensStep
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.interpret.occlusion import Occluded, occlusion
from tokexplore.tui.cli.why import WhyOptions
from tokexplore.tui.cli.why_runner import write_why
from tokexplore.tui.explore.options import AppOptions

TEXT = "Once upon a time there was a king. He had a daughter"
IDS = tuple(FakeEngine().encode(TEXT))
CHAT = Chat((Message("system", "a king"), Message("user", "who was he")))
KING, QUEEN = (fake_vocabulary.token_id(word) for word in (" king", " queen"))
ALL: dict[str, Any] = {"gradients": True, "points": 3, "attention": True}


def asked(*views: str, prompt: PromptSpec | None = None, **fields: Any) -> WhyOptions:
    app = AppOptions(load=LoadOptions(model="fake"), prompt=prompt or PromptSpec(text=TEXT))
    return WhyOptions(app, views, **fields)  # type: ignore[arg-type]


def written(options: WhyOptions, engine: Engine | None = None, code: int = 0) -> tuple[str, str]:
    """What is written, and what is said beside it."""
    out, errors, made = io.BytesIO(), io.StringIO(), engine or FakeEngine()
    assert write_why(options, out, open_engine=lambda *_: made, errors=errors) == code
    return out.getvalue().decode(), errors.getvalue()


def lines(options: WhyOptions, engine: Engine | None = None, code: int = 0) -> list[dict[str, Any]]:
    options = msgspec.structs.replace(options, format="jsonl")
    return [json.loads(line) for line in written(options, engine, code)[0].splitlines()]


def table(options: WhyOptions, engine: Engine | None = None) -> list[dict[str, str]]:
    options = msgspec.structs.replace(options, format="csv")
    return list(csv.DictReader(io.StringIO(written(options, engine)[0])))


def effects(tokens: Sequence[int] = (), **how: Any) -> list[Occluded]:
    """What hiding does, by the rounds themselves."""
    best = FakeEngine().describe(IDS).id_view[0]
    found = occlusion(FakeEngine(), IDS, tokens or [best], Control(), **how)
    return [each for each in found if isinstance(each, Occluded)]


def steps(first: int, tokens: Sequence[int]) -> list[LensStep]:
    lens = FakeEngine().interpreter.lens(IDS, first, len(IDS), Control(), tokens=tokens)
    return list(lens)


class Planted(FakeInterpreter):
    """Hiding one token of the first sentence costs 2 nats, another one wins 0.1: no more is so."""

    def occlude(
        self, ids: Sequence[int], hidden: Sequence[range], tokens: Sequence[int], control: Control
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        del ids, tokens, control
        for at, places in enumerate(hidden):
            yield at, (-1.0 - 2.0 * (3 in places) + 0.1 * (5 in places),)


def planted() -> FakeEngine:
    engine = FakeEngine()
    engine.interpreter = Planted(engine)
    return engine
