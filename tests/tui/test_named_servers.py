"""Servers of `servers.toml` in the app: picked by name, known again when a session is opened."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from support.app import all_found, client_of, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from support.lived import OPTIONS, ended
from support.stub_server import Stub, serving
from textual.pilot import Pilot
from textual.widgets import Input

from tokexplore.models.api.engine import Engine
from tokexplore.models.api.options import LoadOptions, PromptSpec, ServerOptions
from tokexplore.models.catalog.choices import Choice
from tokexplore.models.server.engine import ServerEngine
from tokexplore.models.server.named import file_path
from tokexplore.models.server.wire.address import is_address
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.environment import Environment
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.explore.session_recorder import OpenSession
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.models import ModelPicker
from tokexplore.tui.screens.row_list import RowList

SIZE = (120, 40)
KEY = "sk-very-secret"
BAD = f'[bad]\nurl = "http://bad"\nkey = "{KEY}"\n'


@pytest.fixture
def stub() -> Stub:
    return Stub(FakeEngine())


@pytest.fixture
def url(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that stands in the file as `lab`."""
    monkeypatch.setenv("LAB_KEY", KEY)
    with serving(stub) as url:
        written(f'[lab]\nurl = "{url}"\nmodel = "owner/stub"\nkey-env = "LAB_KEY"\ntop = 7\n')
        yield url


def written(text: str) -> None:
    file_path().parent.mkdir(parents=True, exist_ok=True)
    with file_path().open("a", encoding="utf-8") as file:
        file.write(text)


def opening(load: LoadOptions, report: object) -> Engine:
    """A server where one is named, else a fake."""
    if is_address(load.model):
        return ServerEngine.open(load, lambda _: None)
    return FakeEngine.open(load, report)  # type: ignore[arg-type]


def app_of(options: AppOptions = OPTIONS, opened: OpenSession | None = None) -> TokexploreApp:
    return TokexploreApp(options, Environment(client_of(opening)), opened)


def rows(app: TokexploreApp) -> list[Choice]:
    return [row for row in app.screen.query_one(RowList)._shown if isinstance(row, Choice)]


def told(app: TokexploreApp) -> str:
    return " | ".join(n.message for n in app._notifications)


async def picking(pilot: Pilot[int], typed: str = "") -> TokexploreApp:
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    await until(pilot, lambda: ended(app))
    await press(pilot, "M", *typed)
    await until(pilot, lambda: all_found(app))
    await settle(pilot)
    return app


async def test_a_server_is_completed_by_name_opened_and_asked_with_its_key(
    stub: Stub, url: str
) -> None:
    async with app_of().run_test(size=SIZE) as pilot:
        app = await picking(pilot)
        assert "servers" in screen_text(app)
        assert f"on a server: {url}#owner/stub" in screen_text(app)
        assert not stub.asked, "nobody is asked before it is opened"
        await pilot.press(*"lab")
        await until(pilot, lambda: [row.name for row in rows(app)] == ["lab"])
        await pilot.press("backspace")
        await until(pilot, lambda: len(rows(app)) > 1)
        await press(pilot, *["down"] * [row.name for row in rows(app)].index("lab"), "tab")
        assert app.screen.query_one(Input).value == "lab"
        await press(pilot, "enter", "enter")
        await until(pilot, lambda: app.controller.options.load.model == f"{url}#owner/stub")
        await until(pilot, lambda: isinstance(app.screen, PromptEditor))
        await press(pilot, "enter")
        await until(pilot, lambda: ended(app))
        assert app.controller.options.load.server == ServerOptions(key_env="LAB_KEY", top=7)
        assert {h.get("Authorization") for h in stub.headers} == {f"Bearer {KEY}"}
        await press(pilot, "M")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker) and bool(rows(app)))
        (lab,) = (row for row in rows(app) if row.server)
        assert [row.model for row in rows(app)].count(lab.model) == 1, "once, by its name"
        assert KEY not in screen_text(app)


