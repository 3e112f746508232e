"""Chats as turns: how they are shown, walked through, edited, answered again."""

import threading

import msgspec
import pytest
from support.app import make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine
from support.fake_vocabulary import ASSISTANT, END, USER, encode, token_id
from textual.pilot import Pilot
from textual.widgets import Input

from tokexplore.models.api.chat import Chat, ChatPart, Message, Rendered
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.conversation import TurnFigures, conversation, figures, spoken
from tokexplore.models.tree.token_path import TokenPath
from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.line_mode.render import branch_lines
from tokexplore.tui.presenters.turns import figure_words
from tokexplore.tui.screens.chat_form import ChatForm, Turn
from tokexplore.tui.screens.choice import Choice
from tokexplore.tui.screens.draft import Draft
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.field_label import FieldLabel
from tokexplore.widgets.transcript import Transcript

CHAT = Chat((Message("system", "the king"), Message("user", "who was he")))
SIZE = (120, 40)
LENGTH = 6


def chat_app(chat: Chat = CHAT, **sampling: float) -> TokexploreApp:
    options = AppOptions(
        prompt=PromptSpec(chat=chat),
        max_new_tokens=LENGTH,
        settings=SamplingSettings(**sampling),  # type: ignore[arg-type]
    )
    return make_app(options=options)


async def answered(app: TokexploreApp, pilot: Pilot[int], *turns: str) -> None:
    """Wait for the first answer, then say more and wait for an answer to each."""
    explorer = app.controller.explorer
    for number, text in enumerate(("", *turns), 1):
        if text:
            await press(pilot, "T")
            await pilot.press(*text, "enter")
        steps = LENGTH * number
        await until(pilot, lambda: explorer.step(len(explorer.nodes) - 1) == steps)  # noqa: B023


def story(app: TokexploreApp) -> list[str]:
    view = app._browse.query_one(Transcript)
    rows = (view.render_line(y).text.rstrip() for y in range(view.size.height))
    return [row for row in rows if row]


def said(app: TokexploreApp) -> list[tuple[str, str]]:
    chat = spoken(app.controller.explorer.path)
    assert chat is not None
    return [(message.role, message.content) for message in chat.messages]


async def test_each_turn_has_a_title_with_its_figures() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot, "and she")
        explorer = app.controller.explorer
        titles = [
            row for row in story(app) if row.split("  ")[0] in ("system", "user", "assistant")
        ]
        assert [title.split("  ")[0] for title in titles] == [
            "system", "user", "assistant", "user", "assistant"
        ]  # fmt: skip
        turns = [turn for turn in conversation(explorer.path) if turn.role]
        for title, turn in zip(titles, turns, strict=True):
            words = [n for one in turn.words for n in explorer.nodes[one.start : one.stop]]
            logprobs = [explorer.tree.logprob[node] for node in words]
            assert title.split("  ")[1].startswith(f"{len(words)} tokens")
            assert f"mean logprob {sum(logprobs) / len(words):.2f}" in title
            surprisal = f"surprisal {-sum(logprobs):.1f} nats"
            assert (surprisal in title) == (turn.role != "assistant")
        await press(pilot, "V")
        assert "bits" in next(row for row in story(app) if row.startswith("user"))


async def test_figures_of_an_answer_that_was_begun_say_which_tokens_they_are_of() -> None:
    app = chat_app(msgspec.structs.replace(CHAT, prefill=" he was a"))
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        tree, nodes = app.controller.explorer.tree, app.controller.explorer.nodes
        title = next(row for row in story(app) if row.startswith("assistant"))
        total = sum(tree.logprob[node] for node in nodes[-LENGTH:])
        answer = conversation(app.controller.explorer.path)[-1]
        tokens = sum(one.stop - one.start for one in answer.words)
        assert tokens > LENGTH
        said = f"{tokens} tokens · {LENGTH} generated: logprob {total:.1f} nats · mean logprob "
        assert f"{said}{total / LENGTH:.2f}" in title.replace("−", "-")
        await press(pilot, "equals_sign")
        assert "21 generated:, 20 scored:" in screen_text(app)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (TurnFigures(27, 0, 27, 27, -54.0), "27 tokens · logprob -54.0 nats · mean logprob -2.00"),
        (
            TurnFigures(27, 0, 21, 21, -42.0),
            "27 tokens · 21 generated: logprob -42.0 nats · mean logprob -2.00",
        ),
        (
            TurnFigures(27, 0, 21, 20, -40.0),
            "27 tokens · 20 of 21 generated: logprob -40.0 nats · mean logprob -2.00",
        ),
        (
            TurnFigures(27, 0, 27, 20, -40.0),
            "27 tokens · 20 scored: logprob -40.0 nats · mean logprob -2.00",
        ),
        (
            TurnFigures(27, 0, 0, 20, -40.0),
            "27 tokens · 20 scored: surprisal 40.0 nats · mean logprob -2.00",
        ),
        (TurnFigures(27, 0, 0, 0, 0.0), "27 tokens"),
    ],
)
def test_figures_of_fewer_tokens_than_a_turn_has_say_of_how_many(
    known: TurnFigures, said: str
) -> None:
    assert " · ".join(figure_words(known, bits=False)).replace("−", "-") == said


