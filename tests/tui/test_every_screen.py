"""Pictures, recordings and help are a key away on every screen, and a recording shows."""

import pytest
from support.app import make_app, press, screen_text, settle, until
from textual.binding import Binding
from textual.pilot import Pilot

from tokexplore.models.api.options import PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.dialog import Ask, Sheet

OPTIONS = AppOptions(
    prompt=PromptSpec(text="Once upon"),
    max_new_tokens=8,
    settings=SamplingSettings(temperature=0.8, seed=3),
)
SCREENS = ("", "d", "s", "C", "D", "b", "M", "O", "i")
"""The keys that open them; the main screen is there already."""


async def opened(pilot: Pilot[int], key: str) -> TokexploreApp:
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "home", "right", "3")
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await press(pilot, "left", "left")
    if key:
        before = app.screen
        await pilot.press(key)
        await until(pilot, lambda: app.screen is not before)
        await until(pilot, lambda: not app.controller.busy)
    return app


def notices(app: TokexploreApp) -> list[str]:
    return [n.message for n in app._notifications]


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
@pytest.mark.parametrize("key", SCREENS)
async def test_pictures_recordings_and_help_are_everywhere(key: str, size: tuple[int, int]) -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=size) as pilot:
        await opened(pilot, key)
        here = app.screen
        await pilot.press("P")
        await until(pilot, lambda: any("The picture is" in said for said in notices(app)))
        assert "● REC" not in screen_text(app)
        await pilot.press("!")
        await until(pilot, lambda: app.recordings.recorder is not None)
        if key in ("", "d", "s", "C", "D"):
            await until(pilot, lambda: "● REC" in screen_text(app))
        await pilot.press("!")
        await until(pilot, lambda: app.recordings.recorder is None)
        await until(pilot, lambda: "● REC" not in screen_text(app))
        assert any("The recording is" in said for said in notices(app))
        assert app.screen is here
        if key != "i":
            await pilot.press("?")
            await until(pilot, lambda: isinstance(app.screen, Sheet))
            text = app.screen._content.plain
            labels = [b.description for b in here.BINDINGS if isinstance(b, Binding)]
            assert labels
            assert not key or all(label in text for label in labels)
            assert "Keep a picture of the screen." in text
            assert ("Steps" in text) == (not key)
            await pilot.press("q")
            await until(pilot, lambda: app.screen is here)


async def test_where_text_is_typed_they_are_text() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, "B")
        assert isinstance(app.screen, Ask)
        await pilot.press("P", "!", "?", "@", "enter")
        await settle(pilot)
        branch = app.controller.explorer.branch
        assert branch is not None
        assert branch.name == "P!?@"
        assert app.recordings.recorder is None
