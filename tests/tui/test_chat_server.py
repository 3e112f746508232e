"""A server of chats alone in the app: what it cannot be asked is said where it is missed."""

import io
from collections.abc import Iterator

import pytest
from support.app import make_app, press, settle, until
from support.chats_here import save_with_template
from support.lived import ended
from support.stub_chat import ChatManners
from support.stub_server import Stub, serving

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import LoadOptions, PromptSpec, ServerOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError
from tokexplore.models.server.engine import ServerEngine
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.cli.common.own_engine import prompt_ids
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import AppOptions, OpenOptions

SIZE = (120, 40)
CHAT = PromptSpec(chat=Chat((Message("user", "Tell me of the fox."),)))
ANEW = "This engine begins every answer anew: "


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_with_template(tmp_path_factory.mktemp("chats") / "model")


@pytest.fixture
def stub(here: str) -> Stub:
    return Stub(LocalEngine.open(LoadOptions(here, threads=1), lambda _: None), "chat")


@pytest.fixture
def load(stub: Stub, here: str) -> Iterator[LoadOptions]:
    with serving(stub) as url:
        yield LoadOptions(url, server=ServerOptions(tokenizer=here))


def app_on(load: LoadOptions) -> TokexploreApp:
    engine = ServerEngine.open(load, lambda _: None)
    options = AppOptions(load=load, prompt=CHAT, max_new_tokens=6)
    return make_app(options=options, engine=engine)


def said(app: TokexploreApp) -> str:
    return "\n".join(notice.message for notice in app._notifications)


async def test_a_session_goes_on_from_any_token_also_when_it_is_opened_again(
    stub: Stub, load: LoadOptions
) -> None:
    assert isinstance(stub.manners, ChatManners)
    stub.manners.goes_on = "prefix"
    app = app_on(load)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "left", "left", "down", "enter")
        await until(pilot, lambda: ended(app) and len(app.controller.explorer.tree.branches) == 2)
        await app.action_quit()
    kept = continue_session("")
    options, engine = options_for(kept, OpenOptions()), ServerEngine.open(load, lambda _: None)
    again = make_app(options=options, opened=kept, engine=engine)
    async with again.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(again.controller.explorer.nodes))
        count = len(again.controller.explorer.nodes)
        await press(pilot, "end", "space")
        await until(pilot, lambda: ended(again) and len(again.controller.explorer.nodes) > count)
        assert "takes chats only" not in said(again)


async def test_where_answers_begin_anew_another_token_is_refused(load: LoadOptions) -> None:
    app = app_on(load)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await settle(pilot)
        assert "cannot be asked" not in said(app), "the open end is not asked for"
        await press(pilot, "left", "left", "down", "enter")
        await settle(pilot)
        assert f"{ANEW}another token needs one that goes on." in said(app)
        assert len(app.controller.explorer.tree.branches) == 1
        with pytest.raises(UsageError, match="takes chats only: ctrl\\+r"):
            await app.controller.prompt(PromptSpec(text="Once upon"))
        await press(pilot, "t")
        assert f"{ANEW}typed text needs one that goes on." in said(app)
        await press(pilot, "end", "space")
        await until(pilot, lambda: "begins every answer anew and goes on from none" in said(app))


def test_plain_text_is_refused_on_the_command_line(load: LoadOptions) -> None:
    engine = ServerEngine.open(load, lambda _: None)
    with pytest.raises(UsageError, match="takes chats only: give --user TEXT instead of --prompt"):
        prompt_ids(engine, PromptSpec(text="Once upon"), Meter(io.StringIO()))
