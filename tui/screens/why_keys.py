"""The keys of the screen that looks into a step."""

from textual.binding import Binding, BindingType

from tokexplore.tui.presenters.why.views import VIEWS
from tokexplore.widgets.keybar import KeyHint

BINDINGS: list[BindingType] = [
    Binding(
        "q,backspace,Y,escape,ctrl+g", "close", "close", id="why.close", priority=True,
        key_display="q Y ⌫", tooltip="Back to the main screen, at the step that is looked into.",
    ),
    *(
        Binding(str(n), f"view('{view}')", view, id=f"why.{view}", tooltip=tip)
        for n, (view, tip) in enumerate(
            zip(
                VIEWS,
                (
                    "Logit lens: what each layer's state says of this step.",
                    "The lens along the path: what each layer would have said at each step.",
                    "What each layer's attention and MLP did to the one token over the other.",
                    "Which words did it: what hiding each of them takes from the token.",
                    "Where the last token attended to.",
                    "Where a second model parts from this one, layer by layer.",
                ),
                strict=True,
            ),
            1,
        )
    ),
    Binding("tab", "next_view(1)", "next view", id="why.next_view", priority=True,
            tooltip="The next view."),
    Binding("shift+tab", "next_view(-1)", "view before", id="why.previous_view", priority=True,
            tooltip="The view before."),
    Binding("left", "step(-1)", "step", id="why.back", priority=True, tooltip="The step before."),
    Binding("right", "step(1)", "step", id="why.on", priority=True, tooltip="The next step."),
    Binding("H", "step(-10)", "ten back", id="why.back10", tooltip="Ten steps back."),
    Binding("L", "step(10)", "ten on", id="why.on10", tooltip="Ten steps on."),
    Binding("up,k", "row(-1)", "row", id="why.up", priority=True, tooltip="The row above."),
    Binding("down,j", "row(1)", "row", id="why.down", priority=True, tooltip="The row below."),
    Binding("pageup", "page(-1)", "page up", id="why.page_up", priority=True,
            tooltip="A page of rows up."),
    Binding("pagedown", "page(1)", "page down", id="why.page_down", priority=True,
            tooltip="A page of rows down."),
    Binding("t", "token(0)", "token", id="why.token", tooltip="Ask about another token."),
    Binding("o", "token(1)", "other token", id="why.other",
            tooltip="Hold it against another token."),
    Binding("b", "beside", "beside", id="why.beside",
            tooltip="Beside it: the other branch, a second model, nothing."),
    Binding("s", "sort", "sort", id="why.sort",
            tooltip="Layers and words: the largest first, or in their order."),
    Binding("h", "heads", "heads", id="why.heads",
            tooltip="Layers: the attention of this layer head by head."),
    Binding("d", "difference", "difference", id="why.difference",
            tooltip="Words: what did the one token over the other, or the one alone."),
    Binding("e", "everything", "everything", id="why.everything",
            tooltip="Words: look also into what did not matter."),
    Binding("g", "gradients", "gradients", id="why.gradients",
            tooltip="Words: estimates by gradients beside, and how far they agree."),
    Binding("space", "stop", "stop, again", id="why.stop", priority=True,
            tooltip="Words: stop, with what is known; again begins anew."),
    Binding("left_square_bracket", "attention_layer(-1)", "layer", id="why.layer_back",
            key_display="[", tooltip="Attention: of the layer before; before the first, of all."),
    Binding("right_square_bracket", "attention_layer(1)", "layer", id="why.layer_on",
            key_display="]", tooltip="Attention: of the next layer."),
    Binding("left_curly_bracket", "attention_head(-1)", "head", id="why.head_back",
            key_display="{", tooltip="Attention: of the head before; before the first, of all."),
    Binding("right_curly_bracket", "attention_head(1)", "head", id="why.head_on",
            key_display="}", tooltip="Attention: of the next head."),
]  # fmt: skip
_ALWAYS = [
    KeyHint("{why.lens:1}–{why.models:6}", "views", 10),
    KeyHint("{why.back:←}{why.on:→}", "step", 9),
    KeyHint("{why.up:↑}{why.down:↓}", "row", 7),
]
_AGAINST = KeyHint("{why.other:o}", "against", 5, "token(1)")
_TOKEN = KeyHint("{why.token:t}", "token", 4, "token(0)")
_BESIDE = KeyHint("{why.beside:b}", "beside", 3, "beside")
_SIDES = {
    "lens": [_AGAINST, _TOKEN, _BESIDE],
    "layers": [_AGAINST, _TOKEN, _BESIDE],
    "words": [_TOKEN, _BESIDE],
    "attention": [_BESIDE],
}
"""Of the views on which they have a bearing."""
_OWN = {
    "layers": [
        KeyHint("{why.sort:s}", "sort", 8, "sort"),
        KeyHint("{why.heads:h}", "heads", 8, "heads"),
    ],
    "words": [
        KeyHint("{why.stop:space}", "stop/again", 8, "stop"),
        KeyHint("{why.sort:s}", "sort", 6, "sort"),
        KeyHint("{why.gradients:g}", "gradients", 8, "gradients"),
        KeyHint("{why.difference:d}", "difference", 6, "difference"),
        KeyHint("{why.everything:e}", "everything", 6, "everything"),
    ],
    "attention": [
        KeyHint("{why.layer_back:[}{why.layer_on:]}", "layer", 8),
        KeyHint("{why.head_back:{}{why.head_on:}}", "head", 8),
    ],
}


def hints(view: str) -> list[KeyHint]:
    """The key bar of a view."""
    return [*_ALWAYS, *_OWN.get(view, []), *_SIDES.get(view, [])]
