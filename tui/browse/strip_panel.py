"""The strip of the main screen: entropy along the path, and the tokens that are watched."""

from bisect import bisect_left
from typing import Any

import numpy as np

from tokexplore.tui.browse.base import BrowseBase
from tokexplore.tui.presenters.path import PathView
from tokexplore.tui.presenters.second import second_parts
from tokexplore.tui.presenters.status import suggestion, watch_parts
from tokexplore.tui.presenters.watchlist import WatchView
from tokexplore.widgets.entropy_strip import EntropyStrip, Watched
from tokexplore.widgets.numbers import unit_of
from tokexplore.widgets.title_rule import TitleRule
from tokexplore.widgets.transcript import Transcript

LEAST_DIVERGENCE = 1e-4
"""The least value that a full bar stands for where two models are compared: less is rounding."""
STRIP_PROMPT = 16
"""Tokens of a folded prompt that stay in the entropy strip."""


class StripPanel:
    """Brings the entropy strip and its title up to date."""

    def __init__(self, screen: BrowseBase) -> None:
        self._screen, self._explorer = screen, screen.explorer
        self.watch_view = WatchView(screen.controller)

    def paint(self, view: PathView, unchanged: int, *, bits: bool) -> None:
        """Show the path as it is now.

        Args:
            unchanged: tokens at the start of the path that are as they were in the frame before.
            bits: show bits in place of nats.
        """
        explorer, start = self._explorer, self.start
        watched = [
            Watched(explorer.vocabulary.show(token), np.array(line[start:], np.float64))
            for token, line in self.watch_view.update(unchanged).items()
        ]
        unit, nats = unit_of(bits=bits)
        strip = self._screen.query_one(EntropyStrip)
        strip.styles.height = 2 + len(watched)
        strip.show(
            **self._bars(view, start, nats),
            flips=[index - start for index in view.flips if index >= start],
            close=np.array(view.close[bisect_left(view.close, start) :], np.int64) - start,
            cursor=explorer.cursor - start if explorer.nodes and explorer.cursor >= start else None,
            steps=explorer.numbers()[start:],
            unit=unit,
            watched=watched,
        )
        if self.watch_view.pending:
            self._screen.changed()
        controller = self._screen.controller
        parts = second_parts(controller, view, bits=bits) + watch_parts(
            controller, self.watch_view, bits=bits
        )
        self._screen.query_one("#strip-rule", TitleRule).show(parts, suggestion(controller))

    def _bars(self, view: PathView, start: int, nats: float) -> dict[str, Any]:
        """The values of the strip with what they are: entropy or, while the text is coloured by the
        difference of two models, how far those are apart."""
        if view.colouring != "delta":
            return {"values": np.array(view.entropies[start:]) / nats}
        values = np.array(view.comparisons.divergences[start:]) / nats
        finite = values[np.isfinite(values)]
        values[np.isinf(values)] = max(finite, default=1.0)  # the highest bar there is
        second = self._screen.controller.second
        label = "KL" if view.comparisons.whole else "|Δ|"
        if second.has_other_tokens:
            label = "span |Δ|"
        return {"values": values, "label": label, "least": LEAST_DIVERGENCE}

    @property
    def start(self) -> int:
        """Index of the strip's first token: it leaves out most of a prompt that is folded."""
        explorer, story = self._explorer, self._screen.query_one(Transcript)
        first, cursor = explorer.first_step, explorer.cursor
        folds = story.folds and first > STRIP_PROMPT
        return first - STRIP_PROMPT if folds and cursor >= first - STRIP_PROMPT else 0
