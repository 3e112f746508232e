"""Experiments of the lab as fields of JSON: in its own lines, and in those of a tree."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tokexplore.models.lab.flips import could_flip
from tokexplore.models.lab.sides import Place, sides_of, spread_of
from tokexplore.models.tree.study import CloseCall, CloseCalls, Fork, Study
from tokexplore.tui.export.json_fields import TokenFields, line
from tokexplore.tui.export.source import Scope, Source


def studies_of(source: Source, scope: Scope) -> list[tuple[int, Sequence[Study]]]:
    """The experiments on what follows the nodes of a scope, by node."""
    studies = source.tree.studies
    nodes = set(source.nodes(scope)) if studies else set[int]()
    return [(node, studies[node]) for node in sorted(studies) if node in nodes]


def study_lines(source: Source, scope: Scope, tokens: TokenFields) -> Iterator[bytes]:
    """A line for each experiment."""
    for node, studies in studies_of(source, scope):
        for study in studies:
            yield line({"type": "study", "node": node, **study_fields(study, tokens)})


def study_fields(study: Study, tokens: TokenFields) -> dict[str, Any]:
    """All that is kept of an experiment, and the tokens that its ids name."""
    fields: dict[str, Any] = msgspec.to_builtins(study)
    ids = {token for run in study.runs for token in run.ids}
    for name, fork in zip(fields["forks"], study.forks, strict=True):
        name |= _sides(fork)
        ids.update(fork.tokens)
    for number, run in enumerate(study.runs):
        fields["runs"][number]["text"] = tokens.text(run.ids)
    if calls := study.close_calls:
        for name, call in zip(fields["close_calls"]["calls"], calls.calls, strict=True):
            name |= _sides(call) | {"could_flip": _flips(calls, call)}
            ids.update(call.tokens)
    return fields | {"tokens": [tokens.of(token) for token in sorted(ids)]}


def fork_fields(fork: Fork, tokens: TokenFields) -> dict[str, Any]:
    """A fork with its readings, and what each of them read of its two sides."""
    fields: dict[str, Any] = msgspec.to_builtins(fork)
    fields["tokens"] = [tokens.of(token) for token in fork.tokens]
    return fields | _sides(fork)


def call_fields(calls: CloseCalls, call: CloseCall, tokens: TokenFields) -> dict[str, Any]:
    """A close call in the same way, and whether the noise that was measured could flip it."""
    fields: dict[str, Any] = msgspec.to_builtins(call)
    fields["tokens"] = [tokens.of(token) for token in call.tokens]
    return fields | _sides(call) | {"could_flip": _flips(calls, call)}


def _flips(calls: CloseCalls, call: CloseCall) -> bool | None:
    """None where it is not known, or raw margins do not decide."""
    if not calls.decisive or calls.sigma is None:
        return None
    return could_flip(call.margin, calls.sigma)


def _sides(place: Place) -> dict[str, Any]:
    sides = sides_of(place)
    spread = spread_of(sides)
    return {
        "sides": msgspec.to_builtins(sides),
        "spread": spread._asdict() if spread else None,
    }