async def test_what_the_template_wrote_is_hidden_until_it_is_asked_for() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        vocabulary = app.controller.explorer.vocabulary
        end = vocabulary.show(END)
        assert end not in "".join(story(app))
        await press(pilot, "z")
        assert "".join(story(app)).count(end) >= 2
        assert story(app)[0] == "template"
        await press(pilot, "z")
        assert end not in "".join(story(app))


async def test_braces_walk_from_turn_to_turn() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot, "and she")
        explorer = app.controller.explorer
        starts = [turn.words[0].start for turn in conversation(explorer.path) if turn.words]
        seen = []
        for _ in starts:
            await press(pilot, "{")
            seen.append(explorer.cursor)
        assert seen == starts[::-1]
        await press(pilot, "{")
        assert any("No more turns" in n.message for n in app._notifications)
        await press(pilot, "}")
        assert explorer.cursor == starts[1]


async def test_braces_stop_at_a_turn_that_says_nothing() -> None:
    app = chat_app(Chat((Message("user", ""), Message("assistant", "the king"), CHAT.messages[1])))
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        assert [row.split("  ")[0] for row in story(app)].count("user") == 2
        seen = []
        for _ in range(4):
            await press(pilot, "{")
            seen.append(app.controller.explorer.cursor)
        turns = [turn for turn in conversation(app.controller.explorer.path) if turn.role]
        assert seen == [turn.first_word for turn in reversed(turns)]
        assert seen[-1] == turns[0].start
        assert any(row.startswith("user  (empty)") for row in story(app))


async def test_a_turn_of_blanks_says_so() -> None:
    app = chat_app(Chat((Message("user", "  "), Message("assistant", "the"), CHAT.messages[1])))
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        titles = [row for row in story(app) if row.split("  ")[0] in ("user", "assistant")]
        assert ["(blank)" in title for title in titles] == [True, False, False, False]
        assert not any("(empty)" in title for title in titles)


async def test_a_turn_has_as_many_tokens_folded_as_unfolded() -> None:
    app = chat_app(Chat((Message("system", "the king was old " * 40), CHAT.messages[1])))
    async with app.run_test(size=(60, 40)) as pilot:
        await answered(app, pilot)
        folded = next(row for row in story(app) if row.startswith("▸ system: "))
        await press(pilot, "z", "home", "left_curly_bracket", "left_curly_bracket")
        whole = next(row for row in story(app) if row.startswith("system  "))
        count = folded.split()[2]
        assert int(count) > 100
        assert whole.split()[1] == count


def fields(app: TokexploreApp) -> list[Turn]:
    """The turns of this chat in the editor."""
    return app.screen.query_one("#chat", ChatForm).turns


async def edited(app: TokexploreApp, pilot: Pilot[int], number: int, text: str) -> None:
    """Open the editor and put a text into the turn with this number."""
    await press(pilot, "p")
    assert isinstance(app.screen, PromptEditor)
    field = next(turn for turn in fields(app) if turn.index == number)
    field.focus()
    field.load_text(text)
    await settle(pilot)


async def test_an_earlier_turn_is_edited_on_a_branch_of_its_own() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot, "and she", "and they")
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        before, old = list(explorer.nodes), explorer.branch
        figures = (old.generated, old.scored, old.logprob_sum)
        first_answer = next(t for t in conversation(explorer.path) if t.message == 2)
        await edited(app, pilot, 3, "and who")
        shown = str(app.screen.query_one("#sends").render())
        assert "sends 4 turns, the assistant answers" in shown
        assert "3 turns left out" in shown
        await pilot.press("enter")
        steps = 2 * LENGTH
        await until(pilot, lambda: explorer.nodes != before and not app.controller.streaming)
        assert explorer.step(len(explorer.nodes) - 1) == steps
        shared = first_answer.words[-1].stop
        assert explorer.nodes[:shared] == before[:shared], "the first answer is the very same"
        assert [role for role, _ in said(app)] == [
            "system",
            "user",
            "assistant",
            "user",
            "assistant",
        ]
        assert said(app)[3] == ("user", "and who")
        assert (old.generated, old.scored, old.logprob_sum) == figures
        assert tree.path(old.tip) == before, "the old branch stays whole"


