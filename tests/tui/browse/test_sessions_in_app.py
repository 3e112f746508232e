"""The app keeps a session of everything, and opens one as it was left, without its model."""

import math
import re
import sqlite3
import threading
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from support.app import PROMPT, during, make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from support.fake_vocabulary import EOS
from support.lived import OPTIONS, SETTINGS, ended, lived, reopened
from textual import events

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.session.listing import latest
from tokexplore.models.session.paths import all_files
from tokexplore.models.session.reader import open_session
from tokexplore.models.tree.events import Named
from tokexplore.models.tree.search import find_text
from tokexplore.models.tree.visibility import is_hidden
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.cli import dispatch
from tokexplore.tui.cli.export_session import source_of
from tokexplore.tui.cli.sessions_table import session_table
from tokexplore.tui.explore.open_session import continue_session, options_for
from tokexplore.tui.explore.options import AppOptions, OpenOptions
from tokexplore.tui.explore.session_recorder import ViewState, read_state
from tokexplore.tui.export.formats import export
from tokexplore.tui.screens.dialog import Ask
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.widgets.candidates import CandidateTable

SIZE = (120, 40)


async def test_it_opens_at_the_same_place_without_a_model() -> None:
    before = await lived("home", "l", "3", "home", "l", "l", "down", "c", "c", "V", "v", "m")
    app = reopened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        explorer, screen = app.controller.explorer, app._browse
        assert app.controller.state == "recorded"
        assert (len(explorer.tree.branches), explorer.branch.number) == (2, 2)
        assert (explorer.tree.step[explorer.taken], explorer.row) == (
            3,
            before.controller.explorer.row,
        )
        assert (explorer.settings, explorer.marked) == (SETTINGS, [2])
        assert screen.story.path_view.colouring == "entropy"
        table = screen.query_one(CandidateTable)
        assert (table.bits, table.column_set) == (True, "text")
        text = screen_text(app)
        assert "recorded · space loads the model" in text
        assert PROMPT in text
        await press(pilot, "left", "left", "K", "end", "pagedown", "pagedown", "d")
        assert app.controller.state == "recorded", "nothing of this needs the model"


async def test_the_model_is_loaded_when_it_is_asked_to_go_on() -> None:
    await lived("home", "l", "3")
    app = reopened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        before = len(app.controller.explorer.tree)
        await press(pilot, "space")
        await until(pilot, lambda: ended(app) and not app.controller.busy)
        tree = app.controller.explorer.tree
        assert len(tree) == before + 24
        assert len(tree.provenance) == 1, "it is the model that was recorded"
        await app.action_quit()
    session = open_session(all_files()[0])
    assert len(all_files()) == 1, "it went on in the same file"
    assert len(session.tree) == before + 24


async def test_a_finished_path_is_loaded_and_goes_on_when_asked_again() -> None:
    plain = FakeEngine()
    ends = {tuple(plain.encode(PROMPT)): {EOS: 60.0}}
    app = make_app(options=OPTIONS, planted=ends)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: "eos" in app.controller.explorer.tree.ended.values())
        await app.action_quit()
    again = reopened()
    async with again.run_test(size=SIZE) as pilot:
        await settle(pilot)
        explorer = again.controller.explorer
        before = list(explorer.nodes)
        await press(pilot, "space")
        await until(pilot, lambda: again.controller.state == "paused")
        assert explorer.nodes == before
        told = "The path is finished: the model ended the text; space again goes on past it."
        assert any(told in n.message for n in again._notifications)
        await press(pilot, "space")
        await until(pilot, lambda: len(explorer.nodes) > len(before))
        await until(pilot, lambda: not again.controller.busy)