async def test_the_row_whose_name_was_typed_is_the_first(url: str) -> None:
    del url
    written('[lab2]\nurl = "http://2"\n[x]\nurl = "http://3"\n[x-lab]\nurl = "http://4"\n')
    async with app_of().run_test(size=SIZE) as pilot:
        app = await picking(pilot, "lab2")
        assert [row.name for row in rows(app)] == ["lab2"]
        await pilot.press("backspace")
        await until(pilot, lambda: len(rows(app)) == 3)
        assert [row.name for row in rows(app)] == ["lab", "lab2", "x-lab"]
        await press(pilot, "ctrl+u", *"x")
        await until(pilot, lambda: [row.name for row in rows(app)][:2] == ["x", "x-lab"])
        assert app.screen.row.name == "x"  # type: ignore[attr-defined]


async def test_what_is_wrong_is_a_notice_and_the_others_open(stub: Stub, url: str) -> None:
    written(BAD)
    async with app_of().run_test(size=SIZE) as pilot:
        app = await picking(pilot, "bad")
        assert "servers.toml, bad: key would hold a key" in told(app)
        assert KEY not in told(app) + screen_text(app)
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, ModelPicker), "it is not opened"
        await press(pilot, "ctrl+u", *"lab", "enter", "enter")
        await until(pilot, lambda: app.controller.options.load.model == f"{url}#owner/stub")
        await until(pilot, lambda: bool(stub.asked))


async def test_a_variable_that_is_not_set_leaves_what_is_open(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del url
    monkeypatch.delenv("LAB_KEY")
    async with app_of().run_test(size=SIZE) as pilot:
        app = await picking(pilot, "lab")
        nodes = list(app.controller.explorer.nodes)
        await press(pilot, "enter", "enter")
        await until(
            pilot, lambda: "the variable LAB_KEY for the server's key is not set" in told(app)
        )
        await until(pilot, lambda: list(app.controller.explorer.nodes) == nodes)


async def kept(url: str) -> str:
    """A session of the server, as it was left."""
    load = LoadOptions(f"{url}#owner/stub", server=ServerOptions(key_env="LAB_KEY", top=9))
    options = replace(OPTIONS, load=load, prompt=PromptSpec(text="Once"), max_new_tokens=4)
    app = app_of(options)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        path = app.sessions.path
        await app.ending.leave(0)
    assert path is not None
    assert KEY.encode() not in b"".join(file.read_bytes() for file in path.parent.iterdir())
    return str(path)


async def test_a_session_goes_on_with_the_key_that_the_file_has_for_its_address(
    stub: Stub, url: str
) -> None:
    path = await kept(url)
    stub.headers.clear()
    opened = continue_session(path)
    options = options_for(opened, OpenOptions())
    assert options.load.server == ServerOptions(key_env="LAB_KEY", top=9), "the rest is its own"
    mine = options_for(opened, OpenOptions(server={"key_file": "/mine"}))
    assert mine.load.server == ServerOptions(key_file="/mine", top=9)
    app = app_of(options, opened)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "end", "space")
        await until(pilot, lambda: bool(stub.headers) and ended(app))
        assert {h.get("Authorization") for h in stub.headers} == {f"Bearer {KEY}"}


async def test_a_session_of_another_address_gets_no_key_and_a_wrong_file_is_told(url: str) -> None:
    path = await kept(url)
    file_path().write_text('[lab]\nurl = "http://elsewhere"\nkey-env = "LAB_KEY"\n')
    opened = continue_session(path)
    assert opened.state.load.server == ServerOptions(top=9)
    assert opened.notice == ""
    written(BAD)
    assert "servers.toml, bad: key would hold a key" in continue_session(path).notice
    file_path().write_text(f'[lab]\nurl = "{url}"\nkey-env = "LAB_KEY"\n{BAD}')
    opened = continue_session(path)
    assert opened.state.load.server.key_env == "LAB_KEY"
    assert opened.notice == ""
