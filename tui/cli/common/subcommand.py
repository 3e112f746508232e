"""What a subcommand is."""

import argparse
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.prompt_input import check_utf8

Options = TypeVar("Options")


class Subcommand(NamedTuple, Generic[Options]):
    """One of the words that a command line may begin with: what it takes, and what it does."""

    name: str
    takes: str
    """Its arguments, as `tokexplore --help` shows them."""
    summary: str
    """What it does, in a line of that help."""
    parser: Callable[[], Parser]
    """Makes the parser of its arguments."""
    options: Callable[[argparse.Namespace], Options]
    """What the parsed arguments mean, checked."""
    run: Callable[[Options, OpenEngine], int]
    """Does what was asked for; the exit code."""

    def read(self, arguments: Sequence[str]) -> Options:
        """What its arguments (without its name) ask for.

        Raises:
            UsageError: for whatever cannot be meant.
            SystemExit: after --help and --version, with code 0.
        """
        for argument in arguments:
            check_utf8(repr(argument), argument)
        return self.options(self.parser().parse_args(arguments))
