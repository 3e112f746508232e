"""One HTML page that loads nothing: tokens coloured by surprisal, their candidates at hand."""

import base64
import hashlib
import html
import math
from collections.abc import Iterator
from itertools import chain

import msgspec

from tokexplore.models.display import counted
from tokexplore.models.tree.trie import Branch
from tokexplore.models.tree.turns import Turns, is_given, steps_until
from tokexplore.models.tree.visibility import is_fork
from tokexplore.tui.export.html_lab import lab_link, lab_parts
from tokexplore.tui.export.html_map import map_data, map_parts, maps_of
from tokexplore.tui.export.html_page import page_file, page_head
from tokexplore.tui.export.html_texts import texts_parts
from tokexplore.tui.export.leaving import left_by
from tokexplore.tui.export.markup import html_text, token_html
from tokexplore.tui.export.source import Scope, Source
from tokexplore.widgets.heat import NONE, level
from tokexplore.widgets.numbers import percent

DEEPEST = 40
"""Levels of branches inside branches; deeper ones stand beside their parents."""
BEGINS = 12
"""Tokens of a folded branch that its line shows."""
_ENTROPY = '"H " + told[0].toFixed(2) + " nats"'
"""The script's words for an entropy."""
_ENTROPY_IF_KNOWN = f'told[0] === null ? "H ? " + told[4] : {_ENTROPY}'
"""The same on a page with distributions of which only the first candidates are known."""


def html_parts(source: Source, scope: Scope, count: int) -> Iterator[bytes]:
    """The whole page; `count` candidates a step can be looked at."""
    script = page_file("html.js")
    if source.tree.distribution.incomplete:
        script = script.replace(_ENTROPY, _ENTROPY_IF_KNOWN)
    maps, places = maps_of(source, scope), list[str]()
    if maps:
        script += page_file("html_map.js")
        places = list(map_parts(source, maps))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    lab, texts = list(lab_parts(source, scope)), list(texts_parts(source, scope))
    optional = (("html_lab.css", lab), ("html_texts.css", texts), ("html_map.css", places))
    sheets = [name for name, parts in optional if parts]
    yield _head(source, scope, digest, sheets).encode()
    branches = source.branches(scope)
    for part in chain(places, _story(source, scope, branches), texts, lab):
        yield part.encode("utf-8", "backslashreplace")
    yield b'<aside id="tip" hidden></aside>\n<script type="application/json" id="data">'
    yield _data(source, scope, count)
    if maps:
        yield b'</script>\n<script type="application/json" id="maps">'
        yield map_data(source, maps)
    yield f"</script>\n<script>{script}</script>\n</body>\n</html>\n".encode()


def _head(source: Source, scope: Scope, digest: str, sheets: list[str]) -> str:
    title, models = html_text(source.title), []
    link = lab_link(source, scope)
    policy = f"; script-src 'sha256-{digest}'"
    for by in source.tree.provenance:
        revision = f" @ {by.revision[:12]}" if by.revision else ""
        models.append(f"{by.model}{revision}, {by.dtype} on {by.device}")
    if source.tree.compared:
        by = source.tree.seconds[-1]
        models.append(f"against {by.model}, {by.dtype} on {by.device}")
    facts = [*models, source.sampling(scope), f"{len(source.tree) - 1:,} tokens"]
    steps = "".join(
        f'<b class="h{n}">{name}</b>' for n, name in enumerate(("0", ".5", "1", "2", "4", "6+"))
    )
    return (
        f"{page_head(source.title, sheets, policy)}"
        f'<header>\n<h1>{title}</h1>\n<p class="facts">{html_text(" · ".join(facts))}</p>\n'
        f'<div class="legend">surprisal {steps} nats, the prompt in italics · '
        f"hover or tap a token for what else the model said</div>\n{link}</header>\n"
    )


def _story(source: Source, scope: Scope, branches: list[Branch]) -> Iterator[str]:
    """Each branch inside the one that it leaves; a prompt of its own with all of its text."""
    shown = {branch.number for branch in branches}
    if scope == "path":
        yield _path(source)
        return
    tree = source.tree
    roots = [branch.number for branch in branches if branch.root]
    stack: list[tuple[int, int, bool]] = [(number, 0, False) for number in reversed(roots)]
    while stack:
        number, depth, closes = stack.pop()
        if closes:
            yield "</details>\n"
            continue
        branch = tree.branch(number)
        leaving = (n for n in branch.children if n in shown and not tree.branch(n).root)
        children = [(n, depth + 1, False) for n in leaving]
        yield f'<details open id="b{number}">{_summary(source, branch)}\n'
        yield _tokens(source, tree.path(branch.tip) if branch.root else source.chain(branch))
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
        parts.append(f'<span class="name">{html_text(branch.name)}</span>')
    if (left := left_by(source, branch)) is not None:
        token = html.escape(vocabulary.show(tree.token[branch.head]))
        at = f"@{left.step}" if left.step else html_text(f"leaves {left.branch} at {left.place}")
        parts.append(f"<span>{at} <code>{token}</code></span>")
    parts.append(f"<span>{counted(branch.generated, 'token')}</span>")
    if branch.mean_logprob is not None:
        parts.append(f"<span>{branch.mean_logprob:.2f} nats a token</span>")
    if branch.hidden:
        parts.append("<span>hidden</span>")
    words = vocabulary.text(tree.token[n] for n in source.chain(branch)[:BEGINS])
    parts.append(f'<span class="begins">{html_text(" ".join(words.split()))}</span>')
    return f"<summary>{''.join(parts)}</summary>"


