"""What a path makes of the logits before any sampling: bias, penalties and bans.

The same values as transformers' processors give (`generation/logits_process.py`), in f32 and in the
order of `generate`; presence and frequency penalties, which transformers has not, come last.
"""

import math
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tokexplore.models.sampling.settings import SamplingSettings, Tokens

Act = Callable[[float, float], float]
"""The logit after a stage, not yet rounded to f32, of the logit before and an amount."""
_Edit = tuple[dict[int, float], Act]


class LogitEdit(NamedTuple):
    """One stage of the changes: the tokens that it concerns, and what it does to their logits."""

    stage: str
    value: float
    """The setting of the stage; for bias and bans, how many sequences it has."""
    amounts: dict[int, float]
    """By token id."""
    act: Act

    @property
    def bans(self) -> bool:
        """Whether the stage takes its tokens away."""
        return self.act is _ban

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
        return next((s.stage for s in self.steps if s.bans and token in s.amounts), None)

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
    ids = tuple(path)
    generated = ids[prompt_length:]
    steps = []
    for stage in settings.in_force():
        if stage.kind == "path":
            value = getattr(settings, stage.field)
            amounts, act = _EDITS[stage.field](value, ids, generated)
            if amounts:
                steps.append(LogitEdit(stage.name, stage.number(value), amounts, act))
    return LogitEdits(tuple(steps))


def _add(logit: float, amount: float) -> float:
    return logit + amount


def _penalise(logit: float, amount: float) -> float:
    return logit * amount if logit < 0 else logit / amount


def _ban(logit: float, amount: float) -> float:
    del logit, amount
    return -math.inf


def _bias(biases: tuple[tuple[Tokens, float], ...], ids: Tokens, _generated: Tokens) -> _Edit:
    """The sum of the biases of each token, added in f32; those of single tokens first."""
    found: dict[int, float] = {}
    for sequence, bias in sorted(dict(biases).items(), key=lambda pair: len(pair[0])):
        if _ends_with(ids, sequence):
            token = sequence[-1]
            found[token] = f32(found.get(token, 0.0) + f32(bias))
    return found, _add


def _repetition(penalty: float, ids: Tokens, _generated: Tokens) -> _Edit:
    return dict.fromkeys(ids, f32(penalty)), _penalise


def _no_repeat(size: int, ids: Tokens, _generated: Tokens) -> _Edit:
    """The tokens that would complete a second occurrence of some `size` tokens."""
    prefix, last = ids[len(ids) + 1 - size :], size - 1
    starts = range(len(ids) - last) if len(ids) >= size else ()
    return {ids[at + last]: 0.0 for at in starts if ids[at : at + last] == prefix}, _ban


def _banned(sequences: tuple[Tokens, ...], ids: Tokens, _generated: Tokens) -> _Edit:
    return {tokens[-1]: 0.0 for tokens in sequences if _ends_with(ids, tokens)}, _ban


def _presence(penalty: float, _ids: Tokens, generated: Tokens) -> _Edit:
    return dict.fromkeys(generated, f32(-penalty)), _add


def _frequency(penalty: float, _ids: Tokens, generated: Tokens) -> _Edit:
    return {token: f32(-penalty * n) for token, n in Counter(generated).items()}, _add


_EDITS: dict[str, Callable[[Any, Tokens, Tokens], _Edit]] = {
    "bias": _bias,
    "repetition_penalty": _repetition,
    "no_repeat_ngram": _no_repeat,
    "banned": _banned,
    "presence_penalty": _presence,
    "frequency_penalty": _frequency,
}
"""By field, what a setting makes of the ids of a path and of those after its prompt."""


def _ends_with(ids: Tokens, sequence: Tokens) -> bool:
    """Whether the path ends with all but the last token of a sequence."""
    before = sequence[:-1]
    return not before or ids[-len(before) :] == before
