"""A parser of arguments that tells mistakes as the rest of the program does."""

import argparse
from typing import NoReturn

from tokexplore.models.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Tells a mistake as a `UsageError`, in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`.")


def new_parser(prog: str, description: str, usage: str, epilog: str = "") -> Parser:
    return Parser(
        prog=prog,
        description=description,
        usage=usage,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
