"""Make the README's pictures and its demo from the tapes beside this file.

    python screenshots/make.py [NAME ...]

Each tape is played on the embedded model. Its screenshots become SVGs without web fonts, so that
they show anywhere and load nothing; `demo` becomes a GIF.
"""

import sys
from pathlib import Path

from tokexplore.tui.cli.tape import TapeOptions
from tokexplore.tui.cli.tape_run import run_tape

HERE = Path(__file__).parent


def main() -> None:
    for tape in sorted(HERE.glob("*.tape")):
        if len(sys.argv) == 1 or tape.stem in sys.argv[1:]:
            gif = HERE / f"{tape.stem}.gif" if tape.stem == "demo" else None
            if gif is not None:
                gif.unlink(missing_ok=True)
            print(
                run_tape(TapeOptions(str(tape), gif=str(gif or ""), svg="" if gif else str(HERE)))
            )


if __name__ == "__main__":
    main()
