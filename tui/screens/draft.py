"""A text that is being typed."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import TextArea


class Draft(TextArea):
    """A text area in which enter submits and ctrl+j breaks the line.

    Its cursor stands after a text that is put there.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "done", priority=True, id="type.submit"),
        Binding("ctrl+j", "newline", "new line", priority=True, id="type.newline"),
        Binding("ctrl+o", "editor", "open $EDITOR", priority=True, id="type.editor"),
    ]

    def on_mount(self) -> None:
        """Stand after the text that it begins with."""
        self.move_cursor(self.document.end)

    def load_text(self, text: str) -> None:
        """Put another text in its place, and stand after it."""
        super().load_text(text)
        self.move_cursor(self.document.end)

    def action_newline(self) -> None:
        """Break the line."""
        self.insert("\n")

    async def action_submit(self) -> None:
        """Hand the text to the dialog."""
        await self.screen.run_action("submit")

    async def action_editor(self) -> None:
        """Edit the text in the user's own editor."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        with tempfile.TemporaryDirectory(prefix="tokexplore-") as folder:
            path = Path(folder, "prompt.txt")
            path.write_text(self.text, encoding="utf-8")
            try:
                with self.app.suspend():
                    subprocess.run([*shlex.split(editor), str(path)], check=True)
                self.load_text(path.read_text(encoding="utf-8-sig").removesuffix("\n"))
            except (OSError, subprocess.CalledProcessError, UnicodeDecodeError) as error:
                self.app.notify(f"{editor} did not work: {error}", severity="error", markup=False)
