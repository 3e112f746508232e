"""Chats in the app: the rendered template, the answer at once, then the next turn."""

import re

import msgspec
from support.app import during, make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from support.fake_vocabulary import ASSISTANT, BOS, EOS, USER
from textual.pilot import Pilot

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.writing import TextEditor
from tokexplore.widgets.entropy_strip import EntropyStrip

CHAT = Chat((Message("system", "the king"), Message("user", "who was he")), prefill=" he was")
SIZE = (120, 40)


def options(chat: Chat = CHAT) -> AppOptions:
    return AppOptions(prompt=PromptSpec(chat=chat), max_new_tokens=6)


async def test_a_chat_starts_as_plain_text_does_at_once() -> None:
    app = make_app(options=options())
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 6)
        tokens = [explorer.tree.token[n] for n in explorer.nodes]
        assert USER in tokens
        assert ASSISTANT in tokens


async def test_the_next_user_turn_follows_the_answer_on_the_same_path() -> None:
    app = make_app(options=options())
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 6)
        answered = list(explorer.nodes)
        await press(pilot, "T")
        assert isinstance(app.screen, TextEditor)
        await pilot.press(*"and she", "enter")
        await until(pilot, lambda: explorer.tree.step[explorer.leaf] == 12)
        assert explorer.nodes[: len(answered)] == answered
        tokens = [explorer.tree.token[n] for n in explorer.nodes]
        assert tokens.count(USER) == 2
        assert app.controller.explorer.path.chat is not None
        assert [m.role for m in app.controller.explorer.path.chat.messages] == [
            "system",
            "user",
            "assistant",
            "user",
        ]


async def test_a_turn_without_a_chat_is_refused() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        await press(pilot, "T")
        assert any("no chat" in n.message for n in app._notifications)


async def test_the_prompt_editor_changes_between_plain_text_and_chat() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: bool(explorer.tree.ended))
        await press(pilot, "p")
        assert isinstance(app.screen, PromptEditor)
        await pilot.press("ctrl+u", *"who is she", "ctrl+r", "enter")
        await settle(pilot)
        await until(pilot, lambda: app.controller.explorer.path.chat is not None)
        assert app.controller.explorer.path.chat is not None
        assert app.controller.explorer.path.chat.messages == (Message("user", "who is she"),)


async def test_a_chat_without_a_template_ends_the_program_with_2() -> None:
    app = make_app(options=options(), chat_template=False)
    async with app.run_test(size=SIZE) as pilot:
        await during(pilot, lambda: app.return_code is not None)
    assert app.return_code == 2


async def test_a_chat_ends_with_the_turn() -> None:
    """Where the template's end of a turn is no end of text of the model."""
    plain = Chat((Message("user", "who was he"),))
    path = FakeEngine().render(plain).ids
    ends = {path: {USER: 60.0}}
    app = make_app(options=options(plain), planted=ends)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.leaf in explorer.tree.ended)
        assert explorer.tree.ended[explorer.leaf] == "end of turn"
        assert explorer.tree.token[explorer.leaf] == USER
        assert any("the assistant's turn is over" in n.message for n in app._notifications)


async def test_the_prompt_editor_keeps_what_it_does_not_show() -> None:
    more: dict[str, object] = {"name": "Ann"}
    turns = (Message("system", "the king"), Message("user", "who was he", more))
    chat = Chat(turns, " he\nwas", {"a": 1}, "content", {"reasoning_content": "so"}, "rag", (more,))
    app = make_app(options=options(chat))
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.leaf in explorer.tree.ended)
        size = len(explorer.tree)
        await press(pilot, "p", "enter")
        await settle(pilot)
        assert app.controller.explorer.path.chat == chat
        assert len(explorer.tree) == size, "the same prompt"
        await press(pilot, "p")
        await pilot.press("ctrl+u", *"and", "ctrl+t", "enter")
        await until(pilot, lambda: app.controller.explorer.path.chat != chat)
        edited = msgspec.structs.replace(
            chat, messages=(turns[0], Message("user", "and", more)), literal=True
        )
        assert app.controller.explorer.path.chat == edited


async def test_names_of_tokens_are_typed_as_tokens_or_as_characters() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        await until(pilot, lambda: bool(tree.ended))
        for keys, count in (((), 2), (("ctrl+t",), 5)):
            await press(pilot, "home", "t", *keys)
            shown = "characters" if keys else "tokens"
            assert f"names such as </s> are {shown}" in screen_text(app)
            await pilot.press(*"a</s>")
            await settle(pilot)
            assert f"{count} tokens" in screen_text(app)
            await pilot.press("enter")
            await settle(pilot)
            typed = [n for n in explorer.nodes if tree.origin[n] == "typed"]
            assert len(typed) == count


