"""JSON lines have the names, the order, the tokens and the numbers that they always had."""

import json
from pathlib import Path

import pytest
from support.kept_lines import COMMANDS, FIELDS, embedded, expected, fields, unlike

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.local import LocalEngine


def test_the_model_that_we_ship_says_what_it_said(tmp_path: Path) -> None:
    engine = LocalEngine.open(LoadOptions(device="cpu", threads=1), lambda _: None)
    found = dict(embedded(tmp_path, engine))
    assert list(found) == list(COMMANDS)
    for name, lines in found.items():
        assert not unlike(lines, expected(name), name)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"a": 1, "b": 1.0}, "has"),
        ({"b": 1.0, "a": 2}, "x.a: 2, not 1"),
        ({"b": 1.001, "a": 1}, "x.b: 1.001"),
        ({"b": None, "a": 1}, "x.b: None"),
        ({"b": 1.00005, "a": 1}, ""),
    ],
)
def test_what_differs_is_seen(found: object, said: str) -> None:
    difference = unlike(found, {"b": 1.0, "a": 1}, "x")
    assert said in difference
    assert bool(said) == bool(difference)


def test_lines_of_every_command_have_the_same_fields(tmp_path: Path) -> None:
    assert fields(tmp_path) == json.loads(FIELDS.read_text(encoding="utf-8"))
