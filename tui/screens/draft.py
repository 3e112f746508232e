"""A text that is being typed."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar

from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.widgets import TextArea

from tokexplore.models.display import safe_text
from tokexplore.models.errors import reason_of
from tokexplore.tui.terminal.lent import lent


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
        try:
            self.load_text(self._edited(shlex.split(editor)))
        except (OSError, ValueError) as error:
            self._unedited(editor, reason_of(error))
        except subprocess.CalledProcessError as error:
            self._unedited(editor, _ended(error.returncode))
        except SuspendNotSupported:
            self._unedited(editor, "there is no terminal for it")

    def _edited(self, editor: list[str]) -> str:
        """The text after a program edited it.

        Raises:
            OSError: the file cannot be written or read, or there is no such program.
            ValueError: the text, or what came back, is no UTF-8.
            CalledProcessError: the program failed.
            SuspendNotSupported: there is no terminal to lend.
        """
        with tempfile.TemporaryDirectory(prefix="tokexplore-") as folder:
            path = Path(folder, "prompt.txt")
            path.write_text(self.text, encoding="utf-8")
            with lent(self.app):
                subprocess.run([*editor, str(path)], check=True)
            return path.read_text(encoding="utf-8-sig").removesuffix("\n")

    def _unedited(self, editor: str, why: str) -> None:
        text = f"{editor} did not work ({why}): the text is as it was."
        self.app.notify(safe_text(text), severity="error", markup=False)


def _ended(code: int) -> str:
    """How a program ended that did not end well, by its code as `subprocess` has it."""
    return f"it ended with {code}" if code > 0 else f"signal {-code} ended it"
