"""JSON lines as `tokexplore run` writes them, and the same of whole trees; JSON in one object.

The lines of a path are a run's. Those of a tree say more, so that the tree can be made from them
again: each step has its node, its parent, the settings and the draw that it came from, and lines of
other types tell settings, prompts, branches, bookmarks, notes, ends, and what the model said after
the last token of each branch.
"""

import math
from collections.abc import Iterator
from itertools import islice

import msgspec

import tokexplore
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tree.events import Prompted
from tokexplore.models.tree.turns import is_given
from tokexplore.tui.export.json_fields import (
    TokenFields,
    adapter_fields,
    end_line,
    line,
    line_with,
    sampling_fields,
)
from tokexplore.tui.export.second_fields import second_fields, second_model_fields
from tokexplore.tui.export.source import GENERATED, Scope, Source
from tokexplore.tui.export.study_fields import study_lines
from tokexplore.tui.export.text_fields import text_lines


def jsonl_parts(source: Source, scope: Scope, count: int) -> Iterator[bytes]:
    """The lines of the path in view, or of a tree."""
    return _path_lines(source, count) if scope == "path" else _tree_lines(source, scope, count)


def _path_lines(source: Source, count: int) -> Iterator[bytes]:
    """The path in view, as a run tells it."""
    tree, tokens = source.tree, TokenFields(source.vocabulary)
    path = tree.path(source.leaf)
    turns = tree.turns(source.leaf)
    prompt = min([len(path), *turns])
    yield run_line(source, [tree.token[n] for n in path[:prompt]])
    for node, distribution in islice(source.steps("path"), 1, None):
        fields = step_fields(source, node, tokens)
        if is_given(turns, tree.depth[node]):
            fields |= {"origin": "prompt", "chosen_by": None}
        yield line_with(fields, distribution, tokens, count)
    yield end_line(
        tree.ended.get(source.leaf), source.vocabulary.text(tree.token[n] for n in path[prompt:])
    )


def _tree_lines(source: Source, scope: Scope, count: int) -> Iterator[bytes]:
    """The nodes of a scope, each after its parent."""
    tree, tokens = source.tree, TokenFields(source.vocabulary)
    yield run_line(source, [])
    for number, settings in enumerate(tree.settings):
        yield line({"type": "settings", "number": number, **sampling_fields(settings)})
    nodes = {0}
    for node, distribution in source.steps(scope):
        nodes.add(node)
        fields = step_fields(source, node, tokens)
        fields |= {
            "node": node,
            "parent": tree.parent[node],
            "branch": tree.branch_of[node],
            "settings": tree.settings_of[node],
            "draw": tree.draw[node],
        }
        yield line_with(fields, distribution, tokens, count)
    yield from _about(source, scope, nodes, tokens, count)
    yield from study_lines(source, scope, tokens)
    yield from text_lines(source, scope, tokens)
    yield line({"type": "end", "reason": "complete", "text": "", "nodes": len(nodes) - 1})


def _about(
    source: Source, scope: Scope, nodes: set[int], tokens: TokenFields, count: int
) -> Iterator[bytes]:
    """What else is known of the nodes and branches that were told."""
    tree = source.tree
    for node in sorted(nodes):
        in_child_line = any(child in nodes for child in tree.children[node])
        after = None if in_child_line else tree.distribution.get(node)
        if after is not None:
            yield line_with({"type": "next", "node": node}, after, tokens, count)
        if node in tree.prompts:
            yield line({"type": "prompt", "node": node, **_prompt_fields(tree.prompts[node])})
        if node in tree.ended:
            yield line({"type": "ended", "node": node, "reason": tree.ended[node]})
        if node in tree.bookmarks:
            yield line({"type": "bookmark", "node": node})
        if node in tree.labels:
            yield line({"type": "label", "node": node, "name": tree.labels[node]})
        if node in tree.notes:
            yield line({"type": "note", "node": node, "text": tree.notes[node]})
    for branch in source.branches(scope):
        if branch.name or branch.hidden:
            fields = {"branch": branch.number, "name": branch.name, "hidden": branch.hidden}
            yield line({"type": "branch", **fields})


