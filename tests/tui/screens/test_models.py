"""`M`: models by the arrows, by a search, by a path or a hub id; what cannot be opened says why."""

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace
from support.app import all_found, during, make_app, press, screen_text, settle, until
from support.lived import OPTIONS, ended, lived
from support.written_models import make
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.catalog import footprint
from tokexplore.models.catalog.choices import Choice
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.screens.models import ModelPicker
from tokexplore.tui.screens.row_list import RowList

SIZES = [(80, 24), (120, 40)]
SHAPE = {
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "hidden_size": 512,
    "max_position_embeddings": 131_072,
}
HOSTILE = "\x1b[31mred\u202e"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models, an empty hub cache, 100 MB of memory."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(footprint, "free_memory", lambda: 10**8)
    monkeypatch.setattr(footprint, "free_by_gpu", dict)
    shelf = tmp_path / "shelf"
    make(shelf / "story-1B")
    make(shelf / "Phi-3", **SHAPE)
    (shelf / "Phi-3" / "chat_template.jinja").write_text("{{ messages }}")
    (make(shelf / "broken") / "model.safetensors").unlink()
    make(shelf / "bert", model_type="bert", architectures=["BertForMaskedLM"])
    make(shelf / HOSTILE)
    (shelf / "notes").mkdir()
    return shelf


def app_of(*directories: Path) -> TokexploreApp:
    return make_app(options=replace(OPTIONS, directories=tuple(map(str, directories))))


def shown(app: TokexploreApp) -> list[str]:
    """The names in the list."""
    assert isinstance(app.screen, ModelPicker)
    rows = app.screen.query_one(RowList)._shown
    return [Path(row.name).name for row in rows if isinstance(row, Choice)]


def line(app: TokexploreApp) -> Input:
    return app.screen.query_one(Input)


def told(app: TokexploreApp) -> str:
    return " | ".join(n.message for n in app._notifications)


async def opened(pilot: Pilot[int], typed: str = "") -> TokexploreApp:
    """The list of models, in which something was typed."""
    app = pilot.app
    assert isinstance(app, TokexploreApp)
    await until(pilot, lambda: ended(app))
    await press(pilot, "M")
    await typed_there(pilot, typed)
    return app


async def typed_there(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*text)
    await during(pilot, lambda: all_found(pilot.app))
    await settle(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_a_row_says_what_a_model_is_and_whether_it_fits(
    shelf: Path, size: tuple[int, int]
) -> None:
    app = app_of(shelf)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await during(pilot, lambda: f"in {shelf}"[:20] in screen_text(app) or size[1] < 30)
        text = screen_text(app)
        for words in ("recent", "shipped with tokexplore", "fable (embedded)", "8.6M bf16", "open"):
            assert words in text
        assert "\x1b" not in text
        await typed_there(pilot, "phi")
        text = screen_text(app)
        assert shown(app) == ["Phi-3"]
        assert "chat" in text
        assert "fits up to 12,212 tokens" in text
        assert f"{shelf}/Phi-3 · LlamaForCausalLM"[-30:] in text
        assert "context 131,072 tokens" in text


async def test_what_does_not_fit_says_what_it_needs(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footprint, "free_memory", lambda: 10**6)
    app = app_of(shelf)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, "phi")
        assert "does not fit: needs 17 MB, 1.0 MB free" in screen_text(app)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("STORY", ["story-1B"]),
        ("fable", ["embedded"]),
        ("bertfor", ["bert"]),
        ("shelf red", [HOSTILE]),
        ("zzz", []),
        ("owner/another", ["another"]),
    ],
)
async def test_what_is_typed_is_searched(shelf: Path, typed: str, found: list[str]) -> None:
    app = app_of(shelf)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, typed)
        assert shown(app) == found
        assert ("No model here has all of these words" in screen_text(app)) == (not found)
        await pilot.press("ctrl+u")
        await typed_there(pilot, "")
        assert len(shown(app)) > 5
        await press(pilot, "ctrl+g")
        assert app.controller.explorer.nodes, "nothing has happened"


