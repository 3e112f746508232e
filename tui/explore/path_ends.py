"""What is said where a path is finished, before anything goes on past its end."""

from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.streams import ANSWERED, ENDINGS, Notify

LOADED_AT_END = "The model is loaded. The path is finished"
"""How a notice begins that says why nothing is generated."""


class PathEnds:
    """Says that the path in view is finished.

    Args:
        play_name: the key or the command that goes on, as notices name it.
    """

    def __init__(self, explorer: Explorer, notify: Notify, play_name: str) -> None:
        self._explorer, self._notify = explorer, notify
        self._again = f"{play_name} again goes on past it"
        self._told_answered = ROOT
        """The end of an answer of which it was said that it is finished."""

    def tell_loaded(self) -> bool:
        """Whether the path of a session whose model was just loaded is finished, which is said."""
        ending = ENDINGS.get(self._explorer.tree.ended.get(self._explorer.leaf, ""))
        if ending:
            self._notify(f"{LOADED_AT_END}: {ending}; {self._again}.")
        return bool(ending)

    def tell_answered(self) -> bool:
        """Whether it is the user's turn in a chat, which is said once: what the model goes on with
        after its answer is no part of any."""
        path, leaf = self._explorer.path, self._explorer.leaf
        over = path.chat is not None and path.tree.ended.get(leaf) in ANSWERED
        if not over or leaf == self._told_answered:
            return False
        self._told_answered = leaf
        self._notify(f"The answer is finished: the next turn is yours, or {self._again}.")
        return True
