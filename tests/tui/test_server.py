"""A model behind a server in the app: explored like any other, as far as the server tells."""

import re
from collections.abc import Iterator

import pytest
from support.app import during, make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from support.lived import ended
from support.stub_server import Stub, send, serving

from tokexplore.models.api.options import LoadOptions, PromptSpec, ServerOptions
from tokexplore.models.server.engine import ServerEngine
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.screens.lab import LabScreen

SIZE = (120, 40)
KEY = "sk-very-secret"


@pytest.fixture
def stub() -> Stub:
    return Stub(FakeEngine())


@pytest.fixture
def load(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoadOptions]:
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(stub) as url:
        yield LoadOptions(url, server=ServerOptions(key_env="MY_KEY"))


def app_on(load: LoadOptions) -> TokexploreApp:
    engine = ServerEngine.open(load, lambda _: None)
    options = AppOptions(load=load, prompt=PromptSpec(text="Once upon"), max_new_tokens=12)
    return make_app(options=options, engine=engine)


async def test_it_streams_and_branches_and_says_what_is_listed(load: LoadOptions) -> None:
    app = app_on(load)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        text = screen_text(app)
        assert "of the first 20" in text
        assert " · server" in text
        await press(pilot, "home", "right", "down", "enter")
        await until(pilot, lambda: ended(app) and len(app.controller.explorer.tree.branches) == 2)
        await press(pilot, "t", *"the 好", "enter")
        await until(pilot, lambda: ended(app) and "typed" in app.controller.explorer.tree.origin)
        await press(pilot, "i")
        text = screen_text(app)
        assert "llama.cpp's server, build b11549-stub (GET /props)" in text
        assert "layers" not in text


async def test_a_stream_that_breaks_loses_nothing_and_goes_on(
    stub: Stub, load: LoadOptions
) -> None:
    app = app_on(load)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        nodes = list(app.controller.explorer.nodes)
        boom = {"error": {"message": "the GPU fell over"}}
        stub.faults["/completion"] = [lambda handler: send(handler, 500, boom)]
        await pilot.press("space")
        await during(pilot, lambda: any("fell over" in n.message for n in app._notifications))
        await settle(pilot)
        assert app.controller.explorer.nodes == nodes
        assert app.return_code is None
        await pilot.press("space")
        await until(pilot, lambda: len(app.controller.explorer.nodes) == len(nodes) + 12)


async def test_its_session_says_where_the_numbers_come_from_and_holds_no_key(
    load: LoadOptions,
) -> None:
    app = app_on(load)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        path = app.sessions.path
        (by,) = app.controller.explorer.tree.provenance
        assert by.source.endswith("#owner/stub")
        assert isinstance(by.evidence, tuple)
        assert ("serves owner/stub", "GET /v1/models") in by.evidence
        await app.ending.leave(0)
    assert path is not None
    data = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert KEY.encode() not in data
    assert b"MY_KEY" in data
    opened = continue_session(str(path))
    assert opened.state.load.server == ServerOptions(), "which may be somebody else's file"
    asked = OpenOptions(server={"key_env": "MY_KEY"})
    assert options_for(opened, asked).load.server == load.server


@pytest.mark.parametrize("key", ["C", "s"])
async def test_what_needs_the_rest_asks_for_it(load: LoadOptions, key: str) -> None:
    app = app_on(load)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left", "left", key)
        await during(pilot, lambda: re.search(r"kept( tokens)? +\d", screen_text(app)) is not None)
        await settle(pilot)
        assert "first 20" not in screen_text(app)


async def test_the_lab_repeats_the_request_on_the_server(stub: Stub, load: LoadOptions) -> None:
    app = app_on(load)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(app.screen, LabScreen))
        lab = app.screen.lab
        lab.runs, lab.length = 2, 4
        await press(pilot, "r")
        await until(pilot, lambda: not lab.running)
        await settle(pilot)
        text = screen_text(app)
        assert "varied: copies, batch, cache" in text
        assert "gave the same logprobs" in text
        assert "4 at once, the same · cold" in text
        assert "2 waiting" in text
        assert "tokexplore lab repeat" not in text, "a server is not loaded anew"
        study = lab.study
        assert study is not None
        assert study.served
        assert len(study.runs) == study.planned == 16
        await press(pilot, "q")
        assert not isinstance(app.screen, LabScreen)
    assert stub.most > 1
