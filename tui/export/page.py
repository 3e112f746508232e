"""One HTML page that loads nothing: tokens coloured by surprisal, their candidates at hand."""

import base64
import hashlib
import html
import math
from collections.abc import Iterator
from functools import cache
from importlib import resources

import msgspec
from textual.theme import Theme

from tokexplore.models.display import safe_character, safe_text
from tokexplore.models.trie import Branch
from tokexplore.tui.export.source import Scope, Source
from tokexplore.tui.theme import DARK, LIGHT
from tokexplore.widgets.heat import LEVELS, NONE, level

DEEPEST = 40
"""Levels of branches inside branches; deeper ones stand beside their parents."""
BEGINS = 12
"""Tokens of a folded branch that its line shows."""
_COLOURS = (
    "here", "model-bar", "special", "muted", "rule",
    *(f"heat-{n}" for n in range(LEVELS)), *(f"heat-text-{n}" for n in range(LEVELS)),
)  # fmt: skip


def html_parts(source: Source, scope: Scope, count: int) -> Iterator[bytes]:
    """The whole page; `count` candidates a step can be looked at."""
    script = _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    yield _head(source, digest).encode()
    branches = source.branches(scope)
    yield from (
        part.encode("utf-8", "backslashreplace") for part in _story(source, scope, branches)
    )
    yield b'<aside id="tip" hidden></aside>\n<script type="application/json" id="data">'
    yield _data(source, scope, count)
    yield f"</script>\n<script>{script}</script>\n</body>\n</html>\n".encode()


@cache
def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _variables(theme: Theme) -> str:
    known = {**theme.variables, "foreground": theme.foreground, "background": theme.background}
    known["surface"] = theme.surface
    names = (*_COLOURS, "foreground", "background", "surface")
    return "".join(f"--{name}: {known[name]}; " for name in names)


def _style() -> str:
    light, dark = _variables(LIGHT), _variables(DARK)
    levels = "".join(
        f".h{n} {{ background: var(--heat-{n}); color: var(--heat-text-{n}); }}\n"
        for n in range(1, LEVELS)
    )
    return (
        f":root {{ color-scheme: light dark; {light}}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n"
        f"{_file('page.css')}{levels}"
    )


def _head(source: Source, digest: str) -> str:
    title, models = html.escape(safe_text(source.title)), []
    for by in source.tree.provenance:
        revision = f" @ {by.revision[:12]}" if by.revision else ""
        models.append(f"{by.model}{revision}, {by.dtype} on {by.device}")
    facts = [*models, source.settings.short(), f"{len(source.tree) - 1:,} tokens"]
    steps = "".join(
        f'<b class="h{n}">{name}</b>' for n, name in enumerate(("0", ".5", "1", "2", "4", "6+"))
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'\">\n"
        f"<title>{title}</title>\n<style>{_style()}</style>\n</head>\n<body>\n<header>\n"
        f'<h1>{title}</h1>\n<p class="facts">{html.escape(safe_text(" · ".join(facts)))}</p>\n'
        f'<div class="legend">surprisal {steps} nats · hover or tap a token for what else the '
        "model said</div>\n</header>\n"
    )


def _story(source: Source, scope: Scope, branches: list[Branch]) -> Iterator[str]:
    """Each branch inside the one that it leaves."""
    shown = {branch.number for branch in branches}
    if scope == "path":
        yield _path(source)
        return
    tree = source.tree
    roots = [b.number for b in branches if tree.branch_of[tree.fork_of(b)] not in shown]
    stack: list[tuple[int, int, bool]] = [(number, 0, False) for number in reversed(roots)]
    while stack:
        number, depth, closes = stack.pop()
        if closes:
            yield "</details>\n"
            continue
        branch = tree.branch(number)
        children = [(n, depth + 1, False) for n in branch.children if n in shown]
        yield f'<details open id="b{number}">{_summary(source, branch)}\n'
        yield _tokens(source, source.chain(branch))
        if depth < DEEPEST:
            stack.append((number, depth, True))
        else:
            yield "</details>\n"
        stack += reversed(children)


