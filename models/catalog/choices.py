"""What another model is chosen from: recent ones, those that are here, and what is typed."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

import msgspec

from tokexplore.models.api.options import EMBEDDED, EMBEDDED_TITLE, SHIPPED, LoadOptions
from tokexplore.models.catalog.catalog import locate, may_be_model
from tokexplore.models.catalog.entries import ModelEntry, entries, models_in
from tokexplore.models.catalog.footprint import Room
from tokexplore.models.catalog.gguf_names import GGUF, gguf_models
from tokexplore.models.catalog.hub_cache import hub_models, offline
from tokexplore.models.catalog.located import Located, packaged, shipped
from tokexplore.models.errors import TokexploreError, UsageError, reason_of
from tokexplore.models.server.named import Named, Server, named_servers
from tokexplore.models.server.wire.address import is_address, same_server
from tokexplore.models.untrusted import brief, path_of

RECENT, SERVERS = "recent", "servers"
SHIPPED_ONES, PACKAGED, CACHED = "shipped with tokexplore", "installed with pip", "hub cache"
TYPED, FOLDERS = "typed", "folders"
MOST_FOLDERS = 200
"""Of a folder's folders, so many are offered."""
_OWNED = re.compile(rf"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(/[\w.-]+{GGUF})?")


class Choice(msgspec.Struct, frozen=True):
    """One row to choose from."""

    name: str
    """What to give as MODEL, a folder's path with a slash at its end, or a server's name."""
    section: str
    """What it stands under."""
    entry: ModelEntry | None = None
    """What its files say; None where there are none."""
    problem: str = ""
    """Why nothing more is known of it, as a sentence."""
    server: Server | None = None
    """What the name stands for, where it is one that the user gave to a server."""

    @property
    def model(self) -> str:
        """What to give as MODEL."""
        return self.server.address.text if self.server else self.name

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, which may hold models and is none."""
        return self.section == FOLDERS and self.entry is None

    @property
    def is_server(self) -> bool:
        """Whether it is a model behind a server, of which no files are here."""
        return is_address(self.model)

    @property
    def comes_from_hub(self) -> bool:
        """Whether it, or what is missing of it, would be downloaded."""
        entry = self.entry
        if entry is None:
            return not (self.problem or self.is_folder or self.is_server)
        return entry.origin == "hub" and not entry.complete and not offline()

    @property
    def refusal(self) -> str:
        """Why it cannot be opened, as a sentence; empty where it may."""
        if self.entry is None or self.comes_from_hub:
            return self.problem
        return f"{brief(self.name)} {why}." if (why := self.entry.refusal) else ""

    def holds(self, words: Sequence[str]) -> bool:
        """Whether it has all of these words, in small letters, in its name or kind."""
        title = EMBEDDED_TITLE if self.name == EMBEDDED else ""
        family, dtype = (self.entry.family, self.entry.dtype) if self.entry else ("", "")
        text = f"{self.name} {self.model} {title} {family}".casefold()
        # Most are of one dtype, which has parts of other words: bfloat16.
        return all(word in text or dtype.startswith(word) for word in words)


class Choices:
    """Finds them; every model's files are read once.

    Args:
        recent: names of models, the latest first.
        directories: folders of models, or models.
        room: tells what is free for them.
    """

    def __init__(
        self, recent: Callable[[], Sequence[str]], directories: Sequence[str],
        room: Callable[[], Room],
    ) -> None:  # fmt: skip
        self._recent, self._directories, self._room = recent, directories, room
        self._free: Room | None = None
        self._read: dict[Path, ModelEntry] = {}

    def here(self) -> Iterator[list[Choice]]:
        """Those of this machine and the servers that have a name, some at a time, each once."""
        named = self._named
        seen: set[Path | str] = {server.address.text for server in named.servers}
        recent = self._new(filter(None, map(_located, self._recent())), RECENT, seen)
        servers = [Choice(server.name, SERVERS, server=server) for server in named.servers]
        wrong = [Choice(name, SERVERS, problem=problem) for name, problem in named.wrong]
        yield recent + servers + wrong + self._new(map(shipped, SHIPPED), SHIPPED_ONES, seen)
        yield self._new(filter(None, [packaged()]), PACKAGED, seen)
        places = [(CACHED, CACHED, hub_models)]
        places += [(d, f"in {d}", partial(models_in, d)) for d in self._directories]
        for name, section, models in places:
            try:
                yield self._new(models(), section, seen)
            except UsageError as error:
                yield [Choice(name, section, problem=str(error))]

    def opening(self, chosen: Choice, present: LoadOptions) -> LoadOptions:
        """How a choice is opened after another model: as that one, but no key goes to a server
        that the user did not name beside it."""
        if chosen.server:
            server = chosen.server.options
        elif same_server(present.model, chosen.model):
            server = present.server
        else:
            server = present.server.with_keys_of(self._named.keys_at(chosen.model))
        return msgspec.structs.replace(
            present, model=chosen.model, revision="", server=server, adapters=(),
            quantize="" if chosen.is_server else present.quantize,
            kv_memory=0.0 if chosen.is_server else present.kv_memory,
        )  # fmt: skip

    @cached_property
    def _named(self) -> Named:
        return named_servers()

    def typed(self, text: str) -> list[Choice]:
        """What a typed text can stand for, beside those that are here.

        A path: the models there and the folders that it may go on with; `owner/name`: that model;
        an address: the server there.
        """
        if is_path(text):
            return self._at_path(f"{text}/" if text in ("~", ".", "..") else text)
        if not (_OWNED.fullmatch(text) or is_address(text)):
            return []
        try:
            found = locate(text)
        except TokexploreError as error:
            return [Choice(text, TYPED, problem=str(error))]
        return [Choice(text, TYPED, self._entry(found) if found.path else None)]

    def _at_path(self, text: str) -> list[Choice]:
        head, slash, leaf = text.rpartition("/")
        above = head + slash
        try:
            folder = path_of(above)
            found = [self._model(above, folder)] if not leaf and may_be_model(folder) else []
            found += [self._model(above + name, folder / name) for name in _files(folder, leaf)]
            return found + [
                self._model(above + name, folder / name)
                if may_be_model(folder / name)
                else Choice(f"{above}{name}/", FOLDERS)
                for name in _folders(folder, leaf)
            ]
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            return [Choice(text, TYPED, problem=f"{brief(text)} cannot be read: {reason}.")]
        except UsageError as error:
            return [Choice(text, TYPED, problem=str(error))]

    def _model(self, name: str, path: Path) -> Choice:
        return Choice(name, FOLDERS, self._entry(Located(path.name, name, "directory", path)))

    def _new(self, found: Iterator[Located] | Sequence[Located], section: str, seen: set[Path | str]
    ) -> list[Choice]:  # fmt: skip
        fresh = list[Choice]()
        for place in found:
            what = place.source if place.origin == "server" else place.path and place.path.resolve()
            if what is not None and what not in seen:
                seen.add(what)
                fresh.append(Choice(place.source, section, self._entry(place)))
        return fresh

    def _entry(self, place: Located) -> ModelEntry | None:
        """What the files of a model say; None where there are none."""
        if place.path is None:
            return None
        if place.path not in self._read:
            self._free = self._free or self._room()
            [self._read[place.path]] = entries([place], self._free)
        return self._read[place.path]


def is_path(text: str) -> bool:
    """Whether a typed text is the begin of a path, and no name or search."""
    return text.startswith((".", "/", "~"))


def _located(name: str) -> Located | None:
    """The model that a name stands for today, where it is here."""
    try:
        return locate(name)
    except TokexploreError:
        return None


def _files(folder: Path, begin: str) -> list[str]:
    """The GGUF models of a folder whose names begin so.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    with os.scandir(folder) as found:
        models = gguf_models(entry.name for entry in found)
    return _beginning(models, begin)[:MOST_FOLDERS]


def _folders(folder: Path, begin: str) -> list[str]:
    """Names of the folders in a folder that begin so, those in the same letters before others.

    Raises:
        OSError: it is not there, or cannot be read.
    """
    with os.scandir(folder) as found:
        names = sorted(e.name for e in found if begin[:1] == "." or e.name[:1] != ".")
    shown = list[str]()
    for name in _beginning(names, begin):
        if len(shown) < MOST_FOLDERS and os.path.isdir(folder / name):
            shown.append(name)
    return shown


def _beginning(names: Sequence[str], begin: str) -> list[str]:
    """Those that begin so in the same letters, else in small or large ones."""
    exact = [name for name in names if name.startswith(begin)]
    return exact or [name for name in names if name.casefold().startswith(begin.casefold())]
