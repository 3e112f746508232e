"""`tokexplore examples`: the app, which begins with its gallery."""

from functools import partial

from tokexplore.tui.cli.app import app_parser, read_app, run_app
from tokexplore.tui.cli.common.subcommand import Subcommand

SUBCOMMAND = Subcommand(
    name="examples",
    takes="[MODEL]",
    summary="begin with a gallery of prompts that show something",
    parser=app_parser,
    options=partial(read_app, examples=True),
    run=run_app,
)
