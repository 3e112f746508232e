"""Texts that were scored beside the tree come back with the session, or their loss is told."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.sessions import grow, journal_of, kept, prompted

from tokexplore.models.scored_text import ScoredText
from tokexplore.models.session import schema
from tokexplore.models.session.meta import Summary
from tokexplore.models.session.reader import connect, open_session
from tokexplore.models.session.texts import texts_json
from tokexplore.models.session.writer import View
from tokexplore.models.tree.tree import TokenTree
from tokexplore.tui.explore.open_session import continue_session

TEXTS = {
    4: (
        ScoredText(" w9 \x1b é", (9, 8), (-1.25, None), (3, 300)),
        ScoredText("</s>", (7,), (-0.1,), (0,), literal=True),
    ),
    6: (ScoredText(" w1", (1,), (-2.0,), (1,)),),
}
LOST = "texts of which the probability was asked for"


def with_texts(path: Path, texts: Any = TEXTS) -> Path:
    tree = TokenTree()
    journal = journal_of(tree, path)
    grow(tree, prompted(tree), 8)
    stored = texts if isinstance(texts, str) else texts_json(texts)
    journal.view(View(Summary("fake", len(tree) - 1, "w5", 1.0), "{}", stored))
    assert journal.close("quit") == ""
    return path


def test_they_come_back_and_the_format_is_the_same(tmp_path: Path) -> None:
    path = with_texts(tmp_path / "a.tokx")
    session = open_session(path)
    assert session.texts == TEXTS
    assert session.damage == ""
    connection = connect(path)
    assert schema.version_of(connection) == schema.WRITTEN
    connection.close()


def test_a_session_without_them_has_no_key_for_them(tmp_path: Path) -> None:
    kept(tmp_path / "a.tokx")
    connection = connect(tmp_path / "a.tokx")
    assert not connection.execute("SELECT * FROM meta WHERE key = 'texts'").fetchall()
    connection.close()
    assert open_session(tmp_path / "a.tokx").texts == {}


def test_a_view_without_them_leaves_those_that_are_there(tmp_path: Path) -> None:
    path = with_texts(tmp_path / "a.tokx")
    session = open_session(path)
    tree = session.tree
    journal = journal_of(tree, path)
    journal.hold()
    journal.view(View(Summary("fake", len(tree) - 1, "w5", 2.0), "{}"))
    assert journal.close("quit") == ""
    assert open_session(path).texts == TEXTS


TEXT = {"text": "a", "ids": [1], "logprobs": [-1.0], "ranks": [1]}


@pytest.mark.parametrize(
    "stored",
    [
        "no json", "[]", '{"4": 3}', "[" * 100_000, '{"4": [{}]}', "\udcff",
        json.dumps({"4": [{**TEXT, "ids": [1, 2]}]}),
        json.dumps({"4": [{**TEXT, "ids": [], "logprobs": [], "ranks": []}]}),
        json.dumps({"4": [{**TEXT, "logprobs": [7.0]}]}),
        json.dumps({"4": [{**TEXT, "ids": [2**40]}]}),
        json.dumps({"4": [{**TEXT, "model": 9}]}),
        json.dumps({"0": [TEXT]}), json.dumps({"4000": [TEXT]}), json.dumps({"-1": [TEXT]}),
    ],
)  # fmt: skip
def test_what_is_damaged_is_left_out_and_told(tmp_path: Path, stored: str) -> None:
    path = with_texts(tmp_path / "a.tokx")
    value: object = stored if stored.isascii() else stored.encode("utf-8", "surrogateescape")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'texts'", (value,))
    session = open_session(path, to_write=False)
    assert session.texts == {}
    assert LOST in session.damage
    assert LOST in continue_session(str(path)).notice


def test_a_field_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    stored = json.dumps({"4": [{**TEXT, "new": [1]}]})
    session = open_session(with_texts(tmp_path / "a.tokx", stored))
    assert session.texts == {4: (ScoredText("a", (1,), (-1.0,), (1,)),)}
