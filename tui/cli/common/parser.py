"""A parser of arguments that tells mistakes as the rest of the program does."""

import argparse
import re
from typing import NoReturn

from tokexplore.models.errors import UsageError

_NEGATIVE = re.compile(r"-(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?$|-(inf|infinity|nan)$", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """Tells a mistake as a `UsageError`, in one sentence."""

    def __init__(self, prog: str, description: str, usage: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            usage=usage,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # argparse takes only -1 and -1.5 for numbers, and -1e5 or -inf for an option.
        self._negative_number_matcher = _NEGATIVE

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`.")