def _prompt_fields(prompt: Prompted) -> dict[str, object]:
    """How a prompt was given; of a chat what was said, and whose tokens are whose."""
    if prompt.chat is None:
        return {"form": prompt.form}
    return {
        "form": prompt.form,
        "chat": msgspec.to_builtins(prompt.chat),
        "parts": msgspec.to_builtins(prompt.parts),
        "reasoning": list(prompt.reasoning),
    }


def run_line(source: Source, prompt_ids: list[int]) -> bytes:
    """The first line: what the numbers come from."""
    by = source.provenance
    return line(
        {
            "type": "run",
            "model": by.source if by else "",
            "revision": by.revision if by else "",
            "dtype": by.dtype if by else "",
            "device": by.device if by else "",
            "threads": by.threads if by else "",
            "seed": source.settings.seed,
            "sampling": _without_seed(source.settings),
            "prompt_ids": prompt_ids,
            "version": tokexplore.__version__,
            "vocabulary": source.vocabulary.rows,
            "special": sorted(source.vocabulary.special),
            "attention": by.attention if by else "",
            "config_hash": by.config_hash if by else "",
            **adapter_fields((by.adapters or ()) if by else ()),
            **({"weights": by.weights} if by and by.weights else {}),
            **second_model_fields(source),
        }
    )


def _without_seed(settings: SamplingSettings) -> dict[str, object]:
    return {name: value for name, value in sampling_fields(settings).items() if name != "seed"}


def step_fields(source: Source, node: int, tokens: TokenFields) -> dict[str, object]:
    """A token as a run tells it, without what the model said before it."""
    tree, origin = source.tree, source.tree.origin[node]
    scored, drawn = tree.is_scored(node), tree.sampler_logprob[node]
    return {
        "type": "step",
        "position": tree.depth[node] - 1,
        "origin": "generated" if origin in GENERATED else origin,
        **tokens.of(tree.token[node]),
        "logprob": tree.logprob[node] if scored else None,
        "sampler_logprob": None if math.isnan(drawn) else drawn,
        "chosen_by": None if origin == "prompt" else origin,
        "rank": tree.rank[node] or None,
        **second_fields(source, node, tokens),
    }


def json_parts(source: Source, scope: Scope, count: int) -> Iterator[bytes]:
    """One JSON object: the run, its settings, branches and nodes; the fields are those of lines."""
    tree, tokens = source.tree, TokenFields(source.vocabulary)
    yield b'{"run":' + run_line(source, [])[:-1] + b',\n"branches":[\n'
    for index, branch in enumerate(source.branches(scope)):
        fields: dict[str, object] = {
            "branch": branch.number,
            "name": branch.name,
            "hidden": branch.hidden,
            "fork": tree.fork_of(branch),
            "head": branch.head,
            "tip": branch.tip,
            "mean_logprob": branch.mean_logprob,
            "ended": tree.ended.get(branch.tip),
            "text": source.vocabulary.text(tree.token[n] for n in source.chain(branch)),
        }
        yield (b",\n" if index else b"") + line(fields)[:-1]
    yield b'\n],\n"nodes":[\n'
    for index, (node, distribution) in enumerate(source.steps(scope)):
        fields = {"node": node, "parent": tree.parent[node], "branch": tree.branch_of[node]}
        fields |= step_fields(source, node, tokens)
        fields |= {"note": tree.notes.get(node), "bookmark": node in tree.bookmarks}
        fields["name"] = tree.labels.get(node)
        del fields["type"]
        whole = line_with(fields, distribution, tokens, count)
        yield (b",\n" if index else b"") + whole[:-1]
    yield b"\n]"
    for name, lines in (("studies", study_lines), ("texts", text_lines)):
        if parts := [part[:-1] for part in lines(source, scope, tokens)]:
            yield f',\n"{name}":[\n'.encode() + b",\n".join(parts) + b"\n]"
    yield b"}\n"
