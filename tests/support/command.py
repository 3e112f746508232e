"""The `tokexplore` command with the fake engine in it, as a program of its own.

Arguments: a JSON object of `FakeEngine`'s arguments, then the command line.
"""

import functools
import json
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def fake_command(**engine: object) -> list[str]:
    """The start of a command line for `subprocess`."""
    start = f"import sys; sys.path.insert(0, {str(TESTS)!r}); import support.command as c; c.main()"
    return [sys.executable, "-c", start, json.dumps(engine)]


def main() -> None:
    """Run the command line that this process was started with."""
    from support.fake_engine import FakeEngine
    from tokexplore.tui.cli import main as run_command

    config = json.loads(sys.argv[1])
    print("a library prints while loading")
    opening = functools.partial(FakeEngine.open, **config)
    sys.exit(run_command(sys.argv[2:], open_engine=opening))
