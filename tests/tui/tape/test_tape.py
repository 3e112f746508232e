"""Tapes: their language, the same bytes each time, and what was just done as one."""

import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pyte
import pytest
from support.app import make_app, press, screen_text, until
from support.connect import in_thread
from support.fake_engine import FakeEngine
from support.lived import OPTIONS, SIZE, ended, lived
from support.tapes import forget_pauses
from textual.widgets import OptionList

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.errors import ModelError, TokexploreError, UsageError
from tokexplore.models.session.paths import all_files
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.cli.tape_run import app_options, opened
from tokexplore.tui.recording.cast import read_cast
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.tui.tape import player
from tokexplore.tui.tape.player import play
from tokexplore.tui.tape.script import Script, parse_script
from tokexplore.widgets.header import GLYPHS

TAPE = """
# two stories
Size 100x30
Theme light
Options --temperature 1.2 --seed 4 --max-new-tokens 12 --prompt "Once upon a time"

Speed 10
Wait 0.5
Screenshot streaming
Until ■ ended
Key home 3
Caption another way
Keys on
Until ■ ended
Repeat 2 Key left
Key a
Type odd one
Key enter
Screenshot done
"""


def fake(load: LoadOptions, on_lost: object) -> EngineClient:
    return EngineClient(load, connect=in_thread(FakeEngine.open), on_lost=on_lost)  # type: ignore[arg-type]


async def played(text: str, folder: Path) -> Script:
    script = parse_script(text, "test.tape")
    folder.mkdir()
    options = app_options(script)
    await play(
        script, options, cast=folder / "a.cast", pictures=folder, make_client=fake
    )  # fmt: skip
    return script


async def test_the_same_tape_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    await played(TAPE, one)
    await played(TAPE, two)
    assert sorted(p.name for p in one.iterdir()) == ["a.cast", "done.svg", "streaming.svg"]
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name


async def test_a_stream_comes_token_by_token_at_its_speed(tmp_path: Path) -> None:
    await played(TAPE, tmp_path / "one")
    cast = read_cast(tmp_path / "one" / "a.cast")
    screen = pyte.Screen(cast.columns, cast.rows)
    stream = pyte.Stream(screen)
    seen, first = [], None
    for event in cast.events:
        stream.feed(event.data)
        text = "\n".join(screen.display)
        if "10 tok/s" in text and first is None:
            first = event.at
        seen.append(text)
    assert first is not None
    assert first < 1.0
    assert (cast.columns, cast.rows) == (100, 30)
    assert len({text.splitlines()[2] for text in seen}) > 8, "frames of a stream differ"
    assert "another way" in seen[-1]
    assert "note: odd one" in seen[-1]


MID_STREAM = """
Size 80x24
Options --temperature 0.8 --seed 3 --max-new-tokens 30 --prompt "Once upon a time"
Speed 14
Wait 1
Key space
Wait 0.3
Screenshot paused
Key space
Wait 0.2
Key 2 2
Screenshot taken
Wait 0.2
Key home down enter
Screenshot home
Wait 0.2
Key r
Screenshot again
Key full_stop full_stop
Screenshot one
Key space
Wait 0.2
Key C
Wait 1
Key escape
Key i
Screenshot inspected
Key escape space
Wait 0.2
Key D
Screenshot lab
Key escape space
Wait 0.2
Key p
Wait 0.2
Type x
Key enter
Wait 0.3
Key u
Screenshot undone
Key ctrl+c q
Wait 6
Key q
Screenshot done
"""