async def test_a_prompt_of_a_session_is_edited_as_it_was_read() -> None:
    app = make_app(options=AppOptions(prompt=PromptSpec(text="a</s>", literal=True)))
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: bool(explorer.tree.ended))
        prompt = explorer.ids()[:6]
        await press(pilot, "p", "enter")
        await settle(pilot)
        assert explorer.ids()[:6] == prompt
        assert EOS not in prompt
        assert len(explorer.tree.children[ROOT]) == 1


async def test_what_was_left_out_of_a_prompt_is_told() -> None:
    spec = PromptSpec(text="<s>Once", notice="FILE begins with a byte order mark")
    app = make_app(options=AppOptions(prompt=spec, max_new_tokens=2))
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: bool(explorer.tree.ended))
        said = [n.message for n in app._notifications]
        assert any("byte order mark" in message for message in said)
        assert any("the text begins with <s>" in message for message in said)
        assert explorer.ids()[:2].count(BOS) == 1


async def answered_twice(app: TokexploreApp, pilot: Pilot[int]) -> None:
    """Let a chat be answered, then a second turn."""
    explorer = app.controller.explorer
    await until(pilot, lambda: explorer.step(len(explorer.nodes) - 1) == 6)
    await press(pilot, "T")
    await pilot.press(*"and she", "enter")
    await until(pilot, lambda: explorer.step(len(explorer.nodes) - 1) == 12)


def told_steps(app: TokexploreApp) -> tuple[str, str]:
    """The step of the cursor as the rule and the strip tell it."""
    rule = re.search(r"─ (prompt|step \d+)(?: · open end)? · position", screen_text(app))
    strip = app._browse.query_one(EntropyStrip)
    here = strip.get_component_rich_style("entropy-strip--here")
    label = "".join(s.text for s in strip.render_line(1) if s.style == here)
    assert rule is not None
    return rule[1].removeprefix("step "), label


async def test_the_rule_and_the_strip_tell_the_same_step_in_every_turn() -> None:
    app = make_app(options=options())
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await answered_twice(app, pilot)
        await press(pilot, "left")
        seen = []
        for index in range(len(explorer.nodes) + 1):
            explorer.place(index)
            app._browse.changed()
            await settle(pilot)
            rule, label = told_steps(app)
            assert label == {"prompt": "^"}.get(rule, rule)
            if explorer.cursor == index and rule != "prompt":
                seen.append(int(rule))
        assert seen == list(range(1, 14)), "those of both answers, and the open end"
        for step in (6, 7, 12):
            await press(pilot, "g")
            await pilot.press(*str(step), "enter")
            await settle(pilot)
            assert told_steps(app) == (str(step), str(step))


async def test_a_turn_taken_back_leaves_the_next_step_at_the_open_end() -> None:
    app = make_app(options=options())
    async with app.run_test(size=SIZE) as pilot:
        await answered_twice(app, pilot)
        await press(pilot, "u")
        assert "step 7 · open end" in screen_text(app)
        assert told_steps(app) == ("7", "7")
        assert app._browse.branch_rows[0].length == 6


async def test_a_prompt_that_is_there_already_changes_nothing() -> None:
    app = make_app(options=options())
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await answered_twice(app, pilot)
        nodes, numbers = list(explorer.nodes), explorer.numbers().tolist()
        answered = numbers.index(6) + 1
        await app.controller.prompt(PromptSpec(chat=explorer.path.chat), go_on=False)
        await settle(pilot)
        assert any("there already: on branch 1" in n.message for n in app._notifications)
        prompt = explorer.prompt_length
        assert explorer.nodes == nodes[:prompt]
        assert explorer.numbers().tolist() == [*numbers[:prompt], 7]
        await press(pilot, "u")
        assert [n.message for n in app._notifications][-1].startswith("Took back: turn 'and she'")
        assert explorer.nodes == nodes[:answered]
        assert explorer.numbers().tolist() == [*numbers[:answered], 7]
        assert told_steps(app) == ("7", "7")
        await press(pilot, "U")
        assert explorer.numbers().tolist() == numbers


async def test_text_that_is_there_already_stays_what_it_was() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: bool(explorer.tree.ended))
        vocabulary, first = explorer.vocabulary, explorer.first_step
        assert vocabulary is not None
        nodes, numbers = list(explorer.nodes), explorer.numbers().tolist()
        text = vocabulary.text(explorer.ids(first + 3))
        await press(pilot, "S", "p")
        await pilot.press("ctrl+u", *text, "enter")
        await until(pilot, lambda: explorer.nodes == nodes[: first + 4])
        assert explorer.numbers().tolist() == numbers[: first + 5]
        await press(pilot, "home", "left", "t")
        await pilot.press(*vocabulary.text(explorer.ids()[first - 1 : first]), "enter")
        await settle(pilot)
        assert explorer.number(first - 1) == 0, "it is prompt"
