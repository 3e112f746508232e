"""The keys of the map."""

from textual.binding import Binding, BindingType

from tokexplore.widgets.keybar import KeyHint

BINDINGS: list[BindingType] = [
    Binding("q,I,escape,ctrl+g", "close", "close", id="map.close", priority=True,
            key_display="q I", tooltip="Back to the main screen, as it was."),
    Binding("left,h", "back_step", "step back", id="map.left", priority=True,
            key_display="← h", tooltip="To the block before, along the path."),
    Binding("right,l", "on_step", "step on", id="map.right", priority=True, key_display="→ l",
            tooltip="To the block after: where one came from, else on the path in view, "
            "else the highest."),
    Binding("up,k", "beside(-1)", "above", id="map.up", priority=True,
            tooltip="To the block above at the same step."),
    Binding("down,j", "beside(1)", "below", id="map.down", priority=True,
            tooltip="To the block below at the same step."),
    Binding("enter", "zoom", "whole height", id="map.zoom", priority=True,
            tooltip="Make this block the whole height."),
    Binding("backspace", "zoom_back", "back", id="map.back", priority=True,
            tooltip="Back to the height before; from the whole map to the main screen."),
    Binding("home", "whole", "whole map", id="map.home", priority=True,
            tooltip="The whole map, from the prompt on."),
    Binding("g", "go", "go there", id="map.go",
            tooltip="Make this block's branch the path in view, at its step."),
    Binding("c", "colouring", "colouring", id="map.colour",
            tooltip="Colour by surprisal or by the entropy of the step."),
    Binding("plus", "wider(1)", "wider", id="map.wider", key_display="+",
            tooltip="Wider columns, fewer steps."),
    Binding("minus", "wider(-1)", "narrower", id="map.narrower", key_display="-",
            tooltip="Narrower columns, more steps."),
    Binding("tab", "next_prompt", "next prompt", id="map.prompt", priority=True,
            tooltip="The map of another prompt of this tree."),
]  # fmt: skip

HINTS = [
    KeyHint("{map.left:←}{map.right:→}", "step", 9),
    KeyHint("{map.up:↑}{map.down:↓}", "block", 9),
    KeyHint("{map.zoom:⏎}", "whole height", 8, "zoom"),
    KeyHint("{map.back:⌫}", "back", 8, "zoom_back"),
    KeyHint("{map.go:g}", "go there", 7, "go"),
    KeyHint("{map.colour:c}", "colour", 6, "colouring"),
    KeyHint("{map.wider:+}{map.narrower:-}", "columns", 5),
    KeyHint("{map.home:home}", "whole map", 4, "whole"),
    KeyHint("{map.prompt:tab}", "next prompt", 3, "next_prompt"),
]
