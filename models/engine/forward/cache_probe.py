"""Which way of feeding a KV cache is right for this model: measured when it is loaded.

Some families give silently wrong logits when several tokens are fed on top of a cache, some keep
state that cannot be forked. One plain pass over random ids is the truth for the ways tried.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from transformers import PreTrainedModel

from tokexplore.models.api.borders import NO_BORDERS, Borders
from tokexplore.models.engine.forward import cache as kv
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.forward.nonfinite import check_logits
from tokexplore.models.engine.forward.rope import borders_of
from tokexplore.models.errors import ModelError, UsageError

Feed = Literal["batched", "twos", "stepwise", "whole"]
"""Several tokens on top of a cache at once; each with the one before it again, because single ones
give other logits; one by one; the whole path at every step."""

_IDS, _PREFIX, _STEPS = 24, 8, 3
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 0.03, torch.bfloat16: 0.2}
"""Largest root mean square difference, in standard deviations of the logits, that is noise."""


@dataclass(frozen=True)
class Probed:
    """What the probe found."""

    feed: Feed
    croppable: bool
    shares: bool
    """Whether rows may share the keys and values of a common beginning, and run in one pass."""
    kv_bytes_per_token: int
    words: str
    """How branching reuses the cache, for the inspector."""
    notice: str = ""
    """A fallback that the user should know of."""
    borders: Borders = NO_BORDERS
    """Where passes change their rules, so that no cache is of use on both sides."""

    @property
    def least(self) -> int:
        """Fewest tokens that may be fed on top of a cache."""
        return 2 if self.feed == "twos" else 1

    def whole(self, length: int) -> bool:
        """Whether a path of this length is run in one pass, without a cache."""
        return self.feed == "whole" or self.borders.alone(length)

    def afresh(self, length: int) -> bool:
        """Whether what is held of the path one token shorter is of no use for this length."""
        if self.feed in ("whole", "twos"):
            return True
        return self.borders.since(length) == length > 1


def probe(forward: Forward, context: int) -> Probed:
    """Try one-token steps and a batch of 16 on a forked cache of 8 tokens, and rows: twelve passes.

    Args:
        context: positions that the model has; 0 where it does not say.

    Raises:
        ModelError: what it says after some tokens depends on those that come later, or on chance,
            or is no number.
    """
    _check_chance(forward.model)
    borders = borders_of(forward.model.config.get_text_config(), context)
    found = _probed(forward, context, borders)
    if found.feed == "whole":
        forward.positions = False  # some count them in their own way
        _check_causality(forward, next(borders.ends(1, min(_IDS, context or _IDS))))
    return replace(
        found, borders=borders, words="; ".join(filter(None, (found.words, borders.words())))
    )


def _probed(forward: Forward, context: int, borders: Borders) -> Probed:
    if borders.between(1, _IDS):
        return _whole(f"it changes its rules before {_IDS} tokens: too early to try one on")
    if 0 < context < _IDS:
        return _whole(f"its context of {context} is too short to try one on")
    if forward.cache_argument is None:
        return _whole("its forward pass takes no transformers cache")
    ids = np.random.default_rng(0).integers(0, forward.rows, _IDS).tolist()
    try:
        return _tried(forward, ids, forward.plain(ids))
    except torch.OutOfMemoryError:
        raise
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        return _whole(f"its cache cannot be forked ({type(error).__name__}: {error})")


def _check_chance(model: PreTrainedModel) -> None:
    """Refuse attention within buckets that random hashes make, which a long text alone shows."""
    if "lsh" in (getattr(model.config, "attn_layers", None) or ()):
        raise ModelError(
            f"{type(model).__name__} hashes what it attends to at random (LSH attention): the same "
            "text gives other logits each time, so none of them would be the model's."
        )


def _check_causality(forward: Forward, count: int) -> None:
    """Refuse a model that looks ahead: a cache that agrees with one pass has shown that it doesn't.

    Args:
        count: tokens to try it on.
    """
    ids = np.random.default_rng(0).integers(0, forward.rows, count).tolist()
    short = max(1, count // 3)
    truth = forward(ids, 0, None, count)  # [count, V]
    check_logits(forward, ids, truth)
    if not agrees(forward(ids[:short], 0, None), truth[short - 1 : short], forward.model):
        raise ModelError(
            f"{type(forward.model).__name__} looks ahead: its logits change with later tokens, so "
            "it is not a causal language model."
        )


def _tried(forward: Forward, ids: list[int], truth: torch.Tensor) -> Probed:
    check_logits(forward, ids, truth)
    cache = kv.new_cache(forward.model)
    forward(ids[:_PREFIX], 0, cache)
    snapshot = kv.snapshot(cache, _PREFIX)
    steps = torch.cat(
        [forward([ids[at]], at, cache) for at in range(_PREFIX, _PREFIX + _STEPS)]
    )  # [3, V]
    single = agrees(steps, truth[_PREFIX : _PREFIX + _STEPS], forward.model)
    single = single and not _limits_time_steps(forward.model)
    twin = kv.fork(cache, _PREFIX, snapshot)
    batch = forward(ids[_PREFIX:], _PREFIX, twin, _IDS - _PREFIX)  # [16, V]
    batched = agrees(batch, truth[_PREFIX:], forward.model)
    if not single and not batched:
        return _whole("tokens on top of its cache give other logits than one pass")
    if not batched:
        again = forward([ids[_PREFIX]], _PREFIX, kv.fork(cache, _PREFIX, snapshot))  # [1, V]
        if not agrees(again, truth[_PREFIX : _PREFIX + 1], forward.model):
            return _whole("a fork of its cache gives other logits than one pass")
    feed: Feed = "stepwise"
    if batched:
        feed = "batched" if single else "twos"
    croppable = kv.is_croppable(cache)
    if croppable and feed == "batched" and not _scales_by_length(forward.model):
        forward.shares = _shares(forward, ids, truth)
    return Probed(
        feed=feed,
        croppable=croppable,
        shares=forward.shares,
        kv_bytes_per_token=kv.growing_bytes(twin) // _IDS,
        words=_words(croppable, forward.shares, feed),
        notice=_NOTICES.get(feed, ""),
    )


def _shares(forward: Forward, ids: list[int], truth: torch.Tensor) -> bool:
    """Whether rows on a common beginning give the logits of one pass: six passes.

    Rows of unequal length go on together; then one goes on alone, by one token and by several.
    """
    cache = kv.new_cache(forward.model, shares=True)
    lengths = 2 * (_PREFIX, _PREFIX - 1, _PREFIX // 2)  # `FewRows` takes so many
    found, wanted = [], []
    try:
        forward(ids[:_PREFIX], 0, cache)
        rows = [kv.fork(cache, length) for length in lengths]
        for layer in (layer for row in rows for layer in row.layers):
            layer.least = 1  # these few tokens are to be shared
        for step in range(_STEPS):
            at = [length + step for length in lengths]
            found.append(forward.together([ids[place] for place in at], rows))  # [6, V]
            wanted.append(truth[at])
        alone, first = rows[1], lengths[1] + _STEPS
        found.append(forward.together(ids[first : first + 1], [alone]))  # [1, V]
        found.append(forward(ids[first + 1 :], first + 1, alone, _IDS - first - 1))
        wanted.append(truth[first:])
    except torch.OutOfMemoryError:
        raise
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError, UsageError):
        return False
    return kv.is_split(alone) and agrees(torch.cat(found), torch.cat(wanted), forward.model)


_NOTICES = {
    "stepwise": "several tokens at once on top of this model's cache give other logits than one "
    "pass, so they are fed one by one.",
    "twos": "single tokens on top of this model's cache give other logits than one pass, so each "
    "step feeds the token before it again.",
}


def _limits_time_steps(model: PreTrainedModel) -> bool:
    """Whether a state space layer limits its time steps: transformers does so only where it scans.

    A single token takes another way through Mamba-2 layers, on which they have no limits. Only
    tokens with very short or long steps tell, so that a few are no proof.
    """
    limits = (getattr(module, "time_step_limit", None) for module in model.modules())
    return any(limit is not None and tuple(limit) != (0.0, math.inf) for limit in limits)


def _scales_by_length(model: PreTrainedModel) -> bool:
    """Whether attention takes a token's position from the length of its cache, whatever positions
    a pass names: then rows of unequal length share no pass.

    Llama 4 does so where it scales queries, by a factor that is 1 for the first thousands of
    tokens, so that a few are no proof.
    """
    modules = [m for m in model.modules() if getattr(m, "attn_temperature_tuning", False)]
    return any(not getattr(module, "use_rope", True) for module in modules)


def agrees(found: torch.Tensor, truth: torch.Tensor, model: PreTrainedModel) -> bool:
    """Whether logits differ by no more than noise in this model's dtype."""
    tolerance = _TOLERANCE.get(model.dtype, 0.2)
    finite = torch.isfinite(truth)
    if not finite.any():
        return True
    difference = (found - truth)[finite].square().mean().sqrt().item()
    return difference <= tolerance * truth[finite].std().item()


def _whole(reason: str) -> Probed:
    return Probed(
        feed="whole",
        croppable=False,
        shares=False,
        kv_bytes_per_token=0,
        words="none: every step runs the whole path again",
        notice=f"no KV cache is used for this model, because {reason}: every step runs the whole "
        "path again.",
    )


def _words(croppable: bool, shares: bool, feed: Feed) -> str:
    if croppable and feed == "batched":
        kept = "held once by its branches" if shares else "copied by a branch that goes on"
        return f"forked by reference at any token; what comes before is {kept}"
    if croppable:
        return "forked by reference at any token"
    way = "one by one" if feed == "stepwise" else "in a batch"
    again = "; each step feeds two tokens, the last one again" if feed == "twos" else ""
    return f"snapshots, tokens after them re-fed {way}{again}"
