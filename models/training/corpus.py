"""A folder of plain text as books, books as one stream of token ids, the stream as windows."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.training.names import find_names, renamed


@dataclass(frozen=True)
class Book:
    """One file of text."""

    name: str
    text: str
    title: str = ""
    edition: int | None = None
    """Number of the Project Gutenberg edition that the text was taken from."""

    @property
    def size(self) -> int:
        """Length in UTF-8 bytes."""
        return len(self.text.encode())


@dataclass(frozen=True)
class Corpus:
    """The books to learn from and the books to be measured on; no book is in both."""

    training: tuple[Book, ...]
    held_out: tuple[Book, ...]


def read_book(path: Path) -> Book:
    """Read a UTF-8 file, its line ends left as they are."""
    try:
        return Book(path.name, path.read_bytes().decode())
    except OSError as error:
        raise UsageError(f"Can't read {path}: {reason_of(error)}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start}).") from error


def read_corpus(folder: Path, held_out: Sequence[str]) -> Corpus:
    """Read a folder's `.txt` files in the order of their names; the held-out ones are set apart."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.")
    books = [read_book(path) for path in sorted(folder.glob("*.txt"))]
    books = _with_editions(books, folder / "README.md")
    if not books:
        raise UsageError(f"{folder} holds no .txt files.")
    missing = sorted(set(held_out) - {book.name for book in books})
    if missing:
        raise UsageError(f"{folder} holds no file named {', '.join(missing)} to hold out.")
    training = tuple(book for book in books if book.name not in held_out)
    if not training:
        raise UsageError(f"Every book of {folder} is held out: none is left to learn from.")
    return Corpus(training, tuple(book for book in books if book.name in held_out))


_LISTED = re.compile(r"^\| *(\S+\.txt) *\| *(.+?) *\| *(\d+) *\|", re.MULTILINE)


def _with_editions(books: list[Book], table: Path) -> list[Book]:
    """Take titles and editions from rows `| file | title | number |` of a list, if there is one."""
    listing = table.read_text(encoding="utf-8") if table.is_file() else ""
    listed = {name: (title, int(edition)) for name, title, edition in _LISTED.findall(listing)}
    default = ("", None)
    return [
        # such lists are made from file names, which have no apostrophes
        replace(book, title=title.replace(" s ", "'s ") or book.name, edition=edition)
        for book in books
        for title, edition in [listed.get(book.name, default)]
    ]


def encode(tokenizer: PreTrainedTokenizerBase, book: Book) -> list[int]:
    """Token ids of one book after its BOS (where the tokenizer has one)."""
    ids: list[int] = tokenizer(book.text, add_special_tokens=False, verbose=False)["input_ids"]
    return ids if tokenizer.bos_token_id is None else [tokenizer.bos_token_id, *ids]


def encode_stream(tokenizer: PreTrainedTokenizerBase, books: Sequence[Book]) -> torch.Tensor:
    """All books end to end, each from its BOS to its EOS: int64 [tokens]."""
    eos = tokenizer.eos_token_id
    return torch.tensor([token for book in books for token in (*encode(tokenizer, book), eos)])


class Epochs:
    """The stream of each epoch: the same books, a share of their names dealt anew.

    An epoch's stream follows from the seed and its number alone.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, books: Sequence[Book], share: float, seed: int
    ) -> None:
        self._tokenizer = tokenizer
        self._books = books
        self._share = share
        self._seed = seed
        self._names = find_names(book.text for book in books) if share else ()
        self.plain = encode_stream(tokenizer, books)
        """The books as they are, int64 [tokens]."""

    def stream(self, epoch: int) -> torch.Tensor:
        """All books of one epoch end to end: int64 [tokens]."""
        if not self._names:
            return self.plain
        rng = random.Random(f"{self._seed} {epoch}")
        books = [
            replace(book, text=renamed(book.text, self._names, self._share, rng))
            for book in self._books
        ]
        return encode_stream(self._tokenizer, books)


class Windows:
    """An endless order of windows over a stream: every epoch a new shuffle from a new offset.

    A window's content follows from the seed and its number alone, so a resumed run sees what an
    uninterrupted one would have seen, with nothing but the step to remember.

    Args:
        plain: sets how many windows make an epoch, int64 [tokens].
        stream_of: the stream of an epoch, about as long as `plain`.
    """

    def __init__(
        self, plain: torch.Tensor, stream_of: Callable[[int], torch.Tensor], length: int, seed: int
    ) -> None:
        self._stream_of = stream_of
        self._length = length
        self._seed = seed
        self._per_epoch = (len(plain) - 1) // length - 1
        self._epoch, self._stream, self._starts = -1, plain, torch.empty(0)
        if self._per_epoch < 1:
            raise UsageError(f"{len(plain)} tokens of text are too few for windows of {length}.")

    def batch(self, number: int, rows: int) -> torch.Tensor:
        """One batch, with the target after the last input: int64 [rows, length + 1]."""
        return torch.stack([self._window(number * rows + row) for row in range(rows)])

    def _window(self, number: int) -> torch.Tensor:
        epoch, place = divmod(number, self._per_epoch)
        if epoch != self._epoch:
            self._begin(epoch)
        start = int(self._starts[place % len(self._starts)])
        return self._stream[start : start + self._length + 1]

    def _begin(self, epoch: int) -> None:
        self._epoch, self._stream = epoch, self._stream_of(epoch)
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        offset = int(torch.randint(self._length, (1,), generator=generator))
        count = (len(self._stream) - 1) // self._length - 1
        self._starts = offset + torch.randperm(count, generator=generator) * self._length