@pytest.mark.parametrize("key", ["space", "3", "."])
async def test_a_prompt_typed_while_a_key_loads_the_model_is_started(key: str) -> None:
    await lived("home", "l")
    gate = threading.Semaphore(0)
    app = reopened(load_gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await pilot.press(key)
        await during(pilot, lambda: app.controller.state == "loading")
        await pilot.press("p")
        await during(pilot, lambda: app.screen is not app._browse)
        await pilot.press(*" and", "enter")
        await during(pilot, lambda: app.screen is app._browse)
        gate.release(10)
        tree = app.controller.explorer.tree
        await during(pilot, lambda: len(tree.prompts) == 2)
        await until(pilot, lambda: ended(app) and not app.controller.busy)
        assert app.controller.explorer.prompt_length > 1
        assert screen_text(app).replace("┬", "").count(PROMPT + " and") == 1


@pytest.mark.parametrize("has_template", [True, False])
async def test_a_new_chat_can_be_typed_before_the_model_is_loaded(has_template: bool) -> None:
    await lived("home", "l")
    app = reopened(chat_template=has_template)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        for key in "tp":
            await press(pilot, key)
            assert "The model is not loaded: ⏎ loads it first" in " ".join(screen_text(app).split())
            if key == "t":
                await press(pilot, "ctrl+g")
        await press(pilot, "ctrl+r")
        assert "a new chat" in screen_text(app)
        await pilot.press(*"who was he", "enter")
        explorer = app.controller.explorer
        if has_template:
            await until(pilot, lambda: explorer.path.chat is not None and ended(app))
            assert explorer.path.chat is not None
            assert explorer.path.chat.messages[0].content.endswith("who was he")
        else:
            await until(pilot, lambda: isinstance(app.screen, PromptEditor))
            assert any("no chat template" in n.message for n in app._notifications)
            assert "who was he" in screen_text(app), "what was typed is there"


async def test_a_pick_beyond_what_is_recorded_loads_it_too() -> None:
    await lived("home", "l")
    app = reopened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        await until(pilot, lambda: ended(app) and not app.controller.busy)
        assert len(app.controller.explorer.tree.branches) == 2


async def test_the_same_seed_goes_on_as_if_it_had_never_been_left() -> None:
    await lived(options=OPTIONS)
    app = reopened()
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "space")
        await until(pilot, lambda: ended(app) and len(app.controller.explorer.nodes) > 50)
        resumed = app.controller.explorer.ids()
    whole = make_app(options=AppOptions(OPTIONS.load, OPTIONS.prompt, SETTINGS, max_new_tokens=48))
    async with whole.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(whole))
        assert whole.controller.explorer.ids() == resumed


async def test_another_dtype_is_told_and_both_numbers_are_shown() -> None:
    await lived("home", "l")
    app = reopened(dtype="bfloat16")
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        node = app.controller.explorer.before
        await press(pilot, ".")
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        said = [n.message for n in app._notifications]
        assert any("dtype float32, now bfloat16" in text for text in said)
        await press(pilot, "home", "l")
        await until(pilot, lambda: node in app.controller.explorer.tree.recomputed)
        assert re.search(
            r"H [\d.]+ \(now [\d.]+\) nats · margin [\d.]+ nats \(now", screen_text(app)
        )
        assert node in app.controller.explorer.tree.distribution
        await press(pilot, "i")
        assert "embedded, bfloat16 on cpu" in screen_text(app)
        await press(pilot, "q")
        await app.action_quit()
    tree = open_session(all_files()[0]).tree
    assert [p.dtype for p in tree.provenance] == ["float32", "bfloat16"]
    assert node in tree.recomputed
    assert tree.distribution.figures(node).model == 0


async def test_another_vocabulary_is_refused_and_the_tree_stays() -> None:
    await lived()
    opened = continue_session("")
    other = opened.session.vocabulary.pack([b"a", b"b"], [], 2)
    opened = opened._replace(session=opened.session._replace(vocabulary=other))
    app = make_app(options=options_for(opened, OpenOptions()), opened=opened)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "space")
        await until(pilot, lambda: app.controller.state == "lost")
        assert any("another vocabulary" in n.message for n in app._notifications)
        assert len(app.controller.explorer.nodes) > 24


