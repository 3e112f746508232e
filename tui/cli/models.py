"""`tokexplore models`: the models that are here, as a table."""

import argparse
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from tokexplore.models.api.options import SMOLLM2, ServerOptions
from tokexplore.models.catalog.catalog import SMOLLM2_GET
from tokexplore.models.catalog.entries import ModelEntry, entries, list_directory, list_models
from tokexplore.models.catalog.footprint import gb
from tokexplore.models.catalog.located import ours, packaged
from tokexplore.models.display import safe_text
from tokexplore.models.errors import ModelError, ServerError, UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.models.server.named import Server, named_servers
from tokexplore.models.server.wire.address import Address
from tokexplore.models.untrusted import brief, object_of
from tokexplore.tui.cli.common.app_options import server_options
from tokexplore.tui.cli.common.option_groups import add_server
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.report.tables import aligned

_HEADER = ("model", "parameters", "dtype", "on disk", "chat", "fits", "state")


def _parser() -> Parser:
    parser = Parser(
        "tokexplore models",
        "List the embedded model, the hub cache, the models in the folders given and the servers "
        "that servers.toml names; with --api what one of them serves.",
        usage="tokexplore models [DIR ...]\n       tokexplore models --api URL|NAME",
    )
    parser.add_argument(
        "directories", nargs="*", metavar="DIR", help="a model, or a folder of them"
    )
    add_server(parser, names_one=True)
    return parser


class Asked(NamedTuple):
    """Whose models are listed."""

    directories: tuple[str, ...]
    api: Address | None
    """A server; None for this machine."""
    server: ServerOptions


def _options(given: argparse.Namespace) -> Asked:
    if given.api and given.directories:
        raise UsageError(
            f"--api lists what a server has, {brief(given.directories[0])!r} is a folder: leave "
            "one of the two out."
        )
    address = given.api.address if given.api else None
    return Asked(tuple(given.directories), address, server_options(given))


def _run(asked: Asked, _open_engine: OpenEngine) -> int:
    if asked.api:
        for line in served_table(asked.api, asked.server):
            print(line, flush=True)
        return 0
    table, wrong = model_table(asked.directories)
    print(table, end="", flush=True)
    if wrong:
        raise UsageError(wrong)
    return 0


def served_table(address: Address, options: ServerOptions) -> list[str]:
    """The models that a server has, a line each, as they can be named.

    Raises:
        ModelError: nothing that can be read answers there.
    """
    from tokexplore.models.server.wire.http import Http, models_at

    rows = [("model", "context", "made by")]
    try:
        models = models_at(Http(address, options))
    except ServerError as error:
        raise ModelError(str(error)) from None
    for model in models:
        context = model.get("max_model_len") or object_of(model.get("meta")).get("n_ctx") or "?"
        rows.append(
            (
                safe_text(address._replace(model=model["id"]).text),
                safe_text(brief(str(context))),
                safe_text(brief(str(model.get("owned_by") or "?"))),
            )
        )
    return list(aligned(rows, "<><"))


def model_table(directories: Sequence[str]) -> tuple[str, str]:
    """The models of this machine and of `directories` and the servers that have a name, a line
    each, and what is wrong with them.

    A directory that is not there or cannot be read has its line too.
    """
    rows, wrong = list[Sequence[str]]([_HEADER]), list[str]()
    try:
        rows += map(_row, list_models())
    except UsageError as error:
        wrong.append(str(error))
        rows += map(_row, entries(ours()))
    if packaged() is None:
        rows.append((SMOLLM2, *"?????", f"not installed: {SMOLLM2_GET}"))
    for directory in directories:
        try:
            rows += map(_row, list_directory(directory))
        except UsageError as error:
            wrong.append(str(error))
            rows.append((safe_text(brief(directory)), *"?????", "bad: no directory to read"))
    named = named_servers()
    rows += map(_server_row, named.servers)
    wrong += (one.problem for one in named.wrong)
    return "".join(line + "\n" for line in aligned(rows, "<><>" + "<<<")), " ".join(wrong)


def _row(entry: ModelEntry) -> tuple[str, ...]:
    return (
        safe_text(entry.name),
        magnitude(entry.parameters),
        entry.dtype or "?",
        gb(entry.disk_bytes),
        "template" if entry.chat_template else "-",
        _fits(entry),
        safe_text(_state(entry)),
    )


def _fits(entry: ModelEntry) -> str:
    if entry.adapter_of and not entry.fit.is_known:
        return "?"
    return "yes" if entry.fit.fits else f"needs {gb(entry.fit.needed)}"


def _server_row(server: Server) -> tuple[str, ...]:
    return (
        safe_text(f"--api {shlex.quote(server.name)}"),
        *"?????",
        safe_text(f"a server: {server.address.text}"),
    )


def _state(entry: ModelEntry) -> str:
    if not entry.complete:
        return f"partial: it {'; it '.join(entry.problems)}"
    if entry.adapter_of:
        return f"{entry.family} of {entry.adapter_of}"
    return "complete" if entry.causal is not False else "complete, not a causal model"


def magnitude(count: int | None) -> str:
    """A number of parameters in three digits: 5.6M, 7.2B; `?` where it is not known."""
    if count is None:
        return "?"
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            value = count / size
            return f"{value:.0f}{unit}" if value >= 100 else f"{value:.3g}{unit}"
    return str(count)


SUBCOMMAND = Subcommand(
    name="models",
    takes="[DIR ...]",
    summary="the models that are here",
    parser=_parser,
    options=_options,
    run=_run,
)
