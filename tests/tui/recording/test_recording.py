"""A recording shows what the screen showed, and plays elsewhere."""

import builtins
import errno
import io
import json
import os
import shutil
from pathlib import Path

import pyte
import pytest
from msgspec.structs import replace
from support.app import make_app, press, screen_text, until
from support.lived import OPTIONS, SIZE, ended
from support.terminal import Terminal
from textual.pilot import Pilot

from tokexplore.models import untrusted
from tokexplore.models.api.engine import Progress
from tokexplore.models.errors import UsageError
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.cli import dispatch
from tokexplore.tui.recording import camera, cast
from tokexplore.tui.recording import gif as gif_module
from tokexplore.tui.recording.cast import LONGEST, CastWriter, new_path, read_cast
from tokexplore.tui.recording.gif import write_gif
from tokexplore.tui.terminal.shown import shown_strips


def played(path: Path) -> pyte.Screen:
    """The screen after a recording."""
    cast = read_cast(path)
    screen = pyte.Screen(cast.columns, cast.rows)
    stream = pyte.Stream(screen)
    for event in cast.events:
        if event.code == "o":
            stream.feed(event.data)
        elif event.code == "r":
            columns, rows = map(int, event.data.split("x"))
            screen.resize(rows, columns)
    return screen


def same_screen(app: TokexploreApp, screen: pyte.Screen) -> bool:
    """Whether a terminal shows what the compositor has, text and colours."""
    strips = shown_strips(app)
    for y, strip in enumerate(strips):
        x = 0
        for text, style, _ in strip:
            for character in text:
                cell = screen.buffer[y][x]
                ground = (
                    style.bgcolor.get_truecolor().hex[1:] if style and style.bgcolor else "default"
                )
                if (cell.data or character) != character or cell.bg != ground:
                    return False
                x += 1
    return True


async def recorded(pilot: Pilot[int], path: Path) -> None:
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    app.recordings.begin(path)
    await press(pilot, "home", "l", "3")
    await until(pilot, lambda: not app.controller.streaming)
    await press(pilot, "left", "c", "at", "b", "q")


async def test_the_last_frame_is_the_screen(tmp_path: Path) -> None:
    app = make_app(options=OPTIONS)
    path = tmp_path / "a.cast"
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await recorded(pilot, path)
        app.clear_notifications()
        await pilot.pause(0.3)
        assert app.recordings.stop() == path
        assert same_screen(app, played(path))
        assert screen_text(app).splitlines()[0].strip() in "\n".join(played(path).display)
        assert app.recordings.stop() is None
    cast = read_cast(path)
    assert [e.data for e in cast.events if e.code == "m"] == ["mark 1"]
    text = "".join(e.data for e in cast.events)
    assert not {"\x1b[6n", "\x1b[?1000h", "\x1b[?2026h", "\x1b[?1049h"} & {
        sequence
        for sequence in ("\x1b[6n", "\x1b[?1000h", "\x1b[?2026h", "\x1b[?1049h")
        if sequence in text
    }
    assert {e.code for e in cast.events} == {"o", "m"}, "no key is in it"


async def test_a_resize_is_in_it(tmp_path: Path) -> None:
    app = make_app(options=OPTIONS)
    path = tmp_path / "a.cast"
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        app.recordings.begin(path)
        await pilot.resize_terminal(90, 30)
        await pilot.pause(0.3)
        app.recordings.stop()
        assert same_screen(app, played(path))
    assert [e.data for e in read_cast(path).events if e.code == "r"] == ["90x30"]


async def test_the_keys_record_mark_and_take_a_picture(tmp_path: Path) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "at")
        assert any("begins here" in n.message for n in app._notifications)
        await press(pilot, "exclamation_mark", "at", "at", "exclamation_mark", "P")
    folder = tmp_path / "state" / "tokexplore"
    [path] = (folder / "recordings").glob("*.cast")
    assert [e.data for e in read_cast(path).events if e.code == "m"] == ["mark 1", "mark 2"]
    [picture] = (folder / "pictures").glob("*.svg")
    assert "@font-face" not in picture.read_text()
    assert picture.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


async def test_a_file_that_is_there_is_not_recorded_over(tmp_path: Path) -> None:
    path = tmp_path / "a.cast"
    path.write_text("mine")
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        with pytest.raises(UsageError, match="is there already"):
            app.recordings.begin(path)
    assert path.read_text() == "mine"


async def test_it_can_record_from_the_start_on(tmp_path: Path) -> None:
    path = tmp_path / "a.cast"
    options = replace(OPTIONS, record=str(path), cast_version=3)
    app = make_app(options=options)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await app.action_quit()
    assert "ended: length" in "\n".join(played(path).display)
    assert json.loads(path.read_text().splitlines()[0])["term"]["cols"] == SIZE[0]


