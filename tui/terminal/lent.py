"""The terminal in another program's hands."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from textual.app import App


@contextmanager
def lent(app: App[int]) -> Iterator[None]:
    """Leave the screen and the keyboard to a program that is run inside this.

    Textual takes them back only where nothing is raised meanwhile, so errors wait until then.

    Raises:
        SuspendNotSupported: there is no terminal to lend.
    """
    raised: Exception | None = None
    with app.suspend(), _interrupts_left_alone():
        try:
            yield
        except Exception as error:
            raised = error
    if raised is not None:
        raise raised


@contextmanager
def _interrupts_left_alone() -> Iterator[None]:
    """Hear what `^C` and `^\\` send, which all of a terminal's job gets, and do nothing.

    To ignore it would make a program that is started here ignore it too.
    """
    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
