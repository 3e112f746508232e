"""Runs `tokexplore lens` on a prompt and the fake engine."""

import io

import msgspec

from support.fake_engine import FakeEngine
from tokexplore.models.api.engine import Engine
from tokexplore.tui.cli.common.prompt_input import read_prompt
from tokexplore.tui.cli.lens import SUBCOMMAND
from tokexplore.tui.cli.lens_runner import run_lens

PROMPT = "Once upon a time"


def lens_told(*arguments: str, engine: Engine | None = None, prompt: str = PROMPT) -> str:
    """What the lens writes of a prompt."""
    found = engine or FakeEngine()
    options, given = SUBCOMMAND.read(["--prompt", prompt, *arguments])
    app = msgspec.structs.replace(options.app, prompt=read_prompt(given, None))
    out = io.BytesIO()
    options = msgspec.structs.replace(options, app=app)
    errors = io.StringIO()
    assert run_lens(options, out, open_engine=lambda *_: found, errors=errors) == 0
    return out.getvalue().decode()
