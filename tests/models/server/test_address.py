"""Addresses of servers as people give them, and keys that stand in nothing that is kept."""

from pathlib import Path

import pytest

from tokexplore.models.api.options import ServerOptions
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.errors import UsageError
from tokexplore.models.server.wire.address import Address, headers, is_address, same_server

KEY = "sk-very-secret"


def test_chats_are_meant_where_the_address_ends_with_them() -> None:
    for given in ("http://h:1/llm/v1/chat/completions#m", "http://h:1/llm/chat/completions/#m"):
        address = Address.parse(given)
        assert address == Address("http://h:1/llm", "m", chats=True)
        assert Address.parse(address.text) == address
    assert same_server("http://h:1", "http://h:1/v1/chat/completions")


@pytest.mark.parametrize(
    ("given", "base", "model"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", ""),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000", ""),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000", ""),
        ("https://host.example/llm/v1#owner/name", "https://host.example/llm", "owner/name"),
        ("http://[::1]:8000#a%20b", "http://[::1]:8000", "a b"),
        ("HTTP://Host:80", "http://host:80", ""),
    ],
)
def test_an_address_is_read_and_can_be_given_again(given: str, base: str, model: str) -> None:
    assert is_address(given)
    address = Address.parse(given)
    assert address == Address(base, model)
    assert Address.parse(address.text) == address


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("http://", "no address of a server"),
        ("http://host:99999", "no address of a server"),
        ("http://host?key=1", "no address of a server"),
        ("http://me:pass@host", "must not hold a user or a password"),
        ("http://key@host", "must not hold a user or a password"),
        ("http://me:pass@host:99999", "'…@host:99999' is no address of a server"),
        ("http://me:pass/word@host", "'…@host' is no address of a server"),
        ("http://host?key=pass@word", "'…@word' is no address of a server"),
        ("http://host?key=pass", "'http://host\\?…' is no address of a server"),
    ],
)
def test_what_is_none_is_refused_and_its_secret_not_repeated(given: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        Address.parse(given)
    assert "pass" not in str(refused.value).replace("a password", "")


def test_a_server_is_a_model_like_others() -> None:
    located = locate("http://127.0.0.1:8000/v1#owner/name")
    assert (located.origin, located.path, located.name) == ("server", None, "owner/name")
    with pytest.raises(UsageError, match="--revision 'main' cannot be asked of a server"):
        locate("http://127.0.0.1:8000", "main")


def test_a_key_comes_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", f"{KEY}\n")
    monkeypatch.setenv("MY_TEAM", "blue")
    options = ServerOptions(key_env="MY_KEY", header_env=("X-Team=MY_TEAM",))
    assert headers(options) == {"Authorization": f"Bearer {KEY}", "X-Team": "blue"}
    assert KEY not in repr(options)


def test_a_key_comes_from_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    assert headers(ServerOptions(key_file=str(file))) == {"Authorization": f"Bearer {KEY}"}
    file.chmod(0o640)
    with pytest.raises(UsageError, match="can be read by others"):
        headers(ServerOptions(key_file=str(file)))
    with pytest.raises(UsageError, match="cannot be read: no such file"):
        headers(ServerOptions(key_file=str(tmp_path / "none")))


@pytest.mark.parametrize("value", ["two\nlines", "snow ☃", "\x1b[31m"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MY_KEY", f"{KEY}{value}x")
    with pytest.raises(UsageError, match="cannot be sent as a header") as refused:
        headers(ServerOptions(key_env="MY_KEY"))
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("given", ["X-Team", "=MY_TEAM", "X-Team="])
def test_a_header_is_a_name_and_a_variable(given: str) -> None:
    with pytest.raises(UsageError, match="give NAME=VARIABLE"):
        headers(ServerOptions(header_env=(given,)))


def test_nothing_of_the_users_goes_to_an_address_that_somebody_else_chose() -> None:
    given = ServerOptions("KEY", "file", ("A=B",), "dir", 3.0, 5)
    assert given.without_secrets() == ServerOptions(tokenizer="dir", timeout=3.0, top=5)
    assert same_server("http://host:1/v1#a", "http://HOST:1#b")
    assert not same_server("http://host:1", "http://host:2")
    assert not same_server("embedded", "embedded")


def test_what_is_asked_now_comes_before_what_was_kept() -> None:
    kept = ServerOptions(tokenizer="dir", top=5)
    asked = kept.with_given({"key_env": "KEY", "top": 7})
    assert asked == ServerOptions(key_env="KEY", tokenizer="dir", top=7)
    assert kept.with_given({"top": 20}).top == 20, "also where it is the usual number"
    assert asked.with_given({"key_file": "~/key"}) == ServerOptions("", "~/key", (), "dir", top=7)


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(
        UsageError, match="the variable NO_SUCH_KEY for the server's key is not set"
    ):
        headers(ServerOptions(key_env="NO_SUCH_KEY"))


@pytest.mark.parametrize(
    "options",
    [
        ServerOptions(key_env=KEY),
        ServerOptions(header_env=(f"Authorization={KEY}",)),
        ServerOptions(header_env=(f"Authorization: Bearer {KEY}",)),
    ],
)
def test_a_key_in_the_place_of_its_variable_is_refused_and_not_repeated(
    options: ServerOptions,
) -> None:
    with pytest.raises(UsageError, match=r"the name of the variable|the variable that") as refused:
        headers(options)
    assert KEY not in str(refused.value)
    with pytest.raises(UsageError, match="there is no such user"):
        headers(ServerOptions(key_file="~no-such-user/key"))
