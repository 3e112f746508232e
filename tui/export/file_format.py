"""The formats of reports, by name and by the ends of files' names."""

from pathlib import Path

from tokexplore.models.errors import UsageError

FORMATS = ("text", "jsonl", "csv", "html")
_SUFFIXES = {".txt": "text", ".jsonl": "jsonl", ".csv": "csv", ".html": "html", ".htm": "html"}


def format_of(name: str, output: str) -> str:
    """The format that was named, or that a file's name tells; text for standard output.

    Raises:
        UsageError: when neither tells one.
    """
    if name or not output:
        return name or "text"
    suffix = Path(output).suffix.lower()
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"{output!r} does not tell its format: end it with one of {', '.join(_SUFFIXES)}, or "
            "give --format."
        )
    return _SUFFIXES[suffix]
