"""The language of tapes: what is read, what is refused, and keys that become a tape."""

from pathlib import Path

import pytest
from support.lived import OPTIONS, SIZE

from tokexplore.models.errors import UsageError
from tokexplore.tui.cli.tape import TapeOptions
from tokexplore.tui.cli.tape_run import app_options, run_tape
from tokexplore.tui.recording.key_log import KeyLog, Pressed
from tokexplore.tui.tape.script import Step, parse_script, read_script

TAPE = """
# comment
Size 100x30
Theme light
Options --temperature 1.2 --seed 4
Repeat 2 Key left
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Jump 3", "'Jump' is no command"),
        ("Type a\x07b", "Type has the control character U.0007: Key presses such keys by name"),
        ("Type a\tb", "Type has the control character U.0009"),
        ("Key \x1b", "Key has the control character U.001B"),
        ("Caption \x9b31m", "Caption has the control character U.009B"),
        ("Repeat ² Key a", "Repeat needs a number from 1 to 10,000, not '²'"),
        (f"Repeat {'9' * 5000} Key a", "Repeat needs a number from 1 to 10,000, not '999"),
        ("Wait", "Wait needs seconds"),
        ("Wait long", "not 'long'"),
        ("Wait -1", "not '-1'"),
        ("Speed 0", "not '0'"),
        ("Size 3x4", "no size"),
        ("Theme pink", "no theme"),
        ("Keys maybe", "not 'maybe'"),
        ("Screenshot ../x", "no name"),
        ("Key ctrl+", "no key"),
        ("Key nope", "'nope' is no key"),
        ("Key home ctrl+nope", "is no key"),
        ("Repeat 0 Key a", "not '0'"),
        ("Repeat 3 Wait 1", "not 'Wait'"),
        ("Options 'x", "cannot be read"),
        ("Until", "Until needs text"),
        ("Wait 1\nSize 80x24", "comes before"),
    ],
)
def test_a_wrong_line_is_named(line: str, said: str) -> None:
    number = 2 + line.count("\n")
    with pytest.raises(UsageError, match=f"a.tape, line {number}: .*{said}"):
        parse_script(f"# comment\n{line}", "a.tape")


def test_a_tape_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    path.write_text(TAPE)
    script = read_script(path)
    assert (script.size, script.theme) == ((100, 30), "tokexplore-light")
    assert app_options(script).settings.seed == 4
    assert Step(6, "Key", "left", 2) in script.steps
    with pytest.raises(UsageError, match="cannot be read"):
        read_script(tmp_path / "none.tape")
    with pytest.raises(UsageError, match="--cast, --gif, --svg or --check"):
        run_tape(TapeOptions(str(path)))
    with pytest.raises(UsageError, match="drives the app"):
        app_options(parse_script("Options run --seed 3", "a.tape"))


def test_keys_become_commands_and_typed_text() -> None:
    memory = KeyLog()
    keys = [
        ("g", ""),
        ("3", "3"),
        ("enter", ""),
        ("space", ""),
        ("t", ""),
        ("a", "a"),
        ("space", " "),
    ]
    for number, (key, character) in enumerate([*keys, ("b", "b"), ("enter", "")]):
        memory.add(Pressed(number * 0.1 + (5 if number > 4 else 0), key, character))
    assert memory.tape(OPTIONS, (100, 30)).splitlines() == [
        "Size 100x30",
        "Options --temperature 1.2 --seed 4 --max-new-tokens 24 "
        "--prompt 'Once upon a time there was'",
        "",
        "Key g",
        "Type 3",
        "Key enter space t",
        "Wait 2.0",
        "Type a b",
        "Key enter",
    ]
    memory.mark()
    assert len(memory) == 0


@pytest.mark.parametrize("late", range(10))
def test_wherever_somebody_pauses_all_that_was_typed_is_in_the_tape(late: int) -> None:
    memory, text = KeyLog(), "a  b\u3000c\xa0\u3000 "
    for number, character in enumerate(f"{text}\r"):
        key = {" ": "space", "\r": "enter"}.get(character, character)
        at = number * 0.1 + (number >= late)
        memory.add(Pressed(at, key, character if character in text else ""))
    typed = ""
    for step in parse_script(memory.tape(OPTIONS, SIZE), "a.tape").steps:
        if step.name == "Type":
            typed += step.text
        elif step.name == "Key":
            typed += " " * step.text.split().count("space")
    assert typed == text


@pytest.mark.parametrize(
    "line",
    [
        "--max-new-tokens 4",
        "--max-new-tokens 4 --seed 12345678901",
        "--max-new-tokens 4 --temperature 0",
        "--max-new-tokens 4 --temperature 0 --model-defaults flock",
        "--max-new-tokens 4 --top-p 0.1234567 --temperature 1",
        "--max-new-tokens 4 --bias-id 17,4=-5 --ban-id 3 --bias ' king=2' --ban ' dragon'",
    ],
)
def test_a_saved_tape_begins_with_the_sampling_that_was_asked_for(line: str) -> None:
    asked = app_options(parse_script(f"Options {line}", "a.tape"))
    again = app_options(parse_script(KeyLog().tape(asked, SIZE), "b.tape"))
    assert again.settings == asked.settings
    assert (again.bias_texts, again.ban_texts) == (asked.bias_texts, asked.ban_texts)
    assert again.adopts == asked.adopts
    assert not again.adopts or again.given == asked.given
