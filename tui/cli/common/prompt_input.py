"""Reads the prompt that the command line names: text, a file, standard input, a conversation."""

import argparse
import os
import stat
import sys
from collections.abc import Sequence
from typing import BinaryIO, Generic, NamedTuple, TypeVar

import msgspec

from tokexplore.models.api.chat import Chat, Message, PrefillAs
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.untrusted import decoded, path_of, read_whole, without_mark
from tokexplore.tui.cli.common.message_file import Opening, last_words, read_conversation
from tokexplore.tui.explore.template_arguments import template_arguments

STANDARD_INPUT = "-"
Options = TypeVar("Options")


class PromptArguments(msgspec.Struct, frozen=True):
    """The prompt's part of the command line, as given; None for what was not."""

    text: str | None = None
    file: str | None = None
    chat: bool = False
    system: str | None = None
    user: str | None = None
    prefill: str | None = None
    prefill_as: PrefillAs | None = None
    messages: str | None = None
    template: str | None = None
    template_args: Sequence[str] = ()
    literal: bool = False

    @property
    def is_chat(self) -> bool:
        """Whether any option asks for a conversation."""
        given = (
            self.system,
            self.user,
            self.prefill,
            self.prefill_as,
            self.messages,
            self.template,
        )
        return self.chat or bool(self.template_args) or any(g is not None for g in given)


class Prompted(NamedTuple, Generic[Options]):
    """Options, and the prompt that is still to be read for them."""

    options: Options
    prompt: PromptArguments


def prompt_arguments(given: argparse.Namespace) -> PromptArguments:
    """What `add_prompt` and `add_chat` ask for."""
    return PromptArguments(
        text=given.prompt,
        file=given.prompt_file,
        chat=given.chat,
        system=given.system,
        user=given.user,
        prefill=given.prefill,
        prefill_as=given.prefill_as,
        messages=given.messages,
        template=given.template,
        template_args=given.template_arg,
        literal=given.literal,
    )


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
    notices: list[str] = []
    if arguments.is_chat:
        chat = _read_chat(arguments, stdin, notices)
        return PromptSpec(chat=chat, notice="; ".join(notices))
    text = _read_text(arguments, stdin, notices)
    if text is None:
        return None
    return PromptSpec(text=text, literal=arguments.literal, notice="; ".join(notices))


def piped_stdin() -> BinaryIO | None:
    """Standard input where it is a pipe, a file or a socket: not a terminal, not /dev/null."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    given = stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
    return sys.stdin.buffer if given else None


def _read_text(
    arguments: PromptArguments, stdin: BinaryIO | None, notices: list[str]
) -> str | None:
    if arguments.text is not None:
        return without_mark("--prompt", arguments.text, notices)
    if arguments.file is not None:
        return without_last_newline(_read_file("--prompt-file", arguments.file, notices))
    if stdin is not None:
        return without_last_newline(_read_stream("standard input", stdin, notices))
    return None


def _read_chat(arguments: PromptArguments, stdin: BinaryIO | None, notices: list[str]) -> Chat:
    opening = Opening(without_mark("--prefill", arguments.prefill or "", notices))
    tools: tuple[dict[str, object], ...] = ()
    if arguments.messages is not None:
        others = (arguments.system, arguments.user, arguments.text, arguments.file)
        if any(other is not None for other in others):
            raise UsageError(
                "--messages holds the whole conversation: leave out --system, --user and --prompt."
            )
        text = _read_file("--messages", arguments.messages, notices)
        messages, tools, unread = read_conversation(arguments.messages, text)
        notices += [unread] if unread else []
        messages, last = last_words(messages)
        if last.text and opening.text:
            raise UsageError("--messages ends with the assistant's words: leave out --prefill.")
        opening = opening if opening.text else last
    else:
        messages = _given_messages(arguments, stdin, notices)
    if arguments.prefill_as is not None and not opening.text:
        raise UsageError("--prefill-as tells how a prefill is put: give one with --prefill TEXT.")
    return Chat(
        tuple(messages),
        opening.text,
        template_arguments(arguments.template_args),
        prefill_as=arguments.prefill_as or opening.put_as,
        prefill_more=opening.more,
        template=arguments.template or "",
        tools=tools,
        literal=arguments.literal,
    )


def _given_messages(
    arguments: PromptArguments, stdin: BinaryIO | None, notices: list[str]
) -> list[Message]:
    """The system's and the user's message; a plain prompt is the user's where --user is not."""
    if arguments.user is None:
        user = _read_text(arguments, stdin, notices)
    elif arguments.text is not None or arguments.file is not None:
        raise UsageError("both --user and a prompt are given: choose one.")
    else:
        user = without_mark("--user", arguments.user, notices)
    if user is None:
        raise UsageError(
            "a chat needs something to answer: give --user TEXT or --messages FILE.json."
        )
    messages = [Message("user", user)]
    if arguments.system is not None:
        messages.insert(0, Message("system", without_mark("--system", arguments.system, notices)))
    return messages


def _read_file(option: str, file: str, notices: list[str]) -> str:
    if file == STANDARD_INPUT:
        return _read_stream("standard input", sys.stdin.buffer, notices)
    try:
        with path_of(file).open("rb") as stream:
            return _read_stream(f"{option} {file}", stream, notices)
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"{option} {file} cannot be read: {reason}.") from None


def _read_stream(name: str, stream: BinaryIO, notices: list[str]) -> str:
    try:
        data = read_whole(stream)
    except ValueError as error:
        raise UsageError(f"{name} {error}: give a shorter text.") from None
    return decoded(name, data, notices)


def read_text(file: str, notices: list[str]) -> str:
    """A UTF-8 file as it is, but for a byte order mark; `-` is standard input.

    Args:
        notices: what was left out is told here.

    Raises:
        UsageError: it cannot be read, or is not UTF-8.
    """
    return _read_file("FILE", file, notices)


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
