"""`O`: sessions that can be told apart, and found by what was said and named in them."""

import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace
from support.app import all_found, during, make_app, press, screen_text, settle, until
from support.lived import OPTIONS, ended, lived
from textual.pilot import Pilot
from textual.widgets import OptionList

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.session import meta, schema
from tokexplore.models.session.listing import MOST_MODELS, latest, recent_models
from tokexplore.models.session.paths import all_files, make_private, sessions_folder
from tokexplore.models.session.reader import Listed, listed
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.cli.sessions_table import session_table
from tokexplore.tui.screens.row_list import RowList
from tokexplore.tui.screens.sessions import BATCH, SessionPicker

SIZES = [(80, 24), (120, 40)]
NAMED_AND_ASKED: dict[str, bytes] = {}
"""The files of a session with a name and a note and of a chat, once they were lived."""


def rows(app: TokexploreApp) -> list[Listed]:
    assert isinstance(app.screen, SessionPicker)
    return [row for row in app.screen.query_one(RowList)._shown if isinstance(row, Listed)]


async def opened(pilot: Pilot[int], typed: str = "") -> TokexploreApp:
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    await until(pilot, lambda: ended(app) and app.sessions.path is not None)
    await press(pilot, "O")
    await searched(pilot, typed)
    return app


async def searched(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*text)
    await during(pilot, lambda: all_found(pilot.app))
    await settle(pilot)


def chat(*words: str) -> PromptSpec:
    roles = ("user", "assistant")
    return PromptSpec(chat=Chat(tuple(Message(roles[i % 2], text) for i, text in enumerate(words))))


@pytest.mark.parametrize("size", SIZES)
async def test_sessions_on_the_same_prompt_are_told_apart(size: tuple[int, int]) -> None:
    ways = [await lived("home", "l", key) for key in ("2", "3", "4")]
    asked = ("what is red", "blood", "and what is blue\nin the sea")
    await lived(options=replace(OPTIONS, prompt=chat(*asked)))
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        text = screen_text(app)
        for way in ways:
            end = way.controller.explorer.text().split()[-2:]
            assert " ".join(end) in text
        assert "and what is blue in the s" in text
        assert "this one" in text
        assert app.screen.query_one(RowList)._shown.index(app.screen.row) == 1, (
            "the one in view cannot be opened"
        )


def nothing_kept(name: str) -> Path:
    """A session that ended without a sign before there was a token; the latest."""
    path = sessions_folder() / f"{name}.tokx"
    make_private(path.parent)
    with closing(sqlite3.connect(path)) as connection:
        schema.create(connection, {})
    return path


async def test_sessions_that_hold_nothing_do_not_stand_between_the_others() -> None:
    empty = nothing_kept("a")
    assert session_table(80) == "1 session holds nothing, not a token.\n"
    with pytest.raises(UsageError, match="no session to open yet"):
        latest()
    await lived("home")
    [told] = [path for path in all_files() if path != empty]
    later = nothing_kept("b")
    os.utime(later, (time.time() + 9, time.time() + 9))
    assert all_files()[0] == later
    *lines, last = session_table(0).splitlines()
    assert len(lines) == 2
    assert last == "2 sessions hold nothing, not a token."
    assert latest().path == told
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: len(rows(app)) == 4)
        assert [row.path for row in rows(app)][1:] == [told, later, empty]
        assert "sessions that hold nothing" in screen_text(app)
        await searched(pilot, "once")
        assert [row.path for row in rows(app)][-1] == told
        assert "hold nothing" not in screen_text(app)


async def test_a_session_that_was_cut_off_before_it_told_of_itself_is_one_of_the_others() -> None:
    await lived("home")
    [path] = all_files()
    with closing(sqlite3.connect(path)) as connection:
        meta.put(connection, "summary", "{}")
        meta.put(connection, "ended", None)
        connection.commit()
    assert not listed(path).holds_nothing
    assert "[cut off]" in session_table(0)


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        ("CHAPTER", 1),
        ("beware note", 1),
        ("chapter beware", 1),
        ("blue sea", 1),
        ("zzz", 0),
        ("once upon", 1),
        ("", 3),
    ],
)
async def test_names_notes_and_words_are_searched(typed: str, count: int) -> None:
    if not NAMED_AND_ASKED:
        named = ("B", *"chapter one", "enter", "a", *"a note: beware", "enter")
        await lived(*named)
        await lived(options=replace(OPTIONS, prompt=chat("why is it blue", "so", "and the sea")))
        NAMED_AND_ASKED.update({path.name: path.read_bytes() for path in all_files()})
    else:
        make_private(sessions_folder())
        for name, data in NAMED_AND_ASKED.items():
            (sessions_folder() / name).write_bytes(data)
    app = make_app(options=replace(OPTIONS, prompt=PromptSpec(text="Then the")))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: len(rows(app)) == 3)
        words = typed.replace("blue sea", "sea")
        await searched(pilot, words)
        assert len(rows(app)) == count
        if typed == "CHAPTER":
            assert "named chapter one" in screen_text(app)


async def test_what_was_found_is_opened() -> None:
    first = await lived()
    path = first.sessions.path
    await lived(options=replace(OPTIONS, prompt=PromptSpec(text="Something else")))
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, path.stem[:15] if path else "")
        await during(pilot, lambda: bool(rows(app)))
        await searched(pilot, "")
        await pilot.press("enter")
        await until(pilot, lambda: app.controller.state == "recorded")


async def test_a_folder_of_hundreds_is_shown_as_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await lived()
    (one,) = all_files()
    for number in range(500):
        shutil.copy(one, one.with_name(f"copy{number:03}.tokx"))
    app, read = make_app(options=OPTIONS), list[Path]()

    def counted(path: Path) -> Listed:
        read.append(path)
        if len(read) > 2 * BATCH and not app.screen.query(OptionList)[0].option_count:
            raise AssertionError("the first ones do not wait for the others")
        return listed(path)

    monkeypatch.setattr("tokexplore.tui.screens.sessions.listed", counted)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: len(rows(app)) == 502)
        await searched(pilot, "copy499")
        assert [row.path.stem for row in rows(app)] == ["copy499"]


async def test_a_file_that_says_nothing_new_is_listed_by_how_it_begins() -> None:
    await lived()
    (path,) = all_files()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        old = '{"model": "old", "nodes": 3, "words": "So it\\u001b[31m began", "updated": 9}'
        meta.put(connection, "summary", old)
        meta.put(connection, "view", '{"load": {"model": 5}}')
    assert recent_models() == []
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        text = screen_text(app)
        assert "So it␛[31m began" in text
        assert "\x1b" not in text


async def test_what_is_no_session_says_so_and_cannot_be_chosen() -> None:
    await lived()
    (sessions_folder() / "bad\x1b[31m.tokx").write_text("no session")
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        text = screen_text(app)
        assert "is no session of tokexplore" in text
        assert "\x1b" not in text
        assert sum(app.screen.can_pick(row) for row in rows(app)) == 1


async def test_models_of_kept_sessions_are_recent_ones() -> None:
    from tokexplore.models.api.options import LoadOptions

    for number in range(3):
        await lived(options=replace(OPTIONS, load=LoadOptions(f"/models/m{number % 2}")))
    assert recent_models() == ["/models/m0", "/models/m1"]
    assert MOST_MODELS >= 2
