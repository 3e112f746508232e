"""Keys of the user's own: `keys.toml` in the configuration folder, by the ids of bindings."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import platformdirs
from textual.binding import Binding
from textual.keys import (
    KEY_ALIASES,
    KEY_TO_UNICODE_NAME,
    Keys,
    _character_to_key,
    key_to_character,
)

from tokexplore.models.untrusted import brief, read_toml
from tokexplore.widgets.keybar import KeyHint

FILE = "keys.toml"
SIGNS = {
    "up": "↑", "down": "↓", "left": "←", "right": "→", "enter": "⏎", "backspace": "⌫",
    "pageup": "pgup", "pagedown": "pgdn",
}  # fmt: skip
_NAMED = {key.value for key in Keys if key.value[0] != "<"}.union(
    KEY_ALIASES, ("space", "full_stop", "question_mark")
)
_MEANT = {alias: key for key, aliases in KEY_ALIASES.items() for alias in aliases}
_MEANT["return"] = "enter"
_NAMES_KEY = re.compile(r"\{([a-z]\w*\.\w+):([{}]|[^{}]+)\}")
_MOST_PROBLEMS = 3


class Place(NamedTuple):
    """Where keys are pressed: a screen, with whatever stands on it."""

    name: str
    """As a sentence has it: `on the main screen`."""
    bindings: Sequence[Binding]
    types: bool = False
    """Whether text is typed there."""


class Rebinding(NamedTuple):
    """The user's own keys."""

    keys: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """By id: the keys in place of its own, as Textual names them."""
    before: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """By the same ids: the keys that they have by themselves."""
    wrong: tuple[str, ...] = ()
    """Sentences: what of the file is left out, and why."""

    @property
    def keymap(self) -> dict[str, str]:
        """The same for `App.set_keymap`."""
        return {id: ",".join(keys) for id, keys in self.keys.items()}

    @property
    def shown(self) -> dict[str, str]:
        """By id: its keys as help shows them."""
        return {id: " ".join(map(shown_key, keys)) for id, keys in self.keys.items()}

    def words(self, text: str) -> str:
        """A text in which `{act.draw:r}` stands for the key of a binding, `r` by itself."""
        return _NAMES_KEY.sub(
            lambda found: shown_key(self.keys[found[1]][0]) if found[1] in self.keys else found[2],
            text,
        )

    def hints(
        self, hints: Sequence[KeyHint], last: KeyHint | None = None
    ) -> tuple[list[KeyHint], KeyHint | None]:
        """The key bar's hints, whose keys are such texts."""
        own = [hint._replace(key=self.words(hint.key)) for hint in hints]
        return own, last and last._replace(key=self.words(last.key))

    def by_itself(self, key: str, id: str | None) -> str:
        """The key that does without this file what a key does with it; empty where none does.

        Args:
            id: of the binding that the key acts by; None where it has none, or does nothing.
        """
        if id is None:
            return "" if any(key in keys for keys in self.before.values()) else key
        return self.before[id][0] if id in self.before else key


NONE = Rebinding()


@runtime_checkable
class _Rebindable(Protocol):
    rebinding: Rebinding


def rebinding_of(app: object) -> Rebinding:
    """The user's own keys in an app."""
    return app.rebinding if isinstance(app, _Rebindable) else NONE


def shown_key(key: str) -> str:
    """A key as a keyboard has it: `↑`, `^t`, `?`."""
    if key.startswith("ctrl+"):
        return f"^{shown_key(key.removeprefix('ctrl+'))}"
    typed = key_to_character(key) if key not in _NAMED or "_" in key else None
    return SIGNS.get(key) or (typed if typed and typed.isprintable() else key)


def is_key(name: str) -> bool:
    """Whether a name, or a character, is that of a key."""
    bare = name.removeprefix("ctrl+").removeprefix("shift+")
    if bare in _NAMED or bare in KEY_TO_UNICODE_NAME or len(bare) == 1:
        return bare.isprintable()
    try:
        return bool(unicodedata.lookup(bare.replace("_", " ").upper()))
    except KeyError:
        return False