async def test_the_editor_stands_on_the_turn_under_the_cursor() -> None:
    """The field of a system's words that is there for a chat without any is no message."""
    app = chat_app(Chat((Message("user", "who was he"),)))
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot, "and she")
        for turn in (turn for turn in conversation(app.controller.explorer.path) if turn.role):
            app.controller.explorer.place(turn.words[0].start)
            await press(pilot, "p")
            field = app.focused
            assert isinstance(field, Turn)
            assert (field.role, field.index) == (turn.role, turn.message)
            await press(pilot, "ctrl+g")


async def test_the_list_says_that_a_branch_leaves_inside_a_turn() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        explorer = app.controller.explorer
        await edited(app, pilot, 1, "who was that")
        await pilot.press("enter")
        await until(pilot, lambda: explorer.branch.number == 2 and not app.controller.streaming)
        position = explorer.tree.depth[explorer.branch.head] - 1
        assert 0 < position < explorer.prompt_length
        row = next(row for row in app._browse.branch_rows if row.number == 2)
        assert (row.fork_step, row.fork_position) == (None, position)
        explorer.place(position)
        app._browse.changed()
        await settle(pilot)
        await press(pilot, "2")
        await until(pilot, lambda: explorer.branch.number == 3 and not app.controller.streaming)
        row = next(row for row in app._browse.branch_rows if row.number == 3)
        assert (row.fork_step, row.fork_position) == (None, position), "and not step 1"
        await press(pilot, "b")
        assert screen_text(app).split().count(f"p{position}") == 2
        assert any(
            f"branch 3 leaves at position {position}, in the prompt, with" in line
            for line in branch_lines(explorer, ())
        )


async def test_a_line_begins_at_the_question_where_its_branch_leaves_the_path_in_view() -> None:
    """It left its own branch later: at the answer, which is not on the path in view."""
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        await edited(app, pilot, 1, "who was that")
        await pilot.press("enter")
        await until(pilot, lambda: explorer.branch.number == 2 and not app.controller.streaming)
        position = tree.depth[explorer.branch.head] - 1
        await press(pilot, "o", "home", "2")
        await until(pilot, lambda: explorer.branch.number == 3 and not app.controller.streaming)
        tip = explorer.leaf
        explorer.switch(2)
        app._browse.changed()
        await settle(pilot)
        aside = next(a for a in app._browse.story._asides()[0] if a.branch == 3)
        path = TokenPath(tree, explorer.vocabulary, tree.path(tip))
        assert aside.text == path.words(position, len(path.nodes))
        cells = app._browse.story.path_view.cells
        assert [at for at, cell in enumerate(cells) if cell.fork] == [position - 1]
        explorer.place(position)
        app._browse.changed()
        await settle(pilot)
        assert "┬2" in screen_text(app).split()


async def test_later_turns_are_sent_too_where_asked() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot, "and she", "and they")
        told = said(app)
        await edited(app, pilot, 3, "and who")
        list(app.screen.query("#chat Choice").results(Choice))[1].action_turn(1)
        await settle(pilot)
        explorer, before = app.controller.explorer, list(app.controller.explorer.nodes)
        await pilot.press("enter")
        await until(pilot, lambda: explorer.nodes != before and not app.controller.streaming)
        assert [text for _, text in said(app)][:3] == [text for _, text in told][:3]
        assert said(app)[3:6] == [("user", "and who"), *told[4:6]]


async def test_an_edited_answer_is_gone_on_with() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot, "and she", "and they")
        explorer, before = app.controller.explorer, list(app.controller.explorer.nodes)
        await edited(app, pilot, 2, " he was a")
        shown = str(app.screen.query_one("#sends").render())
        assert "sends system, user, assistant from these words on" in shown
        await pilot.press("enter")
        await until(pilot, lambda: explorer.nodes != before and not app.controller.streaming)
        assert [role for role, _ in said(app)] == ["system", "user", "assistant"]
        assert said(app)[2][1].startswith(" he was a")
        assert explorer.step(len(explorer.nodes) - 1) == LENGTH


async def begin_with(app: TokexploreApp, pilot: Pilot[int], words: str) -> str:
    """Let another answer begin with some words; what the editor says will be sent."""
    await press(pilot, "p")
    app.screen.query_one("#chat #prefill", Draft).load_text(words)
    await settle(pilot)
    told = screen_text(app)
    await pilot.press("enter")
    await until(pilot, lambda: not app.controller.busy and not isinstance(app.screen, PromptEditor))
    return told


@pytest.mark.parametrize("begun", ["", " he"])
async def test_first_words_under_an_answer_begin_another_one(begun: str) -> None:
    """A user who tells how an answer is to begin wants another answer, not one after this one."""
    app = chat_app(msgspec.structs.replace(CHAT, prefill=begun))
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot, "and she")
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        before, old = list(explorer.nodes), said(app)
        told = await begin_with(app, pilot, " she was")
        assert "another answer begins with (optional)" in told
        assert "answers again from these words on; this answer stays · sends 4 turns" in told
        assert said(app)[:-1] == old[:-1]
        assert said(app)[-1][1].startswith(" she was")
        assert explorer.step(len(explorer.nodes) - 1) == 2 * LENGTH
        assert tree.path(before[-1]) == before
        row = next(row for row in app._browse.branch_rows if row.number == explorer.branch.number)
        assert (row.fork_step, row.fork_position) == (LENGTH + 1, None)
        await press(pilot, "u")
        last = [n.message for n in app._notifications][-1]
        assert last.startswith(f"Took back: prefill ' she was' with {LENGTH} tokens after it")
        assert explorer.nodes == before


