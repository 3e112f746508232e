"""The line mode on a fake engine: what is typed, what is told."""

import io
import os
import random
import re
from functools import partial
from pathlib import Path

import pytest
from support.connect import in_thread
from support.fake_engine import FakeEngine
from support.fake_vocabulary import token_id

from tokexplore.models.api.options import LoadOptions, PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.knobs import BY_NAME
from tokexplore.models.sampling.settings import OFF
from tokexplore.models.worker.client import EngineClient
from tokexplore.tui.explore.options import AppOptions
from tokexplore.tui.line_mode.commands import COMMANDS, find_command
from tokexplore.tui.line_mode.session import LineSession

PROMPT = PromptSpec(text="Once upon a time")


async def told(
    *commands: str | bytes, engine: FakeEngine | None = None, dies: bool = False, **options: object
) -> list[str]:
    """What a session tells after its introduction, a list entry a line.

    With `dies` the first engine does so in the middle of its stream.
    """
    engines = [FakeEngine(failures={8: "die"})] if dies else []

    def client(load: LoadOptions, on_lost: object) -> EngineClient:
        made = engines.pop() if engines else engine or FakeEngine()
        connect = in_thread(partial(_opened, made))
        return EngineClient(load, connect=connect, on_lost=on_lost)  # type: ignore[arg-type]

    given = {"prompt": PROMPT, "max_new_tokens": 6} | options
    ours, theirs = os.pipe()
    sent = [c if isinstance(c, bytes) else c.encode() for c in commands]
    os.write(theirs, b"".join(line + b"\n" for line in sent))
    os.close(theirs)
    out = io.BytesIO()
    try:
        session = LineSession(AppOptions(load=LoadOptions("fake"), **given), client, out, ours)  # type: ignore[arg-type]
        assert await session.run() == 0
    finally:
        os.close(ours)
    text = out.getvalue().decode()
    assert text.isprintable() or all(c == "\n" or c.isprintable() for c in text)
    return text.split("help lists the commands\n")[1].splitlines()


def _opened(engine: FakeEngine, *_: object) -> FakeEngine:
    return engine


def section(lines: list[str], command: str) -> list[str]:
    """What was told between a command and the next one."""
    start = lines.index(f"tokexplore> {command}") + 1
    ends = (i for i in range(start, len(lines)) if lines[i].startswith("tokexplore> "))
    return lines[start : next(ends, len(lines))]


async def test_the_prompt_streams_and_its_end_is_told() -> None:
    engine = FakeEngine()
    lines = await told(engine=engine)
    ids = engine.encode("Once upon a time")
    assert lines[0].startswith("".join(engine.vocabulary.pieces(ids[1:])))
    assert len(lines[0]) > len("Once upon a time")
    assert lines[1] == "[length, step 6]"


async def test_a_table_has_the_engine_s_numbers_and_the_taken_token() -> None:
    engine = FakeEngine()
    lines = section(await told("step 1", "table 3", engine=engine), "table 3")
    path = engine.encode("Once upon a time")
    distribution = engine.describe(path)
    assert "step 1 of 6" in lines[0]
    assert f"entropy {distribution.entropy:.4f} nats" in lines[1]
    for index, line in enumerate(lines[3:6]):
        row, rank, *_ = line.split()
        assert (row, rank) == (str(index + 1), str(index + 1))
        assert f" {distribution.id_view[index]} " in line
        assert f"{distribution.logprob(index):.4f}" in line
    assert lines[3].endswith("100.00%  taken")
    assert f"{distribution.tail_mass(3):.2%}" in lines[6]


async def test_a_pick_branches_and_both_stories_can_be_compared() -> None:
    lines = await told("step 2", "pick 2", "compare", "branch", "branch 1", "text")
    assert "branch 2 of 2, step 2 of 2" in section(lines, "pick 2")[0]
    assert section(lines, "pick 2")[-1] == "[length, step 8]"
    compared = section(lines, "compare")
    assert re.match(r"the same for \d+ tokens", compared[0])
    assert compared[1].startswith("branch 2, 7 tokens, -")
    assert compared[3].startswith("branch 1, 5 tokens, -")
    listed = section(lines, "branch")
    assert listed[0].startswith("branch 1")
    assert listed[1].startswith("  branch 2 leaves at step 2")
    assert "(in view)" in listed[1]
    assert section(lines, "text")[0] == lines[0]


