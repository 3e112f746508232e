"""Make the README's pictures from the real app on the embedded model.

    python screenshots/make.py [NAME ...]

Each picture is an SVG without web fonts, so that it shows anywhere and loads nothing.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from textual.pilot import Pilot

from tokexplore.models.options import PromptSpec
from tokexplore.models.sampling import SamplingSettings
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.options import STOCK_PROMPT, AppOptions
from tokexplore.tui.recording.picture import svg_of

HERE = Path(__file__).parent
STORY = SamplingSettings(temperature=0.8, top_p=0.75, seed=10)
GIVE_UP = 6000
"""Frames until something that should come has come."""

Act = Callable[[Pilot[int]], Awaitable[None]]


class Picture(NamedTuple):
    """One picture: its size in cells, and what is done before it is taken."""

    name: str
    size: tuple[int, int]
    act: Act
    length: int = 56
    theme: str = ""


async def until(pilot: Pilot[int], holds: Callable[[TokexploreApp], bool]) -> None:
    """Let the app run until something holds."""
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    for _ in range(GIVE_UP):
        await pilot.pause(0.02)
        if holds(app):
            return
    raise SystemExit("the app did not come to where the picture is taken")


async def told(pilot: Pilot[int]) -> None:
    """Until the story is told and scored."""
    await until(pilot, lambda app: app.driver.state == "paused" and not app.driver.busy)


async def press(pilot: Pilot[int], *keys: str) -> None:
    """Press keys, each one's work done before the next."""
    for key in keys:
        await pilot.press(key)
        await told(pilot)


async def branched(pilot: Pilot[int]) -> None:
    """Three other ways from two steps of the story, and the first step in view."""
    await press(pilot, "home", "1", "o", "home", "3", "K", "K")
    await press(pilot, "g", "6", "enter", "1", "K", "home")


async def compared(pilot: Pilot[int]) -> None:
    """Two stories side by side."""
    await press(pilot, "home", "2", "o")
    await pilot.press("d")
    await pilot.pause(0.3)


async def asked_for_help(pilot: Pilot[int]) -> None:
    """The keys."""
    await pilot.press("question_mark")
    await pilot.pause(0.3)


PICTURES = (
    Picture("main", (120, 36), branched),
    Picture("main-light", (120, 36), branched, theme="tokexplore-light"),
    Picture("compare", (120, 22), compared, length=150),
    Picture("small", (80, 24), branched, length=40),
    Picture("help", (120, 40), asked_for_help),
)


async def take(picture: Picture) -> str:
    """The SVG of one picture."""
    options = AppOptions(
        prompt=PromptSpec(text=STOCK_PROMPT),
        settings=STORY,
        max_new_tokens=picture.length,
        theme=picture.theme,
    )
    app = TokexploreApp(options)
    async with app.run_test(size=picture.size, notifications=True) as pilot:
        await until(pilot, lambda app: bool(app.driver.explorer.tree.ended))
        await told(pilot)
        await picture.act(pilot)
        app.clear_notifications()
        await pilot.pause(0.3)
        svg = svg_of(app)
        await app.driver.close()
    return svg


def main() -> None:
    wanted = sys.argv[1:]
    for picture in PICTURES:
        if not wanted or picture.name in wanted:
            svg = asyncio.run(take(picture))
            (HERE / f"{picture.name}.svg").write_text(svg, encoding="utf-8")
            print(f"{picture.name}.svg")


if __name__ == "__main__":
    main()