async def test_first_words_that_are_taken_away_give_a_free_answer() -> None:
    app = chat_app(msgspec.structs.replace(CHAT, prefill=" he was"))
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        told = await begin_with(app, pilot, "")
        assert "answers again; this answer stays · sends 2 turns" in told
        assert [role for role, _ in said(app)] == ["system", "user", "assistant"]
        chat = app.controller.explorer.path.chat
        assert chat is not None
        assert chat.prefill == ""


async def test_why_first_words_are_refused_is_whole_and_names_the_field() -> None:
    class Refusing(FakeEngine):
        def render(self, chat: Chat) -> Rendered:
            if chat.prefill_as != "turn":
                why = "the chat template of a model with a name has no place for a prefill like "
                raise UsageError(f"{why}this: choose --prefill-as turn.")
            return super().render(chat)

    options = AppOptions(prompt=PromptSpec(chat=CHAT), max_new_tokens=LENGTH)
    app = make_app(options=options, engine=Refusing())
    async with app.run_test(size=(80, 24)) as pilot:
        await answered(app, pilot)
        await press(pilot, "p")
        app.screen.query_one("#chat #prefill", Draft).load_text(" he")
        next(app.screen.query("#chat Choice").results(Choice)).take(1)
        await settle(pilot)
        shown = " ".join(screen_text(app).split())
        assert "choose ‘your words go right after the opened turn’." in shown
        assert "--prefill-as" not in shown
        assert "ctrl+g cancels" in shown, "what tells the keys has its room"


async def test_a_turn_is_added_with_the_first_words_of_its_answer() -> None:
    app = chat_app(msgspec.structs.replace(CHAT, prefill=" he"))
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await press(pilot, "p")
        assert app.screen.query_one("#chat #prefill", Draft).text == " he"
        await press(pilot, "ctrl+n")
        assert app.screen.query_one("#chat #prefill", Draft).text == "", (
            "it began the answer before"
        )
        await pilot.press(*"and she")
        app.screen.query_one("#chat #prefill", Draft).load_text(" she was")
        await settle(pilot)
        assert "tokens" in str(app.screen.query_one("#tokens").render())
        await pilot.press("enter")
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.step(len(explorer.nodes) - 1) == 2 * LENGTH)
        assert said(app)[3] == ("user", "and she")
        assert said(app)[4][1].startswith(" she was")
        tokens = [explorer.tree.token[n] for n in explorer.nodes]
        assert tokens.count(USER) == tokens.count(ASSISTANT) == 2


async def test_who_speaks_in_a_turn_that_is_added_can_be_chosen() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await press(pilot, "p", "ctrl+n")
        roles = []
        for _ in range(4):
            roles.append(fields(app)[-1].role)
            await press(pilot, "ctrl+n")
        assert roles == ["user", "assistant", "tool", "system"]


async def test_what_was_typed_is_there_when_the_editor_is_opened_again() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await edited(app, pilot, 1, "who was that")
        await press(pilot, "ctrl+n")
        await pilot.press(*"more")
        await press(pilot, "ctrl+g", "p")
        assert [turn.text for turn in fields(app)][1::2] == ["who was that", "more"]


async def test_a_draft_outlives_an_answer_that_goes_on() -> None:
    gate = threading.Semaphore(2)
    options = AppOptions(prompt=PromptSpec(chat=CHAT), max_new_tokens=LENGTH)
    app = make_app(options=options, gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.step(len(explorer.nodes) - 1) == 2)
        await edited(app, pilot, 1, "who was that")
        await press(pilot, "ctrl+n")
        await pilot.press(*"more")
        await press(pilot, "ctrl+g")
        gate.release(LENGTH)
        await answered(app, pilot)
        whole = said(app)[2]
        await press(pilot, "p")
        assert "unsent draft" in screen_text(app)
        shown = [(turn.role, turn.text) for turn in fields(app)]
        assert shown[1:] == [("user", "who was that"), whole, ("user", "more")]
        await press(pilot, "ctrl+l")
        assert [(turn.role, turn.text) for turn in fields(app)] == said(app)


