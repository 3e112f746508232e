"""Keys that come in one burst do what the same keys do one by one."""

import os
import random
import threading
from collections.abc import Sequence

import pytest
from support.app import PROMPT, during, make_app, until
from textual import events
from textual.widgets import Input

from tokexplore.models.api.options import PromptSpec
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions

BRANCHES = ["home", "l", "3", "home", "l", "l", "4", "home", "l", "l", "l", "2", "K", "K"]
"""Keys that make four branches and stand on one of them."""
STEPS = [
    "left", "right", "H", "L", "(", ")", "home", "end", "g,3,enter", "g,#,2,enter", "g,-,4,enter",
    "backspace", "n", "N", "]", "[",
]  # fmt: skip
ROWS = [
    "up", "down", "pagedown", "pagedown,pagedown,pagedown", "pageup", "0", "/,a,down,enter",
]  # fmt: skip
ACTS = [
    "1", "2", "3", "enter", "space", "t,a,b,enter", "p,k,enter", "u", "U", "S",
    "s,down,5,enter,enter", "s,q", "d,o,o,v,q",
]  # fmt: skip
PLACES = [
    "J", "K", "o", "b,down,x,q", "b,up,enter", "B,n,enter", "a,w,enter", "apostrophe", "x", "X",
    "m", "f,a,enter", ";", ",",
]  # fmt: skip
VIEWS = [
    "c", "v", "V", "z", "i,q", "?,q", "w,enter", "A", ":", "C,q", "D,q", "M,q", "O,q", "E,ctrl+g",
]  # fmt: skip
SEEDS, LENGTH = range(int(os.environ.get("BURST_SEEDS", "3"))), 12
"""CI tries few of them; `BURST_SEEDS=90` many."""
FUZZ = [*(k for k in STEPS + ROWS + ACTS + PLACES for _ in range(3)), *VIEWS]
NAMES = {
    "#": "number_sign", "-": "minus", "/": "slash", "(": "left_parenthesis", "?": "question_mark",
    ")": "right_parenthesis", "[": "left_square_bracket", "]": "right_square_bracket",
    ".": "full_stop", ";": "semicolon", ",": "comma", ":": "colon",
}  # fmt: skip


def sequence(rng: random.Random, length: int) -> list[str]:
    """Keys to press, dialogs among them closed again by their own."""
    chosen = [rng.choice(FUZZ) for _ in range(length)]
    return [k for one in chosen for k in ([one] if one == "," else one.split(","))]


def key(name: str) -> events.Key:
    character = "\r" if name == "enter" else name if len(name) == 1 else None
    return events.Key(NAMES.get(name, name), " " if name == "space" else character)


def state(app: TokexploreApp) -> object:
    """All that keys can change: the tree, the place in it, the settings, the screens."""
    explorer, controller = app.controller.explorer, app.controller
    tree = explorer.tree
    return {
        "nodes": [tree.ids(n) for n in range(1, len(tree))],
        "branches": [(b.number, b.name, b.hidden, tree.ids(b.tip)) for b in tree.branches],
        "path": explorer.ids(),
        "cursor": (explorer.cursor, explorer.following, explorer.row),
        "marked": list(explorer.marked),
        "left": list(explorer.left),
        "shown": explorer.show_hidden,
        "notes": (dict(tree.notes), dict(tree.labels), set(tree.bookmarks)),
        "settings": (
            explorer.settings,
            controller.streams.max_new_tokens,
            controller.streams.single_step,
        ),
        "watched": list(controller.watchlist.tokens),
        "screens": [type(s).__name__ for s in app.screen_stack],
        "view": app._browse and app._browse.shown_as(),
    }


def is_at_rest(app: TokexploreApp) -> bool:
    """Whether nothing goes on but a stream at its gate, and questions that wait behind it."""
    controller = app.controller
    return (
        not app.key_queue
        and not controller.changing
        and (controller.streaming or not controller.jobs.count)
        and (app._browse is None or not app._browse.is_dirty)
    )


async def after(keys: Sequence[str], *, burst: bool) -> object:
    """What keys leave behind, in one burst or each at rest; streams that they begin stand still."""
    options = AppOptions(
        prompt=PromptSpec(text=PROMPT),
        max_new_tokens=6,
        settings=SamplingSettings(temperature=1.2, seed=4),
    )
    gate = threading.Semaphore(1000)
    app = make_app(options=options, gate=gate)
    async with app.run_test(size=(120, 40)) as pilot:

        async def rest() -> None:
            await pilot.pause()  # what was posted is known to nobody before
            await during(pilot, lambda: is_at_rest(app))

        async def press(name: str, *, waits: bool) -> None:
            app.post_message(key(name))
            if waits:
                await rest()

        await during(pilot, lambda: is_at_rest(app) and bool(app.controller.explorer.tree.ended))
        for name in BRANCHES:
            await press(name, waits=True)
            await during(pilot, lambda: not app.controller.streaming)
        assert len(app.controller.explorer.tree.branches) == 4
        while gate.acquire(blocking=False):
            pass
        for name in keys:
            await press(name, waits=not burst)
        await rest()
        return state(app)


@pytest.mark.parametrize(
    "keys",
    ["J J", "K K K", "J K J J", "o o o", "u u u U", "x x u", "l down down enter J", "home 3 J 2 2"],
)
async def test_a_burst_is_its_keys(keys: str) -> None:
    assert await after(keys.split(), burst=True) == await after(keys.split(), burst=False)


@pytest.mark.parametrize("seed", SEEDS)
async def test_any_burst_is_its_keys(seed: int) -> None:
    keys = sequence(random.Random(seed), LENGTH)
    burst, calm = await after(keys, burst=True), await after(keys, burst=False)
    assert burst == calm, " ".join(keys)


@pytest.mark.parametrize("opens", ["colon", "g"])
async def test_keys_act_after_the_terminal_said_that_it_lost_the_focus(opens: str) -> None:
    app = make_app(options=AppOptions(prompt=PromptSpec(text=PROMPT), max_new_tokens=4))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        app.post_message(events.AppBlur())
        await pilot.press(opens)
        app.post_message(events.AppBlur())
        await until(pilot, lambda: app.screen is not app._browse)
        app.post_message(events.AppBlur())
        await pilot.press("7")
        await until(pilot, lambda: app.screen.query_one(Input).value == "7")
        app.post_message(events.AppBlur())
        await pilot.press("ctrl+g")
        await until(pilot, lambda: app.screen is app._browse and not app.key_queue)
