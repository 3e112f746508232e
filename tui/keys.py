"""The keys of the main screen: one list, from which bindings, help and palette are made."""

from collections.abc import Iterable
from typing import NamedTuple

from textual.binding import Binding


class Command(NamedTuple):
    """One thing that the user can do in BROWSE mode."""

    id: str
    """Stable id, by which users rebind it."""
    keys: str
    """Keys as Textual names them, separated by commas."""
    shown: str
    """The keys as help shows them."""
    action: str
    label: str
    tooltip: str


# fmt: off
GROUPS: dict[str, tuple[Command, ...]] = {
    "Steps": (
        Command("step.previous", "left,h", "← h", "step(-1)", "previous step", "One token back."),
        Command("step.next", "right,l", "→ l", "step(1)", "next step", "One token on."),
        Command("step.back10", "H", "H", "step(-10)", "ten back", "Ten tokens back."),
        Command("step.on10", "L", "L", "step(10)", "ten on", "Ten tokens on."),
        Command("step.line_back", "(", "(", "line(-1)", "line back", "To the line before."),
        Command("step.line_on", ")", ")", "line(1)", "line on", "To the next line."),
        Command("step.turn_back", "left_curly_bracket,｛", "{", "turn_start(-1)", "turn back",
                "To the turn of a chat before."),
        Command("step.turn_on", "right_curly_bracket,｝", "}", "turn_start(1)", "turn on",
                "To the next turn of a chat."),
        Command("step.first", "home", "home", "first", "first step",
                "To the first generated token."),
        Command("step.follow", "end,e", "end e", "follow", "follow", "Stay with the newest token."),
        Command("step.goto", "g", "g", "goto", "go to",
                "A step (123), from the end (-40), a branch (branch 3), a name or note."),
        Command("step.back", "backspace", "⌫", "back", "jump back",
                "Back to where the last jump came from."),
    ),
    "Candidates": (
        Command("row.up", "up,k", "↑ k", "row(-1)", "candidate up", "One candidate up."),
        Command("row.down", "down,j", "↓ j", "row(1)", "candidate down", "One candidate down."),
        Command("row.page_up", "pageup", "pgup", "page(-1)", "page up", "A page of candidates up."),
        Command("row.page_down", "pagedown", "pgdn", "page(1)", "page down",
                "A page down, through the whole vocabulary."),
        Command("row.pane", "tab", "tab", "pane", "other pane",
                "pgup and pgdn: story or candidates."),
        Command("row.taken", "0", "0", "taken_row", "taken row",
                "To the row of the token that was taken."),
        Command("row.second", "asterisk,＊", "*", "second_row", "second's row",
                "To the row that a second model would choose; ⏎ branches there."),
        Command("row.find", "/", "/", "find", "find", "Search the whole vocabulary at this step."),
    ),
    "Act": (
        Command("act.take", "enter", "⏎", "take", "branch",
                "Take the candidate under the cursor and go on."),
        *(
            Command(
                f"act.take{n}", str(n), str(n), f"take_nth({n})", f"take no. {n}",
                f"Take the candidate in row {n}.",
            )
            for n in range(1, 10)
        ),
        Command("act.play", "space", "space", "play", "pause",
                "Pause the stream, or go on from the end of the path."),
        Command("act.one", ".", ".", "one", "one token", "Generate one token."),
        Command("act.futures", "F", "F", "futures", "futures",
                "Many continuations of this step at once: the first candidates, all above a share, "
                "draws, or the rows that + has chosen."),
        Command("act.choose", "plus", "+", "choose_row", "choose row",
                "Choose this row for the futures, or no longer."),
        Command("act.grow", "G", "G", "grow", "grow",
                "A tree that grows from this step, always where most of the probability is open, "
                "within a budget; the probability of a text as bounds."),
        Command("act.draw", "r", "r", "draw_again", "draw again",
                "Draw this step once more (temperature above 0)."),
        Command("act.answer", "R", "R", "answer_again", "answer again",
                "Generate the answer of this turn of a chat anew, under the next seed "
                "(temperature above 0)."),
        Command("act.single", "S", "S", "single_step", "single-step",
                "Generate one token at a time, on or off."),
        Command("act.type", "t", "t", "type_text", "type text",
                "Branch at this step with typed text, or ask how probable it is."),
        Command("act.prompt", "p", "p", "prompt", "prompt",
                "Edit any turn of a chat, or start from another prompt or chat; the tree stays."),
        Command("act.turn", "T", "T", "turn", "next turn", "Add the next user turn of a chat."),
        Command("act.adopt", "A", "A", "adopt", "model's settings",
                "Adopt the sampling settings that the model's makers suggest."),
        Command("act.lead", "W", "W", "lead", "who chooses",
                "Let a second model choose what is generated, or the model itself again."),
        Command("act.undo", "u", "u", "undo", "undo", "Take the last change of the tree back."),
        Command("act.redo", "U", "U", "redo", "redo", "Make it again."),
    ),
    "Branches": (
        Command("branch.next", "J", "J", "neighbour(1)", "next branch",
                "Switch to the next branch."),
        Command("branch.previous", "K", "K", "neighbour(-1)", "previous branch",
                "Switch to the previous branch."),
        Command("branch.last", "o", "o", "other", "last branch",
                "Switch to the branch that was left last."),
        Command("branch.list", "b", "b", "branches", "branches", "The list of branches."),
        Command("branch.name", "B", "B", "name", "name", "Name this branch."),
        Command("branch.note", "a", "a", "note", "note", "Write a note on this step."),
        Command("branch.label", "number_sign", "#", "label", "name of step", "Name this step."),
        Command("branch.bookmark", "apostrophe", "'", "bookmark", "bookmark",
                "Bookmark this step, or take the bookmark away."),
        Command("branch.hide", "x", "x", "hide", "hide", "Hide this branch; nothing is deleted."),
        Command("branch.hidden", "X", "X", "show_hidden", "show hidden",
                "List hidden branches too, or not."),
        Command("branch.mark", "m", "m", "mark", "mark", "Mark this branch for comparison."),
        Command("branch.compare", "d", "d", "compare", "compare",
                "Align branches from their fork."),
    ),
    "Jumps": (
        Command("jump.close", "n", "n", "close_call(1)", "close call", "To the next close call."),
        Command("jump.close_back", "N", "N", "close_call(-1)", "close call back",
                "To the previous close call."),
        Command("jump.fork_back", "[", "[", "fork(-1)", "tree fork back",
                "To the previous tree fork."),
        Command("jump.fork", "]", "]", "fork(1)", "tree fork", "To the next tree fork."),
        Command("jump.parted", "greater_than_sign,＞", ">", "disagreement(1)", "disagreement",
                "To the step where a second model would choose otherwise and is furthest off; "
                "again, to the next of them. One with other tokens: to the span furthest apart."),
        Command("jump.parted_back", "less_than_sign,＜", "<", "disagreement(-1)",
                "disagreement before", "To the disagreement before in that order."),
        Command("jump.text", "f", "f", "find_text", "find text",
                "Find a text anywhere in the tree."),
        Command("jump.match", "semicolon,；", ";", "match(1)", "next match",
                "To the next match of the text."),
        Command("jump.match_back", "comma,，", ",", "match(-1)", "match before",
                "To the match before."),
        Command("jump.bookmark", "quotation_mark", '"', "next_bookmark", "next bookmark",
                "To the next bookmark or note, anywhere in the tree."),
    ),
    "View": (
        Command("view.colour", "c", "c", "colouring", "colouring",
                "Colour by surprisal, probability or entropy."),
        Command("view.columns", "v", "v", "columns", "columns",
                "Other columns in the candidate table."),
        Command("view.unit", "V", "V", "unit", "nats/bits",
                "Logprobs, entropy and margin in nats or in bits."),
        Command("view.fold", "z", "z", "fold", "fold prompt",
                "Fold long prompts to one line and hide what a chat template wrote, or show all."),
        Command("view.reasoning", "Z", "Z", "fold_reasoning", "fold reasoning",
                "Hide what a model thought before it answered, or show it."),
        Command("view.boundaries", "vertical_line,｜", "|", "boundaries", "token boundaries",
                "Underline where each token of the story begins, or not; · is one without text."),
        Command("view.inspect", "i", "i", "inspect", "inspect",
                "This token and this model in detail."),
        Command("view.settings", "s", "s", "settings", "sampling",
                "The sampling lens: turn any knob, see what it does to this step, apply it."),
        Command("view.ladder", "C", "C", "ladder", "temperatures",
                "This step under several temperatures: the next token of each, and how it goes "
                "on."),
        Command("view.lab", "D", "D", "lab", "lab",
                "The lab: this request again and again, as a server computes it; where the "
                "texts part."),
        Command("view.why", "Y", "Y", "why", "why",
                "Why this token: what each layer thought, what each part of the model did, and "
                "which words of the prompt did it."),
        Command("view.map", "I", "I", "map", "map",
                "The map: every explored path from left to right, as high as it is probable."),
        Command("view.watch", "w", "w", "watch", "watch",
                "Follow a token at every step, whatever its rank; again to leave it out."),
        Command("view.against", "ampersand,＆", "&", "against", "second model",
                "A second model that reads along: its figures beside the first's; again takes it "
                "away."),
        Command("view.theme", "ctrl+t", "^t", "theme", "theme",
                "Another theme: dark, light, the terminal's own colours."),
    ),
    "Files": (
        Command("file.models", "M", "M", "models", "models", "Open another model."),
        Command("file.sessions", "O", "O", "sessions", "sessions", "Open a session that was kept."),
        Command("file.export", "E", "E", "export", "export",
                "Write the tree to a file: HTML, Markdown, CSV, JSON, JSON lines, Graphviz, the "
                "map as SVG; or a chat as messages."),
        Command("file.record", "exclamation_mark,！", "!", "app.record", "record",
                "Record the screen (asciicast), or stop."),
        Command("file.mark", "at,＠", "@", "app.mark_recording", "mark",
                "Mark this moment: of a recording, and as the beginning of a tape."),
        Command("file.picture", "P", "P", "app.picture", "picture",
                "Keep a picture of the screen."),
        Command("file.copy", "y", "y", "copy", "copy text", "Copy the text of this path."),
    ),
    "Program": (
        Command("program.help", "?,？", "?", "app.help", "help", "The keys of this screen."),
        Command("program.terms", "equals_sign,＝", "=", "app.terms", "terms",
                "What the words, signs and figures on this screen mean."),
        Command("program.palette", ":,：", ":", "palette", "palette", "All commands by name."),
        Command("program.redraw", "ctrl+l", "^l", "redraw", "redraw",
                "Paint the whole screen again."),
        Command("program.quit", "q", "q q", "quit_twice", "quit", "Quit, when pressed twice."),
    ),
}
# fmt: on
COMMANDS = tuple(command for group in GROUPS.values() for command in group)
EVERYWHERE = tuple(
    command
    for command in COMMANDS
    if command.id in ("file.record", "file.mark", "file.picture", "program.help", "program.terms")
)
"""What does the same on every screen, but where it is typed as text."""