async def test_a_chat_goes_on_with_its_messages() -> None:
    chat = Chat((Message("user", "why?"),))
    options = AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=5)
    app = make_app(options=options)
    async with app.run_test(size=SIZE) as pilot:
        await until(
            pilot,
            lambda: app.controller.state == "paused" and bool(app.controller.explorer.path.chat),
        )
        await press(pilot, "space")
        await until(pilot, lambda: ended(app))
        await app.action_quit()
    again = reopened()
    async with again.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert again.controller.explorer.path.chat == chat
        assert "chat" in screen_text(again).splitlines()[1]


async def test_undo_goes_on_after_a_session_was_opened() -> None:
    await lived("home", "l", "3", "x")
    app = reopened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        tree = app.controller.explorer.tree
        assert is_hidden(tree, 2)
        await press(pilot, "u")
        assert not is_hidden(tree, 2)
        await press(pilot, "u")
        assert is_hidden(tree, 2), "the branch that was opened is taken back"


async def test_notes_bookmarks_and_names_are_found_again() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "l", "l", "a", "o", "d", "d", "enter", "apostrophe")
        explorer = app.controller.explorer
        third = explorer.taken
        assert explorer.tree.notes == {third: "odd"}
        assert "note: odd" in screen_text(app)
        assert "step 3 ◆" in screen_text(app)
        assert "nats" in screen_text(app).split("note: odd")[1].splitlines()[0]
        await press(pilot, "end", "quotation_mark")
        assert explorer.taken == third
        await press(pilot, "end", "g", "O", "D", "enter")
        assert explorer.taken == third
        explorer.tree.history.change(Named(1, "first try"))
        await press(pilot, "home", "4")
        await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, "g", "t", "r", "y", "enter")
        assert explorer.branch.number == 1
        await press(pilot, "g", "z", "z", "z", "enter")
        assert "No place, name or note is" in screen_text(app)
        await press(pilot, "ctrl+g")
        await press(pilot, "home", "l", "number_sign", *"turn", "enter")
        second = explorer.taken
        assert explorer.tree.labels == {second: "turn"}
        assert "step 2 turn" in screen_text(app)
        await press(pilot, "end", "g", *"TUR", "enter")
        assert explorer.taken == second
        await press(pilot, "u")
        assert explorer.tree.labels == {}
        await press(pilot, "u", "u")
        assert explorer.tree.branches[0].name == ""


async def test_text_is_found_in_every_branch() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "l", "4")
        await until(pilot, lambda: not app.controller.streaming)
        explorer = app.controller.explorer
        other = explorer.tree.branches[0]
        token = explorer.tree.token[other.tip]
        word = explorer.vocabulary.bytes_of(token).decode("utf-8", "ignore").strip()
        assert word
        await press(pilot, "f", *word, "enter")
        places = set()
        matches = find_text(explorer.tree, explorer.vocabulary, word, hidden=False)
        for _ in matches:
            places.add(explorer.taken)
            await press(pilot, "semicolon")
        assert other.tip in places or any(m.last == other.tip for m in matches)
        assert len(places) > 1
        here = explorer.taken
        await press(pilot, "comma", "semicolon")
        assert explorer.taken == here


async def test_keys_typed_ahead_act_after_a_dialog_was_answered() -> None:
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        for key in ("g", "3", "enter", "a", "h", "o", "enter", "g", "8", "enter", "enter"):
            character = key if len(key) == 1 else "\r"
            app.post_message(events.Key(key, character))
        await until(pilot, lambda: len(app.controller.explorer.tree.branches) > 1)
        explorer = app.controller.explorer
        assert [type(s).__name__ for s in app.screen_stack] == ["Screen", "BrowseScreen"]
        assert [explorer.tree.step[n] for n in explorer.tree.notes] == [3]
        assert explorer.tree.step[explorer.tree.branches[1].head] == 8


