"""`tokexplore models`: the models that are here, as a table."""

from collections.abc import Sequence

from tokexplore.models.catalog.entries import ModelEntry, list_directory, list_models
from tokexplore.models.catalog.footprint import gb
from tokexplore.models.display import safe_text
from tokexplore.models.errors import UsageError
from tokexplore.models.opening import OpenEngine
from tokexplore.models.untrusted import brief
from tokexplore.tui.cli.common.parser import Parser
from tokexplore.tui.cli.common.subcommand import Subcommand
from tokexplore.tui.report.tables import aligned

_HEADER = ("model", "parameters", "dtype", "on disk", "chat", "fits", "state")


def _parser() -> Parser:
    parser = Parser(
        "tokexplore models",
        "List the embedded model, the hub cache and the models in the folders given.",
        usage="tokexplore models [DIR ...]",
    )
    parser.add_argument(
        "directories", nargs="*", metavar="DIR", help="a model, or a folder of them"
    )
    return parser


def _run(directories: tuple[str, ...], _open_engine: OpenEngine) -> int:
    table, wrong = model_table(directories)
    print(table, end="", flush=True)
    if wrong:
        raise UsageError(wrong)
    return 0


def model_table(directories: Sequence[str]) -> tuple[str, str]:
    """The models of this machine and of `directories`, a line each, and what is wrong with them.

    A directory that is not there or cannot be read has its line too.
    """
    rows, wrong = [_HEADER, *map(_row, list_models())], list[str]()
    for directory in directories:
        try:
            rows += map(_row, list_directory(directory))
        except UsageError as error:
            wrong.append(str(error))
            rows.append((safe_text(brief(directory)), *"?????", "bad: no directory to read"))
    return "".join(line + "\n" for line in aligned(rows, "<><>" + "<<<")), " ".join(wrong)


def _row(entry: ModelEntry) -> tuple[str, ...]:
    return (
        safe_text(entry.name),
        magnitude(entry.parameters),
        entry.dtype or "?",
        gb(entry.disk_bytes),
        "template" if entry.chat_template else "-",
        "yes" if entry.fit.fits else f"needs {gb(entry.fit.needed)}",
        safe_text(_state(entry)),
    )


def _state(entry: ModelEntry) -> str:
    if not entry.complete:
        return f"partial: it {'; it '.join(entry.problems)}"
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
    options=lambda given: tuple(given.directories),
    run=_run,
)
