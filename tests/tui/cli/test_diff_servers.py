"""`tokexplore diff` with servers by their names in `servers.toml`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_engine import FakeEngine
from support.stub_server import Stub, serving

from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.server.named import file_path
from tokexplore.tui.cli.diff import SUBCOMMAND, DiffOptions
from tokexplore.tui.cli.dispatch import main

KEY = "sk-very-secret"
SERVERS = """
[lab]
url = "http://lab:8000/v1"
model = "owner/name"
key-env = "LAB_KEY"
tokenizer = "~/models/qwen"
timeout = 60
top = 100

[gpu]
url = "http://gpu:1"
key-file = "/gpu.key"

[smollm2]
url = "http://never:1"
"""
LAB = ServerOptions(key_env="LAB_KEY", tokenizer="~/models/qwen", timeout=60.0, top=100)


def written(text: str) -> None:
    file_path().parent.mkdir(parents=True, exist_ok=True)
    file_path().write_text(text, encoding="utf-8")


@pytest.fixture
def servers() -> None:
    written(SERVERS)


def read(*arguments: str) -> tuple[LoadOptions, LoadOptions]:
    options: DiffOptions = SUBCOMMAND.read(arguments).options
    return options.app.load, options.other


@pytest.mark.usefixtures("servers")
def test_a_name_stands_for_its_server_and_all_that_it_is_asked_with() -> None:
    first, second = read("lab", "gpu")
    assert (first.model, first.server) == ("http://lab:8000#owner/name", LAB)
    assert second.model == "http://gpu:1"
    assert second.server == ServerOptions(key_file="/gpu.key"), "and nothing of the other's"
    first, second = read("directory", "lab", "--dtype", "float32")
    assert first == LoadOptions(model="directory", dtype="float32")
    assert (second.model, second.server) == ("http://lab:8000#owner/name", LAB)


@pytest.mark.usefixtures("servers")
def test_options_beat_the_file_and_no_key_goes_to_another_server() -> None:
    first, second = read(
        "lab", "gpu", "--api-key-env", "MINE", "--api-timeout", "7", "--tokenizer", "words"
    )
    assert (first.server.key_env, first.server.timeout, first.server.top) == ("MINE", 7, 100)
    assert second.server == ServerOptions(key_file="/gpu.key", timeout=7)
    assert read("lab", "gpu", "--b-api-key-env", "B")[1].server == ServerOptions(key_env="B")
    assert read("one", "gpu", "--api-key-env", "B")[1].server == ServerOptions(key_env="B")
    assert read("lab", "http://other:1")[1].server.without_secrets() == ServerOptions(
        timeout=60.0, top=100
    )
    assert read("lab", "http://other:1")[1].server.key_env == ""
    assert read("lab", "http://lab:8000#b")[1].server == LAB


@pytest.mark.usefixtures("servers")
def test_files_and_our_own_models_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpu").mkdir()
    first, second = read("gpu", "smollm2", "--api-key-env", "K")
    assert (first.model, second.model) == ("gpu", "smollm2")
    assert first.server == ServerOptions(key_env="K")


@pytest.mark.parametrize(
    ("text", "said"),
    [('[lab]\nmodel = "m"\n', "servers.toml, lab: it has no url"), ("[lab\n", "is not TOML")],
)
def test_what_is_wrong_with_the_file_is_told_of_a_name_that_is_not_known(
    text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written(text)
    assert main(["diff", "embedded", "lab", "--prompt", "hi"]) == 2
    told = capsys.readouterr().err
    assert "lab is no model that is here, nor a known server: " in told
    assert said in told
    asked = SUBCOMMAND.read(["embedded", "flock", "--prompt", "Once upon"])
    assert SUBCOMMAND.run(asked, lambda _load, _: FakeEngine()) == 0, "what is here is compared"


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("LAB_KEY", KEY)
    with serving(Stub(FakeEngine(), models=("owner/a", "owner/b"))) as url:
        yield url


@pytest.mark.slow
def test_two_models_of_a_server_are_compared_by_their_names(
    url: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    from tokexplore.models.server.engine import ServerEngine  # torch

    written(
        f'[one]\nurl = "{url}"\nmodel = "owner/a"\nkey-env = "LAB_KEY"\n'
        f'[two]\nurl = "{url}"\nmodel = "owner/b"\nkey-env = "LAB_KEY"\n'
    )
    asked = SUBCOMMAND.read(["one", "two", "--prompt", "Once upon a time", "--format", "jsonl"])
    assert SUBCOMMAND.run(asked, ServerEngine.open) == 0
    head, *steps, last = map(json.loads, capfdbinary.readouterr().out.splitlines())
    assert ("owner/a" in str(head["a"]), "owner/b" in str(head["b"])) == (True, True)
    assert len(steps) == last["steps"] == len(head["ids"]) - 1
    assert all(step["delta"] == 0 for step in steps)
