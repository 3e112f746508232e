"""The lab on the command line: each experiment's options, and its report."""

from tokexplore.tui.cli.lab.subcommand import SUBCOMMAND

__all__ = ["SUBCOMMAND"]
