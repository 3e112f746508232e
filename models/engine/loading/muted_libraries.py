"""Keep libraries off the terminal: what they print, draw and warn about is caught."""

import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TypeVar

from transformers.utils import logging as transformers_logging

_LOGGERS = ("transformers", "accelerate", "huggingface_hub", "torch")
_LONGEST = 200
_REPORT = "LOAD REPORT"
"""transformers' table of tensors that do not fit, for a terminal; we say it in a sentence."""
T = TypeVar("T")


class LibraryMessages(logging.Handler):
    """What libraries said, each message once and cut to one line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._streams = sys.stdout, sys.stderr

    def aloud(self, call: Callable[[T], None]) -> Callable[[T], None]:
        """`call`, with standard output and standard error as they were outside."""

        def run(value: T) -> None:
            with redirect_stdout(self._streams[0]), redirect_stderr(self._streams[1]):
                call(value)

        return run

    def emit(self, record: logging.LogRecord) -> None:
        self.add(record.getMessage())

    def add(self, message: str) -> None:
        if _REPORT in message:
            return
        line = next((part.strip() for part in message.splitlines() if part.strip()), "")
        line = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
        if line and line not in self.messages:
            self.messages.append(line)


@contextmanager
def quietly() -> Iterator[LibraryMessages]:
    """Run a block with the libraries silent; yields what they had to say.

    Standard output and standard error are as they were afterwards. The loggers stay off the
    terminal, as the terminal is not theirs.
    """
    transformers_logging.disable_default_handler()
    collector = LibraryMessages()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    propagated = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(collector)
        logger.propagate = False
    try:
        with (
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("default")
            yield collector
            for warning in caught:
                if not issubclass(warning.category, (DeprecationWarning, FutureWarning)):
                    collector.add(str(warning.message))
    finally:
        for logger, propagate in zip(loggers, propagated, strict=True):
            logger.removeHandler(collector)
            logger.propagate = propagate
            if not logger.handlers:
                logger.addHandler(logging.NullHandler())


@contextmanager
def bars_to(hook: Callable[..., object]) -> Iterator[None]:
    """Give every progress bar that transformers makes to `hook(factory, args, kwargs)`."""
    before = transformers_logging.set_tqdm_hook(hook)
    try:
        yield
    finally:
        transformers_logging.set_tqdm_hook(before)
