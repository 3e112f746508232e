"""The rows after several paths, in passes over what they share."""

from array import array
from collections.abc import Sequence

from tokexplore.models.engine.core import Core
from tokexplore.models.engine.forward.kv_store import Leaf, Path
from tokexplore.models.engine.forward.logits_row import Row

TOGETHER = 16
"""Rows of one pass."""


def rows_of(core: Core, paths: Sequence[Sequence[int]]) -> list[Row]:
    """The row after each path; those that are not held take steps of one token together."""
    found: list[Row] = []
    for first in range(0, len(paths), TOGETHER):
        batch, made = paths[first : first + TOGETHER], dict[bytes, Row]()
        if core.probed.shares:
            for ids in batch:
                core.check(ids)
            with core.memory_guarded():
                made = _take_steps(core, [Path(ids) for ids in batch])
        found += [made.get(Path(ids).key) or core.row(ids)[0] for ids in batch]
    return found


def _take_steps(core: Core, paths: Sequence[Path]) -> dict[bytes, Row]:
    """The rows after those of some paths that go on by one token, of one pass over them, by the
    keys of the paths; they are held too."""
    made = dict[bytes, Row]()
    waiting: dict[bytes, tuple[Path, Leaf]] = {}
    try:
        for path in paths:
            if path.key not in waiting and core.rows_held.get(path.key) is None:
                leaf = _before(core, path)
                leaf.busy = True
                waiting[path.key] = path, leaf
                if core.is_a_step(leaf, len(path)):
                    core.turns.wait(leaf, path.ids[-1])
        for key, (_, leaf) in waiting.items():
            if (stepped := core.turns.take(leaf)) is not None:
                made[key] = stepped.row()
                core.rows_held.put(key, made[key])
    finally:
        for _, leaf in waiting.values():
            core.turns.leave(leaf)
            leaf.busy = False
        core.keep(*(leaf for _, leaf in waiting.values()))
    return made


def _before(core: Core, path: Path) -> Leaf:
    """A leaf that holds all of a path but its last token, where that is of use for it."""
    length = len(path) - 1
    leaf = core.start(path, length).leaf
    if not core.probed.afresh(len(path)) and len(leaf) < length:
        before: array[int] = path.ids[:length]
        for _ in core.feed(leaf, before):
            pass
        core.keep(leaf)
    return leaf
