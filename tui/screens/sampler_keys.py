"""The keys of the sampling lens, and what its key bar says of them."""

from textual.binding import Binding

from tokexplore.models.errors import UsageError
from tokexplore.models.untrusted import brief
from tokexplore.tui.explore.knob_editor import KnobEditor
from tokexplore.widgets.keybar import KeyHint

_NUMBER = {**{str(n): str(n) for n in range(1, 10)}, "full_stop": ".", "minus": "-", "e": "e"}
"""The keys that numbers are typed with, but for 0."""
LENS_BINDINGS = [
    Binding("up,k", "select(-1)", "knob", id="lens.up", tooltip="The knob above."),
    Binding("down,j", "select(1)", "knob", id="lens.down", tooltip="The knob below."),
    Binding("left,h", "turn(-1)", "less", id="lens.less", tooltip="Turn it down."),
    Binding("right,l", "turn(1)", "more", id="lens.more", tooltip="Turn it up."),
    Binding(
        "H", "turn(-1, True)", "much less", id="lens.coarse_less",
        tooltip="Turn it down by a large step.",
    ),
    Binding(
        "L", "turn(1, True)", "much more", id="lens.coarse_more",
        tooltip="Turn it up by a large step.",
    ),
    Binding("n", "neutral", "neutral", id="lens.neutral", tooltip="To where it does nothing."),
    Binding(
        "m", "suggested", "the model's own", id="lens.suggested",
        tooltip="What the model's makers suggest.",
    ),
    Binding(
        "p", "pin", "pin", id="lens.pin", tooltip="Keep these settings in view, as A, B or C."
    ),
    Binding("u", "unpin", "unpin", id="lens.unpin", tooltip="Take the last of them off."),
    Binding("d", "draw", "draw 1,000", id="lens.draw", tooltip="Draw 1,000 times and count."),
    Binding(
        "v", "picture", "picture", id="lens.picture",
        tooltip="Probabilities, or their running sum.",
    ),
    Binding(
        "backspace", "rub_out", "rub out", id="lens.rub_out", tooltip="Take a typed digit back."
    ),
    Binding(
        "enter", "apply", "apply", id="lens.apply", priority=True,
        tooltip="Take the typed number; without one, apply from the next token on and close.",
    ),
    Binding(
        "q", "cancel", "discard", id="lens.discard", priority=True,
        tooltip="Throw the settings away.",
    ),
    # As bindings, so that keys of a burst act in their order.
    Binding(
        "0", "type('0')", "number", id="lens.number", key_display="0 … 9",
        tooltip="Type the knob's value; ⏎ takes it, and a second ⏎ applies.",
    ),
    *(Binding(key, f"type({sign!r})", show=False) for key, sign in _NUMBER.items()),
]  # fmt: skip


def lens_hints(editor: KnobEditor, why_no_draws: str) -> tuple[list[KeyHint], KeyHint]:
    """The key bar, from what matters most: it differs while a number is being typed."""
    last = KeyHint("{program.help:?}", "keys", 10, "app.help")
    discard = KeyHint("{lens.discard:q}", "discard", 5, "cancel")
    if editor.typed:
        rubs_out = KeyHint("{lens.rub_out:⌫}", "rubs out", 8, "rub_out")
        return [*_typed_hints(editor), rubs_out, discard], last
    return [
        KeyHint("{lens.up:↑}{lens.down:↓}", "knob", 9),
        KeyHint("{lens.less:←}{lens.more:→}{lens.coarse_less:H}{lens.coarse_more:L}", "turn", 6),
        KeyHint("0…9", "type a number", 8),
        KeyHint("{lens.neutral:n}", "neutral", 4, "neutral"),
        KeyHint("{lens.pin:p}", "pin", 3, "pin"),
        KeyHint("{lens.draw:d}", "draw", 2, "draw", disabled=bool(why_no_draws)),
        KeyHint("{lens.picture:v}", "picture", 1, "picture"),
        KeyHint("{lens.apply:⏎}", "apply and close", 7, "apply"),
        discard,
    ], last


def _typed_hints(editor: KnobEditor) -> list[KeyHint]:
    """What enter does with a typed number, and where it does nothing, what the knob can have."""
    typed = brief(editor.typed)
    try:
        editor.typed_value()
    except UsageError:
        wanted = f"does not take {typed}: {editor.knob.name} can be {editor.knob.wanted}"
        return [KeyHint("{lens.apply:⏎}", wanted, 9, "apply")]
    return [
        KeyHint("{lens.apply:⏎}", f"takes {typed}", 9, "apply"),
        KeyHint("{lens.apply:⏎}{lens.apply:⏎}", "applies it and closes", 7),
    ]
