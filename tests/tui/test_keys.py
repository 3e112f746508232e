"""One key list: what must never be bound, and that help and palette come from it."""

import pytest
from rich.style import Style
from textual.binding import Binding
from textual.keys import _character_to_key

from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.browse.key_hints import Now, key_hints
from tokexplore.tui.keymap import NONE, Rebinding
from tokexplore.tui.keys import COMMANDS, GROUPS, bindings
from tokexplore.tui.screens.compare import CompareScreen
from tokexplore.tui.screens.help import help_sheet, screens
from tokexplore.widgets.branch_rows import BranchStyles
from tokexplore.widgets.branch_rows import columns_for as branch_columns
from tokexplore.widgets.branch_rows import head_strip as branch_head
from tokexplore.widgets.keybar import place as placed_hints

BRANCH_STYLES = BranchStyles(*[Style()] * len(BranchStyles._fields))
FORBIDDEN = {
    "ctrl+b", "ctrl+a", "tilde", "~", "ctrl+s", "ctrl+backslash", "ctrl+h", "ctrl+i", "ctrl+m",
    "ctrl+left_square_bracket", "escape",
}  # fmt: skip


def keys_of(command_keys: str) -> list[str]:
    return [key if len(key) > 1 else _character_to_key(key) for key in command_keys.split(",")]


def test_no_key_means_two_things() -> None:
    keys = [key for command in COMMANDS for key in keys_of(command.keys)]
    assert len(keys) == len(set(keys))
    assert len({command.id for command in COMMANDS}) == len(COMMANDS)


def test_keys_that_lines_and_multiplexers_take_are_never_bound() -> None:
    for command in COMMANDS:
        for key in keys_of(command.keys):
            assert key not in FORBIDDEN
            assert not key.startswith("alt+")
            assert not (key[0] == "f" and key[1:].isdigit())


def test_every_binding_has_a_label_a_tooltip_and_an_id() -> None:
    for binding in bindings():
        assert isinstance(binding, Binding)
        assert binding.description
        assert binding.tooltip.endswith(".")
        assert binding.id


def test_help_names_every_command_and_follows_a_rebinding() -> None:
    others = {"Comparing": CompareScreen.BINDINGS, "Everywhere": TokexploreApp.BINDINGS}
    text = help_sheet(NONE, others).text().plain
    for group, commands in GROUPS.items():
        assert group in text
        for command in commands:
            if not command.id.startswith("act.take"):
                assert command.label in text
    for binding in (b for place in others.values() for b in place):
        assert isinstance(binding, Binding)
        assert binding.tooltip in text
    assert "^y" in help_sheet(Rebinding({"act.draw": ("ctrl+y",)}), {}).text().plain


def test_help_parts_each_key_from_what_it_is_called_and_that_from_what_it_does() -> None:
    others = {name: kind.BINDINGS for kind, name in screens().items()}
    own = Rebinding({"act.draw": ("ctrl+pagedown", "f5", "f6")})
    keys, _, _ = help_sheet(own, others).text(columns=200).plain.partition("Words on the screen")
    shown = [line for line in keys.splitlines() if line[:2] == "  " != line[1:3]]
    columns = [(line[12:30], line[30:]) for line in shown if line[11] == " " and line[29] == " "]
    assert len(columns) > 0.9 * len(shown)
    for name, says in columns:
        assert name[0] != " "
        assert says[0] != " "
    assert "  ^pgdn f5 f6 draw again " in keys
    assert "  pgdn      page " in keys
    assert "  shift+tab view before " in keys


@pytest.mark.parametrize(
    ("sought", "found"),
    [
        ("edit", "act.prompt"), ("edit turn", "act.prompt"), ("chat", "act.prompt"),
        ("messages", "file.export"), ("undo", "act.undo"), ("/undo", "act.undo"),
        ("/ undo", "act.undo"), ("/", "row.find"),
    ],
)  # fmt: skip
def test_help_finds_what_is_done_by_its_words(sought: str, found: str) -> None:
    label = next(command.label for command in COMMANDS if command.id == found)
    keys = help_sheet(NONE, {}).text(sought).plain.partition("Words on the screen")[0]
    assert f" {label} " in keys


def test_the_bar_names_the_key_that_edits_turns_in_a_chat() -> None:
    for is_chat in (True, False):
        hints, _ = key_hints(Now(streams=False, is_chat=is_chat))
        assert ("edit turns" in [hint.label for hint in hints]) == is_chat


def test_the_bar_of_a_chat_has_its_own_keys_on_80_columns() -> None:
    for streams in (True, False):
        placed = placed_hints(*NONE.hints(*key_hints(Now(streams=streams, is_chat=True))), 80)
        assert [one.hint.label for one in placed][-5:] == [
            "next turn", "edit turns", "answer", "quit", "help"
        ]  # fmt: skip


def test_no_heading_is_a_bare_sign() -> None:
    wide = branch_columns(120, words_beside=True)
    for columns, more in ((wide, ["mass"]), (branch_columns(36), [])):
        names = branch_head(columns, BRANCH_STYLES).text.split()
        assert names == ["branch", "at", "token", "len", "lp/tok", *more]
