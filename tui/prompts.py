"""Reads the prompt that the command line names: text, a file, standard input, a conversation."""

import json
import os
import stat
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

import msgspec

from tokexplore.models.errors import UsageError
from tokexplore.models.given import brief, json_of, path_of
from tokexplore.models.options import PromptSpec
from tokexplore.models.protocol import Chat, Message

STANDARD_INPUT = "-"


class PromptArguments(msgspec.Struct, frozen=True):
    """The prompt's part of the command line, as given; None for what was not."""

    text: str | None = None
    file: str | None = None
    chat: bool = False
    system: str | None = None
    user: str | None = None
    prefill: str | None = None
    messages: str | None = None
    template_args: Sequence[str] = ()

    @property
    def is_chat(self) -> bool:
        """Whether any option asks for a conversation."""
        given = (self.system, self.user, self.prefill, self.messages)
        return self.chat or bool(self.template_args) or any(g is not None for g in given)


def read_prompt(arguments: PromptArguments, stdin: BinaryIO | None) -> PromptSpec | None:
    """The prompt, or None where none was given.

    Args:
        stdin: standard input if it is the prompt where no option names another; see `piped_stdin`.

    Raises:
        UsageError: for two prompts, a file that cannot be read or is not UTF-8, a conversation
            that is none.
    """
    if arguments.text is not None and arguments.file is not None:
        raise UsageError("both --prompt and --prompt-file are given: choose one.")
    if arguments.is_chat:
        return PromptSpec(chat=_read_chat(arguments, stdin))
    text = _read_text(arguments, stdin)
    return None if text is None else PromptSpec(text=text)


def piped_stdin() -> BinaryIO | None:
    """Standard input where it is a pipe, a file or a socket: not a terminal, not /dev/null."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    given = stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
    return sys.stdin.buffer if given else None


def _read_text(arguments: PromptArguments, stdin: BinaryIO | None) -> str | None:
    if arguments.text is not None:
        return arguments.text
    if arguments.file is not None:
        return without_last_newline(_read_file("--prompt-file", arguments.file))
    if stdin is not None:
        return without_last_newline(_decoded("standard input", stdin.read()))
    return None


def _read_chat(arguments: PromptArguments, stdin: BinaryIO | None) -> Chat:
    prefill = arguments.prefill or ""
    if arguments.messages is not None:
        others = (arguments.system, arguments.user, arguments.text, arguments.file)
        if any(other is not None for other in others):
            raise UsageError(
                "--messages holds the whole conversation: leave out --system, --user and --prompt."
            )
        messages = _read_messages(arguments.messages)
        if messages[-1].role == "assistant":
            if prefill:
                raise UsageError("--messages ends with the assistant's words: leave out --prefill.")
            prefill, messages = messages[-1].content, messages[:-1]
    else:
        messages = _given_messages(arguments, stdin)
    return Chat(tuple(messages), prefill, template_arguments(arguments.template_args))


def _given_messages(arguments: PromptArguments, stdin: BinaryIO | None) -> list[Message]:
    """The system's and the user's message; a plain prompt is the user's where --user is not."""
    user = arguments.user
    if user is None:
        user = _read_text(arguments, stdin)
    elif arguments.text is not None or arguments.file is not None:
        raise UsageError("both --user and a prompt are given: choose one.")
    if user is None:
        raise UsageError(
            "a chat needs something to answer: give --user TEXT or --messages FILE.json."
        )
    messages = [Message("user", user)]
    if arguments.system is not None:
        messages.insert(0, Message("system", arguments.system))
    return messages


def _read_messages(file: str) -> list[Message]:
    text = _read_file("--messages", file)
    try:
        value = json_of(text, exact=True)
    except json.JSONDecodeError as error:
        raise UsageError(
            f"--messages {file} is not JSON: {error.msg} in line {error.lineno}, "
            f"column {error.colno}."
        ) from None
    except ValueError as error:
        raise UsageError(f"--messages {file} {error}.") from None
    listed = value.get("messages") if isinstance(value, dict) else value
    if not isinstance(listed, list) or not listed:
        raise UsageError(
            f'--messages {file} holds no list of messages: write [{{"role": "user", '
            f'"content": "..."}}].'
        )
    return [_message(file, number, item) for number, item in enumerate(listed, 1)]


def _message(file: str, number: int, item: Any) -> Message:
    if isinstance(item, dict):
        role, content = item.get("role"), item.get("content")
        if isinstance(role, str) and isinstance(content, str):
            for text in (role, content):
                check_utf8(f"message {number} of --messages {file}", text)
            return Message(role, content)
    raise UsageError(
        f"message {number} of --messages {file} needs a role and a content, both text."
    )


def template_arguments(given: Sequence[str]) -> dict[str, object]:
    """NAME=VALUE pairs; a value that is JSON is taken as such, any other as text.

    Raises:
        UsageError: for a pair without a name or an equals sign, and for JSON that is nested too
            deeply or has too long a number.
    """
    arguments: dict[str, object] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"--template-arg {brief(pair)} is not NAME=VALUE.")
        try:
            arguments[name] = json_of(value, exact=True)
        except json.JSONDecodeError:
            arguments[name] = value
        except ValueError as error:
            raise UsageError(f"--template-arg {brief(pair)} {error}.") from None
    return arguments


def _read_file(option: str, file: str) -> str:
    if file == STANDARD_INPUT:
        return _decoded("standard input", sys.stdin.buffer.read())
    try:
        data = path_of(file).read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"{option} {file} cannot be read: {reason}.") from None
    return _decoded(f"{option} {file}", data)


def read_text(file: str) -> str:
    """A UTF-8 file as it is; `-` is standard input.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    return _read_file("FILE", file)


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8 text (byte 0x{data[error.start]:02X} at offset {error.start}): "
            "convert it first."
        ) from None


def check_utf8(name: str, text: str) -> None:
    """Refuse text with lone surrogates, which stand for bytes outside UTF-8.

    Raises:
        UsageError: naming where the text comes from.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"{name} is not UTF-8 text: convert it first.") from None


def without_last_newline(text: str) -> str:
    """Text files end with a line break that is not part of the text: one is removed."""
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
