"""The keys of the lab's screen."""

from textual.binding import Binding, BindingType

from tokexplore.widgets.keybar import KeyHint

BINDINGS: list[BindingType] = [
    Binding(
        "q,backspace,D,escape,ctrl+g", "close", "close", id="lab.close", priority=True,
        key_display="q D ⌫", tooltip="Back to the main screen; what is done is kept.",
    ),
    Binding(
        "up,k", "select(-1)", "line", id="lab.up", priority=True, tooltip="The line above."
    ),
    Binding(
        "down,j", "select(1)", "line", id="lab.down", priority=True, tooltip="The line below."
    ),
    Binding("n", "fork(1)", "next fork", id="lab.next", tooltip="The next fork."),
    Binding("N", "fork(-1)", "previous fork", id="lab.previous", tooltip="The fork before."),
    Binding(
        "enter", "open", "open", id="lab.open", priority=True,
        tooltip="A fork: its sides as branches, at its step. A text: keep it as a branch.",
    ),
    Binding(
        "i", "readings", "readings", id="lab.readings",
        tooltip="What every run read of both sides of a fork, or of a close call.",
    ),
    Binding("r", "again", "run", id="lab.run", tooltip="Run it, with another deal."),
    Binding("e", "edit", "runs", id="lab.edit", tooltip="How many runs, of how many tokens."),
    Binding("v", "vary", "vary", id="lab.vary", tooltip="What differs between the runs."),
    Binding(
        "1", "vary_next(1)", "vary next", id="lab.vary_next", key_display="1 … 9",
        tooltip="Vary the one of this number, not tried yet, alone.",
    ),
    *(Binding(str(n), f"vary_next({n})", show=False) for n in range(2, 10)),
    Binding(
        "left_square_bracket", "result(-1)", "earlier result", id="lab.earlier",
        key_display="[", tooltip="The result before, of this request.",
    ),
    Binding(
        "right_square_bracket", "result(1)", "later result", id="lab.later",
        key_display="]", tooltip="The result after it.",
    ),
    Binding("space", "stop", "stop", id="lab.stop", tooltip="Stop; what is done stays."),
]  # fmt: skip
HINTS = [
    KeyHint("{lab.up:↑}{lab.down:↓}", "line", 9),
    KeyHint("{lab.open:⏎}", "open as branches", 8, "open"),
    KeyHint("{lab.readings:i}", "readings", 8, "readings"),
    KeyHint("{lab.next:n}", "next fork", 7, "fork(1)"),
    KeyHint("{lab.edit:e}", "runs", 6, "edit"),
    KeyHint("{lab.vary:v}", "vary", 5, "vary"),
    KeyHint("{lab.run:r}", "run again", 7, "again"),
    KeyHint("{lab.stop:space}", "stop", 9, "stop"),
]
