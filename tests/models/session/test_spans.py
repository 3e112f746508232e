"""What a stretch of the text costs two models comes back from a session as it was."""

import math
from pathlib import Path

import msgspec
import pytest
from support.sessions import PROVENANCE, journal_of, prompted, same

from tokexplore.models.diff.spans import Side, Span
from tokexplore.models.session.compared import span_body_of, span_of
from tokexplore.models.session.reader import open_session
from tokexplore.models.tree.events import SecondLoaded, Spanned
from tokexplore.models.tree.tree import TokenTree

SPAN = Span(3, 6, Side((6, 7), -1.0 / 3), Side((1, 2, 3), -math.inf))
"""Of the last two tokens of the prompt of `prompted`."""


def tree_of(leaf_of: list[int]) -> TokenTree:
    tree = TokenTree()
    leaf_of.append(prompted(tree))
    tree.load_second(PROVENANCE)
    return tree


def test_a_span_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    tree = TokenTree()
    book = journal_of(tree, tmp_path / "a.tokx")
    leaf = prompted(tree)
    tree.load_second(PROVENANCE)
    tree.append(Spanned(leaf, 0, msgspec.structs.replace(SPAN, start=2)))
    tree.append(Spanned(leaf, 0, SPAN))
    book.close("quit")
    session = open_session(tmp_path / "a.tokx")
    assert same(session.tree, tree)
    assert session.tree.spans == {leaf: SPAN}, "of several the last"


def test_another_second_model_has_no_spans_yet() -> None:
    leaf = list[int]()
    tree = tree_of(leaf)
    tree.append(Spanned(leaf[0], 0, SPAN))
    tree.load_second(PROVENANCE)
    assert tree.spans, "it is the same one"
    tree.append(SecondLoaded(1, msgspec.structs.replace(PROVENANCE, dtype="bfloat16")))
    assert not tree.spans


@pytest.mark.parametrize(
    ("change", "second", "says"),
    [
        ({"first": Side((5, 7), -1.0)}, 0, "does not end with node 4"),
        ({"first": Side((1, 0, 5, 6, 7), -1.0)}, 0, "does not end with node 4"),
        ({"second": Side((1,), None)}, 0, "one says nothing"),
        ({"end": 3}, 0, "no bytes"),
        ({"start": -1}, 0, "no bytes"),
        ({}, 1, "second model number 1"),
    ],
)
def test_a_span_that_is_not_of_its_node_is_refused(
    change: dict[str, object], second: int, says: str
) -> None:
    leaf = list[int]()
    tree = tree_of(leaf)
    with pytest.raises(ValueError, match=says):
        tree.append(Spanned(leaf[0], second, msgspec.structs.replace(SPAN, **change)))
    assert not tree.spans


def test_what_is_stored_is_a_list_that_any_reader_of_json_reads() -> None:
    body = span_body_of(SPAN)
    assert body == '[3,6,[[6,7],-0.3333333333333333],[[1,2,3],"-inf"]]'
    assert span_of(body) == SPAN


@pytest.mark.parametrize(
    "body",
    [
        "", "{}", "[3,6,[[6,7],-0.5]]", "[3,6,[[],-0.5],[[1],-1.0]]", "[3,6,[[6],null],[[1],-1.0]]",
        '[3,6,[[6],"nan"],[[1],-1.0]]', "[-3,6,[[6],-0.5],[[1],-1.0]]",
        "[3,6,[[6],-0.5],[[1],-1.0],0]",
    ],
)  # fmt: skip
def test_what_tells_no_span_is_refused(body: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        span_of(body)
