"""Prompts as people write them down: conversations of other programs, byte order marks."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tokexplore.models.api.chat import Chat, Message
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import UsageError
from tokexplore.tui.cli import run, score
from tokexplore.tui.cli.app import SUBCOMMAND as APP
from tokexplore.tui.cli.common.prompt_input import PromptArguments, read_prompt

USER = {"role": "user", "content": "who"}
WHO = Message("user", "who")
CALL = [{"id": "1", "type": "function", "function": {"name": "look", "arguments": {}}}]
PARTS = [{"type": "text", "text": "It "}, {"type": "text", "text": "is"}]


def read(tmp_path: Path, value: object, **given: Any) -> PromptSpec:
    file = tmp_path / "chat.json"
    file.write_text(json.dumps(value))
    spec = read_prompt(PromptArguments(messages=str(file), **given), None)
    assert spec is not None
    return spec


def chat(tmp_path: Path, *messages: object, **given: Any) -> Chat:
    spec = read(tmp_path, list(messages), **given)
    assert spec.chat is not None
    assert not spec.notice
    return spec.chat


def test_a_message_is_kept_with_all_its_fields(tmp_path: Path) -> None:
    called = {"role": "assistant", "content": None, "tool_calls": CALL, "reasoning_content": "so"}
    answer = {"role": "tool", "content": PARTS, "tool_call_id": "1"}
    assert chat(tmp_path, USER, called, answer).messages == (
        WHO,
        Message("assistant", "", {"content": None, "tool_calls": CALL, "reasoning_content": "so"}),
        Message("tool", "It is", {"content": PARTS, "tool_call_id": "1"}),
    )


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({"content": "I"}, Chat((WHO,), "I")),
        ({"content": PARTS}, Chat((WHO,), "It is")),
        ({"content": "I", "refusal": None, "annotations": []}, Chat((WHO,), "I")),
        ({"content": ""}, Chat((WHO,))),
        (
            {"content": "", "reasoning_content": "Let me"},
            Chat((WHO,), "Let me", prefill_as="reasoning"),
        ),
        ({"content": None, "thinking": "Let me"}, Chat((WHO,), "Let me", prefill_as="reasoning")),
        (
            {"content": "I", "reasoning_content": "so"},
            Chat((WHO,), "I", prefill_as="content", prefill_more={"reasoning_content": "so"}),
        ),
        (
            {"content": "", "tool_calls": CALL},
            Chat((WHO, Message("assistant", "", {"tool_calls": CALL}))),
        ),
    ],
)
def test_the_last_words_of_the_assistant_go_on(
    tmp_path: Path, last: dict[str, object], expected: Chat
) -> None:
    assert chat(tmp_path, USER, {"role": "assistant", **last}) == expected


def test_how_a_prefill_is_put_can_be_told(tmp_path: Path) -> None:
    answer = {"role": "assistant", "content": "I"}
    assert chat(tmp_path, USER, answer, prefill_as="content").prefill_as == "content"
    given = PromptArguments(user="who", prefill="I", prefill_as="reasoning", template="rag")
    expected = Chat((WHO,), "I", prefill_as="reasoning", template="rag")
    assert read_prompt(given, None) == PromptSpec(chat=expected)
    with pytest.raises(UsageError, match="give one with --prefill TEXT"):
        read_prompt(PromptArguments(user="who", prefill_as="content"), None)
    with pytest.raises(UsageError, match="leave out --prefill"):
        read(tmp_path, [USER, answer], prefill="You")


def test_tools_are_read_and_other_keys_are_named(tmp_path: Path) -> None:
    whole = {"model": "big", "messages": [USER], "tools": CALL, "temperature": 1}
    spec = read(tmp_path, whole)
    assert spec.chat == Chat((WHO,), tools=tuple(CALL))
    assert "model, temperature not read" in spec.notice
    with pytest.raises(UsageError, match="no list of JSON schemas"):
        read(tmp_path, {"messages": [USER], "tools": {"look": {}}})


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": [{"type": "image_url", "image_url": {}}]}, "is of type image_url: give text"),
        ({"content": [{"type": "text", "text": 3}]}, "part 1 of message 2"),
        ({"content": ["who"]}, "has no type"),
        ({"content": 3}, "needs a role and a content"),
        ({"content": None}, "needs a role and a content"),
        ({"content": "a", "reasoning_content": "\ud800"}, "is not UTF-8"),
    ],
)
def test_what_is_not_text_is_refused(tmp_path: Path, message: dict[str, object], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, [USER, {"role": "user", **message}])
    assert text in str(caught.value)


MARK = "\ufeff"


def test_a_byte_order_mark_is_left_out_and_told(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_bytes(f"{MARK}Once\n".encode())
    messages = tmp_path / "chat.json"
    messages.write_bytes((MARK + json.dumps([USER])).encode())
    specs = [
        read_prompt(PromptArguments(file=str(file)), None),
        read_prompt(PromptArguments(), io.BytesIO(f"{MARK}Once".encode())),
        read_prompt(PromptArguments(text=f"{MARK}Once"), None),
        read_prompt(PromptArguments(messages=str(messages)), None),
        read_prompt(PromptArguments(system=f"{MARK}be", user=f"{MARK}who"), None),
        read_prompt(PromptArguments(chat=True, file=str(file)), None),
    ]
    for spec in specs:
        assert spec is not None
        assert "begins with a byte order mark (U+FEFF), which is left out" in spec.notice
        said = [spec.text] if spec.chat is None else [m.content for m in spec.chat.messages]
        assert not any(MARK in (text or "") for text in said)
    inside = read_prompt(PromptArguments(text=f"Once{MARK}"), None)
    assert inside == PromptSpec(text=f"Once{MARK}")


def test_a_text_can_be_literal() -> None:
    assert read_prompt(APP.read(["--prompt", "a</s>", "--literal"]).prompt, None) == PromptSpec(
        text="a</s>", literal=True
    )
    spec = read_prompt(run.SUBCOMMAND.read(["--user", "a</s>", "--literal"]).prompt, None)
    assert spec == PromptSpec(chat=Chat((Message("user", "a</s>"),), literal=True))
    assert score.SUBCOMMAND.read(["-", "--literal"]).literal


@pytest.mark.parametrize("option", ["file", "messages"])
def test_a_text_without_end_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match=r"/dev/zero is too large \(100,000,000 bytes at most\): "):
        read_prompt(PromptArguments(**{option: "/dev/zero"}), None)


def test_standard_input_without_end_is_refused() -> None:
    with open("/dev/zero", "rb") as endless, pytest.raises(UsageError, match="input is too large"):
        read_prompt(PromptArguments(), endless)
