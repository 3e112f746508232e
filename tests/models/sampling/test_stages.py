"""The table of stages: nothing is left out of it, and all that is made of it follows a new row."""

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from tokexplore.models.sampling import logit_edits
from tokexplore.models.sampling.settings import BY_FIELD, BY_NAME, OFF, STAGES, SamplingSettings


def test_every_field_has_one_row_and_every_row_a_field() -> None:
    fields = [field.name for field in msgspec.structs.fields(SamplingSettings)]

    assert sorted(stage.field for stage in STAGES) == sorted(fields)
    assert len(BY_NAME) == len(STAGES), "cuts are told apart by these names"
    for field, stage in BY_FIELD.items():
        assert not list(stage.complaints(OFF[field], 0.0)), "off is possible"
        assert stage.rules


def test_every_stage_of_the_path_has_its_formula() -> None:
    of_the_path = {stage.field for stage in STAGES if stage.kind == "path"}

    assert set(logit_edits._EDITS) == of_the_path


ADDED = """
import importlib.util, json, sys
import tokexplore.models.sampling

FIELD = "    made_up: float = 0.0\\n\\n"
ROW = '''    Stage(
        field="made_up", name="made-up", short="mu", suggested_as="their_made_up",
        turns=Turns(0.1, 0.5, 0, 1), meaning="as you like; 0 off",
        rules=(Rule("0 (off) to 1", _share),),
        cut_words="made up after {kept}",
    ),
'''
NAME = "tokexplore.models.sampling.settings"
found = importlib.util.find_spec(NAME)
text = open(found.origin, encoding="utf-8").read()
for mark, more in (
    ("    @property\\n    def greedy(", FIELD), ("    Stage(\\n        field=\\"seed\\"", ROW)
):
    before, after = text.split(mark)
    text = before + more + mark + after
module = importlib.util.module_from_spec(found)
sys.modules[NAME] = module
exec(compile(text, found.origin, "exec"), module.__dict__)

import argparse
from tokexplore.models.distribution import Distribution
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling import knobs
from tokexplore.models.sampling.bounds import bounded_view
from tokexplore.models.sampling.sampler_view import Cut, cut_label
from tokexplore.tui.cli.common.option_groups import add_lists, add_sampling
from tokexplore.tui.explore.knob_editor import DIALS
from tokexplore.tui.export.json_fields import sampling_fields
from tokexplore.tui.screens import sampler_lines

plain = module.SamplingSettings(1.0)
on = knobs.with_value(plain, knobs.BY_NAME["made-up"], 0.5)
help_texts = []
for add in (add_sampling, add_lists):
    parser = argparse.ArgumentParser()
    add(parser)
    help_texts.append(parser.format_help())
try:
    refused = str(knobs.with_value(plain, knobs.BY_NAME["made-up"], 2.0).checked())
except UsageError as error:
    refused = str(error)
four = Distribution(bytes(range(16)), bytes(16), 9, 2.5, 1.0)
print(json.dumps({
    "knobs": [knob.name for knob in knobs.KNOBS],
    "dials": [dial.name for dial in DIALS],
    "help": help_texts,
    "header": on.short(with_seed=False),
    "refused": refused,
    "label": cut_label("made-up", 0.5),
    "words": Cut("made-up", 0.5, 3, 0.1).words(),
    "json": sampling_fields(on).get("made_up"),
    "suggested": module.SUGGESTIONS.get("their_made_up"),
    "inert": "made_up" in sampler_lines._INERT,
    "bounds": [
        bounded_view(four, settings) is not None
        for settings in (plain, on, module.SamplingSettings(0.0, made_up=0.5))
    ],
    "torch": "torch" in sys.modules,
}))
"""
"""What of the program follows a field and a row that are added to the text of settings.py."""


@pytest.fixture(scope="module")
def with_one_more() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", ADDED], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_new_row_becomes_a_knob_an_option_and_words(with_one_more: dict[str, Any]) -> None:
    names = with_one_more["knobs"]
    assert names[-3:] == ["eta-cutoff", "made-up", "seed"], "in the chain's order"
    assert with_one_more["dials"] == [*names, "length"]
    for text in with_one_more["help"]:
        assert "--made-up X" in text
        assert "as you like; 0 off" in text
    assert with_one_more["header"] == "T 1.00 mu .50"
    assert with_one_more["refused"] == "made-up 2 is not possible: give 0 (off) to 1."
    assert with_one_more["label"] == "mu .50"
    assert with_one_more["words"] == "made-up 0.5: made up after 3"
    assert with_one_more["json"] == 0.5
    assert with_one_more["suggested"] == "made_up"


def test_a_new_row_has_no_bounds(with_one_more: dict[str, Any]) -> None:
    off, on, greedy = with_one_more["bounds"]
    assert (off, on, greedy) == (True, False, True), "greedy heeds no filter"
    assert with_one_more["inert"]
    assert not with_one_more["torch"]
