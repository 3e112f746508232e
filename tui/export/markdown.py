"""A report to read: where it comes from, each branch's text, and its steps as tables."""

import math
import re
from collections.abc import Iterator

from tokexplore.models.display import safe_text
from tokexplore.models.tree.trie import Branch
from tokexplore.tui.export.leaving import left_by
from tokexplore.tui.export.markdown_lab import lab_sections
from tokexplore.tui.export.source import Scope, Source
from tokexplore.widgets.numbers import figure, percent

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&$^=:@])")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _SPECIAL.sub(r"\\\1", safe_text(text))


def markdown_parts(source: Source, scope: Scope, count: int) -> Iterator[bytes]:
    """The whole report; `count` candidates a step, none without the tables."""
    yield _encoded(f"# {escaped(source.title)}\n\n{facts(source, scope)}\n")
    for branch in source.branches(scope):
        yield _encoded(_heading(source, branch, scope))
        chain = source.chain(branch, scope)
        yield _encoded(_story(source, chain))
        if count:
            yield from map(_encoded, _table(source, scope, chain, count))
    yield from map(_encoded, lab_sections(source, scope))


def facts(source: Source, scope: Scope) -> str:
    """Where the numbers come from."""
    lines = [
        f"- model: {escaped(by.model)}, {escaped(by.dtype)} on {escaped(by.device)}, attention "
        f"{escaped(by.attention)}{f', revision {escaped(by.revision)}' if by.revision else ''}"
        for by in source.tree.provenance
    ]
    lines.append(f"- sampling: {escaped(source.sampling(scope))}")
    lines.append("- logprobs, surprisal, entropy and margin in nats, of the model's distribution")
    if source.tree.distribution.incomplete:
        lines.append("- H is ? where only the first candidates of a step are known")
    return "\n".join(lines) + "\n"


def _heading(source: Source, branch: Branch, scope: Scope) -> str:
    tree = source.tree
    name = f" “{escaped(branch.name)}”" if branch.name else ""
    left = left_by(source, branch)
    where = "a prompt" if branch.root else ""
    if left is not None:
        token = source.vocabulary.show(tree.token[branch.head])
        where = f"{where} that leaves" if branch.root else "leaves"
        where += f" branch {left.branch} at {escaped(left.place)} by {escaped(token)}"
    mean = source.mean_logprob(branch, scope)
    figures = "" if mean is None else f", mean logprob {mean:.3f} a token"
    return f"## Branch {branch.number}{name}: {where}{figures}\n\n"


def _story(source: Source, chain: list[int]) -> str:
    """The branch's own text as a quotation, line by line."""
    text = source.vocabulary.text(source.tree.token[n] for n in chain)
    return "".join(f"> {escaped(part)}  \n" for part in text.split("\n")) + "\n"


def _table(source: Source, scope: Scope, chain: list[int], count: int) -> Iterator[str]:
    tree, vocabulary = source.tree, source.vocabulary
    yield "| step | token | logprob | rank | H | candidates |\n|--:|---|--:|--:|--:|---|\n"
    for node in chain:
        distribution = tree.distribution.get(tree.parent[node])
        scored = tree.is_scored(node)
        candidates = entropy = ""
        if distribution is not None:
            entropy = figure(distribution.entropy, 3)
            shown = enumerate(distribution.id_view[:count])
            candidates = ", ".join(
                f"{escaped(vocabulary.show(t))} {percent(math.exp(distribution.logprob(i)))}"
                for i, t in shown
            )
        yield (
            f"| {source.step(node, scope) or ''} | {escaped(vocabulary.show(tree.token[node]))} "
            f"| {f'{tree.logprob[node]:.4f}' if scored else ''} "
            f"| {(tree.rank[node] or '?') if scored else ''} "
            f"| {entropy} | {candidates} |\n"
        )
    yield "\n"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