async def test_any_row_and_any_id_of_the_vocabulary_can_be_taken() -> None:
    engine = FakeEngine()
    token = token_id(" king")
    far = engine.vocabulary.rows - 3
    lines = await told("step 1", "find king", f"take {token}", "step 1", f"pick {far}")
    assert f"id {token} " in section(lines, "find king")[0]
    assert section(lines, f"take {token}")[1].startswith(" king")
    assert "branch 3 of 3" in section(lines, f"pick {far}")[0]


async def test_typed_text_keeps_its_spaces_and_is_scored() -> None:
    lines = section(await told("step 3", "type  king"), "type  king")
    assert lines[0] == " king"
    assert re.fullmatch(r"1 token typed; the model gave them -\d+\.\d\d nats in all, .*", lines[1])


async def test_a_text_s_probability_is_told_and_nothing_branches() -> None:
    engine = FakeEngine()
    asked = ("step 3", "prob  king", "prob  there was a", "prob", "branch")
    lines = await told(*asked, engine=engine)
    first = section(lines, "prob  king")
    (word,) = engine.encode(" king", continuation=True)
    assert first[0] == "“␣king”, 1 token"
    assert first[2].split()[:2] == ["␣king", str(word)]
    assert len(first) == 5
    second = section(lines, "prob  there was a")
    assert second[0] == "“␣there␣was␣a”, 3 tokens"
    assert any(line.startswith(("“␣king”  ", "“␣there␣was␣a”  ")) for line in second)
    assert section(lines, "prob")[0] == first[0]
    assert second[0] in section(lines, "prob")
    assert section(lines, "branch")[0].startswith("branch 1")
    assert len(section(lines, "branch")) == 1
    text = lines[0]
    assert " king" not in text


async def test_settings_change_and_drawing_again_is_a_branch_or_says_so() -> None:
    lines = await told("again", "set temperature 0.9", "set length 3", "step 2", "again", "where")
    assert section(lines, "again")[0].startswith("Temperature 0 always takes")
    assert section(lines, "set length 3") == ["sampling: T .90 seed 0, length 3"]
    assert section(lines, "where")[1] == "sampling: T .90 seed 0, length 3"


async def test_changes_are_taken_back() -> None:
    lines = await told("step 2", "pick 2", "name spare", "hide", "undo", "branch", "redo", "hide")
    assert "branch 2 is hidden" in section(lines, "hide")[0]
    assert section(lines, "undo")[0] == "took back: hiding of branch 2"
    assert "branch 2 of 2" in section(lines, "undo")[1]
    assert section(lines, "redo")[0] == "made again: hiding of branch 2"
    assert "spare" in section(lines, "branch")[1]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("jump", "'jump' is no command: see help."),
        ("t", "'t' is more than one command: table or take or type or text."),
        ("prob", "prob needs a text, such as: prob  and then"),
        ("pick two", "pick needs a whole number, not 'two'."),
        ("pick 0", "pick 0 is not possible: give 1 or more."),
        ("pick 100000", "there is no row 100000: the last is"),
        ("take 100000", "id 100000 is not in the vocabulary"),
        ("step 99", "step 99 is not on this branch: it has 6 steps."),
        ("branch 7", "there is no branch 7: there are 1."),
        ("set warmth 3", "'warmth' is no setting"),
        ("set top-p 7", "top-p 7 is not possible"),
        ("set top-p nan", "set top-p needs a number, not 'nan'."),
        ("set temperature 1e300", "temperature 1e+300 is not possible"),
        (f"set top-k {2**64}", f"set top-k {2**64} is not possible: give at most 2^64 - 1."),
        ("set top-k 1.5", "top-k 1.5 is not a whole number: give 0 (off) to 2^64 - 1."),
        (
            f"set top-k {'9' * 5000}",
            f"set top-k {'9' * 40}… is not possible: give at most 2^64 - 1.",
        ),
        (
            f"set length {'9' * 23}",
            f"set length {'9' * 23} is not possible: give at most {2**31 - 1}.",
        ),
        (f"set length {2**31}", f"set length {2**31} is not possible: give 1 to {2**31 - 1}."),
        (f"go {2**63}", f"go {2**63} is not possible: give 1 to {2**31 - 1}."),
        (f"step +{'9' * 30}", f"step +{'9' * 30} is not possible: give at most {2**31 - 1}."),
        (f"branch {'9' * 400}", "branch 999"),
        ("pick ²", "pick needs a whole number, not '²'."),
        ("hide", "no branch would be left in view."),
        ("prompt", "prompt needs a text"),
    ],
)
async def test_a_mistake_is_told_and_loses_nothing(command: str, said: str) -> None:
    lines = await told(command, "where")
    assert section(lines, command)[0].startswith(said)
    assert "step 6 of 6" in section(lines, "where")[0]


