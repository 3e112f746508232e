"""A line that is refused stays where it was typed, with the reason, until it is mended."""

from pathlib import Path

import pytest
from support.app import make_app, press, screen_text, until
from textual.widgets import Input

from tokexplore.tui.export.formats import FORMATS
from tokexplore.tui.screens.dialog import Ask


@pytest.mark.parametrize(
    ("key", "typed", "reason"),
    [
        ("g", "branch 9", "There is no branch 9"),
        ("g", "999", "Step 999 is not on this path"),
        ("f", "zzzz", "No match of 'zzzz'"),
        ("E", "/nope/x.html", "/nope/x.html"),
        ("E", "x.pdf", "x.pdf"),
        ("w", "a b c d", "a b c d"),
    ],
)
async def test_a_refused_line_stays(key: str, typed: str, reason: str) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        await press(pilot, key)
        field = app.screen.query_one(Input)
        field.value = typed
        await press(pilot, "enter")
        assert isinstance(app.screen, Ask)
        assert field.value == typed
        assert reason in screen_text(app)
        await press(pilot, "x")
        assert field.value != typed, "keys are still typed into it"


async def test_the_line_for_an_export_names_every_format() -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        await press(pilot, "E")
        words = screen_text(app).split()
        for form in FORMATS.values():
            assert any(word.strip(",") == form.suffixes[0] for word in words)


async def test_a_line_that_was_mended_is_taken(tmp_path: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        await press(pilot, "E")
        field = app.screen.query_one(Input)
        field.value = "x.pdf"
        await press(pilot, "enter")
        field.value = str(tmp_path / "x.csv")
        await press(pilot, "enter")
        assert not isinstance(app.screen, Ask)
        assert (tmp_path / "x.csv").exists()
