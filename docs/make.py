"""Fill the pages of keys, options and typed commands from the code that reads them.

    python docs/make.py            writes them
    python docs/make.py --check    exits with 1 where a page is not what the code says

What lies between the two marks of a page is made; the rest of it is written by hand.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from textual.binding import Binding, BindingType

from tokexplore.tui.app import TokexploreApp
from tokexplore.tui.cli.lab.registry import EXPERIMENTS, experiment_parser
from tokexplore.tui.cli.registry import APP, SUBCOMMANDS, load
from tokexplore.tui.keymap import NONE
from tokexplore.tui.keys import EVERYWHERE
from tokexplore.tui.line_mode.commands import COMMANDS as TYPED
from tokexplore.tui.presenters.terms import TERMS, Term
from tokexplore.tui.screens.branches import BranchesDialog
from tokexplore.tui.screens.continuation import ContinuationEditor
from tokexplore.tui.screens.dialog import Ask, Dialog, Sheet
from tokexplore.tui.screens.draft import Draft
from tokexplore.tui.screens.editor import PromptEditor
from tokexplore.tui.screens.examples import ExamplePicker
from tokexplore.tui.screens.find import FindToken
from tokexplore.tui.screens.help import KeyLine, key_lines, screens
from tokexplore.tui.screens.models import ModelPicker
from tokexplore.tui.screens.palette import Palette
from tokexplore.tui.screens.search_sheet import SearchSheet
from tokexplore.tui.screens.writing import Writing

HERE = Path(__file__).parent
BEGIN, END = "<!-- made by docs/make.py: begin -->", "<!-- made by docs/make.py: end -->"

DIALOGS: dict[str, list[BindingType]] = {
    "Every dialog": Dialog.BINDINGS,
    "The list of branches (b)": BranchesDialog.BINDINGS,
    "Finding a token (/)": FindToken.BINDINGS,
    "Typed text (t)": [*Draft.BINDINGS, *Writing.BINDINGS, *ContinuationEditor.BINDINGS],
    "Prompt (p), besides": PromptEditor.BINDINGS,
    "Lists of sessions and models (O, M)": ModelPicker.BINDINGS,
    "The list of examples": ExamplePicker.BINDINGS,
    "A sheet to read": Sheet.BINDINGS,
    "Help and terms (?, =)": SearchSheet.BINDINGS,
    "A line to type": Ask.BINDINGS,
    "The palette (:)": Palette.BINDINGS,
}


class Group(NamedTuple):
    """Options under one heading of --help."""

    title: str
    summary: str
    rows: tuple[tuple[str, str], ...]
    """Each option with its argument, and its help."""


def parsers() -> dict[str, Callable[[], argparse.ArgumentParser]]:
    """What makes the parser of each command; `examples` takes what the app takes."""
    app = load(APP)
    found: dict[str, Callable[[], argparse.ArgumentParser]] = {"tokexplore": app.parser}
    for name in SUBCOMMANDS:
        make = load(name).parser
        if name == "lab":
            found |= {f"lab {each}": partial(experiment_parser, each) for each in EXPERIMENTS}
        elif make is not app.parser:
            found[name] = make
    return found


def keys_page() -> str:
    """Every key by place."""
    places = {name: kind.BINDINGS for kind, name in screens().items()}
    dialogs = {name: list(filter(_is_own, bound)) for name, bound in DIALOGS.items()}
    others = {**places, "Everywhere": TokexploreApp.BINDINGS, **dialogs}
    parts = [
        section(place, table(("key", "name", "what it does", "id"), map(_key_row, lines)))
        for place, lines in key_lines({}, others).items()
    ]
    return "\n".join(parts)


def terms_page() -> str:
    """What the words, signs and figures of the screens mean, by where they stand."""
    return "\n".join(
        section(place, table(("on the screen", "meaning"), map(_term_row, terms)))
        for place, terms in TERMS.items()
    )


def _term_row(term: Term) -> tuple[str, str]:
    return f"`{_pipes(term.name)}`", _safe(NONE.words(term.meaning))


def _is_own(binding: BindingType) -> bool:
    """Whether a dialog's binding is its own, and not told already of another place."""
    everywhere = {command.id for command in EVERYWHERE}
    return isinstance(binding, Binding) and binding.id not in everywhere


def _key_row(line: KeyLine) -> tuple[str, ...]:
    each = line.keys.split()
    one = "…" in each or len(set(each)) < len(each)  # a range, or a key that is pressed twice
    shown = [line.keys] if one else each
    keys = " ".join(f"`{key}`" for key in shown)
    return keys, _safe(line.label), _safe(line.tooltip), f"`{line.id}`"


