"""The formats that a tree is written in."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from tokexplore.tui.export.source import Scope, Source

Parts = Callable[["Source", "Scope", int], Iterator[bytes]]
"""What a scope of a source is as a file, with so many candidates for each step."""


class Format(NamedTuple):
    """One of them."""

    suffixes: tuple[str, ...]
    """How the names of its files end."""
    parts: str
    """What makes it: `module:function` beside this file, imported when it is asked for."""
    notice: str = ""
    """What tells, of a source, what the user should know of its file; in the same form."""

    def load(self) -> Parts:
        """The function that makes it."""
        function: Parts = _function(self.parts)
        return function


def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(import_module(f"tokexplore.tui.export.{module}"), function)


FORMATS = {
    "jsonl": Format((".jsonl",), "tree_jsonl:jsonl_parts"),
    "json": Format((".json",), "tree_jsonl:json_parts"),
    "messages": Format((".messages.json",), "messages:messages_parts", "messages:messages_notice"),
    "csv": Format((".csv",), "csv_table:csv_parts"),
    "markdown": Format((".md", ".markdown"), "markdown:markdown_parts"),
    "html": Format((".html", ".htm"), "html:html_parts"),
    "svg": Format((".svg",), "map_svg:svg_parts"),
    "dot": Format((".dot", ".gv"), "graphviz:dot_parts"),
}
SUFFIXES = {suffix: name for name, form in FORMATS.items() for suffix in form.suffixes}
"""The formats by how a file's name ends."""


def export(source: "Source", form: str, scope: "Scope", candidates: int, out: BinaryIO) -> str:
    """Write what a scope holds, with so many candidates for each step.

    Returns:
        What the user should know of it; empty where there is nothing to say.

    Args:
        form: one of `FORMATS`.

    Raises:
        OSError: `out` cannot be written.
    """
    for part in FORMATS[form].load()(source, scope, candidates):
        out.write(part)
    out.flush()
    notice = FORMATS[form].notice
    return _function(notice)(source) if notice else ""
