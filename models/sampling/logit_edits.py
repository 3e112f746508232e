"""What a path makes of the logits before any sampling: bias, penalties and bans.

The same values as transformers' processors give (`generation/logits_process.py`), in f32 and in the
order of `generate`; presence and frequency penalties, which transformers has not, come last.
"""

import math
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tokexplore.models.sampling.settings import SamplingSettings, Tokens

BANS = ("no-repeat-ngram", "banned")


class LogitEdit(NamedTuple):
    """One stage of the changes: the tokens that it concerns, and what it does to their logits."""

    stage: str
    value: float
    """The setting of the stage; for bias and bans, how many sequences it has."""
    amounts: dict[int, float]
    """By token id."""
    act: Callable[[float, float], float]
    """The logit after the stage, not yet rounded to f32, of the logit before and the amount."""

    def apply(self, token: int, logit: float) -> float:
        """The logit (f32) of a token after this stage."""
        amount = self.amounts.get(token)
        return logit if amount is None else f32(self.act(logit, amount))


class LogitEdits(NamedTuple):
    """All that a path changes, stage by stage."""

    steps: tuple[LogitEdit, ...] = ()

    def apply(self, token: int, logit: float) -> float:
        """The logit (f32) of a token after all stages."""
        for step in self.steps:
            logit = step.apply(token, logit)
        return logit

    def banned_by(self, token: int) -> str | None:
        """The stage that bans a token, if one does."""
        return next((s.stage for s in self.steps if s.stage in BANS and token in s.amounts), None)

    def of(self, token: int) -> tuple[tuple[str, float], ...]:
        """The stages that concern a token, with their settings."""
        return tuple((s.stage, s.value) for s in self.steps if token in s.amounts)


NO_CHANGES = LogitEdits()


def f32(value: float) -> float:
    """A number rounded to f32.

    A sum, product or quotient of two f32 numbers taken in f64 and rounded so is the f32 one.
    """
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def changes_of(
    settings: SamplingSettings, path: Sequence[int], prompt_length: int = 0
) -> LogitEdits:
    """What a path (ids) changes under some settings.

    Args:
        prompt_length: tokens of the path that are prompt: presence and frequency penalties count
            those after it.
    """
    if not settings.looks_back:
        return NO_CHANGES
    ids, s = tuple(path), settings
    times = Counter(ids[prompt_length:])
    steps = (
        LogitEdit("bias", len(s.bias), _biases(dict(s.bias), ids), _add),
        LogitEdit(
            "repetition penalty", s.repetition_penalty,
            dict.fromkeys(ids if s.repetition_penalty != 1 else (), f32(s.repetition_penalty)),
            _penalise,
        ),
        LogitEdit(
            "no-repeat-ngram", s.no_repeat_ngram,
            dict.fromkeys(_repeats(s.no_repeat_ngram, ids), 0.0), _ban,
        ),
        LogitEdit(
            "banned", len(s.banned),
            dict.fromkeys((b[-1] for b in s.banned if _ends_with(ids, b)), 0.0), _ban,
        ),
        LogitEdit(
            "presence penalty", s.presence_penalty,
            dict.fromkeys(times if s.presence_penalty else (), f32(-s.presence_penalty)), _add,
        ),
        LogitEdit(
            "frequency penalty", s.frequency_penalty,
            {t: f32(-s.frequency_penalty * n) for t, n in times.items() if s.frequency_penalty},
            _add,
        ),
    )  # fmt: skip
    return LogitEdits(tuple(step for step in steps if step.amounts))


def _add(logit: float, amount: float) -> float:
    return logit + amount


def _penalise(logit: float, amount: float) -> float:
    return logit * amount if logit < 0 else logit / amount


def _ban(logit: float, amount: float) -> float:
    del logit, amount
    return -math.inf


def _ends_with(ids: Tokens, sequence: Tokens) -> bool:
    """Whether the path ends with all but the last token of a sequence."""
    before = sequence[:-1]
    return not before or ids[-len(before) :] == before


def _biases(biases: dict[Tokens, float], ids: Tokens) -> dict[int, float]:
    """The sum of the biases of each token, added in f32; those of single tokens first."""
    found: dict[int, float] = {}
    for sequence in sorted(biases, key=len):
        if _ends_with(ids, sequence):
            token = sequence[-1]
            found[token] = f32(found.get(token, 0.0) + f32(biases[sequence]))
    return found


def _repeats(size: int, ids: Tokens) -> set[int]:
    """The tokens that would complete a second occurrence of some `size` tokens."""
    if not size or len(ids) < size:
        return set()
    prefix = ids[len(ids) + 1 - size :]
    last = size - 1
    return {ids[at + last] for at in range(len(ids) - last) if ids[at : at + last] == prefix}
