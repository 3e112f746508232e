"""The command line: its options, and each subcommand in a file of its own."""

from tokexplore.tui.cli.dispatch import main

__all__ = ["main"]