async def test_the_text_of_the_path_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.delenv("STY", raising=False)
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        explorer = app.controller.explorer
        text = explorer.vocabulary.text(explorer.ids())
        await press(pilot, "y")
        await until(pilot, lambda: any("OSC 52" in n.message for n in app._notifications))
        assert app.clipboard == text
        await press(pilot, "y")
        await until(pilot, lambda: any("The text is in" in n.message for n in app._notifications))
        said = next(n.message for n in app._notifications if "The text is in" in n.message)
        assert Path(said.removeprefix("The text is in ").rstrip(".")).read_text() == text


async def test_the_list_tells_model_size_and_first_words() -> None:
    await lived("home")
    table = session_table(0)
    assert f"{'name':<36}" in table
    assert "Once upon a time" in table
    assert "fake" in table or "embedded" in table
    assert latest().path == all_files()[0]


def test_without_sessions_there_is_nothing_to_open() -> None:
    assert "No sessions yet" in session_table(80)
    with pytest.raises(UsageError, match="no session to open yet"):
        latest()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"row": "x"}', '{"settings": {"temperature": -1}}', "null"]
)
def test_a_damaged_state_is_the_default_one(text: str) -> None:
    assert read_state(text)[0].settings == SamplingSettings()


@pytest.mark.parametrize("length", [0, 1, 2**31 - 1])
def test_every_length_that_can_be_asked_for_is_found_again(length: int) -> None:
    state, damage = read_state(msgspec.json.encode(ViewState(max_new_tokens=length)).decode())
    assert (state.max_new_tokens, damage) == (length, "")


def test_a_file_never_makes_code_of_a_model_run() -> None:
    text = '{"load": {"model": "x", "trust_remote_code": true}}'
    assert read_state(text)[0].load == LoadOptions(model="x")


