"""Servers by name: what of `servers.toml` is read, and each refusal, which repeats no secret."""

import os
from pathlib import Path

import pytest

from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.catalog.choices import Choice, Choices
from tokexplore.models.catalog.footprint import Room
from tokexplore.models.errors import UsageError
from tokexplore.models.server.named import (
    FILE,
    Named,
    Server,
    file_path,
    named_servers,
    server_of,
)
from tokexplore.models.server.wire.address import Address

SECRET = "sk-very-secret"
URL = 'url = "http://h:1"\n'


def read(text: str) -> Named:
    file_path().parent.mkdir(parents=True, exist_ok=True)
    file_path().write_text(text, encoding="utf-8")
    return named_servers()


def test_without_a_file_there_is_none() -> None:
    assert named_servers() == Named()
    with pytest.raises(UsageError, match=f"'lab' is no address .* or name one in .*{FILE}"):
        server_of("lab")


def test_a_server_is_read_with_all_that_it_is_asked_with() -> None:
    named = read(
        '[lab]\nurl = "http://127.0.0.1:8000/v1"\nmodel = "Qwen/Qwen3-32B"\nkey-env = "LAB_KEY"\n'
        'tokenizer = "~/models/qwen"\nheader-env = ["X-Team=TEAM", "X-Two=TWO"]\ntimeout = 60\n'
        'top = 100\n[bare]\nurl = "https://h/llm#a%20b"\n'
    )
    lab = Server(
        "lab",
        Address("http://127.0.0.1:8000", "Qwen/Qwen3-32B"),
        ServerOptions(
            "LAB_KEY", "", ("X-Team=TEAM", "X-Two=TWO"), "~/models/qwen", timeout=60.0, top=100
        ),
    )
    bare = Server("bare", Address("https://h/llm", "a b"), ServerOptions())
    assert named == Named((lab, bare))
    assert server_of("lab") == lab
    assert server_of("http://h:2#m") == Server("", Address("http://h:2", "m"), ServerOptions())


def test_fields_are_named_as_options_are_also_with_api() -> None:
    file_path().parent.mkdir(parents=True)
    (server,) = read(
        f'[a]\n{URL}api-key-file = "~/k"\napi-header-env = "X=Y"\napi-timeout = 0.5\napi-top = 1'
    ).servers
    assert server.options == ServerOptions("", "~/k", ("X=Y",), timeout=0.5, top=1)
    file_path().chmod(0o644)
    assert named_servers().servers, "no secret is in it"


