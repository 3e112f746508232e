"""Which conversation a path of ids begins with, and what its answer says so far."""

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from tokexplore.models.api.chat import Chat
from tokexplore.models.engine.text import chat as chats
from tokexplore.models.engine.text.text_model import TextModel
from tokexplore.models.server.dialect import UnaskedError


class Opened(NamedTuple):
    """A path as a server of chats can be asked for it."""

    chat: Chat
    """Without a prefill."""
    answer: str
    """What the assistant has said in the turn that is open; empty at its beginning."""


def hash_of(ids: Sequence[int]) -> bytes:
    """What stands for a path where many are remembered."""
    return blake2b(array("I", ids).tobytes(), digest_size=16).digest()


class Conversations:
    """The conversations that were rendered with a model, by the ids that they begin with."""

    def __init__(self, model: TextModel) -> None:
        self._model = model
        self._chats: dict[bytes, Chat] = {}
        """By a hash of those ids: an editor lets many be rendered that nobody sends."""
        self._ends: set[int] = set()
        """The lengths of what they begin with."""

    def hear(self, chat: Chat) -> tuple[int, ...]:
        """Keep a conversation; the ids up to where its answer begins.

        They are those that a server makes of it: it reads the names of tokens as those tokens, and
        a prefill is a part of the answer.

        Raises:
            UsageError: there is no template for it.
        """
        plain = msgspec.structs.replace(
            chat, prefill="", prefill_as="turn", prefill_more={}, literal=False
        )
        ids = chats.render(self._model, plain).ids
        self._chats[hash_of(ids)] = plain
        self._ends.add(len(ids))
        return ids

    def opened(self, path: Sequence[int]) -> Opened:
        """The longest conversation that a path begins with, and its answer.

        Raises:
            UnaskedError: there is none, or its answer is no text that is read as the same tokens.
        """
        whole = tuple(path)
        ends = [end for end in sorted(self._ends, reverse=True) if end <= len(whole)]
        end = next((end for end in ends if hash_of(whole[:end]) in self._chats), None)
        if end is None:
            raise UnaskedError(
                "the server takes chats only, as their messages, and this path begins with none "
                "that reads the same there."
            )
        opened = Opened(self._chats[hash_of(whole[:end])], self._text(whole[end:]))
        if opened.answer and self._read(opened) != whole:
            raise UnaskedError(
                "the server takes the answer so far as text, which would be read as other tokens "
                "than those of this path: it cannot be asked what comes next."
            )
        return opened

    def _text(self, answer: Sequence[int]) -> str:
        vocabulary = self._model.vocabulary
        if special := [token for token in answer if token in vocabulary.special]:
            raise UnaskedError(
                f"the server takes the answer so far as text, which {vocabulary.show(special[0])} "
                "is no part of: it cannot be asked what comes after it."
            )
        try:
            return b"".join(map(vocabulary.bytes_of, answer)).decode()
        except UnicodeDecodeError:
            raise UnaskedError(
                "the server takes the answer so far as text, and here it ends within a character: "
                "it cannot be asked what comes next."
            ) from None

    def _read(self, opened: Opened) -> tuple[int, ...]:
        """The ids of a conversation with its answer, as a tokenizer reads the text of both."""
        continued = msgspec.structs.replace(opened.chat, prefill=opened.answer)
        return chats.render(self._model, continued).ids
