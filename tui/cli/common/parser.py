"""A parser of arguments that tells mistakes as the rest of the program does."""

import argparse
import re
from typing import Any, NoReturn

from tokexplore.models.errors import UsageError

_NEGATIVE = re.compile(r"-(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?$|-(inf|infinity|nan)$", re.IGNORECASE)


KEY = "--api-key"
"""What other programs call it."""


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

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; what is told of unknown options does not repeat what was given to them."""
        given, unknown = self.parse_known_args(args, namespace)
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        if KEY in options:
            raise UsageError(
                f"{KEY} is no option, as a key on the command line can be read by others: name the "
                "variable that holds it with --api-key-env, or a private file with --api-key-file."
            )
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(options or unknown)}")
        return given

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`.")