async def test_an_unsent_draft_is_marked_and_a_key_brings_the_sent_words_back() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        sent = [text for _, text in said(app)]

        def shown() -> list[str]:
            return [turn.text for turn in fields(app)]

        await press(pilot, "p", "ctrl+l")
        assert "unsent draft" not in screen_text(app)
        assert any("There is no unsent draft here." in n.message for n in app._notifications)
        await press(pilot, "ctrl+g")
        await edited(app, pilot, 1, "who was that")
        await press(pilot, "ctrl+n")
        await pilot.press(*"more")
        typed = shown()
        await press(pilot, "ctrl+g", "p")
        assert shown() == typed
        assert "unsent draft · ctrl+l brings the words back that were sent" in screen_text(app)
        await press(pilot, "ctrl+l")
        assert shown() == sent
        assert "without your unsent draft · ctrl+l brings it back" in screen_text(app)
        assert "nothing to send" in screen_text(app)
        await press(pilot, "ctrl+g", "p")
        assert shown() == typed, "a draft is never lost for the words that were sent"
        await press(pilot, "ctrl+l", "ctrl+l")
        assert shown() == typed
        await pilot.press("enter")
        await until(pilot, lambda: said(app)[1] == ("user", "who was that"))
        await until(pilot, lambda: not app.controller.streaming)
        await press(pilot, "p")
        assert "unsent draft" not in screen_text(app)


async def test_an_unsent_turn_is_marked_and_put_aside() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        for key in "Tt":
            await press(pilot, key)
            assert "unsent draft" not in screen_text(app)
            await pilot.press(*"and she")
            await press(pilot, "ctrl+g", key)
            assert app.screen.query_one(Draft).text == "and she"
            assert "unsent draft · ctrl+l puts it aside" in screen_text(app)
            await press(pilot, "ctrl+l")
            assert app.screen.query_one(Draft).text == ""
            await press(pilot, "ctrl+g", key)
            assert app.screen.query_one(Draft).text == "and she"
            await press(pilot, "ctrl+g")


async def test_text_that_can_be_sent_is_not_said_to_be_nothing() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await press(pilot, "p")
        assert "nothing to send" in screen_text(app)
        while app.screen.query_one("#plain").display is False:
            await press(pilot, "ctrl+r")
        await pilot.press(*"the king")
        await settle(pilot)
        assert "nothing to send" not in screen_text(app)


async def test_a_turn_that_was_emptied_is_why_nothing_is_sent() -> None:
    app = chat_app(Chat((Message("user", "who was he"),)))
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await press(pilot, "p")
        fields(app)[1].load_text("")
        await settle(pilot)
        why = "othing to send: the user's turn (2 from the top) is empty"
        assert why in screen_text(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, PromptEditor)
        assert any(why in n.message for n in app._notifications)


async def test_where_nothing_was_edited_the_editor_says_so_and_stays() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await press(pilot, "p", "enter")
        assert isinstance(app.screen, PromptEditor)
        assert any("Nothing to send: edit a turn" in n.message for n in app._notifications)


async def test_a_draft_is_marked_in_its_own_form_alone() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await edited(app, pilot, 1, "who was that")
        await press(pilot, "ctrl+g", "p")
        assert "unsent draft" in screen_text(app)
        for _ in ("another chat", "plain text"):
            await press(pilot, "ctrl+r")
            assert "unsent draft" not in screen_text(app)
            await press(pilot, "ctrl+l")
            assert any("There is no unsent draft here." in n.message for n in app._notifications)
        await press(pilot, "ctrl+r")
        assert "unsent draft" in screen_text(app)
        assert fields(app)[1].text == "who was that"


async def test_the_cursor_stands_after_the_text_of_every_field() -> None:
    app = chat_app(msgspec.structs.replace(CHAT, prefill=" he was"))
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)

        def stands_after() -> list[bool]:
            drafts = app.screen.query_one("#chat").query(Draft)
            return [draft.cursor_location == draft.document.end for draft in drafts]

        await press(pilot, "p")
        assert all(stands_after())
        await press(pilot, "shift+tab")
        assert isinstance(app.focused, Draft)
        end = app.focused.text
        await pilot.press("X")
        assert app.focused.text == f"{end}X"
        await press(pilot, "ctrl+g", "p", "ctrl+l")
        assert all(stands_after())


async def test_a_chat_that_is_refused_stays_in_the_editor() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        nodes = list(app.controller.explorer.nodes)
        await press(pilot, "p", "ctrl+n", "ctrl+n", "ctrl+n")
        await pilot.press(*"four")
        await settle(pilot)
        assert "no role 'tool'" in str(app.screen.query_one("#tokens").render())
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PromptEditor))
        assert fields(app)[-1].text == "four"
        assert app.controller.explorer.nodes == nodes