async def test_a_branch_that_was_taken_back_is_not_gone_to() -> None:
    lines = await told("step 2", "pick 3", "undo", "branch 2", "where")
    assert section(lines, "branch 2")[0] == (
        "branch 2 was taken back (redo makes the last one again) or is hidden."
    )
    assert "branch 1" in section(lines, "where")[0]


async def test_without_a_prompt_it_asks_for_one() -> None:
    lines = await told("table", "prompt Once upon", "quit", prompt=None)
    assert lines[0] == "There is no prompt yet: prompt TEXT gives one."
    assert section(lines, "table") == ["there is no prompt yet: prompt TEXT gives one."]
    assert section(lines, "prompt Once upon")[0].startswith("Once upon")
    assert lines[-1] == "tokexplore> quit"


async def test_a_lost_engine_is_told_and_starts_again() -> None:
    lines = await told("step 1", "go 2", dies=True)
    assert any("Go starts it again" in line for line in lines)
    assert section(lines, "go 2")[-1].startswith("[length, step ")


async def test_what_a_token_holds_never_reaches_the_terminal_as_a_control() -> None:
    hostile = PromptSpec(text="\x1b]0;gone\x07\x9b31m\u202eabc\x1b[2J")
    lines = await told("step 1", "prompt \x1b[2J", "type \x1b[2J", prompt=hostile)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", "".join(lines))


async def test_commands_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "commands"
    file.write_text("table 1\nquit")
    out = io.BytesIO()

    def client(load: LoadOptions, on_lost: object) -> EngineClient:
        return EngineClient(load, connect=in_thread(lambda *_: FakeEngine()), on_lost=on_lost)  # type: ignore[arg-type]

    with file.open() as commands:
        options = AppOptions(load=LoadOptions("fake"), prompt=PROMPT, max_new_tokens=2)
        assert await LineSession(options, client, out, commands.fileno()).run() == 0
    assert out.getvalue().decode().endswith("tokexplore> quit\n")


def test_every_command_is_found_by_its_name_and_tells_what_it_does() -> None:
    for command in COMMANDS:
        assert find_command(command.name) is command
        assert command.meaning.endswith(".")
        assert command.usage.startswith(command.name)
    with pytest.raises(UsageError):
        find_command("re do")


def test_every_number_of_the_settings_can_be_set() -> None:
    numbers = {name for name, value in OFF.items() if isinstance(value, int | float)}
    assert {knob.field for knob in BY_NAME.values()} == numbers


async def test_a_line_that_is_not_utf_8_is_refused_and_the_next_one_is_done() -> None:
    lines = await told(b"prompt caf\xe9", b"\xff\xfe", "branches")
    assert "this line is not UTF-8 text (byte 0xE9 at offset 10): convert it first." in lines
    assert "this line is not UTF-8 text (byte 0xFF at offset 0): convert it first." in lines
    assert section(lines, "branches")


@pytest.mark.parametrize("seed", range(3))
async def test_no_line_ends_the_session(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = random.Random(seed)
    words = [*(c.name.encode() for c in COMMANDS if c.name != "quit"), b"", b"\x1b[A", b"\x00"]
    lines = [rng.choice(words) + b" " + junk(rng) for _ in range(60)]
    assert section(await told(*lines, "help"), "help")


def junk(rng: random.Random) -> bytes:
    """What a line may hold: bytes at random, or text and numbers with controls in them."""
    texts = (b"\x00", b"-1", "²é是".encode(), b"a\x1b[31m\x07b", b"3", b"")
    chosen = rng.randbytes(rng.randrange(20)) if rng.random() < 0.3 else rng.choice(texts)
    return chosen.replace(b"\n", b"")
