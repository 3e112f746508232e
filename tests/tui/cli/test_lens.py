"""`tokexplore lens`: a teacher's words without a model."""

import json
import re
from pathlib import Path

import pytest

from tokexplore.tui.cli.dispatch import main

WORDS = "ceiling=-49.82,floor=-46.40,mat=-45.25,car=-47.30,grass=-48.32"


def told(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["lens", *arguments]) == 0
    return capfd.readouterr().out


def refused(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["lens", *arguments]) == 2
    return capfd.readouterr().err


@pytest.mark.slow
def test_the_words_of_the_textbook(capfd: pytest.CaptureFixture[str]) -> None:
    text = told(capfd, "--logits", WORDS, "--temperature", "1,100")
    mat = next(line for line in text.splitlines() if line.startswith("mat"))
    assert mat.split()[:4] == ["mat", "-45.25", "0.66571", "0.66571"]
    assert "0.20436" in mat
    text = told(capfd, "--logits", "a=2,b=4,c=3")
    shares = dict(re.findall(r"^([abc]) +\d +(\d\.\d{5})", text, re.MULTILINE))
    assert shares == {"a": "0.09003", "b": "0.66524", "c": "0.24473"}


@pytest.mark.slow
def test_what_is_cut_says_by_what(capfd: pytest.CaptureFixture[str]) -> None:
    text = told(capfd, "--logits", "a=3,b=2,c=1", "--top-p", "0.6,1", "--min-p", "0.2")
    assert "top-p 0.6: reached at rank 1" in text
    assert "min-p 0.2: below 0.2 of the top probability" in text
    tie = told(capfd, "--logits", "a=1,b=1,c=1", "--top-p", "0.4")
    assert "(tie)" in tie
    greedy = told(capfd, "--logits", "a=1,b=2", "--temperature", "0")
    assert "greedy  1 kept" in greedy
    assert re.search(r"^a +1 +0\.26894 +cut +greedy$", greedy, re.MULTILINE)


@pytest.mark.slow
def test_draws_are_counted(capfd: pytest.CaptureFixture[str]) -> None:
    text = told(capfd, "--logits", "a=0,b=0", "--draw", "1000", "--seed", "3")
    a, b = (int(n) for n in re.findall(r"^[ab] .*?0\.50000 +0\.50000 +(\d+)", text, re.MULTILINE))
    assert a + b == 1000
    assert abs(a - 500) < 80


@pytest.mark.slow
def test_logprobs_that_are_not_all_are_said_so(capfd: pytest.CaptureFixture[str]) -> None:
    text = told(capfd, "--logprobs", "yes=-0.7,no=-1.5")
    assert "these logprobs hold 71.97%" in text
    assert "hold" not in told(capfd, "--logprobs", "yes=-0.6931472,no=-0.6931472")


@pytest.mark.slow
def test_a_file_of_words_or_of_numbers(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "words.json"
    file.write_text(json.dumps({"\x1b[31mred": 1.0, "日本": 2}))
    text = told(capfd, "--file", str(file))
    assert "\x1b" not in text
    assert "日本" in text
    file.write_text("[1, 2, 3]")
    assert re.search(r"^2 +3 +0\.66524", told(capfd, "--file", str(file)), re.MULTILINE)


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
        (("--logits", "a=1,b=2", "--prompt", "x"), "leave out the others"),
        (("embedded", "--logits", "a=1,b=2"), "leave out the others"),
        (("--logits", "a=1,b=2", "--top-k", "1,2.5"), "'2.5' is not a whole number"),
        (("--logits", "a=1,b=2", "--min-p", "0.1,,0.2"), "'' is not a number"),
        (("--logits", "a=1,b=2", "--min-p", "0.1,7"), "min-p 7 is not possible"),
        (("--logits", "a=1,b=2", "--seed", ",".join(map(str, range(1001)))), "1,001 settings"),
        (("--logits", "a=1,b=2", "--top", "0"), "0 is not possible: give 1 to 256"),
        (("--logits", "a=1,b=2", "--plot", "a.png"), "a.png is no picture that lens draws"),
        (("--logits", "a=1,b=2", "--plot", "/nowhere/a.svg"), "there is no folder /nowhere"),
        (("--logits", "a=1,b=2", "--plot", "a.svg", "--top", "41"), "--top 41 is too much"),
        (
            ("--logits", "a=1,b=2", "--plot", "a.svg", "--seed", ",".join(map(str, range(13)))),
            "13 settings are too many for --plot: give 12 at most.",
        ),
        (("--file", "/nowhere.json"), "/nowhere.json cannot be read"),
    ],
)
def test_what_cannot_be_is_named(
    capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str
) -> None:
    said = refused(capfd, *arguments)
    assert named in said
    assert len(said.strip().splitlines()) == 1 or said.startswith("usage:")
