"""Tokens made invisible to all later ones, in models that have shown that it hides them."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from tokexplore.models.api.engine import Control
from tokexplore.models.engine.core import Core
from tokexplore.models.engine.forward.cache_probe import agrees
from tokexplore.models.engine.interpret.occluded_path import OccludedPath
from tokexplore.models.errors import UsageError

_TRIED = 16
"""Tokens of the path that a model is tried on."""
_LEAK = {torch.float32: 1e-4, torch.float16: 0.01, torch.bfloat16: 0.05}
"""Of what another id does to the logits, the largest share that is noise where it is hidden."""


class Occlusions:
    """Of one loaded model."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._proven = False

    def occlude(
        self, ids: Sequence[int], hidden: Sequence[range], tokens: Sequence[int], control: Control
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """See `Interpreter.occlude`; of stretches, those that end first come first."""
        self._core.info.check_tokens(tokens)
        for stretch in hidden:
            _check(stretch, len(ids) - 1)
        self._core.threads.use_most()  # another engine may have set its own number
        if not self._proven:
            prove(self._core)
            self._proven = True
        places = [at for at, stretch in enumerate(hidden) if stretch]
        if len(places) < len(hidden):
            row, _ = self._core.row(ids)
            own = _logprobs(torch.from_numpy(row.logits), tokens)
            yield from ((at, own) for at, stretch in enumerate(hidden) if not stretch)
        if places and not control.cancelled:
            yield from self._hide(ids, {at: hidden[at] for at in places}, tokens, control)

    def _hide(
        self, ids: Sequence[int], hidden: dict[int, range], tokens: Sequence[int], control: Control
    ) -> Iterator[tuple[int, tuple[float, ...]]]:
        """`occlude` of stretches by index, none of which is empty."""
        path, indices = OccludedPath(self._core, ids), list(hidden)
        for batch in path.batches(list(hidden.values())):
            chosen = [indices[at] for at in batch]
            stretches = [hidden[at] for at in chosen]
            logits = path.logits(stretches, stretches[0].stop, control)
            if logits is None:
                return
            for at, row in zip(chosen, logits, strict=True):
                yield at, _logprobs(row, tokens)


def _check(stretch: range, end: int) -> None:
    if stretch and (stretch.step != 1 or stretch.start < 0 or stretch.stop > end):
        raise UsageError(
            f"tokens {stretch.start} to {stretch.stop - 1} cannot be hidden: those before the last "
            f"one of the path can, 0 to {end - 1}."
        )


def _logprobs(logits: torch.Tensor, tokens: Sequence[int]) -> tuple[float, ...]:
    """Nats, of logits [V]."""
    return tuple(logits.double().log_softmax(-1)[list(tokens)].tolist())


def prove(core: Core) -> None:
    """Try on random ids whether what is hidden is hidden: then its id does not matter, and that of
    a token which is not does.

    Raises:
        UsageError: it is not.
    """
    name, length = core.info.name, min(_TRIED, core.info.context or _TRIED)
    ids = np.random.default_rng(1).integers(0, core.forward.rows, length).tolist()
    places = sorted({1, length // 2, length - 2})
    shown, hidden = _tried(core, ids, places)  # [V], [places + 1, V]
    if not agrees(shown, core.forward.plain(ids)[-1], core.forward.model):
        raise UsageError(
            f"{name} gives other logits where a mask hides nothing: its attention takes no mask."
        )
    leaks, effects = torch.zeros(()), torch.zeros(())
    for at, place in enumerate(places):
        other = ids.copy()
        other[place] = (other[place] + core.forward.rows // 2) % core.forward.rows
        shown_other, hidden_other = _tried(core, other, places)
        rows = [at, -1] if place == places[-1] else [at]
        leaks += _distance(hidden[rows], hidden_other[rows])
        effects += _distance(shown, shown_other)
    noise = _LEAK.get(core.forward.model.dtype, 0.05) * effects
    if leaks > noise:
        raise UsageError(
            f"{name} carries tokens on by more than attention with a mask (a state, a convolution, "
            "an attention of its own): nothing hides them from later ones."
        )
    if _distance(hidden, shown.expand_as(hidden)) <= noise:
        raise UsageError(f"{name} does not look back: to hide a token changes nothing.")


def _tried(core: Core, ids: list[int], places: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits with nothing hidden [V]; with a token at each of the places hidden, and the last one
    of them once more where it is in the cache, [places + 1, V]."""
    path, control = OccludedPath(core, ids, own=True), Control()
    stretches = [range(0), *(range(place, place + 1) for place in places)]
    together = path.logits(stretches, 1, control)
    alone = path.logits(stretches[-1:], stretches[-1].stop, control)
    assert together is not None
    assert alone is not None
    return together[0], torch.cat([together[1:], alone])


def _distance(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Root mean square of the differences of finite logits."""
    both = torch.isfinite(one) & torch.isfinite(other)
    return (one - other)[both].square().mean().sqrt()
