"""One row a node, for spreadsheets and data frames."""

import csv
import io
from collections.abc import Iterator

from tokexplore.tui.export.json_fields import TokenFields
from tokexplore.tui.export.source import Scope, Source
from tokexplore.tui.export.tree_jsonl import step_fields

COLUMNS = (
    "node", "parent", "branch", "step", "position", "origin", "chosen_by", "id", "text", "bytes",
    "logprob", "rank", "sampler_logprob", "entropy", "margin", "lse", "note", "name",
)  # fmt: skip
_SECOND = ("second_logprob", "second_rank", "delta", "kl_ab", "js", "acceptance")
"""More columns where a second model was compared with."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_parts(source: Source, scope: Scope, count: int) -> Iterator[bytes]:
    """The head, then a row for each node; logprobs, entropy and margin in nats.

    A text that a spreadsheet would take for a formula gets an apostrophe in front; `bytes` is the
    truth. Three columns a candidate: its id, its text, its logprob.
    """
    tree, tokens, vocabulary = source.tree, TokenFields(source.vocabulary), source.vocabulary
    columns = (*COLUMNS, *_SECOND) if tree.compared else COLUMNS
    candidates = [
        f"candidate{n}_{what}" for n in range(1, count + 1) for what in ("id", "text", "logprob")
    ]
    yield _row([*columns, *candidates])
    for node, distribution in source.steps(scope):
        fields, step = step_fields(source, node, tokens), source.step(node, scope)
        if step is None:
            fields |= {"origin": "prompt", "chosen_by": None}
        cells: dict[str, object] = {
            **fields,
            "node": node, "parent": tree.parent[node], "branch": tree.branch_of[node],
            "step": step, "text": spreadsheet_text(str(fields["text"])),
            "note": spreadsheet_text(tree.notes.get(node, "")),
            "name": spreadsheet_text(tree.labels.get(node, "")),
        }  # fmt: skip
        if (compared := tree.compared.get(node)) is not None:
            figures = (compared.second.logprob, compared.second.rank or None, compared.delta,
                       compared.kl, compared.js, compared.acceptance)  # fmt: skip
            cells |= dict(zip(_SECOND, figures, strict=True))
        rest: list[object] = []
        if distribution is not None:
            cells |= {"entropy": distribution.entropy, "lse": distribution.lse}
            cells["margin"] = distribution.margin if distribution.margin_known else None
            for index, token in enumerate(distribution.id_view[:count]):
                rest += [
                    token,
                    spreadsheet_text(vocabulary.show(token)),
                    distribution.logprob(index),
                ]
        yield _row([*(cells.get(name) for name in columns), *rest])


def spreadsheet_text(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(values: list[object]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(["" if value is None else value for value in values])
    return buffer.getvalue().encode("utf-8", "backslashreplace")
