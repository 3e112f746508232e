"""`tokexplore lens`: a teacher's words without a model."""

import json
import re
from pathlib import Path

import pytest

from tokexplore.tui.cli.dispatch import main

WORDS = "ceiling=-49.82,floor=-46.40,mat=-45.25,car=-47.30,grass=-48.32"


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["lens", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["lens", *arguments]) == 2
    return capsys.readouterr().err


def test_the_words_of_the_textbook(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--logits", WORDS, "--temperature", "1,100")
    mat = next(line for line in text.splitlines() if line.startswith("mat"))
    assert mat.split()[:4] == ["mat", "-45.25", "0.66571", "0.66571"]
    assert "0.20436" in mat
    text = told(capsys, "--logits", "a=2,b=4,c=3")
    shares = dict(re.findall(r"^([abc]) +\d +(\d\.\d{5})", text, re.MULTILINE))
    assert shares == {"a": "0.09003", "b": "0.66524", "c": "0.24473"}


def test_what_is_cut_says_by_what(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--logits", "a=3,b=2,c=1", "--top-p", "0.6,1", "--min-p", "0.2")
    assert "top-p 0.6: reached at rank 1" in text
    assert "min-p 0.2: below 0.2 of the top probability" in text
    tie = told(capsys, "--logits", "a=1,b=1,c=1", "--top-p", "0.4")
    assert "(tie)" in tie
    assert "greedy  1 kept" in told(capsys, "--logits", "a=1,b=2", "--temperature", "0")


def test_draws_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--logits", "a=0,b=0", "--draw", "1000", "--seed", "3")
    a, b = (int(n) for n in re.findall(r"^[ab] .*?0\.50000 +0\.50000 +(\d+)", text, re.MULTILINE))
    assert a + b == 1000
    assert abs(a - 500) < 80


def test_logprobs_that_are_not_all_are_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--logprobs", "yes=-0.7,no=-1.5")
    assert "these logprobs hold 71.97%" in text
    assert "hold" not in told(capsys, "--logprobs", "yes=-0.6931472,no=-0.6931472")


def test_a_file_of_words_or_of_numbers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "words.json"
    file.write_text(json.dumps({"\x1b[31mred": 1.0, "日本": 2}))
    text = told(capsys, "--file", str(file))
    assert "\x1b" not in text
    assert "日本" in text
    file.write_text("[1, 2, 3]")
    assert re.search(r"^2 +3 +0\.66524", told(capsys, "--file", str(file)), re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "one of --logits, --logprobs and --file"),
        (("--logits", "a=1"), "1 words"),
        (("--logits", "a=1,b=x"), "'b=x' is not WORD=NUMBER"),
        (("--logits", "a=1,b=nan"), "nan is no logit for 'b'"),
        (("--logits", "a=1,b=2", "--temperature", "1,-2"), "temperature -2"),
        (("--logits", "a=1,b=2", "--top-p", "1.5"), "top-p 1.5"),
        (("--logits", "a=1,b=2", "--top-p", "x"), "'x' is not a number"),
        (("--logits", "a=1,b=2", "--file", "b"), "one of"),
        (("--file", "/nowhere.json"), "/nowhere.json cannot be read"),
    ],
)
def test_what_cannot_be_is_named(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str
) -> None:
    assert named in refused(capsys, *arguments)
