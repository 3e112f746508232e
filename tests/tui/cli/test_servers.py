"""`--api` by name: with the settings of `servers.toml`, which options beat; and what is listed."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from support.fake_engine import FakeEngine
from support.stub_server import Stub, serving

from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.server.named import file_path
from tokexplore.tui.cli import models, run, sweep
from tokexplore.tui.cli import open as open_command
from tokexplore.tui.cli.dispatch import main

KEY = "sk-very-secret"
LAB = """
[lab]
url = "http://lab:8000/v1"
model = "owner/name"
key-env = "LAB_KEY"
tokenizer = "~/models/qwen"
timeout = 60
top = 100
"""


def written(text: str) -> None:
    file_path().parent.mkdir(parents=True, exist_ok=True)
    file_path().write_text(text, encoding="utf-8")


@pytest.fixture
def lab() -> None:
    written(LAB)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv("LAB_KEY", KEY)
    stub = Stub(FakeEngine(), models=("owner/a", "owner/b"))
    with serving(stub) as url:
        written(f'[lab]\nurl = "{url}"\nkey-env = "LAB_KEY"\n[away]\nurl = "http://127.0.0.1:9"\n')
        yield stub


def asked(line: str) -> LoadOptions:
    options, _ = run.SUBCOMMAND.read(f"--prompt hi {line}".split())
    return options.app.load


@pytest.mark.usefixtures("lab")
def test_a_name_stands_for_its_server_and_all_that_it_is_asked_with() -> None:
    load = asked("--api lab")
    assert load.model == "http://lab:8000#owner/name"
    assert load.server == ServerOptions(
        key_env="LAB_KEY", tokenizer="~/models/qwen", timeout=60.0, top=100
    )
    assert asked("--api lab other/name").model == "http://lab:8000#other/name"
    several = sweep.SUBCOMMAND.read(["a", "b", "--prompt", "hi", "--api", "lab"]).options
    assert several.models == ("http://lab:8000#a", "http://lab:8000#b")


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("option", "fields"),
    [
        ("--api-top 20", {"top": 20}),
        ("--api-timeout 120", {"timeout": 120.0}),
        ("--tokenizer dir", {"tokenizer": "dir"}),
        ("--api-key-env MINE", {"key_env": "MINE"}),
        ("--api-key-file /key", {"key_env": "", "key_file": "/key"}),
        ("--api-header-env X=Y", {"header_env": ("X=Y",)}),
    ],
)
def test_an_option_beats_the_file_also_with_its_usual_value(
    option: str, fields: dict[str, object]
) -> None:
    file = asked("--api lab").server
    assert asked(f"--api lab {option}").server == replace(file, **fields)
    opened = open_command.SUBCOMMAND.read(option.split())
    assert replace(file, **fields) == file.with_given(opened.server)


@pytest.mark.parametrize("command", ["run --prompt hi", "models", "score --prompt hi", "", "lens"])
@pytest.mark.parametrize(
    ("api", "said"),
    [
        ("lab", "servers.toml, bad: 'api-key-enf' is no field of a server: key-env is.\n"),
        ("localhost:8000", "servers.toml, bad: "),
        ("http://me:pass@h:99999", "'…@h:99999' is no address of a server: give http"),
    ],
)
def test_a_mistake_is_one_sentence_and_code_2(
    command: str, api: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(f"{LAB}[bad]\nurl = 'http://b'\napi-key-enf = '{KEY}'")
    assert main([*command.split(), "--api", api]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"tokexplore: {said}")
    assert KEY not in told


def test_a_name_without_a_file_is_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("lab", ""):
        assert main(["run", "--prompt", "hi", "--api", name]) == 2
        told = capsys.readouterr().err
        assert f"{name!r} is no address of a server: give http://HOST:PORT, or name one" in told
        assert str(file_path()) in told


def test_models_lists_the_names_and_asks_nobody(
    stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    told = capsys.readouterr().out
    assert "--api lab" in told
    assert "a server: http://127.0.0.1:9" in told
    assert not stub.asked
    with file_path().open("a") as file:
        file.write('["two words"]\nurl = "http://two"\n[bad]\nurl = "x"\n')
    assert main(["models"]) == 2
    said = capsys.readouterr()
    assert "--api 'two words'" in said.out
    assert "servers.toml, bad: in url, 'x' is no address of a server" in said.err


def test_models_of_a_name_are_what_it_serves_asked_with_its_key(
    stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--api", "lab"]) == 0
    told = capsys.readouterr().out
    assert "#owner/a" in told
    assert "#owner/b" in told
    assert [h["Authorization"] for h in stub.headers] == [f"Bearer {KEY}"]
    assert KEY not in told


def test_nothing_is_read_where_no_name_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> None:
        raise AssertionError

    monkeypatch.setattr("tokexplore.models.server.named.named_servers", never)
    assert asked("--api http://h:1").model == "http://h:1"
    assert asked("").model == "embedded"
    assert models.SUBCOMMAND.read(["--api", "http://h"]).server == ServerOptions()