async def test_a_path_is_completed_and_gone_into(shelf: Path) -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, f"{shelf.parent}/sh")
        await pilot.press("tab")
        await typed_there(pilot, "")
        assert line(app).value == f"{shelf}/"
        assert shown(app) == [HOSTILE, "Phi-3", "bert", "broken", "notes", "story-1B"]
        await typed_there(pilot, "no")
        await pilot.press("enter")
        await typed_there(pilot, "")
        assert line(app).value == f"{shelf}/notes/"
        assert shown(app) == []
        await pilot.press(*["backspace"] * 6)
        await typed_there(pilot, "st")
        await pilot.press("right")
        await typed_there(pilot, "")
        assert line(app).value == f"{shelf}/story-1B"
        await pilot.press("left", "right")
        assert line(app).value == f"{shelf}/story-1B"
        await pilot.press("home", "right")
        assert line(app).cursor_position == 1, "inside the line it moves"


async def test_a_name_that_no_line_can_hold_is_not_completed(shelf: Path) -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, f"{shelf}/")
        assert shown(app)[0] == HOSTILE
        await press(pilot, "tab")
        assert line(app).value == f"{shelf}/"
        assert "<U+202E>" in screen_text(app)


@pytest.mark.parametrize("name", ["story-1B", HOSTILE])
async def test_what_is_chosen_twice_is_opened(shelf: Path, name: str) -> None:
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, f"{shelf}/{name[:1] if name[:1].isprintable() else ''}")
        asked: list[LoadOptions] = []
        app.sessions.open_model = asked.append  # type: ignore[method-assign]
        await press(pilot, "enter")
        assert "⏎ again opens" in told(app)
        assert not asked
        await press(pilot, "enter")
        assert [load.model for load in asked] == [f"{shelf}/{name}"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("broken", "has no weights"),
        ("bert", "is no causal language model"),
        ("fable", "This model is open."),
        ("nowhere", "there is no directory"),
        ("owner/x", "owner/x is not in the hub cache"),
        ("/no/such/", "cannot be read: no such file or directory."),
    ],
)
async def test_what_cannot_be_opened_says_why_and_nothing_is_left(
    shelf: Path, typed: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    app = app_of(shelf, shelf / "nowhere")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, typed)
        before = app.controller
        if typed != "fable":
            assert said.rstrip(".") in screen_text(app), "the row says so"
        await press(pilot, "enter", "enter")
        assert said in told(app)
        assert isinstance(app.screen, ModelPicker)
        assert app.controller is before


async def test_recent_models_come_first_and_outlive_the_program(shelf: Path) -> None:
    await lived(options=replace(OPTIONS, load=LoadOptions(str(shelf / "story-1B"))))
    await lived(options=replace(OPTIONS, load=LoadOptions(str(shelf / "gone"))))
    app = app_of(shelf)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        names = shown(app)
        assert names.index("story-1B") < names.index("flock")
        assert names.count("story-1B") == 1
        assert "gone" not in names


async def test_keys_that_come_before_the_rows_wait_for_them() -> None:
    app, gate = app_of(), threading.Semaphore(0)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: ended(app))
        found = ModelPicker.find

        def late(self: ModelPicker) -> object:
            gate.acquire()
            return found(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ModelPicker, "find", late)
            for key in ("M", "down", "enter"):
                app.simulate_key(key)
            await during(pilot, lambda: isinstance(app.screen, ModelPicker))
            assert "looking…" in screen_text(app)
            gate.release()
            await during(pilot, lambda: "again opens" in told(app))
        assert app.screen.query_one(OptionList).option_count


async def test_a_server_is_typed_and_says_why_it_cannot_be_one(shelf: Path) -> None:
    app = app_of(shelf)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot, "http://127.0.0.1:9#owner/name")
        (row,) = (row for row in app.screen.query_one(RowList)._shown if isinstance(row, Choice))  # type: ignore[attr-defined]
        assert (row.is_server, row.refusal, row.comes_from_hub) == (True, "", False)
        assert "on a server" in screen_text(app)
        await pilot.press("ctrl+u")
        await typed_there(pilot, "http://me:pass@host")
        await pilot.press("enter")
        await until(pilot, lambda: "must not hold a user" in told(app))
        assert isinstance(app.screen, ModelPicker)
