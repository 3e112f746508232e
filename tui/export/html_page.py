"""What all of our HTML pages share: one that loads nothing, in the colours of the app."""

from collections.abc import Iterable
from functools import cache
from importlib import resources

from textual.theme import Theme

from tokexplore.tui.export.markup import html_text
from tokexplore.tui.theme import DARK, LIGHT
from tokexplore.widgets.heat import LEVELS

_COLOURS = (
    "here", "model-bar", "special", "muted", "rule",
    *(f"heat-{n}" for n in range(LEVELS)), *(f"heat-text-{n}" for n in range(LEVELS)),
)  # fmt: skip


def page_head(title: str, sheets: Iterable[str] = (), policy: str = "") -> str:
    """A page up to the begin of its body.

    Args:
        sheets: names of files of styles beside those that every page has.
        policy: what the page may do besides having styles: nothing by default.
    """
    style = "".join([_style(), *map(page_file, sheets)])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'unsafe-inline'{policy}\">\n"
        f"<title>{html_text(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )


@cache
def page_file(name: str) -> str:
    """A file of styles or of script."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _variables(theme: Theme) -> str:
    colours = {**theme.variables, "foreground": theme.foreground, "background": theme.background}
    colours["surface"] = theme.surface
    names = (*_COLOURS, "foreground", "background", "surface")
    return "".join(f"--{name}: {colours[name]}; " for name in names)


def _style() -> str:
    light, dark = _variables(LIGHT), _variables(DARK)
    levels = "".join(
        f".h{n} {{ background: var(--heat-{n}); color: var(--heat-text-{n}); }}\n"
        for n in range(1, LEVELS)
    )
    return (
        f":root {{ color-scheme: light dark; {light}}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n"
        f"{page_file('html.css')}{levels}"
    )
