"""Every place at which keys are pressed, with the bindings that hold there."""

from collections.abc import Iterable

from textual.binding import Binding
from textual.dom import DOMNode

from tokexplore.tui.browse.screen import BrowseScreen
from tokexplore.tui.keymap import Place
from tokexplore.tui.screens.branches import BranchesDialog
from tokexplore.tui.screens.compare import CompareScreen
from tokexplore.tui.screens.continuation import ContinuationEditor
from tokexplore.tui.screens.dialog import Ask, Sheet
from tokexplore.tui.screens.draft import Draft
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.examples import ExamplePicker
from tokexplore.tui.screens.find import FindToken
from tokexplore.tui.screens.futures import FuturesScreen
from tokexplore.tui.screens.grow import GrowScreen
from tokexplore.tui.screens.lab import LabScreen
from tokexplore.tui.screens.lab_readings import ReadingsScreen
from tokexplore.tui.screens.map import MapScreen
from tokexplore.tui.screens.models import ModelPicker
from tokexplore.tui.screens.palette import Palette
from tokexplore.tui.screens.sampler_lens import SamplerLensScreen
from tokexplore.tui.screens.search_sheet import SearchSheet
from tokexplore.tui.screens.sessions import SessionPicker
from tokexplore.tui.screens.temperatures import TemperaturesScreen
from tokexplore.tui.screens.why import WhyScreen

KINDS: dict[str, tuple[type[DOMNode], ...]] = {
    "on the main screen": (BrowseScreen,),
    "where branches are compared": (CompareScreen,),
    "in the sampling lens": (SamplerLensScreen,),
    "on the screen of temperatures": (TemperaturesScreen,),
    "among futures": (FuturesScreen,),
    "where a tree grows": (GrowScreen,),
    "looking into a step": (WhyScreen,),
    "on the map": (MapScreen,),
    "in the lab": (LabScreen,),
    "in the lab's readings": (ReadingsScreen,),
    "in the list of branches": (BranchesDialog,),
    "in the list of examples": (ExamplePicker,),
    "on a sheet to read": (Sheet,),
    "in help and terms": (SearchSheet,),
}
TYPED: dict[str, tuple[type[DOMNode], ...]] = {
    "where a token is found": (FindToken,),
    "where a line is typed": (Ask,),
    "where text is typed": (ContinuationEditor, Draft),
    "where a prompt is typed": (PromptEditor, Draft),
    "in the list of sessions": (SessionPicker,),
    "in the list of models": (ModelPicker,),
    "in the palette": (Palette,),
}
"""Those at which text is typed."""


def places(everywhere: Iterable[Binding]) -> list[Place]:
    """All of them.

    Args:
        everywhere: the app's own bindings.
    """
    more = list(everywhere)
    return [
        Place(name, [*(b for kind in kinds for b in _bindings(kind)), *more], name in TYPED)
        for name, kinds in {**KINDS, **TYPED}.items()
    ]


def _bindings(kind: type[DOMNode]) -> list[Binding]:
    """Those of a screen and of what it is made from, as far as they are ours."""
    ours = (base for base in kind.__mro__ if base.__module__.startswith("tokexplore."))
    return [b for base in ours for b in vars(base).get("BINDINGS", ()) if isinstance(b, Binding)]
