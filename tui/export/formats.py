"""The formats that a tree is written in."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from tokexplore.tui.export.source import Scope, Source

Parts = Callable[["Source", "Scope", int], Iterator[bytes]]
"""What a scope of a source is as a file, with so many candidates for each step."""


class Format(NamedTuple):
    """One of them."""

    suffixes: tuple[str, ...]
    """How the names of its files end."""
    parts: str
    """`module:function` beside this file; imported when it is asked for."""

    def load(self) -> Parts:
        """The function that makes it."""
        module, _, name = self.parts.partition(":")
        function: Parts = getattr(import_module(f"tokexplore.tui.export.{module}"), name)
        return function


FORMATS = {
    "jsonl": Format((".jsonl",), "tree_jsonl:jsonl_parts"),
    "json": Format((".json",), "tree_jsonl:json_parts"),
    "messages": Format((".messages.json",), "messages:messages_parts"),
    "csv": Format((".csv",), "csv_table:csv_parts"),
    "markdown": Format((".md", ".markdown"), "markdown:markdown_parts"),
    "html": Format((".html", ".htm"), "html:html_parts"),
    "dot": Format((".dot", ".gv"), "graphviz:dot_parts"),
}
SUFFIXES = {suffix: name for name, form in FORMATS.items() for suffix in form.suffixes}
"""The formats by how a file's name ends."""


def export(source: "Source", form: str, scope: "Scope", candidates: int, out: BinaryIO) -> None:
    """Write what a scope holds, with so many candidates for each step.

    Args:
        form: one of `FORMATS`.

    Raises:
        OSError: `out` cannot be written.
    """
    for part in FORMATS[form].load()(source, scope, candidates):
        out.write(part)
    out.flush()
