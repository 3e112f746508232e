"""The line above a field of a form."""

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tokexplore.models.display import safe_text

HERE = "›"


class FieldLabel(Static):
    """Says what a field is for, and marks the one that is typed into.

    Args:
        field: what it stands above.
        remark: what is said besides while that is typed into.
    """

    DEFAULT_CSS = """
    FieldLabel { color: $text-muted; height: 1; }
    FieldLabel.-here { color: $here; text-style: bold; }
    """

    def __init__(self, text: str, field: Widget, *, remark: str = "") -> None:
        super().__init__()
        self._text, self.field, self._remark = text, field, remark
        self.mark(None)

    def say(self, text: str) -> None:
        """Say something else."""
        self._text = text
        self.mark(self.field if self.has_class("-here") else None)

    def mark(self, focused: Widget | None) -> None:
        """Show whether its field is the one that is typed into."""
        here = focused is self.field
        self.set_class(here, "-here")
        remark = f" · {self._remark}" if here and self._remark else ""
        self.update(Content(f"{HERE if here else ' '} {safe_text(self._text)}{remark}"))
