"""`tokexplore lab repeat`: the same prompt many times, each run computed in another way."""

from collections.abc import Iterator

from tokexplore.tui.commands.lab.bench import Bench


def lines(bench: Bench) -> Iterator[str]:
    """The report, line by line."""
    for subject in bench.subjects():
        yield subject.engine.info.name