async def test_another_chat_and_plain_text_are_a_key_away_and_keep_what_is_typed() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await press(pilot, "p", "ctrl+r")
        await pilot.press(*"hello")
        await press(pilot, "ctrl+r")
        assert app.focused is app.screen.query_one("#plain")
        await press(pilot, "ctrl+r", "ctrl+r")
        form = app.screen.query_one("#new", ChatForm)
        assert [turn.text for turn in form.turns] == ["", "hello"]
        await pilot.press("enter")
        await until(pilot, lambda: said(app)[0] == ("user", "hello"))
        assert len(app.controller.explorer.tree.branches) == 2


async def test_an_option_of_the_template_that_cannot_be_is_told_and_nothing_is_lost() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await edited(app, pilot, 1, "who")
        app.screen.query_one("#chat #options", Input).value = "enable_thinking"
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, PromptEditor)
        assert any("enable_thinking is not NAME=VALUE" in n.message for n in app._notifications)


async def test_each_press_generates_another_whole_answer() -> None:
    app = chat_app(temperature=1.5, seed=3)
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        before, prompt = list(explorer.nodes), explorer.prompt_length
        paths = {tuple(before)}
        for seed in range(4, 9):
            await press(pilot, "R")
            await until(pilot, lambda: not app.controller.streaming)
            assert explorer.settings.seed == seed
            assert len(explorer.nodes) == len(before)
            paths.add(tuple(explorer.nodes))
        assert len(paths) == 6
        assert {path[:prompt] for path in paths} == {tuple(before[:prompt])}
        assert tree.path(before[-1]) == before


async def test_another_answer_branches_where_it_first_differs() -> None:
    """Its first word is so likely that no draw has another."""
    engine = FakeEngine()
    prompt = tuple(engine.render(CHAT).ids)
    engine.planted[prompt] = {7: 60.0}
    options = AppOptions(
        prompt=PromptSpec(chat=CHAT), max_new_tokens=LENGTH,
        settings=SamplingSettings(temperature=1.5, seed=3),
    )  # fmt: skip
    app = make_app(options=options, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        explorer, before = app.controller.explorer, list(app.controller.explorer.nodes)
        await press(pilot, "R")
        await until(pilot, lambda: not app.controller.streaming)
        assert explorer.nodes[: len(prompt) + 1] == before[: len(prompt) + 1]
        assert explorer.nodes != before
        assert len(explorer.nodes) == len(before)


async def test_where_the_same_answer_comes_the_user_stays_and_is_told() -> None:
    app = chat_app(temperature=1.5, seed=3, top_k=1)
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        explorer, before = app.controller.explorer, list(app.controller.explorer.nodes)
        cursor = explorer.prompt_length + 2
        explorer.place(cursor)
        await press(pilot, "R")
        told = "Under seed 4 it was the same as this answer."
        await until(pilot, lambda: any(told in n.message for n in app._notifications))
        assert (explorer.nodes, explorer.cursor) == (before, cursor)


async def test_where_an_earlier_answer_comes_it_is_in_view_and_its_branch_is_told() -> None:
    engine = FakeEngine()
    engine.planted[tuple(engine.render(CHAT).ids)] = {7: 60.0, 8: 60.0}
    options = AppOptions(
        prompt=PromptSpec(chat=CHAT), max_new_tokens=1,
        settings=SamplingSettings(temperature=1.0, seed=3),
    )  # fmt: skip
    app = make_app(options=options, engine=engine)
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.leaf in explorer.tree.ended)
        answers, told = {explorer.leaf}, ""
        for _ in range(24):
            before = explorer.leaf
            app.clear_notifications()
            await press(pilot, "R")
            await until(pilot, lambda: not app.controller.busy)
            told = " ".join(n.message for n in app._notifications)
            seed, known = explorer.settings.seed, explorer.leaf in answers
            answers.add(explorer.leaf)
            same = f"Under seed {seed} it was the same as"
            assert (same in told) == known
            assert (f"{same} this answer." in told) == (explorer.leaf == before)
            if known and explorer.leaf != before:
                break
        branch = explorer.branch
        assert branch is not None
        assert f"an earlier answer: that of branch {branch.number}, now in view." in told


async def test_another_answer_can_be_asked_for_before_one_has_its_first_word() -> None:
    gate = threading.Semaphore(2 * LENGTH)
    options = AppOptions(
        prompt=PromptSpec(chat=CHAT), max_new_tokens=LENGTH,
        settings=SamplingSettings(temperature=1.5, seed=3),
    )  # fmt: skip
    app = make_app(options=options, gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot, "and she")
        explorer, before = app.controller.explorer, list(app.controller.explorer.nodes)
        prompt = explorer.prompt_length
        await press(pilot, "R", "R")
        assert app.controller.streaming
        assert explorer.nodes == before[:prompt], "no earlier answer is taken for it"
        gate.release(LENGTH)
        await until(pilot, lambda: not app.controller.streaming)
        assert explorer.settings.seed == 5
        assert len(explorer.nodes) == len(before)
        assert explorer.nodes[:prompt] == before[:prompt]
        told = " ".join(n.message for n in app._notifications)
        assert "Another answer, under seed 5." in told
        assert "no answer" not in told
        assert "same as an earlier" not in told