WRONG = {
    'url = "http://h:1"': "url: it stands outside a server's table: write [NAME] in the line above",
    f"[lab]\n{URL}api-key = '{SECRET}'": "lab: api-key would hold a key, and keys do not stand in "
    "this file: name the variable that holds it with key-env, or a private file with key-file.",
    f"[lab]\n{URL}key = '{SECRET}'": "lab: key would hold a key",
    f"[lab]\n{URL}API_KEY = '{SECRET}'": "lab: API_KEY would hold a key",
    f"[lab]\n{URL}headers = {{X = '{SECRET}'}}": "lab: headers would hold a key",
    f"[lab]\n{URL}key-env = '{SECRET}'": "lab: in key-env, what is given for the server's key is "
    "no name of a variable",
    f"[lab]\n{URL}key-env = ['{SECRET}']": "lab: in key-env, what is given",
    f"[lab]\n{URL}header-env = 'A: {SECRET}'": "lab: in header-env, a header is not possible",
    f"[lab]\n{URL}header-env = ['X=T', 3]": "lab: in header-env, a header is not possible",
    f"[lab]\n{URL}header-env = 'X={SECRET}'": "lab: in header-env, what is given for the header X",
    f"[lab]\n{URL}modle = 'x'": "lab: 'modle' is no field of a server: model is.",
    f"[lab]\n{URL}zzz = 'x'": "lab: 'zzz' is no field of a server: url, model, tokenizer, key-env",
    f"[lab]\n{URL}api-model = 'x'": "lab: 'api-model' is no field of a server: model is.",
    f"[lab]\n{URL}api_key_env = 'K'": "lab: 'api_key_env' is no field of a server: key-env is.",
    f"[lab]\n{URL}key-env = 'A'\napi-key-env = 'B'": "lab: key-env stands there twice, as "
    "api-key-env too",
    f"[lab]\n{URL}key-env = 'A'\nkey-file = '/b'": "lab: key-env and key-file both name its key",
    f"[lab]\n{URL}key-file = 'keys/lab'": "lab: key-file needs a path that begins with / or ~, not "
    "'keys/lab'.",
    f"[lab]\n{URL}model = 3": "lab: model needs a text, not 3.",
    f"[lab]\n{URL}model = ''": "lab: model needs a text, not ''.",
    f"[lab]\n{URL}tokenizer = []": "lab: tokenizer needs a text, not a list.",
    f"[lab]\n{URL}timeout = '60'": "lab: timeout needs seconds, 0 or more, not '60'.",
    f"[lab]\n{URL}timeout = nan": "lab: timeout needs seconds, 0 or more, not nan.",
    f"[lab]\n{URL}timeout = inf": "lab: timeout needs seconds, 0 or more, not inf.",
    f"[lab]\n{URL}timeout = 0x{'f' * 5000}": "lab: timeout needs seconds, 0 or more, not a number "
    "of more than 64 bits.",
    f"[lab]\n{URL}timeout.{'a.' * 2000}b = 1": "lab: timeout needs seconds, 0 or more, not a table",
    f"[lab]\n{URL}top = 0": "lab: top needs a whole number, 1 or more, not 0.",
    f"[lab]\n{URL}top = true": "lab: top needs a whole number, 1 or more, not True.",
    f"[lab]\n{URL}top = 2.5": "lab: top needs a whole number, 1 or more, not 2.5.",
    "[lab]\ntop = 5": 'lab: it has no url: add url = "http://HOST:PORT".',
    "[lab]\nurl = 3": "lab: url needs a text, not 3.",
    "[lab]\nurl = 'h:1'": "lab: in url, 'h:1' is no address of a server: give http://HOST:PORT",
    f"[lab]\nurl = 'http://me:{SECRET}@h'": "lab: in url, an address must not hold a user or",
    f"[lab]\nurl = 'http://h?key={SECRET}'": "lab: in url, 'http://h?…' is no address",
    f"[lab]\nurl = 'http://me:{SECRET}@h:99999'": "lab: in url, '…@h:99999' is no address",
    "[lab]\nurl = 'http://h#a'\nmodel = 'b'": "lab: its model is 'b', and 'a' at the end of its",
    "['http://x']\nurl = 'http://h'": "http://x: this cannot be a name",
    "['']\nurl = 'http://h'": ": this cannot be a name",
    f"[a]\n{URL}[lab]\nurl = 'HTTP://h:1/v1/'": "lab: http://h:1 is a already: leave one of them",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_said_and_the_others_hold(text: str) -> None:
    named = read(f"{text}\n[other]\nurl = 'http://other'")
    assert [wrong.problem[: len(FILE) + 2] for wrong in named.wrong] == [f"{FILE}, "]
    assert named.problem.startswith(f"{FILE}, {WRONG[text]}")
    assert SECRET not in named.problem
    assert named.problem.endswith(".")
    assert named.servers[-1].name == "other"
    with pytest.raises(UsageError) as refused:
        server_of("other")
    assert str(refused.value) == named.problem


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[a]\nurl = ", "is not TOML (Invalid value (at "),
        (b"[a]\n[a]\n", "is not TOML (Cannot declare ('a',) twice"),
        (b"\xff", "is not UTF-8 text"),
        (b"a = " + b"[" * 5000, "is nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(data: bytes, words: str) -> None:
    file_path().parent.mkdir(parents=True)
    file_path().write_bytes(data)
    named = named_servers()
    assert named.problem.startswith(f"{file_path()} {words}")
    assert named.problem.endswith(": none of its servers is known.")


def test_what_is_no_file_is_not_waited_for() -> None:
    file_path().parent.mkdir(parents=True)
    os.mkfifo(file_path())
    assert f"{FILE} is no file" in named_servers().problem


def test_a_name_that_is_not_there_tells_those_that_are() -> None:
    read(f"[lab]\n{URL}[gpu]\nurl = 'http://gpu'")
    with pytest.raises(UsageError, match=f"{FILE} names no server 'labb': give lab, or http:"):
        server_of("labb")
    with pytest.raises(UsageError, match="no server 'zzz': give lab or gpu, or http:"):
        server_of("zzz")


def test_a_key_is_had_for_its_own_address_and_never_guessed() -> None:
    one = read(f"[a]\n{URL}key-env = 'A'\ntop = 5\nheader-env = 'X=T'")
    found = ServerOptions(key_env="A", header_env=("X=T",))
    assert one.keys_at("http://h:1/v1#any") == found
    for other in ("http://h:2", "https://h:1", "http://h:1/llm", "embedded", "http://h:x", "http:"):
        assert one.keys_at(other) == ServerOptions()
    two = read(
        f"[a]\n{URL}model = 'a'\nkey-env = 'A'\n[b]\n{URL}model = 'b'\nkey-file = '/b'\n"
        "[c]\nurl = 'http://c'\nmodel = 'a'\nkey-env = 'C'\n"
        "[d]\nurl = 'http://c'\nmodel = 'b'\nkey-env = 'C'\n"
    )
    assert two.keys_at("http://h:1#a") == ServerOptions(key_env="A")
    assert two.keys_at("http://h:1#b") == ServerOptions(key_file="/b")
    assert two.keys_at("http://h:1") == ServerOptions(), "either may be meant"
    assert two.keys_at("http://c#other") == ServerOptions(key_env="C")


def test_what_is_picked_is_asked_with_its_own_key_alone() -> None:
    (lab,) = read(f"[lab]\n{URL}model = 'm'\nkey-env = 'LAB'\ntop = 50").servers
    choices = Choices(lambda: ["http://h:1#m", "http://h:1#n"], (), lambda: Room(0, 0))
    here = [row for rows in choices.here() for row in rows]
    assert [row.name for row in here[:3]] == ["http://h:1#n", "lab", "embedded"], "each once"
    present = LoadOptions("http://mine", server=ServerOptions("MINE", tokenizer="dir", top=7))
    named = choices.opening(here[1], present)
    assert (named.model, named.server) == ("http://h:1#m", lab.options)
    recent = choices.opening(here[0], present)
    assert recent.server == ServerOptions("LAB", tokenizer="dir", top=7)
    same = choices.opening(Choice("http://mine/v1#x", "typed"), present)
    assert same.server == present.server
    other = choices.opening(Choice("http://other", "typed"), present)
    assert other.server == present.server.without_secrets()


def test_the_file_is_where_that_of_the_keys_is(tmp_path: Path) -> None:
    assert file_path() == tmp_path / "config" / "tokexplore" / FILE