def keys_of(binding: Binding) -> tuple[str, ...]:
    """The keys of a binding, as Textual names them."""
    return tuple(_name(key.strip()) for key in binding.key.split(","))


def _name(key: str) -> str:
    """A key's one name."""
    if key in _NAMED:
        return _MEANT.get(key, key)
    character = key_to_character(key)
    return _character_to_key(character) if character else key


def own_keys(places: Callable[[], Sequence[Place]], fixed: Iterable[Binding]) -> Rebinding:
    """The keys of the user's own file, where there is one.

    A line that is wrong is left out, and the others hold.

    Args:
        places: tells of every binding; called where there is a file.
        fixed: those that stay where they are.
    """
    path = platformdirs.user_config_path("tokexplore") / FILE
    try:
        lines = list(_flat(read_toml(path)))
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else "is nested too deeply"
        return Rebinding(wrong=(f"{path} {why}: the keys are as they come.",))
    if not lines:
        return NONE
    return rebinding(lines, places(), {binding.id or "" for binding in fixed})


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, object]]:
    """Ids with their values: `act.draw = "x"` is a table in a table."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def rebinding(
    lines: Iterable[tuple[str, object]], places: Sequence[Place], fixed: set[str]
) -> Rebinding:
    """What is asked for by ids, as far as it can be.

    Args:
        lines: ids with a key or a list of keys.
        fixed: ids that stay where they are.
    """
    default = {b.id: keys_of(b) for place in places for b in place.bindings if b.id}
    typing = {b.id for place in places if place.types for b in place.bindings if b.priority}
    keys, wrong = dict[str, tuple[str, ...]](), list[str]()
    for id, value in lines:
        try:
            keys[id] = _given(id, value, default, fixed, typing)
        except ValueError as error:
            wrong.append(f"{FILE}: {error}.")
    while clash := _clash(keys, places):
        id, key, other, where = clash
        del keys[id]
        wrong.append(f"{FILE}: {shown_key(key)} is bound twice {where}, by {other} and by {id}.")
    if len(wrong) > _MOST_PROBLEMS:
        more = f"{FILE}: {len(wrong) - _MOST_PROBLEMS} more of its keys are left out."
        wrong[_MOST_PROBLEMS:] = [more]
    return Rebinding(keys, {id: default[id] for id in keys}, tuple(wrong))


def _given(
    id: str, value: object, default: Mapping[str, object], fixed: set[str], typing: set[str | None]
) -> tuple[str, ...]:
    """The keys of one line.

    Raises:
        ValueError: what is wrong with it.
    """
    if id in fixed:
        raise ValueError(f"{id} stays where it is, so that there is always a way out")
    if id not in default:
        near = get_close_matches(id, default, 1)
        raise ValueError(f"{brief(id)} is the id of no key" + (f"; {near[0]} is" if near else ""))
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given or not all(isinstance(k, str) for k in given):
        raise ValueError(f"{id} needs a key or a list of keys, not {brief(repr(value))}")
    for key in given:
        if not is_key(key):
            raise ValueError(f"{id} has {brief(repr(key))}, which is no key")
        character = key_to_character(_name(key))
        if id in typing and character and character.isprintable():
            raise ValueError(f"{id} holds where text is typed, and {shown_key(_name(key))} is text")
    return tuple(map(_name, given))


def _clash(
    keys: Mapping[str, tuple[str, ...]], places: Sequence[Place]
) -> tuple[str, str, str, str] | None:
    """The first id with a key that something else at a place has, with key, other and place."""
    for place in places:
        here = {b.id for b in place.bindings}
        owners = {
            key: b.id or f"“{b.description or b.action}”"
            for b in place.bindings
            if b.id not in keys
            for key in keys_of(b)
        }
        for id in (id for id in keys if id in here):
            for key in keys[id]:
                if owners.setdefault(key, id) != id:
                    return id, key, owners[key], place.name
    return None
