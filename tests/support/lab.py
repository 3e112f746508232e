"""Runs `tokexplore lab` on the fake engine."""

import io

import msgspec

from support.fake_engine import FakeEngine
from tokexplore.models.api.engine import Engine
from tokexplore.models.opening import OpenEngine
from tokexplore.tui.cli.common.prompt_input import read_prompt
from tokexplore.tui.cli.lab import SUBCOMMAND
from tokexplore.tui.cli.lab.registry import EXPERIMENTS
from tokexplore.tui.cli.lab.runner import run_lab


def lab_told(
    *arguments: str,
    engine: Engine | None = None,
    code: int = 0,
    open_engine: OpenEngine | None = None,
    out: io.BytesIO | None = None,
) -> list[str]:
    """The lines that an experiment with these arguments writes, to `out` as it goes on."""
    found = engine or FakeEngine()
    options, prompt = SUBCOMMAND.read(arguments)
    app = msgspec.structs.replace(options.app, prompt=read_prompt(prompt, None))
    options = msgspec.structs.replace(options, app=app)
    out = out or io.BytesIO()
    lines = EXPERIMENTS[options.experiment].load()
    ended = run_lab(
        options, lines, out, open_engine=open_engine or (lambda _options, _report: found)
    )
    assert ended == code
    return out.getvalue().decode().splitlines()
