"""What the command line asks for, as values: the same for the app and for `tokexplore run`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from tokexplore.models.api.engine import StreamRequest
from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.options import SHIPPED, LoadOptions, PromptSpec
from tokexplore.models.errors import UsageError, reason_of
from tokexplore.models.sampling.settings import SUGGESTIONS, SamplingSettings
from tokexplore.models.tokens import Vocabulary
from tokexplore.models.untrusted import brief

STOCK_PROMPT = "Once upon a time there was a king who had a"
"""What the embedded model starts on when no prompt is given."""

MOST_WATCHED = 4
"""Tokens that the screen can follow at once."""

MAX_NEW_TOKENS = 256
"""How far a stream goes when nothing else was asked."""

IDLE_CAP = 2.0

CLOSE_CALL = 0.5
"""Margin (nats) under which a step is a close call."""


THEMES = {"dark": "tokexplore-dark", "light": "tokexplore-light", "ansi": "tokexplore-ansi"}
"""Themes by the words of the command line."""


class AppOptions(msgspec.Struct, frozen=True):
    """Everything that the user asked for on the command line, checked."""

    load: LoadOptions = LoadOptions()
    prompt: PromptSpec | None = None
    """None where no prompt was given: see `starting_prompt`."""
    settings: SamplingSettings = SamplingSettings()
    bias_texts: tuple[tuple[str, float], ...] = ()
    """Texts whose last token is biased; ids, which need the tokenizer, are added at the start."""
    ban_texts: tuple[str, ...] = ()
    """Texts that are never taken."""
    watch_texts: tuple[str, ...] = ()
    """Texts of one token each that are followed at every step."""
    watch_ids: tuple[int, ...] = ()
    given: frozenset[str] = frozenset()
    """Names of the fields of `settings` that the user gave: they win over the model's own."""
    examples: bool = False
    """Begin with the gallery."""
    model_defaults: bool = False
    """Adopt the model's suggested sampling settings (`starting_settings`)."""
    shipped_defaults: bool = False
    """The same of a model that we ship, where no sampling but the seed was given: in the app."""
    max_new_tokens: int = MAX_NEW_TOKENS
    stop_texts: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    theme: str = ""
    """Name of a theme; empty is the default."""
    directories: tuple[str, ...] = ()
    """More folders to look for models in."""
    close_call: float = CLOSE_CALL
    plain: bool = False
    """Tell lines and read commands instead of taking the screen."""
    session: str = ""
    """File to keep the session in; empty is a new one in the usual folder."""
    record: str = ""
    """File to record the screen to, from the start on."""
    cast_version: Literal[2, 3] = 2
    cast_idle_cap: float | None = None
    """Seconds between two events of a recording at most."""
    speed: float = 1.0
    """Times as fast as it was lived that a replay goes."""
    idle_cap: float = IDLE_CAP
    """Seconds that a pause of a replay lasts at most."""
    stock_output: bool = False
    """Leave the output to Textual instead of sending only what changed, as the line takes it."""
    against: LoadOptions | None = None
    """A second model that reads along."""
    tuned_lens: str = ""
    """Directory of a tuned lens; empty for the logit lens."""

    @property
    def starts_with_chat(self) -> bool:
        """Whether a conversation was given."""
        return self.prompt is not None and self.prompt.chat is not None

    def starting_prompt(self) -> PromptSpec | None:
        """The prompt to start on: the one given, else the stock prompt of the models we ship.

        None means that the user is asked for one.
        """
        if self.prompt is None and self.load.model in SHIPPED and not self.examples:
            return PromptSpec(text=STOCK_PROMPT)
        return self.prompt

    def request(
        self,
        ids: tuple[int, ...],
        settings: SamplingSettings,
        length: int,
        *,
        prompt_length: int,
        **more: Any,
    ) -> StreamRequest:
        """A stream of `length` tokens that ends as was asked.

        Stop texts are looked for after the prompt, unless `more` (other fields) says otherwise.
        """
        return StreamRequest(
            ids=ids,
            settings=settings,
            max_new_tokens=length,
            stop_texts=self.stop_texts,
            stop_ids=self.stop_ids,
            ignore_eos=self.ignore_eos,
            prompt_length=prompt_length,
            **{"stops_from": prompt_length, **more},
        )

    @property
    def token_texts(self) -> tuple[str, ...]:
        """The texts whose tokens have to be found: those of biases, bans and the watch-list."""
        return (*(text for text, _ in self.bias_texts), *self.ban_texts, *self.watch_texts)

    @property
    def adopts(self) -> bool:
        """Whether a new tree starts with what the model's makers suggest."""
        unasked = self.shipped_defaults and self.load.model in SHIPPED and not self.examples
        return self.model_defaults or (unasked and self.given <= {"seed"})

    def starting_settings(self, info: ModelInfo) -> SamplingSettings:
        """The settings to start with, now that the model's suggestions are known."""
        if not self.adopts:
            return self.settings
        return adopted(self.settings, self.given, info.suggested)


