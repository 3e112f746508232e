"""Pictures, recordings and help are a key away on every screen, and a recording shows."""

import pytest
from support.app import make_app, press, screen_text, settle, until
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import Static

from tokexplore.models.api.options import PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.grow import GrowScreen
from tokexplore.tui.screens.help import HelpSheet
from tokexplore.tui.screens.terms import TermsSheet

pytestmark = pytest.mark.usefixtures("each_frame")
OPTIONS = AppOptions(
    prompt=PromptSpec(text="Once upon"),
    max_new_tokens=8,
    settings=SamplingSettings(temperature=0.8, seed=3),
)
SCREENS = {
    "": (), "d": ("d",), "s": ("s",), "C": ("C",), "D": ("D",), "b": ("b",), "M": ("M",),
    "O": ("O",), "i": ("i",), "Y": ("Y",), "I": ("I",), "?": ("question_mark",),
    "futures": ("futures",), "=": ("equals_sign",), "examples": ("examples",), "G": ("G",),
}  # fmt: skip
"""What opens them; the main screen is there already."""


async def opened(pilot: Pilot[int], key: str = "") -> TokexploreApp:
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "home", "right", "3")
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "left", "left")
    before = app.screen
    if key == "examples":
        await app._browse.run_action("examples")
    elif key == "futures":
        await pilot.press("F")
        await until(pilot, lambda: app.screen is not before)
        before = app.screen
        await pilot.press("enter")
    elif key:
        await pilot.press(key)
    if key:
        await until(pilot, lambda: app.screen is not before)
        if key == "G":
            await pilot.press("2", "enter")
            await until(pilot, lambda: isinstance(app.screen, GrowScreen))
        await until(pilot, lambda: not app.controller.busy)
    return app


def notices(app: TokexploreApp) -> list[str]:
    return [n.message for n in app._notifications]


def told(app: TokexploreApp, words: str) -> bool:
    return any(words in said for said in notices(app))


def title(app: TokexploreApp) -> str:
    """The first line of what stands in front."""
    sign = app.screen.query(".dialog--title")
    return str(sign.first(Static).content) if sign else screen_text(app).splitlines()[0]


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
@pytest.mark.parametrize("key", SCREENS)
async def test_pictures_recordings_terms_and_help_are_everywhere(
    key: str, size: tuple[int, int]
) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        await opened(pilot, *SCREENS[key])
        here = app.screen
        await pilot.press("P")
        await until(pilot, lambda: told(app, "The picture is"))
        assert "● REC" not in title(app)
        await pilot.press("!")
        await until(pilot, lambda: app.recordings.recorder is not None)
        await until(pilot, lambda: "● REC" in title(app))
        assert "● REC" in screen_text(app)
        await pilot.press("!")
        await until(pilot, lambda: app.recordings.recorder is None)
        await until(pilot, lambda: "● REC" not in screen_text(app))
        assert told(app, "The recording is")
        assert app.screen is here
        if key != "=":
            await pilot.press("equals_sign")
            await until(pilot, lambda: isinstance(app.screen, TermsSheet))
            assert app.screen.text().plain.startswith(("Header", "Story", "Step", "Compare"))
            await pilot.press("equals_sign")
            await until(pilot, lambda: app.screen is here)
        if key != "?":
            await pilot.press("question_mark")
            await until(pilot, lambda: isinstance(app.screen, HelpSheet))
            text = app.screen.text().plain
            labels = [b.description for b in here.BINDINGS if isinstance(b, Binding)]
            assert labels or key in ("=", "?")
            assert not key or all(label in text for label in labels)
            assert "Keep a picture of the screen." in text
            assert ("Steps" in text) == (not key)
            await pilot.press("q")
            await until(pilot, lambda: app.screen is here)


async def test_a_recording_shows_in_what_opens_while_it_runs() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await press(pilot, "!")
        for key in ("p", "t", "B", "slash", "s", "i", "g"):
            await press(pilot, key)
            assert title(app).startswith("● REC "), key
            await press(pilot, "ctrl+g")
        await press(pilot, "colon")
        assert "● REC" in screen_text(app)
        await press(pilot, "ctrl+g", "!")


@pytest.mark.parametrize("sought", ["/edit", "edit"])
async def test_the_palette_finds_what_edits_a_turn(sought: str) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await press(pilot, "colon")
        await pilot.press(*sought)
        await until(pilot, lambda: "Edit any turn of a chat" in screen_text(app))


async def test_where_text_is_typed_they_are_text() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, "B")
        assert isinstance(app.screen, Ask)
        await pilot.press("P", "!", "?", "@", "=", "enter")
        await settle(pilot)
        branch = app.controller.explorer.branch
        assert branch is not None
        assert branch.name == "P!?@="
        assert app.recordings.recorder is None