async def test_an_answer_that_is_interrupted_before_its_first_word_is_not_called_the_same() -> None:
    gate = threading.Semaphore(LENGTH)
    options = AppOptions(
        prompt=PromptSpec(chat=CHAT), max_new_tokens=LENGTH,
        settings=SamplingSettings(temperature=1.5, seed=3),
    )  # fmt: skip
    app = make_app(options=options, gate=gate)
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await press(pilot, "R", "space")
        assert not app.controller.streaming
        assert not any("same as an earlier" in n.message for n in app._notifications)


def ends_its_turn(options: AppOptions) -> FakeEngine:
    """An engine whose first answer is five tokens and the token that ends a turn."""
    engine = FakeEngine()
    assert options.prompt is not None
    assert options.prompt.chat is not None
    ids = engine.render(options.prompt.chat).ids
    for token in (*encode(" the king was old"), token_id("."), END):
        engine.planted[ids] = {token: 60.0}
        ids = (*ids, token)
    return engine


async def begun_after(app: TokexploreApp, pilot: Pilot[int], words: str) -> None:
    """Let a second turn of the assistant's begin with some words."""
    await press(pilot, "p", "ctrl+n", "ctrl+n")
    assert fields(app)[-1].role == "assistant"
    fields(app)[-1].load_text(words)
    await settle(pilot)
    await pilot.press("enter")
    await until(pilot, lambda: not app.controller.busy and not isinstance(app.screen, PromptEditor))


@pytest.mark.parametrize("undone", [False, True])
@pytest.mark.parametrize("following", [False, True])
async def test_an_answer_is_what_it_was_when_a_second_one_follows(
    undone: bool, following: bool
) -> None:
    options = AppOptions(prompt=PromptSpec(chat=CHAT), max_new_tokens=LENGTH)
    app = make_app(options=options, engine=ends_its_turn(options))
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        explorer, tree = app.controller.explorer, app.controller.explorer.tree
        answer, before = conversation(explorer.path)[-1], list(explorer.nodes)
        known = figures(explorer.path, answer)
        assert known.tokens == known.generated == LENGTH
        assert tree.token[explorer.leaf] == END
        title = next(row for row in story(app) if row.startswith("assistant"))
        if undone:
            await begun_after(app, pilot, " great")
            await press(pilot, "u")
            await until(pilot, lambda: explorer.nodes == before)
        (explorer.follow if following else lambda: explorer.place(len(before) - 1))()
        await begun_after(app, pilot, " then")
        assert said(app)[-2][1] == said(app)[2][1] == " the king was old."
        assert explorer.nodes[: len(before)] == before
        assert explorer.came(len(before) - 1) == "greedy"
        same = next(turn for turn in conversation(explorer.path) if turn.message == answer.message)
        assert figures(explorer.path, same) == known
        assert title in story(app)
        assert len(tree.branches) == 1 + undone, "what was undone keeps its own branch"


async def test_an_answer_stays_generated_where_the_template_is_told_something_else() -> None:
    """Then the whole conversation is rendered anew: its ids are those of the path."""
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot, "and she")
        explorer = app.controller.explorer
        told = [turn for turn in conversation(explorer.path) if turn.role == "assistant"]
        known = figures(explorer.path, told[0])
        await press(pilot, "p")
        form = app.screen.query_one("#chat", ChatForm)
        form.query_one("#options", Input).value = "enable_thinking=false"
        await settle(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: not app.controller.busy)
        again = [turn for turn in conversation(explorer.path) if turn.role == "assistant"]
        assert figures(explorer.path, again[0]) == known
        assert [turn.start for turn in again] == [turn.start for turn in told]


async def test_temperature_0_answers_once() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        nodes = list(app.controller.explorer.nodes)
        await press(pilot, "R")
        assert any("Temperature 0 gives the same answer" in n.message for n in app._notifications)
        assert app.controller.explorer.nodes == nodes


async def test_plain_text_has_no_turns() -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(app.controller.explorer.tree.ended))
        assert conversation(app.controller.explorer.path) == []
        await press(pilot, "}", "R", "Z")
        told = " ".join(app._browse.host.notices.past)
        assert "No more turns" in told
        assert "no answer of a chat" in told
        assert "No reasoning" in told
        assert "user" not in screen_text(app)


