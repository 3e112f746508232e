"""The last keys of a session, as a tape that can be edited and played."""

import shlex
from typing import NamedTuple

from tokexplore.models.api.options import EMBEDDED
from tokexplore.models.sampling.knobs import KNOBS
from tokexplore.tui.explore.options import AppOptions

MOST = 5_000
"""Keys that are remembered."""
LONGEST = 3600.0
"""Seconds that a tape may wait at once."""
LONGEST_WAIT = 2.0
"""Seconds: a longer pause of the user's is told as this."""
_SHORTEST_WAIT = 0.3
_WORDS = {" ": "space"}


class Pressed(NamedTuple):
    """One key."""

    at: float
    """Seconds from any beginning."""
    key: str
    """As Textual names it."""
    character: str
    """What it types; empty where a command was meant."""


class KeyLog:
    """Keys in the order in which they were pressed, from the start or the last mark on."""

    def __init__(self) -> None:
        self._keys: list[Pressed] = []
        self._palette = 0
        """Keys before the one that opened the palette last."""

    def add(self, pressed: Pressed) -> None:
        """Remember a key; the oldest ones are forgotten."""
        self._keys.append(pressed)
        if len(self._keys) > MOST:
            del self._keys[: MOST // 10]
            self._palette = max(0, self._palette - MOST // 10)

    def mark(self) -> None:
        """Forget what came before."""
        self._keys.clear()
        self._palette = 0

    def opens_palette(self, *, by_key: bool) -> None:
        """The palette opens, by the key that was pressed last or by a click."""
        self._palette = max(0, len(self._keys) - by_key)

    def leave_out_palette(self) -> None:
        """Forget what was pressed since the palette was opened, and the key that opened it."""
        del self._keys[self._palette :]

    def __len__(self) -> int:
        return len(self._keys)

    def tape(self, options: AppOptions, size: tuple[int, int], speed: float | None = None) -> str:
        """What was pressed, as the text of a tape.

        Args:
            speed: tokens a second that a stream had; None where none was measured.
        """
        lines = [f"Size {size[0]}x{size[1]}", f"Options {shlex.join(_options(options))}", ""]
        if speed is not None:
            lines.append(f"Speed {max(0.1, min(speed, LONGEST)):.1f}")
        before, typed, keys = None, "", list[str]()

        def end() -> None:
            nonlocal typed
            if typed:
                words = typed.rstrip(" ")  # blanks at the end of a tape's line are not read
                lines.append(f"Type {words}")
                keys.extend(["space"] * (len(typed) - len(words)))
            if keys:
                lines.append(f"Key {' '.join(keys)}")
            typed = ""
            keys.clear()

        for at, key, character in self._keys:
            if before is not None and at - before >= _SHORTEST_WAIT:
                end()
                lines.append(f"Wait {min(at - before, LONGEST_WAIT):.1f}")
            before = at
            if character and (character != " " or typed):
                if keys:
                    end()
                typed += character
            else:
                if typed:
                    end()
                keys.append(_WORDS.get(key, key))
        end()
        return "\n".join(lines) + "\n"


def _options(options: AppOptions) -> list[str]:
    """The command line that begins such a session."""
    words = [] if options.load.model == EMBEDDED else [options.load.model]
    settings, stated = options.settings, options.given if options.adopts else {"temperature"}
    for knob in KNOBS:
        value = getattr(settings, knob.field)
        if value != knob.neutral or knob.field in stated:
            words += [f"--{knob.name}", str(value)]
    for tokens, value in settings.bias:
        words += ["--bias-id", f"{','.join(map(str, tokens))}={value:g}"]
    for tokens in settings.banned:
        words += ["--ban-id", ",".join(map(str, tokens))]
    for text, value in options.bias_texts:
        words += ["--bias", f"{text}={value:g}"]
    for text in options.ban_texts:
        words += ["--ban", text]
    words += ["--model-defaults"] * options.model_defaults
    words += ["--max-new-tokens", str(options.max_new_tokens)]
    if options.prompt is not None and options.prompt.text is not None:
        words += ["--prompt", options.prompt.text]
    return words
