"""Text inside HTML."""

from html import escape

from tokexplore.models.display import safe_text


def html_text(text: str) -> str:
    """A text as it may stand anywhere in a page: safe to show, and no markup."""
    return escape(safe_text(text))