@pytest.mark.parametrize("follows", [True, False])
async def test_the_form_marks_the_field_that_is_typed_into(follows: bool) -> None:
    """It begins on the cursor's turn, or on the last of the user's where the cursor follows the
    newest token, and each field is in view with its label."""
    app = chat_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await answered(app, pilot, "and she", "and they")
        explorer = app.controller.explorer
        if not follows:
            explorer.place(explorer.cursor)
        await press(pilot, "p")
        begun = app.focused
        assert isinstance(begun, Turn)
        assert (begun.role, begun.index) == (("user", 5) if follows else ("assistant", 6))
        if follows:
            await press(pilot, "tab")
        assert "› assistant · when edited, the model goes on from its end" in screen_text(app)
        marked = []
        for key in ("tab", *["shift+tab"] * 5):
            await press(pilot, key)
            shown = [row for row in screen_text(app).splitlines() if "  › " in row]
            labels = [label for label in app.screen.query(FieldLabel) if label.has_class("-here")]
            assert len(shown) == len(labels) == 1
            assert labels[0].field is app.focused
            marked.append(str(labels[0].render()))
        assert marked[0].startswith("› another answer begins with")
        assert [label.split()[1] for label in marked[1:]] == [
            "assistant", "user", "assistant", "user", "assistant"
        ]  # fmt: skip


async def test_what_the_template_has_the_system_say_is_shown() -> None:
    class Instructing(FakeEngine):
        def render(self, chat: Chat) -> Rendered:
            rendered = super().render(chat)
            if chat.messages[0].role == "system":
                return rendered
            own = tuple(encode("system\n the old king"))
            told = ChatPart(len(own), -1, "", "template")
            return msgspec.structs.replace(
                rendered, ids=(*own, *rendered.ids), parts=(told, *rendered.parts)
            )

    options = AppOptions(prompt=PromptSpec(chat=Chat(CHAT.messages[1:])), max_new_tokens=LENGTH)
    app = make_app(options=options, engine=Instructing())
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        assert story(app)[0] == "template  system: the old king"
        await press(pilot, "p")
        assert fields(app)[0].placeholder == "the template's own: the old king"
        await edited_in_form(app, pilot, "the king")
        explorer = app.controller.explorer
        await until(pilot, lambda: len(explorer.tree.prompts) == 2 and not app.controller.busy)
        assert not any(row.startswith("template") for row in story(app))


async def edited_in_form(app: TokexploreApp, pilot: Pilot[int], system: str) -> None:
    """Let the system say something in the editor that is open, and send it."""
    fields(app)[0].load_text(system)
    await pilot.press("enter")


async def test_a_turn_after_half_an_answer_says_that_sending_ends_it() -> None:
    app = chat_app()
    async with app.run_test(size=SIZE) as pilot:
        await answered(app, pilot)
        await press(pilot, "T")
        assert "The answer is not finished: ⏎ ends it there" in screen_text(app)
    app = make_app(
        options=AppOptions(prompt=PromptSpec(chat=CHAT), max_new_tokens=LENGTH),
        engine=ends_its_turn(AppOptions(prompt=PromptSpec(chat=CHAT))),
    )
    async with app.run_test(size=SIZE) as pilot:
        tree = app.controller.explorer.tree
        await until(pilot, lambda: bool(tree.ended))
        await press(pilot, "T")
        assert "The answer is not finished" not in screen_text(app)


async def test_r_on_an_answer_that_was_given_gives_the_models_own() -> None:
    told = Chat(
        (Message("user", "the king"), Message("assistant", "the old"), Message("user", "and"))
    )
    app = make_app(options=AppOptions(prompt=PromptSpec(chat=told), max_new_tokens=LENGTH))
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.leaf in explorer.tree.ended)
        first = explorer.leaf
        await press(pilot, "{", "{", "{", "R")
        await until(pilot, lambda: explorer.leaf != first and explorer.leaf in explorer.tree.ended)
        chat = explorer.path.chat
        assert chat is not None
        assert [message.content for message in chat.messages] == ["the king"]
        assert [turn.role for turn in conversation(explorer.path)][1:] == ["user", "assistant"]
        assert "The model's own answer" in " ".join(n.message for n in app._notifications)
        await press(pilot, "o")
        assert explorer.leaf == first, "what was given stays"


async def test_space_after_an_answer_says_that_it_is_finished_first() -> None:
    engine = FakeEngine()
    ids = tuple(engine.render(CHAT).ids)
    engine.planted[ids] = {engine.info.eos_ids[0]: 60.0}
    app = make_app(
        options=AppOptions(prompt=PromptSpec(chat=CHAT), max_new_tokens=3), engine=engine
    )
    async with app.run_test(size=SIZE) as pilot:
        explorer = app.controller.explorer
        await until(pilot, lambda: explorer.leaf in explorer.tree.ended)
        leaf = explorer.leaf
        assert explorer.tree.ended[leaf] == "eos"
        assert "space goes on" not in " ".join(n.message for n in app._notifications)
        await press(pilot, "space")
        assert explorer.leaf == leaf
        assert "The answer is finished: " in " ".join(n.message for n in app._notifications)
        await press(pilot, "space")
        await until(pilot, lambda: explorer.leaf != leaf and not app.controller.busy)
