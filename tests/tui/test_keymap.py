"""The user's own keys: what of the file holds, where it is shown, and that it acts."""

from collections.abc import Iterator
from pathlib import Path

import platformdirs
import pytest
from support.app import make_app, press, screen_text, until
from support.kept_pictures import fake
from support.lived import OPTIONS, SIZE, ended
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import OptionList

from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.browse.places import KINDS, TYPED, places
from tokexplore.tui.browse.screen import BrowseScreen
from tokexplore.tui.cli.tape_run import app_options
from tokexplore.tui.keymap import FILE, Place, Rebinding, own_keys
from tokexplore.tui.screens.compare import CompareScreen
from tokexplore.tui.screens.dialog import Dialog
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.help import HelpSheet
from tokexplore.tui.screens.live import LiveScreen
from tokexplore.tui.screens.picker import Picker
from tokexplore.tui.screens.sampler_lens import SamplerLensScreen
from tokexplore.tui.screens.writing import Writing
from tokexplore.tui.tape.player import play
from tokexplore.tui.tape.script import parse_script

FIXED = [b for b in TokexploreApp.BINDINGS if isinstance(b, Binding)]


def all_places() -> list[Place]:
    return places(FIXED)


def file() -> Path:
    path = platformdirs.user_config_path("tokexplore") / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def read(text: str) -> Rebinding:
    file().write_text(text, encoding="utf-8")
    return own_keys(all_places, FIXED)


def test_without_a_file_no_screen_is_looked_at() -> None:
    def never() -> list[Place]:
        raise AssertionError

    assert own_keys(never, FIXED) == Rebinding()


def test_a_key_a_list_and_names_of_all_kinds_are_read() -> None:
    own = read(
        'act.draw = "?"\n"step.next" = ["right", "~", "ctrl+e"]\n[program]\nhelp = "f5"\n'
        '[lens]\npin = "latin_small_letter_y"\nless = ["é", "return"]\n'
    )
    assert own.wrong == ("keys.toml: ⏎ is bound twice in the sampling lens, by lens.apply and by "
                         "lens.less.",)  # fmt: skip
    assert own.keymap == {
        "act.draw": "question_mark",
        "step.next": "right,tilde,ctrl+e",
        "program.help": "f5",
        "lens.pin": "y",
    }
    assert own.shown["step.next"] == "→ ~ ^e"
    assert own.words("{act.draw:r} again, {act.undo:u} back, {x}") == "? again, u back, {x}"


WRONG = {
    'act.drawn = "x"': "keys.toml: act.drawn is the id of no key; act.draw is.",
    'zzz = "x"': "keys.toml: zzz is the id of no key.",
    "act.draw = 3": "keys.toml: act.draw needs a key or a list of keys, not 3.",
    "act.draw = []": "keys.toml: act.draw needs a key or a list of keys, not [].",
    'act.draw = ["R", 1]': "keys.toml: act.draw needs a key or a list of keys, not ['R', 1].",
    'act.draw = "ctrl+"': "keys.toml: act.draw has 'ctrl+', which is no key.",
    'act.draw = ""': "keys.toml: act.draw has '', which is no key.",
    'act.draw = "R,I"': "keys.toml: act.draw has 'R,I', which is no key.",
    'act.draw = "\\u0007"': "keys.toml: act.draw has '\\x07', which is no key.",
    'act.draw = "x"': "keys.toml: x is bound twice on the main screen, by branch.hide and by "
    "act.draw.",
    'act.draw = "$"\nact.undo = "$"': "keys.toml: $ is bound twice on the main screen, by "
    "act.draw and by act.undo.",
    'file.mark = "v"\nview.columns = "$"': "keys.toml: v is bound twice where branches are "
    "compared, by compare.mode and by file.mark.",
    'lens.pin = "4"': "keys.toml: 4 is bound twice in the sampling lens, by “type('4')” and by "
    "lens.pin.",
    'act.draw = "ctrl+z"': "keys.toml: ^z is bound twice on the main screen, by app.suspend and "
    "by act.draw.",
    'app.quit = "Q"': "keys.toml: app.quit stays where it is, so that there is always a way out.",
    'editor.chat = "k"': "keys.toml: editor.chat holds where text is typed, and k is text.",
}


@pytest.mark.parametrize(("line", "said"), WRONG.items())
def test_a_line_that_is_wrong_is_told_of_and_the_others_hold(line: str, said: str) -> None:
    own = read(f'jump.text = "f2"\n{line}\nstep.first = "Q"\n')
    assert own.wrong == (said,)
    kept = own.keymap
    assert (kept.pop("jump.text"), kept.pop("step.first")) == ("f2", "Q")
    assert len(kept) == line.count("\n")


def test_keys_may_change_places_and_where_one_may_not_neither_does() -> None:
    swapped = read('act.draw = "x"\nbranch.hide = "r"')
    assert (swapped.keymap, swapped.wrong) == ({"act.draw": "x", "branch.hide": "r"}, ())
    stuck = read('act.draw = "x"\nbranch.hide = ["r", "u"]')
    assert stuck.keymap == {}
    assert len(stuck.wrong) == 2


