"""From the options that commands share to checked values."""

import argparse
import math
from pathlib import Path
from typing import Any, Literal

from tokexplore.models.api.options import (
    EMBEDDED,
    EMBEDDED_TITLE,
    LoadOptions,
    ServerOptions,
)
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.catalog.located import Located
from tokexplore.models.errors import UsageError
from tokexplore.models.lab.sweep import combinations
from tokexplore.models.sampling.knobs import KNOBS
from tokexplore.models.sampling.settings import LARGEST, SamplingSettings
from tokexplore.models.server.named import Server
from tokexplore.models.untrusted import brief
from tokexplore.tui.explore.options import AppOptions, check_new


def app_options(
    given: argparse.Namespace, threads: int | Literal["auto"] = 0, **more: Any
) -> AppOptions:
    """What the app, `run` and the lab are asked for alike.

    Args:
        threads: see `load_options`.
        more: other fields.

    Raises:
        UsageError: for settings that are not possible.
    """
    sampling = {k.field: getattr(given, k.name.replace("-", "_")) for k in KNOBS}
    chosen = {name: value for name, value in sampling.items() if value is not None}
    named = {"bias": given.bias or given.bias_id, "banned": given.ban or given.ban_id}
    settings = SamplingSettings(
        **chosen,
        bias=tuple(_biased(text) for text in given.bias_id),
        banned=tuple(map(_tokens, given.ban_id)),
    )
    return AppOptions(
        load=load_options(given, threads),
        settings=settings.checked(),
        bias_texts=tuple(_bias_text(text) for text in given.bias),
        ban_texts=tuple(given.ban),
        watch_texts=tuple(given.watch),
        watch_ids=tuple(given.watch_id),
        given=frozenset(chosen).union(name for name, tokens in named.items() if tokens),
        model_defaults=given.model_defaults,
        session=given.session,
        **ending_fields(given),
        **more,
    )


def ending_fields(given: argparse.Namespace) -> dict[str, Any]:
    """The fields of `AppOptions` that `add_ending` asks for.

    Raises:
        UsageError: for a stop text that is empty.
    """
    if any(not text for text in given.stop):
        raise UsageError("--stop '' is empty: give a text that ends the stream.")
    return {
        "max_new_tokens": given.max_new_tokens,
        "stop_texts": tuple(given.stop),
        "stop_ids": tuple(given.stop_id),
        "ignore_eos": given.ignore_eos,
    }


def load_options(given: argparse.Namespace, threads: int | Literal["auto"] = 0) -> LoadOptions:
    """What is to be loaded; `threads` where no number was given."""
    return LoadOptions(
        model=model_name(given.models[0] if "models" in given else given.model, given.api),
        device=given.device,
        dtype=given.dtype,
        device_map=given.device_map,
        revision=given.revision,
        trust_remote_code=given.trust_remote_code,
        threads=given.threads or threads,
        server=server_options(given),
        adapters=tuple(given.adapters or ()),
        quantize=given.quantize,
        kv_memory=given.kv_memory or 0.0,
    )


def server_options(given: argparse.Namespace) -> ServerOptions:
    """How the server of `--api` is to be asked: as the user's file has it, and as options say."""
    named = given.api.options if given.api else ServerOptions()
    return named.with_given(server_fields(given))


def server_fields(given: argparse.Namespace) -> dict[str, Any]:
    """The fields of `ServerOptions` that were given."""
    header_env = given.api_header_env
    fields = {
        "key_env": given.api_key_env,
        "key_file": given.api_key_file,
        "header_env": None if header_env is None else tuple(header_env),
        "tokenizer": given.tokenizer,
        "timeout": given.api_timeout,
        "top": given.api_top,
    }
    return {name: value for name, value in fields.items() if value is not None}


def model_name(name: str, api: Server | None = None) -> str:
    """A model as it was named, also the embedded one by its title.

    Args:
        api: the server that it is the name of a model of.
    """
    if api:
        address = api.address
        return address._replace(model=address.model if name == EMBEDDED else name).text
    title = name == EMBEDDED_TITLE and not Path(name).exists()
    return EMBEDDED if title else name


def listed_settings(given: argparse.Namespace) -> tuple[SamplingSettings, ...]:
    """Every combination of the values that `add_lists` asks for, the temperature 1 unless given.

    Raises:
        UsageError: for a value outside its range, and for too many combinations.
    """
    values = {k.field: getattr(given, k.name.replace("-", "_")) for k in KNOBS}
    lists = {
        field: value if isinstance(value, tuple) else (value,)
        for field, value in values.items()
        if value is not None
    }
    return combinations(SamplingSettings(1.0), lists)


def check_start(app: AppOptions) -> Located:
    """Refuse a session's file that cannot be made and a model that is not there; what it is.

    Raises:
        UsageError: naming it.
    """
    if app.session:
        again = f"`tokexplore open {app.session}` goes on with it"
        check_new(app.session, "--session", again)
    return locate(app.load.model, app.load.revision)


def _tokens(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"{brief(text)!r} is no token id or several with commas: 17 or 17,4."
        ) from None


def _biased(text: str) -> tuple[tuple[int, ...], float]:
    ids, value = _bias_text(text, "ID=NUMBER, such as 17=-5 or 17,4=-5")
    return _tokens(ids), value


def _bias_text(text: str, form: str = "TEXT=NUMBER, such as ' dragon=-5'") -> tuple[str, float]:
    before, equals, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not equals or not before or not abs(number) <= LARGEST:
        raise UsageError(
            f"bias {brief(text)!r} is not possible: give {form}, with a number from "
            f"-{LARGEST:g} to {LARGEST:g}."
        )
    return before, number