def uneven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what arrives, and what is painted, come late now and then, as on a busy machine."""
    chance = random.Random(0)
    late: tuple[tuple[type, str], ...] = (EngineClient, "_receive"), (LiveScreen, "paint")
    for where, name in late:
        whole = getattr(where, name)

        def slowed(*args: object, whole: Callable[..., object] = whole) -> object:
            if chance.random() < 0.3:
                time.sleep(0.03 * chance.random())
            return whole(*args)

        monkeypatch.setattr(where, name, slowed)


async def test_a_stream_can_be_stopped_gone_on_with_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    await played(MID_STREAM, one)
    uneven(monkeypatch)
    await played(MID_STREAM, two)
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name
    prompt, second_at_speed = 5, 14
    assert f"ctx&#160;{prompt + second_at_speed}/" in (one / "paused.svg").read_text()
    assert "paused" in (one / "paused.svg").read_text()
    assert "of&#160;2" in (one / "taken.svg").read_text()
    assert "loaded" not in (one / "inspected.svg").read_text(), "no two runs load in one time"


async def test_what_does_not_come_names_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player, "GIVE_UP", 3.0)
    with pytest.raises(TokexploreError, match=r"test.tape, line 2: 'xyzzy' did not come"):
        await played("Options --max-new-tokens 3\nUntil xyzzy\n", tmp_path / "one")


async def test_a_model_that_cannot_be_loaded_ends_the_tape() -> None:
    def broken(load: LoadOptions, on_lost: object) -> EngineClient:
        def opened(*_: object) -> FakeEngine:
            raise ModelError("no weights.")

        return EngineClient(load, connect=in_thread(opened), on_lost=on_lost)  # type: ignore[arg-type]

    script = parse_script("Wait 1", "a.tape")
    with pytest.raises(TokexploreError, match="ended before the tape"):
        await play(script, app_options(script), make_client=broken)


async def test_what_was_just_done_can_be_played_again(tmp_path: Path) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "l", "3")
        await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, "a", "o", "k", "enter")
        forget_pauses(app.recordings.keys)
        memory = app.recordings.keys.tape(app.controller.options, SIZE)
        await pilot.press("colon", *"save a tape")
        await until(pilot, lambda: len(app.screen.query_one(OptionList).options) == 1)
        said: list[str] = []
        app.notify = lambda text, **_: said.append(text)  # type: ignore[method-assign]
        await pilot.press("enter")
        await until(pilot, lambda: bool(said))
        shown = app.controller.explorer.ids()
        notes = list(app.controller.explorer.tree.notes.values())
        screen = screen_text(app)
    path = Path(said[0].removeprefix("The tape is ").rstrip("."))
    text = path.read_text()
    assert [line for line in text.splitlines() if not line.startswith("Speed")] == (
        memory.splitlines()
    ), "the keys that saved it are no part of it"
    await played(text, tmp_path / "as it was")
    assert "Key home l 3 a\nType ok\nKey enter" in text
    text = text.replace("Key home l 3 a", "Until ■ ended\nKey home l 3\nUntil ■ ended\nKey a")
    script = await played(text + "Until note: ok\n", tmp_path / "one")
    assert script.size == SIZE
    cast = read_cast(tmp_path / "one" / "a.cast")
    terminal = pyte.Screen(cast.columns, cast.rows)
    for event in cast.events:
        pyte.Stream(terminal).feed(event.data)
    assert notes == ["ok"]
    assert shown
    assert terminal.display[2].strip()[:60] == screen.splitlines()[2].strip()[:60]


async def test_a_tape_on_a_recorded_session_needs_no_model_and_changes_nothing(
    tmp_path: Path,
) -> None:
    await lived("home", "l", "3")
    recorded = all_files()[0]
    data = recorded.read_bytes()
    text = f"""
Size 90x30
Session {recorded.name}
Key home l down
Key b
Wait 1
Screenshot branches
Key q
Screenshot walked
"""
    script = parse_script(text, "test.tape")
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "scratch").mkdir(parents=True)
        begun = opened(script, recorded.parent, folder / "scratch")
        await play(
            script,
            begun.options,
            cast=folder / "a.cast",
            pictures=folder,
            make_client=no_model,
            session=begun.session,
        )
    for name in ("a.cast", "branches.svg", "walked.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert recorded.read_bytes() == data
    assert "recorded" in (tmp_path / "one" / "walked.svg").read_text()
    with pytest.raises(UsageError, match="cannot be opened"):
        opened(parse_script("Session none.tokx", "a.tape"), tmp_path, tmp_path)


async def test_a_tape_lives_a_session_again_by_its_own_clock(tmp_path: Path) -> None:
    before = await lived("home", "l", "3")
    recorded = all_files()[0]
    data = recorded.read_bytes()
    text = f"""
Size 100x30
Replay {recorded.name}
Key space
Key full_stop full_stop full_stop full_stop
Screenshot stepped
Key space
Until The replay is over
Wait 1
Screenshot over
"""
    script = parse_script(text, "test.tape")
    for name in ("one", "two"):
        folder = tmp_path / name
        (folder / "scratch").mkdir(parents=True)
        begun = opened(script, recorded.parent, folder / "scratch")
        assert begun.timeline is not None
        await play(
            script, begun.options, cast=folder / "a.cast", pictures=folder,
            make_client=no_model, timeline=begun.timeline,
        )  # fmt: skip
    for name in ("a.cast", "stepped.svg", "over.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert recorded.read_bytes() == data
    stepped = (tmp_path / "one" / "stepped.svg").read_text()
    assert "paused" in stepped
    over = (tmp_path / "one" / "over.svg").read_text()
    assert f"of&#160;{len(before.controller.explorer.tree.branches)}" in over
    with pytest.raises(UsageError, match="line 2: a tape has one session"):
        parse_script("Session a.tokx\nReplay b.tokx", "a.tape")


def no_model(load: LoadOptions, on_lost: object) -> EngineClient:
    """A client that must not be started."""

    async def connect() -> NoReturn:
        raise AssertionError("the tape asked for the model")

    return EngineClient(load, connect=connect, on_lost=on_lost)  # type: ignore[arg-type]


def test_what_is_shown_as_an_example_waits_for_what_only_the_header_says() -> None:
    root = Path(__file__).parents[3]
    shown = [*root.glob("docs/*.md"), *root.glob("screenshots/*.tape")]
    assert len(shown) > 5
    for path in shown:
        waits = re.findall(r"^ *Until (.*\b(?:ended|paused|recorded)\b.*)$", path.read_text(), re.M)
        assert all(text.startswith(tuple(GLYPHS.values())) for text in waits), path
