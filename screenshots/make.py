"""Make the pictures and the demo of the README and the pages, most from the tapes beside this file.

    python screenshots/make.py [NAME ...]

Each tape is played on the embedded model, `chat` on smollm2. Its screenshots become SVGs without
web fonts, so that they show anywhere and load nothing; `demo` becomes a GIF. `lens-plot` is drawn
by `lens`.
"""

import sys
from pathlib import Path

from tokexplore.tui.cli.dispatch import main as tokexplore
from tokexplore.tui.cli.tape import TapeOptions
from tokexplore.tui.cli.tape_run import run_tape

HERE = Path(__file__).parent
LENS = ("lens", "--prompt", "Once upon a time there was a king who had a", "--top-p", "0.9,0.1")


def main() -> None:
    for tape in sorted(HERE.glob("*.tape")):
        if len(sys.argv) == 1 or tape.stem in sys.argv[1:]:
            gif = HERE / f"{tape.stem}.gif" if tape.stem == "demo" else None
            if gif is not None:
                gif.unlink(missing_ok=True)
            print(
                run_tape(TapeOptions(str(tape), gif=str(gif or ""), svg="" if gif else str(HERE)))
            )
    if len(sys.argv) == 1 or "lens-plot" in sys.argv[1:]:
        plot = HERE / "lens-plot.svg"
        plot.unlink(missing_ok=True)
        tokexplore([*LENS, "--device", "cpu", "--plot", str(plot)])


if __name__ == "__main__":
    main()
