"""`i`: one token and the model, in detail."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from textual.content import Content

from tokexplore.models.api.engine import Held
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.display import counted, safe_text
from tokexplore.models.distribution import Distribution
from tokexplore.models.partial_characters import LONGEST_CHARACTER
from tokexplore.models.sampling.bounds import entropy_bounds
from tokexplore.models.scored_text import by_probability
from tokexplore.models.tree.icicle import Icicle
from tokexplore.models.tree.subtree import subtree_of
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.text_scores import TextScores
from tokexplore.tui.explore.undo_text import words_of
from tokexplore.tui.presenters.characters import character_lines, token_bytes
from tokexplore.tui.presenters.map import subtree_words
from tokexplore.tui.presenters.sources import source_words
from tokexplore.tui.presenters.status import provenance_words
from tokexplore.tui.report.probability_text import quoted, tokens_line
from tokexplore.tui.screens.dialog import Sheet
from tokexplore.tui.screens.inspect_second import second_lines
from tokexplore.tui.terminal.pacer import Figures
from tokexplore.widgets.numbers import figure, logprob_text, probability_text

Lines = list[tuple[str, str]]
_ABSENT: Lines = [("", "not loaded: space loads it")]
_TEXT = 14
"""Cells of a text in the column of names."""


def inspect_sheet(
    controller: Controller,
    session: Path | None,
    figures: Figures | None,
    notices: Iterable[str] = (),
) -> Sheet:
    """What is under the cursor, what is loaded, what the line does, and what notices said.

    Args:
        notices: the latest last.
    """
    return Sheet("Inspect", inspected(controller, session, figures, notices))


def inspected(
    controller: Controller,
    session: Path | None,
    figures: Figures | None,
    notices: Iterable[str] = (),
    held: Held | None = None,
) -> Content:
    """What that sheet says.

    Args:
        held: what the engine keeps of paths, once it has said so.
    """
    parts, explorer, info = [], controller.explorer, controller.link.info
    model = _model(explorer, info, controller.streams.threads, held) if info else _ABSENT
    life = controller.engine_life
    lost = [("lost", life.why_lost)] if life.why_lost else []
    rooms = {
        "This token": _token(explorer),
        "Texts at this step": _texts(TextScores(controller)),
        "This path": [("remark", sentence) for sentence in explorer.remarks_on_path()],
        "Model": [*lost, *model, *(("not as recorded", words) for words in life.differs)],
        "Second model": second_lines(explorer),
        "Session": _session(explorer, session),
        "Line": _line(figures),
        "Notices, the latest first": [("", notice) for notice in [*notices][::-1]],
    }
    for title, lines in rooms.items():
        if not lines:
            continue
        parts.append(Content.styled(title, "bold $here"))
        parts += [
            Content.assemble((f"  {name:<18}", "$text-muted"), safe_text(value))
            for name, value in lines
        ]
        parts.append(Content(""))
    return Content("\n").join(parts[:-1])


def _token(explorer: Explorer) -> Lines:
    node, tree, vocabulary = explorer.taken, explorer.tree, explorer.vocabulary
    if node is None:
        return [("", "the open end: nothing is taken here yet")]
    token = tree.token[node]
    data = vocabulary.bytes_of(token)
    lines = [
        ("text", vocabulary.show(token) + ("  (special)" if token in vocabulary.special else "")),
        ("id", f"{token}"),
        ("bytes", " ".join(f"{b:02x}" for b in data) or "none: a padding row of the logits"),
        ("characters", " ".join(f"U+{ord(c):04X}" for c in data.decode("utf-8", "ignore"))),
        *_character_lines(explorer),
        ("step, position", f"{explorer.number(explorer.cursor) or 'prompt'}, {explorer.cursor}"),
        ("came as", explorer.came(explorer.cursor)),
    ]
    if tree.is_scored(node):
        nats = tree.logprob[node]
        lines += [
            ("rank", f"{tree.rank[node]:,}" if tree.rank[node] else "?"),
            ("model", f"{nats:.4f} nats = {nats / math.log(2):.4f} bits = {math.exp(nats):.4g}"),
        ]
    if not math.isnan(tree.sampler_logprob[node]):
        settings = tree.settings[tree.settings_of[node]]
        share = math.exp(tree.sampler_logprob[node])
        lines.append(("sampler", f"{share:.4%} under {settings.short()}"))
        drawn = max(tree.draws[tree.parent[node]], tree.draw[node] + 1)
        lines.append(("draw", f"number {tree.draw[node] + 1} of {drawn} here; r draws the next"))
    if explorer.came(explorer.cursor) == "typed":
        lines.append(("typed text", _typed(explorer)))
    lines += _after(explorer, node)
    lines.append(("name", tree.labels.get(node, "")))
    lines.append(("note", tree.notes.get(node, "")))
    return [line for line in lines if line[1]] + _computed(tree, tree.parent[node])


def _after(explorer: Explorer, node: int) -> Lines:
    """What was explored after a node, as sums, where that is more than one path."""
    subtree = subtree_of(Icicle(explorer.tree, explorer.nodes), node)
    if subtree.leaves < 2:
        return []
    return [("explored", " · ".join(subtree_words(subtree, bits=False)))]


def _typed(explorer: Explorer) -> str:
    """What the model gave to all of a text that was typed around the cursor."""
    nodes, tree, cursor = explorer.nodes, explorer.tree, explorer.cursor

    def is_typed(index: int) -> bool:
        return 0 <= index < len(nodes) and explorer.came(index) == "typed"

    start = next(at for at in range(cursor, -2, -1) if not is_typed(at)) + 1
    stop = next(at for at in range(cursor, len(nodes) + 1) if not is_typed(at))
    logprobs = [tree.logprob[node] for node in nodes[start:stop] if tree.is_scored(node)]
    tokens = counted(stop - start, "token")
    if len(logprobs) < stop - start:
        return f"{tokens}, not all of them scored"
    total = math.fsum(logprobs)
    return f"{tokens}, {total:.2f} nats in all, {total / len(logprobs):.2f} a token"


def _character_lines(explorer: Explorer) -> Iterator[tuple[str, str]]:
    """What the token holds of characters in part, and what they became on this path."""
    cursor, token = explorer.cursor, explorer.tree.token
    start = max(0, cursor - LONGEST_CHARACTER)
    near = explorer.nodes[start : cursor + 1 + LONGEST_CHARACTER]
    return character_lines([token_bytes(explorer, token[n]) for n in near], cursor - start)


def _texts(scores: TextScores) -> Lines:
    """What was asked for beside the tree, the most probable first."""
    lines = []
    for text in by_probability(scores.all):
        by = scores.others_name(text)
        figures = (
            f"{logprob_text(text.logprob)} nats, {probability_text(text.logprob)}: "
            f"{tokens_line(text, scores.vocabulary)}"
        )
        lines.append((quoted(text.text, _TEXT), figures + (f", by {by}" if by else "")))
    return lines


def _computed(tree: TokenTree, node: int) -> Lines:
    """The distribution after a node, and what it was when it was computed again."""
    distribution, figures = tree.distribution.get(node), tree.distribution.figures(node)
    if distribution is None or figures is None:
        return []
    by = "" if figures.model is None else f" · {provenance_words(tree.provenance[figures.model])}"
    lines = [
        ("entropy", _entropy(distribution)),
        ("margin", _margin(distribution)),
        (
            "computed by",
            source_words(distribution.source) + _milliseconds(distribution.seconds) + by,
        ),
    ]
    if (listed := tree.listed.get(node)) is not None:
        lines += [
            ("as listed at first", f"{listed.extent}, margin {_margin(listed)}"),
            ("", _apart(distribution, listed)),
        ]
    again = tree.recomputed.get(node)
    if again is not None:
        lines += [
            (
                "computed again",
                f"{source_words(again.source)} · {provenance_words(tree.provenance[-1])}",
            ),
            ("", f"entropy {figure(again.entropy, 4)}, margin {_margin(again)}"),
            ("", _apart(distribution, again)),
        ]
    return lines


def _apart(distribution: Distribution, again: Distribution) -> str:
    """How far the logprobs are apart of the candidates that both list."""
    logits = dict(zip(again.id_view, again.logit_view, strict=True))
    apart = [
        abs(logits[token] - again.lse - distribution.logprob(index))
        for index, token in enumerate(distribution.id_view)
        if token in logits
    ]
    if not apart:
        return "no candidate is listed by both"
    return f"logprobs at most {max(apart):.2g} nats apart, over {len(apart)} candidates"


def _margin(distribution: Distribution) -> str:
    return f"{distribution.margin:.4f} nats" if distribution.margin_known else "?"


def _entropy(distribution: Distribution) -> str:
    if (h := distribution.entropy) is None:
        low, high = entropy_bounds(distribution)
        return f"{low:.4f} to {high:.4f} nats ({distribution.extent})"
    return f"{h:.4f} nats = {h / math.log(2):.4f} bits; {math.exp(h):.1f} choices"


def _threads(words: str, now: int) -> str:
    """How many threads of the CPU there may be, and how many the newest token had."""
    return f"{now} at present ({words})" if now and words != str(now) else words


def _session(explorer: Explorer, path: Path | None) -> Lines:
    tree = explorer.tree
    return [
        ("file", str(path) if path else "none yet: it is made with the first token"),
        ("holds", f"{len(tree) - 1:,} tokens in {len(tree.branches):,} branches"),
        *(
            (name, words_of(explorer, step))
            for name, step in (
                ("undo takes back", tree.history.undoable),
                ("redo makes again", tree.history.redoable),
            )
            if step
        ),
        *(("recorded with", provenance_words(provenance)) for provenance in tree.provenance),
    ]


def _milliseconds(seconds: float) -> str:
    """Time taken; nothing for a distribution that came out of a pass over many positions."""
    return f", {seconds * 1000:.1f} ms" if seconds else ""


def _line(figures: Figures | None) -> Lines:
    if figures is None:
        return [("output", "Textual's own: not measured")]
    trip = figures.round_trip
    return [
        ("frames", f"{figures.frames:.1f} a second"),
        ("bytes", f"{figures.bytes / 1000:.1f} kB a second"),
        ("round trip", "not known" if trip is None else f"{trip * 1000:.0f} ms"),
        ("pace", "as the terminal answers" if figures.asked else "a fixed budget: nobody answers"),
    ]


def _server(explorer: Explorer, info: ModelInfo) -> Lines:
    """What is known of a model behind a server, and the calls that showed it."""
    return [
        ("name", info.name),
        ("from", info.source),
        *([("parameters", f"{info.parameters:,}")] if info.parameters else []),
        ("vocabulary", f"{info.vocabulary:,} rows, {len(explorer.vocabulary):,} tokens"),
        ("context", f"{info.context:,} positions" if info.context else "not stated"),
        ("ends at", ", ".join(map(str, info.eos_ids)) or "where the server says so"),
        ("chat template", "yes" if info.chat_template else "no"),
        *(("the server", f"{what} ({how})") for what, how in info.evidence),
        *(("limit", limit) for limit in info.capabilities.limits),
        *(("noted", notice) for notice in info.notices),
    ]


def _kept(explorer: Explorer, info: ModelInfo, held: Held | None) -> Lines:
    """What is kept of paths, and what going back beyond that costs."""
    if not info.kv_limit:
        return []
    limit = f"{info.kv_limit / 1e9:.3g} GB at most (--kv-memory)"
    if held is None:
        return [("kept of paths", limit)]
    lines = [
        ("kept of paths", f"{held.bytes / 1e9:.3f} GB in {counted(held.paths, 'path')}, {limit}")
    ]
    missing = len(explorer.nodes) - held.tokens
    if missing > 1:  # one is a step, as any other
        kept = f"of this one {held.tokens:,} of {counted(len(explorer.nodes), 'token')}"
        lines.append(("", f"{kept}: {missing:,} are prefilled to go on at its end"))
    else:
        lines.append(("", "all of this one: to go on at its end needs no prefill"))
    return lines


def _model(explorer: Explorer, info: ModelInfo, threads: int, held: Held | None) -> Lines:
    if info.evidence:
        return _server(explorer, info)
    cached = info.kv_bytes_per_token * len(explorer.nodes)
    loaded = f", loaded in {info.seconds:.1f} s" if info.seconds else ""
    return [
        ("name", info.name),
        ("from", info.source + (f" @ {info.revision}" if info.revision else "")),
        ("family", info.family),
        *(("adapter", f"{a.name}: {a.words}, from {a.source}") for a in info.adapters),
        ("parameters", f"{info.parameters:,}"),
        ("shape", f"{info.layers} layers, {info.heads} heads, width {info.hidden}"),
        ("vocabulary", f"{info.vocabulary:,} rows, {len(explorer.vocabulary):,} tokens"),
        ("context", f"{info.context:,} positions" if info.context else "not stated"),
        *([("held as", info.weights)] if info.weights else []),
        ("computes in", f"{info.dtype} on {info.device}, attention {info.attention}"),
        *([("threads", _threads(info.threads, threads))] if info.threads else []),
        ("weights", f"{info.weight_bytes / 1e9:.3f} GB{loaded}"),
        ("KV cache", f"{info.kv_bytes_per_token:,} bytes a token; this path {cached / 1e9:.4f} GB"),
        *_kept(explorer, info, held),
        ("branching", f"{info.cache}; several tokens go in {info.feed}"),
        ("ends at", ", ".join(map(str, info.eos_ids)) or "no end-of-text token"),
        ("chat template", "yes" if info.chat_template else "no"),
        (
            "suggests",
            info.suggested.short(with_seed=False) if info.suggested else "no sampling settings",
        ),
        *(("limit", limit) for limit in info.capabilities.limits),
        *(("noted", notice) for notice in info.notices),
    ]