def _tokens(source: Source, nodes: list[int]) -> str:
    """A text token by token, and below it what was written on its steps."""
    tree, vocabulary = source.tree, source.vocabulary
    noted = [n for n in nodes if n in tree.notes or n in tree.labels or n in tree.bookmarks]
    numbers = {node: number for number, node in enumerate(noted, 1)}
    turns = tree.turns(nodes[-1])
    pieces = vocabulary.pieces([tree.token[n] for n in nodes])
    spans = [
        _token(source, node, piece, numbers.get(node), given=is_given(turns, tree.depth[node]))
        for node, piece in zip(nodes, pieces, strict=True)
    ]
    notes = "".join(_note(source, node, turns) for node in noted)
    listed = f'<ol class="notes">{notes}</ol>\n' if notes else ""
    return f'<p class="story">{"".join(spans)}</p>\n{listed}'


def _token(source: Source, node: int, piece: str, note: int | None, *, given: bool) -> str:
    tree, kinds = source.tree, ["t"]
    scored = tree.is_scored(node)
    heat = level("surprisal", -tree.logprob[node]) if scored else NONE
    if heat > 0:
        kinds.append(f"h{heat}")
    if given:
        kinds.append("prompt")
    elif tree.origin[node] in ("picked", "typed"):
        kinds.append(tree.origin[node])
    if tree.token[node] in source.vocabulary.special:
        kinds.append("special")
    if is_fork(tree, node):
        kinds.append("fork")
    if note is not None:
        kinds.append("note")
    figures = ""
    if scored:
        figures = f"{percent(math.exp(tree.logprob[node]))}, rank {tree.rank[node] or '?'}"
    if (step := tree.compared.get(node)) is not None:
        share = percent(math.exp(step.second.logprob))
        figures += f"; second model {share}, rank {step.second.rank or '?'}"
        figures += "" if step.kl is None else f", KL {step.kl:.3g} nats"
    title = f' title="{html.escape(figures)}"' if figures else ""
    mark = "" if note is None else f' data-note="{note}"'
    return (
        f'<span class="{" ".join(kinds)}" data-n="{node}"{mark}{title}>{token_html(piece)}</span>'
    )


def _note(source: Source, node: int, turns: Turns) -> str:
    """What was written on a step of a path with these turns, for everybody to read."""
    tree, depth = source.tree, source.tree.depth[node]
    step = "prompt" if is_given(turns, depth) else f"step {steps_until(turns, depth)}"
    token = html.escape(source.vocabulary.show(tree.token[node]))
    name, note = (html_text(texts.get(node, "")) for texts in (tree.labels, tree.notes))
    parts = [f"<b>{name}</b>" if name else "", note]
    written = " ".join(filter(None, parts)) or "bookmark"
    return f"<li><span>{step}</span> <code>{token}</code> {written}</li>"


def _data(source: Source, scope: Scope, count: int) -> bytes:
    """What the script shows: by node and, for what the model said, by the node before."""
    tree, vocabulary = source.tree, source.vocabulary
    nodes: dict[str, list[object]] = {}
    distributions: dict[str, list[object]] = {}
    tokens: set[int] = set()
    for node, distribution in source.steps(scope):
        scored = tree.is_scored(node)
        nodes[str(node)] = [
            tree.token[node], tree.parent[node], _rounded(tree.logprob[node]) if scored else None,
            tree.rank[node], source.step(node, scope), tree.origin[node], tree.notes.get(node, ""),
            tree.labels.get(node, ""),
        ]  # fmt: skip
        tokens.add(tree.token[node])
        before = str(tree.parent[node])
        if distribution is not None and before not in distributions:
            ids = list(distribution.id_view[:count])
            tokens.update(ids)
            logprobs = [_rounded(distribution.logprob(index)) for index in range(len(ids))]
            entropy = None if distribution.entropy is None else _rounded(distribution.entropy)
            distributions[before] = [entropy, _rounded(distribution.margin), ids, logprobs]
            if not distribution.complete:
                distributions[before].append(distribution.extent)
    shown = {str(token): vocabulary.show(token) for token in sorted(tokens)}
    data = msgspec.json.encode({"nodes": nodes, "told": distributions, "tokens": shown})
    # Nothing in the data may end the element that it stands in.
    return data.replace(b"<", b"\\u003c").replace(b"&", b"\\u0026")


def _rounded(value: float) -> float:
    """As exact as float32, so that shares and sums come out as they do elsewhere."""
    return float(f"{value:.7g}")