def _path(source: Source) -> str:
    return _tokens(source, source.tree.path(source.leaf))


def _summary(source: Source, branch: Branch) -> str:
    tree, vocabulary = source.tree, source.vocabulary
    parts = [f"<span>{branch.number}</span>"]
    if branch.name:
        parts.append(f'<span class="name">{html.escape(safe_text(branch.name))}</span>')
    if not branch.root:
        token = html.escape(vocabulary.show(tree.token[branch.head]))
        parts.append(f"<span>@{tree.step[branch.head]} <code>{token}</code></span>")
    parts.append(f"<span>{branch.generated:,} tokens</span>")
    if branch.mean_logprob is not None:
        parts.append(f"<span>{branch.mean_logprob:.2f} nats a token</span>")
    if branch.hidden:
        parts.append("<span>hidden</span>")
    words = vocabulary.text(tree.token[n] for n in source.chain(branch)[:BEGINS])
    parts.append(f'<span class="begins">{html.escape(safe_text(" ".join(words.split())))}</span>')
    return f"<summary>{''.join(parts)}</summary>"


def _tokens(source: Source, nodes: list[int]) -> str:
    tree, vocabulary = source.tree, source.vocabulary
    ids = [tree.token[n] for n in nodes]
    spans = [_token(source, *pair) for pair in zip(nodes, vocabulary.pieces(ids), strict=True)]
    return f'<p class="story">{"".join(spans)}</p>\n'


def _token(source: Source, node: int, piece: str) -> str:
    tree, kinds = source.tree, ["t"]
    known = bool(tree.rank[node])
    heat = level("surprisal", -tree.logprob[node]) if known else NONE
    if heat > 0 and tree.origin[node] != "prompt":
        kinds.append(f"h{heat}")
    if tree.origin[node] in ("prompt", "picked", "typed"):
        kinds.append(tree.origin[node])
    if tree.token[node] in source.vocabulary.special:
        kinds.append("special")
    if tree.is_fork(node):
        kinds.append("fork")
    if node in tree.notes or node in tree.labels or node in tree.bookmarks:
        kinds.append("note")
    said = f"{math.exp(tree.logprob[node]):.1%}, rank {tree.rank[node]}" if known else ""
    title = f' title="{said}"' if said else ""
    text = "".join(c if c == "\n" else html.escape(safe_character(c)) for c in piece)
    text = text.replace("\n", '<span class="mark">⏎</span>\n')
    return f'<span class="{" ".join(kinds)}" data-n="{node}"{title}>{text}</span>'


def _data(source: Source, scope: Scope, count: int) -> bytes:
    """What the script shows: by node and, for what the model said, by the node before."""
    tree, vocabulary = source.tree, source.vocabulary
    nodes: dict[str, list[object]] = {}
    told: dict[str, list[object]] = {}
    tokens: set[int] = set()
    for node, said in source.steps(scope):
        known = bool(tree.rank[node])
        nodes[str(node)] = [
            tree.token[node], tree.parent[node], _rounded(tree.logprob[node]) if known else None,
            tree.rank[node], tree.step[node], tree.origin[node], tree.notes.get(node, ""),
            tree.labels.get(node, ""),
        ]  # fmt: skip
        tokens.add(tree.token[node])
        before = str(tree.parent[node])
        if said is not None and before not in told:
            ids = list(said.id_view[:count])
            tokens.update(ids)
            logprobs = [_rounded(said.logprob(index)) for index in range(len(ids))]
            told[before] = [_rounded(said.entropy), _rounded(said.margin), ids, logprobs]
    shown = {str(token): vocabulary.show(token) for token in sorted(tokens)}
    data = msgspec.json.encode({"nodes": nodes, "told": told, "tokens": shown})
    # Nothing in the data may end the element that it stands in.
    return data.replace(b"<", b"\\u003c").replace(b"&", b"\\u0026")


def _rounded(value: float) -> float:
    return round(value, 4)