def bindings(commands: Iterable[Command] = COMMANDS, *, priority: bool = True) -> list[Binding]:
    """Commands as Textual bindings, rebindable by id.

    Those with priority are acted on before the next key is handed out: what is typed ahead on a
    slow line then reaches the dialog that an earlier key opens. An editor never sees their keys.
    """
    return [
        Binding(
            command.keys,
            command.action,
            command.label,
            tooltip=command.tooltip,
            id=command.id,
            show=False,
            priority=priority,
            key_display=command.shown,
        )
        for command in commands
    ]


APP_BINDINGS = tuple(
    Binding(key, action, label, priority=True, show=False, id=name, key_display=shown, tooltip=tip)
    for key, action, label, name, shown, tip in (
        (
            "ctrl+c", "interrupt", "stop", "app.interrupt", "^c",
            "Stop what is going on; twice leaves.",
        ),
        (
            "ctrl+z", "suspend_process", "suspend", "app.suspend", "^z",
            "Give the terminal to the shell; fg comes back.",
        ),
        ("ctrl+q", "quit", "quit now", "app.quit", "^q", "Quit at once."),
    )
)  # fmt: skip
"""What does the same wherever keys go, editors included."""
PROGRAM_IDS = frozenset(binding.id for binding in APP_BINDINGS)
