"""Sessions that were lived in the app, on the fake engine."""

from support.app import PROMPT, make_app, press, until
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import AppOptions, OpenOptions

SIZE = (120, 40)
SETTINGS = SamplingSettings(temperature=1.2, seed=4)
OPTIONS = AppOptions(prompt=PromptSpec(text=PROMPT), max_new_tokens=24, settings=SETTINGS)


def ended(app: TokexploreApp) -> bool:
    return app.controller.state == "paused" and bool(app.controller.explorer.tree.ended)


def reopened(**config: object) -> TokexploreApp:
    opened = continue_session("")
    return make_app(options=options_for(opened, OpenOptions()), opened=opened, **config)


async def lived(*keys: str, options: AppOptions = OPTIONS) -> TokexploreApp:
    """A session in which some keys were pressed after the first stream, left by quitting."""
    app = make_app(options=options)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, *keys)
        await until(pilot, lambda: not app.controller.streaming)
        await app.action_quit()
    return app