def options_page() -> str:
    """Every command with its own options, then those that several share."""
    made = parsers()
    groups = {name: list(groups_of(make())) for name, make in made.items()}
    titles = shared_titles(groups)
    parts = []
    for name, make in made.items():
        parser = make()
        says = " ".join((parser.description or "").split())
        lines = [_safe(says[:1].upper() + says[1:]), ""]
        lines += ["```text", *_usage(parser), "```"]
        for group in groups[name]:
            if group not in titles:
                lines += ["", *group_lines(group)]
        links = [f"[{titles[g]}](#{slug(titles[g])})" for g in groups[name] if g in titles]
        lines += ["", f"And: {', '.join(links)}."] if links else []
        parts.append(section(_heading(name), lines))
    parts.append("## Options that several commands share\n")
    for group, title in titles.items():
        parts.append(section(title, group_lines(group, titled=False), level=3))
    return "\n".join(parts)


def _heading(name: str) -> str:
    return name if name == "tokexplore" else f"tokexplore {name}"


def _usage(parser: argparse.ArgumentParser) -> list[str]:
    return [line.strip() for line in (parser.usage or "").splitlines()]


def groups_of(parser: argparse.ArgumentParser) -> Iterator[Group]:
    """The groups of options of a parser that have any; --help is left out."""
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if a.dest != "help"]
        rows = tuple((spelt(action), helped(action)) for action in actions)
        if rows:
            title = {"positional arguments": "arguments"}.get(group.title or "", group.title or "")
            yield Group(title, group.description or "", rows)


def spelt(action: argparse.Action) -> str:
    """An option with its argument: `--stop TEXT`."""
    argument = str(action.metavar or "")
    if not argument and action.choices is not None:
        argument = "{" + ",".join(map(str, action.choices)) + "}"
    if action.nargs == 0:
        argument = ""
    elif action.nargs == "*":
        argument = f"[{argument} ...]"
    elif action.nargs == "+":
        argument = f"{argument} ..."
    elif action.nargs == "?":
        argument = f"[{argument}]"
    return f"{', '.join(action.option_strings)} {argument}".strip()


def helped(action: argparse.Action) -> str:
    """What --help says of an option, on one line."""
    return (action.help or "") % vars(action)


def shared_titles(groups: dict[str, list[Group]]) -> dict[Group, str]:
    """The groups that more than one command has, with a title that no other has."""
    users: dict[Group, list[str]] = {}
    for name, of_one in groups.items():
        for group in of_one:
            users.setdefault(group, []).append(name)
    titles: dict[Group, str] = {}
    for group, names in users.items():
        if len(names) > 1 and group.title not in ("arguments", "options"):
            whose = " and ".join(dict.fromkeys(name.split()[0] for name in names))
            taken = group.title in titles.values()
            titles[group] = f"{group.title} of {whose}" if taken else group.title
    return titles


def group_lines(group: Group, *, titled: bool = True) -> list[str]:
    lines = [f"**{group.title}**", ""] if titled else []
    if group.summary:
        lines += [_safe(group.summary), ""]
    rows = [(f"`{_pipes(spelling)}`", _safe(said)) for spelling, said in group.rows]
    return lines + table(("option", "meaning"), rows)


def section(title: str, lines: Iterable[str], *, level: int = 2) -> str:
    return "\n".join([f"{'#' * level} {title}", "", *lines, ""])


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    columns = list(head)
    return [
        f"| {' | '.join(columns)} |",
        "|" + "---|" * len(columns),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def slug(title: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _safe(text: str) -> str:
    """A text in which Markdown finds no mark but code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([\\<*_|\[\]])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def _pipes(code: str) -> str:
    return code.replace("|", r"\|")


def typed_page() -> str:
    """The commands of the line mode."""
    rows = [(f"`{_pipes(c.usage)}`", _safe(c.meaning)) for c in TYPED]
    return "\n".join([*table(("command", "what it does"), rows), ""])


PAGES: dict[str, Callable[[], str]] = {
    "command-line.md": options_page,
    "keys.md": keys_page,
    "line-mode.md": typed_page,
    "terms.md": terms_page,
}


def filled(text: str, made: str) -> str:
    """A page with what was made between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n{END}{after}"


def main(arguments: list[str]) -> int:
    stale = []
    for name, make in PAGES.items():
        path = HERE / name
        text = path.read_text(encoding="utf-8")
        wanted = filled(text, make())
        if wanted != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(wanted, encoding="utf-8")
    for name in stale:
        print(f"docs/{name} {'is not what the code says' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