def test_of_many_mistakes_the_first_are_told() -> None:
    own = read("".join(f"a.b{n} = 1\n" for n in range(9)))
    assert len(own.wrong) == 4
    assert own.wrong[-1] == "keys.toml: 6 more of its keys are left out."


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"act.draw = ", "is not TOML (Invalid value (at end of document))"),
        (b'act.draw = "\xff"', "is not UTF-8 text"),
        (b"a." * 3_000 + b"a = 1", "is nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_out_whole(data: bytes, said: str) -> None:
    file().write_bytes(data)
    own = own_keys(all_places, FIXED)
    assert own == Rebinding(wrong=(f"{file()} {said}: the keys are as they come.",))


def test_what_is_no_file_is_left_out() -> None:
    file().mkdir()
    assert own_keys(all_places, FIXED).wrong[0].endswith("is no file: the keys are as they come.")


def _kinds(kind: type[Screen[object]]) -> Iterator[type[Screen[object]]]:
    for one in kind.__subclasses__():
        yield one
        yield from _kinds(one)


def test_every_screen_of_ours_is_a_place_and_every_id_is_on_the_page() -> None:
    known = {kind for kinds in (*KINDS.values(), *TYPED.values()) for kind in kinds}
    ours = {kind for kind in _kinds(Screen) if kind.__module__.startswith("tokexplore.tui.screens")}
    assert {kind for kind in ours if "BINDINGS" in vars(kind)} <= known | {
        Dialog,
        LiveScreen,
        Picker,
        Writing,
    }
    ids = {b.id for place in all_places() for b in place.bindings if b.id}
    page = (Path(__file__).parents[2] / "docs" / "keys.md").read_text(encoding="utf-8")
    hidden = {f"act.take{n}" for n in range(1, 10)}
    assert {id for id in ids - hidden if f"`{id}`" not in page} == set()


OWN = """
act.take = "$"
program.help = "f5"
program.palette = "f3"
act.prompt = "%"
branch.compare = "D"
view.lab = "d"
compare.close = "w"
compare.mode = "T"
lens.pin = "y"
editor.chat = "ctrl+e"
dialog.cancel = "ctrl+d"
search.close = "w"
program.quit = "Q"
nonsense = 1
"""


async def test_rebound_keys_act_and_are_shown_on_every_kind_of_screen() -> None:
    app = make_app(options=OPTIONS, rebinding=read(OWN))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, lambda: ended(app))
        tree = app.controller.explorer.tree
        assert "nonsense is the id of no key" in screen_text(app)
        bar = screen_text(app).splitlines()[-1]
        assert " $ branch " in bar
        assert bar.rstrip().endswith("f5 help")
        await press(pilot, "home", "down", "enter")
        assert len(tree.branches) == 1, "its old key does nothing any more"
        await press(pilot, "dollar_sign")
        await until(pilot, lambda: not app.controller.streaming)
        assert len(tree.branches) == 2
        await press(pilot, "D")
        assert isinstance(app.screen, CompareScreen)
        bar = " ".join(screen_text(app).splitlines()[-1].split())
        assert bar == "↑↓ scroll T text/tokens space pause/go on o other branch Y why w close"
        await press(pilot, "q", "T", "w")
        assert isinstance(app.screen, BrowseScreen)
        await press(pilot, "s", "right", "y", "right", "p")
        assert isinstance(app.screen, SamplerLensScreen)
        assert len(app.screen._pins) == 1, "pinned once, by the new key"
        await press(pilot, "f5")
        sheet = app.screen
        assert isinstance(sheet, HelpSheet)
        assert "  y         pin " in sheet.text().plain
        await press(pilot, "w", "q", "f5")
        assert isinstance(app.screen, HelpSheet)
        shown = app.screen.text().plain
        for line in (
            "  $         branch ",
            "  f5        help ",
            "Comparing (D)",
            "  w         close ",
        ):
            assert line in shown
        await press(pilot, "w", "percent_sign")
        assert isinstance(app.screen, PromptEditor)
        assert "^e plain/chat · ctrl+n turn · ctrl+j new line" in screen_text(app)
        assert app.screen._form == "plain"
        await press(pilot, "ctrl+e")
        assert app.screen._form == "new"
        await press(pilot, "ctrl+d")
        assert isinstance(app.screen, BrowseScreen)


@pytest.mark.slow
async def test_the_palette_shows_them_and_a_saved_tape_has_the_keys_as_they_come(
    tmp_path: Path,
) -> None:
    app = make_app(options=OPTIONS, rebinding=read(OWN))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "enter", "down", "dollar_sign")
        await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, "percent_sign", "ctrl+d", "a", "Q", "enter")
        await pilot.press("f3", *"lab")
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count > 0)
        assert "d  The lab: this request" in screen_text(app)
        await press(pilot, "ctrl+g")
        app.recordings.keys.leave_out_palette()
        tape = app.recordings.keys.tape(app.controller.options, SIZE)
    keys = [line for line in tape.splitlines() if line.startswith(("Key", "Type"))]
    pressed = [word for word in " ".join(keys).split() if word not in ("Key", "Type")]
    assert pressed == ["home", "down", "enter", "p", "ctrl+g", "a", "Q", "enter"]
    shots = [await played(tape, tmp_path / "with")]
    file().unlink()
    shots.append(await played(tape, tmp_path / "without"))
    assert shots[0] == shots[1], "a tape is played with the keys as they come"
    assert b"branch&#160;2&#160;of&#160;2" in shots[0], "which those of the tape are"


async def played(tape: str, folder: Path) -> bytes:
    """The picture at the end of a tape."""
    folder.mkdir()
    lines = [line for line in tape.splitlines() if not line.startswith(("Wait", "Speed"))]
    size, options, _, *keys = lines
    begun = [size, options, "Speed 100", "Until ■ ended"]
    script = parse_script(
        "\n".join([*begun, *keys, "Until branch 2 of 2", "Screenshot end"]), "a.tape"
    )
    await play(script, app_options(script), pictures=folder, make_client=fake)
    return (folder / "end.svg").read_bytes()