def with_texts(
    settings: SamplingSettings, app: AppOptions, ids: Mapping[str, Sequence[int]]
) -> SamplingSettings:
    """The settings with the biases and bans that were given as texts.

    Args:
        ids: each of the texts as a continuation's tokens.
    """
    biases = tuple((tuple(ids[text]), value) for text, value in app.bias_texts)
    bans = tuple(tuple(ids[text]) for text in app.ban_texts)
    return msgspec.structs.replace(
        settings, bias=settings.bias + biases, banned=settings.banned + bans
    ).checked()


def watched_tokens(
    app: AppOptions, ids: Mapping[str, Sequence[int]], vocabulary: Vocabulary
) -> list[int]:
    """The tokens that are followed.

    Args:
        ids: each of the texts as a continuation's tokens.

    Raises:
        UsageError: for a text that is not one token.
    """
    found = [*app.watch_ids, *(one_token(text, ids[text], vocabulary) for text in app.watch_texts)]
    return list(dict.fromkeys(found))


def one_token(
    text: str, ids: Sequence[int], vocabulary: Vocabulary, advice: str = "watch one of them"
) -> int:
    """The token that a text to be watched, or asked about, is.

    Args:
        ids: the text's tokens.
        advice: what to do where they are several.

    Raises:
        UsageError: where it is not exactly one.
    """
    if len(ids) != 1:
        parts = ", ".join(vocabulary.show(token) for token in ids)
        raise UsageError(f"{text!r} is {len(ids)} tokens ({parts}): {advice}.")
    return ids[0]


class OpenOptions(msgspec.Struct, frozen=True):
    """What `tokexplore open` takes."""

    session: str = ""
    """Its path, name or the beginning of it; empty is the latest."""
    load: dict[str, object] = {}
    """Fields of `LoadOptions` that the user gave: they win over those that were recorded."""
    server: dict[str, object] = {}
    """Fields of `ServerOptions`, in the same way."""
    app: AppOptions = AppOptions()
    """How the screen is to be."""


class ExportOptions(msgspec.Struct, frozen=True):
    """What `tokexplore export` takes."""

    session: str = ""
    """Its path, name or the beginning of it; empty is the latest."""
    format: str = ""
    """Empty goes by the name of the output, else JSON lines."""
    scope: Literal["path", "visible", "all"] = "visible"
    candidates: int = 20
    output: str = ""
    """File to write; empty is standard output."""
    force: bool = False
    """Write over a file that is there."""


def check_new(file: str, option: str, instead: str) -> None:
    """Refuse a file that cannot be made anew: it is made, and taken away again.

    Args:
        instead: what to do where it is there already.

    Raises:
        UsageError: it is there already, or its folder is not, or cannot be written.
    """
    path = Path(file)
    try:
        if path.exists():
            raise UsageError(f"{option} {file} is there already: {instead}.")
        if not path.parent.is_dir():
            raise UsageError(f"{option} {file}: there is no folder {path.parent}.")
        path.touch(mode=0o600, exist_ok=False)
        path.unlink()
    except (OSError, ValueError) as error:
        raise UsageError(f"{option} {brief(file)} cannot be written: {reason_of(error)}.") from None


def check_token_ids(app: AppOptions, info: ModelInfo) -> None:
    """Refuse ids that no token of the model has.

    Raises:
        UsageError: naming the first of them; any, where the engine has ids of its own.
    """
    named = [("--stop-id", i) for i in app.stop_ids]
    named += [("--watch-id", i) for i in app.watch_ids]
    named += [("--bias-id", i) for tokens, _ in app.settings.bias for i in tokens]
    named += [("--ban-id", i) for tokens in app.settings.banned for i in tokens]
    for option, i in named:
        check_token_id(option, i, info)


def check_token_id(option: str, token: int, info: ModelInfo) -> None:
    """Refuse an id that no token of the model has.

    Raises:
        UsageError: naming it; any, where the engine has ids of its own.
    """
    if why := info.capabilities.why_not(option, "own_ids"):
        raise UsageError(why)
    if token >= info.vocabulary:
        raise UsageError(
            f"{option} {token} is no token of {info.name}: its ids go up to {info.vocabulary - 1}."
        )


def adopted(
    settings: SamplingSettings, given: frozenset[str], suggested: SamplingSettings | None
) -> SamplingSettings:
    """The model's suggestions, except where the user gave a value or no model can suggest one."""
    if suggested is None:
        return settings
    taken = frozenset(SUGGESTIONS.values()) - given
    return msgspec.structs.replace(settings, **{name: getattr(suggested, name) for name in taken})
