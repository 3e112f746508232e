"""Text inside HTML."""

from html import escape

from tokexplore.models.display import safe_character, safe_text


def html_text(text: str) -> str:
    """A text as it may stand anywhere in a page: safe to show, and no markup."""
    return escape(safe_text(text))


def token_html(piece: str) -> str:
    """What a token adds to a text, its line breaks with a mark."""
    text = "".join(c if c == "\n" else escape(safe_character(c)) for c in piece)
    return text.replace("\n", '<span class="mark">⏎</span>\n')
