"""Tapes that the app made of its keys."""

from tokexplore.tui.recording.key_log import KeyLog


def forget_pauses(log: KeyLog) -> None:
    """Have the keys so far follow each other at once, however long they took here."""
    log._keys = [pressed._replace(at=0.0) for pressed in log._keys]