@pytest.mark.parametrize("edit", ["distribution SET entropy = -5", "candidates SET packed = x'00'"])
async def test_a_damaged_step_says_so_and_is_computed_again_once_there_is_a_model(
    edit: str,
) -> None:
    before = await lived()
    node = before.controller.explorer.nodes[-3]
    with sqlite3.connect(latest().path) as connection:
        (seq,) = connection.execute("SELECT seq FROM distribution WHERE node = ?", (node,))
        connection.execute(f"UPDATE {edit} WHERE seq = ?", seq)
    app = reopened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        said = [n.message for n in app._notifications if "is damaged" in n.message]
        assert len(said) == ("entropy" in edit)
        place = app.controller.explorer.nodes.index(node) + 1
        app.controller.explorer.place(place)
        app.changed()
        await settle(pilot)
        text = screen_text(app)
        assert "damaged in the session's file; space loads the model" in text
        assert "nothing is recorded here" not in text
        await press(pilot, "space")
        await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
        app.controller.explorer.place(place)
        app.changed()
        tree = app.controller.explorer.tree.distribution
        await until(pilot, lambda: tree.get(node) is not None)
        assert tree.get(node).ids == before.controller.explorer.tree.distribution.get(node).ids
        assert "damaged in" not in screen_text(app)
        await app.action_quit()
    assert open_session(latest().path).tree.distribution.get(node) == tree.get(node)


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ("{", "the defaults stand"),
        (b"\xff", "the defaults stand"),
        ('{"settings": {"top_p": 7}}', "sampling settings are damaged"),
        ("{}", ""),
        (None, ""),
    ],
)
async def test_settings_that_cannot_be_read_are_told(
    view: str | bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await lived()
    path = latest().path
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'view'", (view,))
    app = reopened()
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        told = [n.message for n in app._notifications if "damaged" in n.message]
        assert len(told) == bool(said)
        assert all(said in text for text in told)
        await app.action_quit()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'view'", (view,))
    assert dispatch.main(["export", str(path), "-o", str(tmp_path / "a.md")]) == 0
    err = capsys.readouterr().err
    assert said in err
    told = [line for line in err.splitlines() if not line.startswith("Kept:")]
    assert bool(told) == bool(said)


async def test_without_the_model_the_sampler_is_given_as_bounds() -> None:
    hot = SamplingSettings(temperature=4.0, top_p=0.5)
    await lived("home", "l", "l", "t", "x", "enter", options=replace(OPTIONS, settings=hot))
    opened = continue_session("")
    tree = opened.session.tree
    node = next(n for n in range(len(tree)) if tree.origin[n] == "typed")
    app = make_app(options=options_for(opened, OpenOptions()), opened=opened)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        app.controller.explorer.place(tree.depth[node] - 1)
        app.changed()
        await settle(pilot)
        assert app.controller.state == "recorded"
        text = screen_text(app)
        assert "(bounds)" in text
        assert re.search(r"\d+\.\d–\d+\.\d%", text)
        low, high = app.controller.queries.sampler_view().share(0)
        await press(pilot, "slash")
        await pilot.press("e")
        await until(pilot, lambda: re.search(r"of the \d+ recorded", screen_text(app)))
        await press(pilot, "ctrl+g")
        await press(pilot, "space")
        await until(pilot, lambda: ended(app) and not app.controller.busy)
        app.controller.explorer.place(tree.depth[node] - 1)
        app.changed()
        await until(pilot, lambda: app.controller.queries.sampler_view() is not None)
        view = app.controller.queries.sampler_view()
        first = tree.distribution[tree.parent[node]]
        exact = math.exp(view.fate(first.id_view[0], first.logit_view[0]).logprob)
        assert low - 1e-6 <= exact <= high + 1e-6
        assert "(bounds)" not in screen_text(app)


def noticed(app: TokexploreApp) -> list[str]:
    return [notification.message for notification in app._notifications]


async def test_the_tree_is_exported_from_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app(options=OPTIONS)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: ended(app))
        await press(pilot, "home", "3")
        await until(pilot, lambda: not app.controller.streaming)

        async def exported(name: str, said: str) -> None:
            app.clear_notifications()
            await press(pilot, "E", "ctrl+u")
            await pilot.press(*(character for character in name))
            await press(pilot, "enter")
            await until(pilot, lambda: said in " ".join([screen_text(app), *noticed(app)]))
            if isinstance(app.screen, Ask):
                await press(pilot, "ctrl+g")

        await exported("tree.html", "The export is in")
        assert (tmp_path / "tree.html").read_text().startswith("<!doctype html>")
        await exported("tree.html", "is there already")
        await exported("tree.xyz", "does not tell its format")
        for name in ("a.json", "b.csv"):
            await exported(f"{name}, visible", "The export is in")
            assert (tmp_path / name).exists()
        await exported("my path.jsonl path", "The export is in")
        lines = (tmp_path / "my path.jsonl").read_text().splitlines()
        assert len(lines) == len(app.controller.explorer.nodes) + 1


async def test_json_lines_are_opened_as_a_session_of_their_own(tmp_path: Path) -> None:
    await lived("home", "l", "3")
    source = source_of(open_session(all_files()[0]))
    path = tmp_path / "tree.jsonl"
    with path.open("wb") as file:
        export(source, "jsonl", "all", 20, file)
    opened = continue_session(str(path))
    assert "a session of its own" in opened.notice
    assert len(all_files()) == 2
    app = make_app(options=options_for(opened, OpenOptions()), opened=opened)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert app.controller.explorer.ids() == tuple(source.tree.ids(source.leaf))
        assert app.controller.explorer.settings == SETTINGS
        await press(pilot, "space")
        await until(pilot, lambda: ended(app) and not app.controller.busy)
        await app.action_quit()
    again = open_session(opened.file)
    assert len(again.tree) > len(source.tree)
    assert again.vocabulary.bytes_of(300), "the model's vocabulary is in the file now"
    (tmp_path / "bad.jsonl").write_text("{}")
    with pytest.raises(UsageError, match=r"bad.jsonl, line 1"):
        continue_session(str(tmp_path / "bad.jsonl"))
    assert len(all_files()) == 2
