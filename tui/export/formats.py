"""Writes a tree in one of the formats."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Literal, get_args

from tokexplore.tui.export.csv_table import csv_parts
from tokexplore.tui.export.graphviz import dot_parts
from tokexplore.tui.export.html import html_parts
from tokexplore.tui.export.markdown import markdown_parts
from tokexplore.tui.export.source import Scope, Source
from tokexplore.tui.export.tree_jsonl import json_parts, path_lines, tree_lines

Format = Literal["jsonl", "json", "csv", "markdown", "html", "dot"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl", ".json": "json", ".csv": "csv", ".md": "markdown", ".markdown": "markdown",
    ".html": "html", ".htm": "html", ".dot": "dot", ".gv": "dot",
}  # fmt: skip
"""The formats by how a file's name ends."""


def _jsonl(source: Source, scope: Scope, count: int) -> Iterator[bytes]:
    if scope == "path":
        return path_lines(source, count)
    return tree_lines(source, scope, count)


def _dot(source: Source, scope: Scope, _count: int) -> Iterator[bytes]:
    return dot_parts(source, scope)


_PARTS: dict[Format, Callable[[Source, Scope, int], Iterator[bytes]]] = {
    "jsonl": _jsonl,
    "json": json_parts,
    "csv": csv_parts,
    "markdown": markdown_parts,
    "html": html_parts,
    "dot": _dot,
}


def export(source: Source, form: Format, scope: Scope, candidates: int, out: BinaryIO) -> None:
    """Write what a scope holds, with so many candidates for each step.

    Raises:
        OSError: `out` cannot be written.
    """
    for part in _PARTS[form](source, scope, candidates):
        out.write(part)
    out.flush()
