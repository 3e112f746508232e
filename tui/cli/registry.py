"""The subcommands by name; each is imported where it is asked for."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from tokexplore.tui.cli.common.subcommand import Subcommand

SUBCOMMANDS = (
    "examples",
    "run",
    "score",
    "prob",
    "diff",
    "why",
    "grow",
    "sweep",
    "lab",
    "lens",
    "tape",
    "gif",
    "models",
    "sessions",
    "open",
    "replay",
    "export",
)
"""In the order of `tokexplore --help`: each is `SUBCOMMAND` in the module of its name."""
APP = "app"
"""The module of what runs where a command line begins with none of them."""


def load(name: str) -> Subcommand[Any]:
    """A subcommand, or the app."""
    found: Subcommand[Any] = import_module(f"tokexplore.tui.cli.{name}").SUBCOMMAND
    return found


def find(arguments: Sequence[str]) -> tuple[Subcommand[Any], Sequence[str]]:
    """The subcommand that a command line begins with, else the app, and the arguments for it."""
    if arguments and arguments[0] in SUBCOMMANDS:
        return load(arguments[0]), arguments[1:]
    return load(APP), arguments