async def test_what_shows_through_a_dialog_is_recorded(tmp_path: Path) -> None:
    """However old the lines are that the dialog keeps of what is behind it."""
    app = make_app(options=OPTIONS)
    path = tmp_path / "a.cast"
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "colon")
        app.recordings.begin(path)
        for _ in range(3):
            app.screen._styles_cache.clear()
            app.recordings.mark()
        app.screen._styles_cache.clear()
        app.recordings.stop()
        assert screen_text(app).splitlines()[0].startswith(" tokexplore ")
    assert played(path).display[0].startswith(" tokexplore ")


class FullDisk(io.StringIO):
    """A file on a disk that is full after so many lines."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.left = lines

    def flush(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        self.flush()


@pytest.mark.usefixtures("each_frame")
@pytest.mark.parametrize("lines", [0, 1, 2, 3, 100])
@pytest.mark.parametrize("key", ["", "@", "!"])
async def test_on_a_full_disk_a_recording_ends_and_the_app_goes_on(
    lines: int, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cast, "_create", lambda _: FullDisk(lines))
    monkeypatch.setattr(camera, "FRAMES_PER_SECOND", 0.01 if key else 100)
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await pilot.press("!")
        await pilot.press("left", key or "left")
        await until(pilot, lambda: (app.recordings.recorder is None) == (lines < 100 or key == "!"))
        said = [notice.message for notice in app._notifications]
        assert any("no space left on device." in text for text in said) == (lines < 100)
        assert app.is_running
        await press(pilot, "at")
    assert app.return_code in (None, 0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("version", [2, 3])
def test_times_are_told_and_pauses_cut(tmp_path: Path, version: int) -> None:
    clock, path = Clock(), tmp_path / "a.cast"
    cast = CastWriter(path, (80, 24), version=version, idle_cap=2.0, clock=clock, stamp=7)  # type: ignore[arg-type]
    for wait in (0.5, 10.0, 0.0):
        clock.now += wait
        cast.output("x\u2028\x1b[m")
    clock.now += 1.0
    cast.mark("here")
    read = read_cast(path)  # not closed yet: every line is there at once
    assert [e.at for e in read.events] == pytest.approx([0.5, 2.5, 2.5, 3.5])
    assert (read.columns, read.rows) == (80, 24)
    assert read.events[0].data == "x\u2028\x1b[m"
    whole = path.read_bytes()
    for cut in (b'[4.0, "o", "cut of', '[4.0, "o", "你'.encode()[:-1]):
        path.write_bytes(whole + cut)
        assert len(read_cast(path).events) == 4
    path.write_bytes(whole)
    same = tmp_path / "b.cast"
    clock.now = 100.0
    CastWriter(same, (80, 24), version=version, clock=clock, stamp=7).close()  # type: ignore[arg-type]
    assert same.read_text() == path.read_text().splitlines(keepends=True)[0]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"version": 1}', '{"version": 2, "width": 0, "height": 5}', "\x00"]
)
def test_what_is_no_recording_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.cast"
    path.write_text(text)
    with pytest.raises(UsageError, match="no asciicast"):
        read_cast(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_cast(tmp_path / "none.cast")


def test_an_event_that_no_terminal_sends_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.cast"
    events = [{"version": 2, "width": 9, "height": 5}, [0, "o", "y" * LONGEST], [1, "o", "x"]]
    path.write_text("\n".join(map(json.dumps, events)))
    assert len(read_cast(path).events[0].data) == LONGEST
    events[2] = [1, "o", "x" * (LONGEST + 1)]
    path.write_text("\n".join(map(json.dumps, events)))
    with pytest.raises(UsageError, match="line 3 is an event of 1,048,577 characters"):
        read_cast(path)


def test_a_recording_without_an_end_is_read_as_far_as_a_file_may_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(untrusted, "LARGEST_FILE", 1000)
    with pytest.raises(UsageError, match=r"^/dev/zero is too large \(1,000 bytes at most\)\.$"):
        read_cast(Path("/dev/zero"))


def made(path: Path) -> Path:
    clock = Clock()
    cast = CastWriter(path, (20, 4), clock=clock)
    for text in (
        "\x1b[2J\x1b[Hhello",
        "\x1b[2;1H\x1b[1;38;2;255;0;0;48;2;0;0;255mwide 你好\x1b[m",
        "!",
    ):
        cast.output(text)
        clock.now += 0.5
    cast.resize(30, 5)
    cast.close()
    return path


@pytest.mark.skipif(shutil.which("asciinema") is None, reason="asciinema is not installed")
def test_asciinema_plays_it(tmp_path: Path) -> None:
    path = made(tmp_path / "a.cast")
    terminal = Terminal(["asciinema", "play", "-s", "10", str(path)], columns=40, lines=8)
    try:
        terminal.until(lambda text: "hello" in text and "wide 你好!" in "".join(text.split("  ")))
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_a_gif_has_the_frames_and_their_colours(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    out = tmp_path / "a.gif"
    assert write_gif(read_cast(made(tmp_path / "a.cast")), out) == 4
    with image.open(out) as gif:
        assert gif.n_frames >= 3
        gif.seek(1)
        colours = {colour for _, colour in gif.convert("RGB").getcolors(100_000)}
    assert (0, 0, 255) in colours
    with pytest.raises(UsageError, match="is there already"):
        write_gif(read_cast(tmp_path / "a.cast"), out)


def test_without_its_extra_a_gif_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "PIL":
            raise ImportError("no", name="PIL")
        return real(name, *rest)  # type: ignore[arg-type]

    cast = read_cast(made(tmp_path / "a.cast"))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"GIFs need PIL: .*tokexplore\[gif\]"):
        write_gif(cast, tmp_path / "a.gif")


def test_names_that_are_taken_are_not_used_again(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        names.append(new_path(tmp_path, ".cast"))
        names[-1].touch()
    assert len(set(names)) == 3


HEADER = '{"version": 2, "width": 20, "height": 4}'
HOSTILE = {
    "a resize of text": f'{HEADER}\n[0.1, "r", "wide"]\n',
    "a resize to nothing": f'{HEADER}\n[0.1, "r", "0x5"]\n',
    "a resize to a billion": f'{HEADER}\n[0.1, "r", "1000000000x5"]\n',
    "a resize of other digits": f'{HEADER}\n[0.1, "r", "²x5"]\n',
    "a time of 400 digits": f'{HEADER}\n[{"9" * 400}, "o", "a"]\n',
    "a time of 5,000 digits": f'{HEADER}\n[{"9" * 5000}, "o", "a"]\n',
    "a time that is none": f'{HEADER}\n[NaN, "o", "a"]\n',
    "a time without end": f'{HEADER}\n[1e400, "o", "a"]\n',
    "a time before the beginning": f'{HEADER}\n[-1, "o", "a"]\n',
    "a time that is a text": f'{HEADER}\n["1", "o", "a"]\n',
    "data that is a number": f'{HEADER}\n[1, "o", 5]\n',
    "an event of two": f'{HEADER}\n[1, "o"]\n',
    "a deep event": f"{HEADER}\n{'[' * 100_000}{']' * 100_000}\n",
    "a deep header": "[" * 100_000 + "\n",
    "a wide header": '{"version": 2, "width": 1000000000, "height": 4}',
    "a width that is a text": '{"version": 2, "width": "80", "height": 4}',
    "a terminal that is a list": '{"version": 3, "term": [80, 4]}',
    "a version that is a text": '{"version": "2", "width": 80, "height": 4}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_recording_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "a.cast"
    path.write_text(text)
    assert dispatch.main(["gif", str(path), str(tmp_path / "a.gif")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tokexplore: {path} is no asciicast of version 2 or 3: ")
    assert not (tmp_path / "a.gif").exists()


def test_what_the_emulator_cannot_read_is_left_out_of_a_gif(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    clock = Clock()
    cast = CastWriter(tmp_path / "a.cast", (20, 4), clock=clock)
    for text in (
        "\x1b[>1;2;3;4;5q\x1b[41mred",
        "\x1b[1;2;3;4;5;6;7@\x1b[44mblue",
        "\x1b[9q\ud800x",
    ):
        cast.output(text)
        clock.now += 0.5
    cast.close()
    assert write_gif(read_cast(tmp_path / "a.cast"), tmp_path / "a") == 3
    with image.open(tmp_path / "a") as gif:
        colours = {colour for _, colour in gif.convert("RGB").getcolors(100_000)}
    assert (204, 51, 51) in colours


def test_a_gif_tells_how_far_it_is_and_takes_no_more_frames_than_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast, told = read_cast(made(tmp_path / "a.cast")), list[Progress]()
    write_gif(cast, tmp_path / "a.gif", told.append)
    assert [(p.done, p.total) for p in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    monkeypatch.setattr(gif_module, "MOST_PIXELS", 3 * 20 * 4 * 10 * 21)
    with pytest.raises(UsageError, match=r"has 4 frames, and a GIF of 20x4 can have 3: record"):
        write_gif(cast, tmp_path / "b.gif")


@pytest.mark.parametrize("command", ["gif {cast} {out}", "tape {tape} --gif {out}"])
@pytest.mark.parametrize("name", ["nowhere/a.gif", "x" * 300])
def test_an_output_that_cannot_be_is_told_before_anything_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, name: str
) -> None:
    (tmp_path / "a.tape").write_text("Wait 1")
    names = {"cast": made(tmp_path / "a.cast"), "tape": tmp_path / "a.tape", "out": tmp_path / name}
    assert dispatch.main(command.format(**names).split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith((f"there is no folder {tmp_path / 'nowhere'}.", "file name too long."))
