"""`tokexplore score`: what the model thinks of a text, token by token."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from tokexplore.models import opening
from tokexplore.models.api.engine import Control, Engine, Progress
from tokexplore.models.display import safe_text
from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.models.tree.events import Ended, Prompted
from tokexplore.models.tree.record import record
from tokexplore.models.tree.tree import TokenTree
from tokexplore.models.tree.trie import ROOT
from tokexplore.tui.cli.common.own_engine import interruptible, opened
from tokexplore.tui.cli.common.progress import Meter
from tokexplore.tui.cli.common.prompt_input import read_text
from tokexplore.tui.cli.score import ScoreOptions
from tokexplore.tui.explore.first_token import begun_by_text
from tokexplore.tui.export.formats import export
from tokexplore.tui.export.source import Source
from tokexplore.tui.report.step_text import LONGEST_TOKEN, number, percent
from tokexplore.tui.report.tables import aligned, cut
from tokexplore.widgets.numbers import figure

SURPRISING = 10
"""Tokens that are listed as the most surprising."""


def score_text(
    options: ScoreOptions,
    out: BinaryIO,
    *,
    open_engine: OpenEngine = opening.open_engine,
    errors: TextIO | None = None,
) -> int:
    """Score a text in prefill passes and write what was asked for; the exit code.

    Raises:
        UsageError: no such file, no text in it, one that is longer than the context, or an engine
            without prompt scores.
        TokexploreError: see `Engine`.
    """
    notices: list[str] = []
    text = read_text(options.file, notices)
    name = Path(options.file).name if options.file != "-" else "standard input"
    if not text:
        raise UsageError(f"{name} holds no text: there is nothing to score.")
    meter = Meter(errors or sys.stderr)
    with interruptible() as interruption, meter:
        engine = opened(options.app.load, open_engine, meter, interruption)
        if engine is None:
            return interruption.code
        if why := engine.info.capabilities.why_not("score", "prompt_scores"):
            raise UsageError(why)
        control = interruption.control = Control()
        ids = engine.encode(text, literal=options.literal)
        begun = begun_by_text(text, ids, engine.info, engine.vocabulary, literal=options.literal)
        for notice in filter(None, (*notices, begun)):
            meter.say(notice)
        tree, leaf = _scored(engine, ids, name, control, meter)
        meter.clear()
        source = Source(tree, engine.vocabulary, leaf, name, options.app.settings)
        if options.format == "text":
            for line in report(source, text, options.candidates):
                out.write(f"{line}\n".encode("utf-8", "backslashreplace"))
            out.flush()
        else:
            export(source, options.format, "path", options.candidates, out)
        return interruption.code


def _scored(
    engine: Engine, ids: list[int], name: str, control: Control, meter: Meter
) -> tuple[TokenTree, int]:
    """The text's ids as a path whose tokens have the model's numbers."""
    context = engine.info.context
    if context and len(ids) > context:
        raise UsageError(
            f"{name} is {len(ids):,} tokens long and the context of {engine.info.name} is "
            f"{context:,}: score a shorter part of it."
        )
    tree, leaf = TokenTree(), ROOT
    tree.load(engine.info.provenance)
    for token in ids:
        leaf = tree.take(leaf, token, "prompt")
    tree.append(Prompted(leaf, "text"))
    path = tree.path(leaf)
    for event in engine.score(ids, 1, control) if len(ids) > 1 else ():
        if isinstance(event, Progress):
            meter.show(event)
            continue
        record(tree, leaf, event, path=path)
    if control.cancelled:
        tree.append(Ended(leaf, "interrupted"))
    return tree, leaf


def report(source: Source, text: str, candidates: int) -> Iterator[str]:
    """The figures of the whole text, its most surprising tokens, and a line for each token."""
    tree, vocabulary = source.tree, source.vocabulary
    path = tree.path(source.leaf)
    scored = [node for node in path if tree.is_scored(node)]
    if not scored:
        yield "One token, and nothing comes before it: the model said nothing about it."
        return
    total = -math.fsum(tree.logprob[node] for node in scored)
    pieces = vocabulary.pieces([tree.token[n] for n in path])
    size = len("".join(pieces[len(path) - len(scored) :]).encode())
    yield f"{safe_text(source.title)}: {len(path):,} tokens, {len(text.encode()):,} bytes of UTF-8"
    yield (
        f"{len(scored):,} tokens of {size:,} bytes are counted: the first token has nothing before "
        "it to be predicted from"
    )
    yield f"surprisal     {total:,.4f} nats = {total / math.log(2):,.4f} bits"
    mean = total / len(scored)
    yield f"a token       {mean:.4f} nats, perplexity {_perplexity(mean)}"
    if size:
        yield f"a byte        {total / math.log(2) / size:.4f} bits"
    first = sum(tree.rank[node] == 1 for node in scored)
    yield f"rank 1        {first / len(scored):.1%} of the tokens"
    yield ""
    yield "The most surprising tokens:"
    worst = sorted(scored, key=lambda node: tree.logprob[node])[:SURPRISING]
    yield from _table(source, worst, 3)
    if candidates:
        yield ""
        yield "Every token:"
        yield from _table(source, scored, candidates)


def _perplexity(nats: float) -> str:
    return f"{math.exp(nats):,.2f}" if nats < 700 else f"e^{nats:.0f}"


def _table(source: Source, nodes: list[int], candidates: int) -> Iterator[str]:
    tree, vocabulary = source.tree, source.vocabulary
    rows: list[tuple[str, ...]] = [
        ("position", "token", "logprob", "model", "rank", "H", "instead")
    ]
    for node in nodes:
        distribution = tree.distribution.get(tree.parent[node])
        assert distribution is not None
        instead = ", ".join(
            f"{cut(vocabulary.show(token), LONGEST_TOKEN)} {percent(distribution.logprob(index))}"
            for index, token in enumerate(distribution.id_view[:candidates])
        )
        rows.append(
            (
                str(tree.depth[node] - 1),
                cut(vocabulary.show(tree.token[node]), LONGEST_TOKEN),
                number(tree.logprob[node]),
                percent(tree.logprob[node]),
                f"{tree.rank[node]:,}",
                figure(distribution.entropy, 3),
                instead,
            )
        )
    yield from aligned(rows, "><>>>><")
