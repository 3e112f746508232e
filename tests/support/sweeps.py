"""Runs `tokexplore sweep` on the fake engine."""

import io

import msgspec

from support.fake_engine import FakeEngine
from tokexplore.models.api.engine import Engine
from tokexplore.tui.cli.common.prompt_input import read_prompt
from tokexplore.tui.cli.sweep import SUBCOMMAND
from tokexplore.tui.cli.sweep_runner import run_sweep

PROMPT = ("sweep", "--prompt", "Once upon")


def sweep_told(*arguments: str, engine: Engine | None = None, code: int = 0) -> str:
    """What a sweep with these arguments writes."""
    found = engine or FakeEngine()
    options, prompt = SUBCOMMAND.read([*PROMPT[1:], *arguments])
    app = msgspec.structs.replace(options.app, prompt=read_prompt(prompt, None))
    out = io.BytesIO()
    options = msgspec.structs.replace(options, app=app)
    ended = run_sweep(options, out, open_engine=lambda _options, _report: found)
    assert ended == code
    return out.getvalue().decode()
