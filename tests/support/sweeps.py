"""Runs `tokexplore sweep` on the fake engine."""

import io

import msgspec

from support.fake_engine import FakeEngine
from tokexplore.tui.cli.arguments import parse
from tokexplore.tui.cli.common.prompt_input import read_prompt
from tokexplore.tui.cli.sweep_runner import run_sweep

PROMPT = ("sweep", "--prompt", "Once upon")


def sweep_told(*arguments: str, engine: FakeEngine | None = None, code: int = 0) -> str:
    """What a sweep with these arguments writes."""
    found = engine or FakeEngine()
    asked = parse([*PROMPT, *arguments])
    app = msgspec.structs.replace(asked.sweep.app, prompt=read_prompt(asked.prompt, None))
    out = io.BytesIO()
    options = msgspec.structs.replace(asked.sweep, app=app)
    ended = run_sweep(options, out, open_engine=lambda _options, _report: found)
    assert ended == code
    return out.getvalue().decode()
