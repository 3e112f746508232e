"""The `tokexplore` command with the fake engine in it, as a program of its own.

Arguments: a JSON object of `FakeEngine`'s arguments, then the command line. Without a command line,
it runs each of a JSON list of them that is on standard input, behind a folder for what they print.
"""

import functools
import gc
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def fake_command(**engine: object) -> list[str]:
    """The start of a command line for `subprocess`."""
    start = f"import sys; sys.path.insert(0, {str(TESTS)!r}); import support.command as c; c.main()"
    return [sys.executable, "-c", start, json.dumps(engine)]


def fake_runs(
    folder: Path, lines: Sequence[Sequence[str]]
) -> "list[subprocess.CompletedProcess[bytes]]":
    """Run the command with each of the arguments, all forked from one that has imported it.

    Args:
        folder: an empty one, for what they print.
    """
    told = json.dumps([str(folder), *lines])
    done = subprocess.run(fake_command(), input=told, text=True, stdout=subprocess.PIPE, check=True)
    return [
        subprocess.CompletedProcess(
            line, int(code), (folder / f"{n}.1").read_bytes(), (folder / f"{n}.2").read_bytes()
        )
        for n, (line, code) in enumerate(zip(lines, done.stdout.split(), strict=True))
    ]


def main() -> None:
    """Run the command line that this process was started with."""
    if len(sys.argv) == 2:
        _run_each()
    else:
        sys.exit(_run(sys.argv[2:]))


def _run(line: Sequence[str]) -> int:
    from support.fake_engine import FakeEngine
    from tokexplore.tui.cli.dispatch import main as run_command

    print("a library prints while loading")
    opening = functools.partial(FakeEngine.open, **json.loads(sys.argv[1]))
    sys.argv[1:] = line
    return run_command(open_engine=opening)


def _run_each() -> None:
    """Fork for each command line, one after the other, and print its exit code."""
    import numpy.random  # noqa: F401

    import support.fake_engine  # noqa: F401
    import tokexplore.models.engine.sampler_effects
    import tokexplore.tui.cli.lens_runner
    import tokexplore.tui.cli.sweep_runner  # noqa: F401
    from tokexplore.tui.cli.registry import APP, SUBCOMMANDS, load

    for name in (*SUBCOMMANDS, APP):
        load(name)
    gc.freeze()
    folder, *lines = json.load(sys.stdin)
    for n, line in enumerate(lines):
        pid = os.fork()
        if not pid:
            for output in (1, 2):
                os.dup2(os.open(f"{folder}/{n}.{output}", os.O_CREAT | os.O_WRONLY), output)
            try:
                code = _run(line)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # an end that takes the interpreter down would copy all of its memory
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
