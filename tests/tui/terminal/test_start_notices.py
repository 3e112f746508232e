"""What is said when the app starts."""

import sqlite3

import pytest
import textual
from support.app import make_app, press, screen_text, until
from support.lived import OPTIONS, ended, lived

from tokexplore.models.session import meta
from tokexplore.models.session.paths import all_files
from tokexplore.tui.terminal.start_notices import offer_last, start_notices

SIZE = (120, 40)


@pytest.mark.parametrize(
    ("end", "said"), [("hangup", "its line was lost"), (None, "without a sign")]
)
async def test_a_session_that_ended_badly_is_offered_at_the_next_start(
    end: str | None, said: str
) -> None:
    await lived("home")
    path = all_files()[0]
    with sqlite3.connect(path) as connection:
        meta.put(connection, "ended", end)
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: any(said in n.message for n in app._notifications))
        await until(pilot, lambda: ended(app) and app.sessions.path is not None)
        await press(pilot, "O")
        await until(pilot, lambda: "this one" in screen_text(app))
        await press(pilot, "enter")  # the first row that can be picked is under the cursor
        await until(pilot, lambda: app.sessions.path == path)
        assert app.controller.state == "recorded"
        assert not any(said in n.message for n in app._notifications if "O opens" not in n.message)


async def test_a_session_that_holds_nothing_is_not_offered() -> None:
    await lived("home")
    path = all_files()[0]
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM event")
        meta.put(connection, "summary", "{}")
        meta.put(connection, "ended", None)
    assert offer_last() == ""


async def test_over_ssh_it_is_told_once_that_the_session_outlives_the_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def told() -> bool:
        app = make_app(options=OPTIONS)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: ended(app))
            return any("never the session" in n.message for n in app._notifications)

    for name in ("TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    assert not await told()
    monkeypatch.setenv("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22")
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    assert not await told()
    monkeypatch.delenv("TMUX")
    assert await told()
    assert not await told()


def texts(*, stock_asked: bool = False, stock_output: bool = False) -> list[tuple[str, str]]:
    return list(
        start_notices(
            ["a.b is no key."], "It is a copy.", stock_asked=stock_asked, stock_output=stock_output
        )
    )


def test_keys_that_are_wrong_come_first_and_the_output_last() -> None:
    both = [("a.b is no key.", "warning"), ("It is a copy.", "information")]
    assert texts() == both
    *begin, (asked, severity) = texts(stock_asked=True, stock_output=True)
    assert begin == both
    assert asked.startswith("Textual's own output, as asked")
    assert severity == "information"
    *_, (untested, severity) = texts(stock_output=True)
    assert f"Textual {textual.__version__} is not the one" in untested
    assert severity == "warning"
