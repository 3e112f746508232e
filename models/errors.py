"""Errors whose text is meant for the user's eyes: one sentence, the bad value, what to do."""


class TokexploreError(Exception):
    """Base of every error that the program explains instead of tracing. Exit code 1."""

    exit_code = 1


class UsageError(TokexploreError):
    """A mistake in what was asked: a bad value, a missing file, an impossible combination."""

    exit_code = 2


class ModelError(TokexploreError):
    """A model that cannot be loaded or cannot do the job."""

    exit_code = 2


class OutOfMemoryError(TokexploreError):
    """The device has no memory left for this; what was computed before stays."""


class EngineLostError(TokexploreError):
    """The engine's process ended; the tree stays and the engine can be started again."""


class ServerError(TokexploreError):
    """A server that cannot be reached, refuses, or answers what cannot be read; nothing is lost."""


def reason_of(error: OSError | ValueError) -> str:
    """Why a file or a connection failed, as a part of a sentence: `no such file or directory`."""
    said = error.strerror if isinstance(error, OSError) else ""
    return (said or str(error)).lower()
