"""A list of options that no page key can break."""

from contextlib import suppress

from textual.widgets import OptionList


class PagedList(OptionList):
    """Textual's own, whose page keys look up lines that it has not where it has no room."""

    def action_page_up(self) -> None:
        """A page up, where there are lines already."""
        with suppress(KeyError, IndexError):
            super().action_page_up()

    def action_page_down(self) -> None:
        """A page down, where there are lines already."""
        with suppress(KeyError, IndexError):
            super().action_page_down()
