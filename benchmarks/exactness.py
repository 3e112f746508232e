"""How far the engine's logits are from a plain pass, for every causal architecture: the table.

Judges a tiny random model of each at two lengths and writes docs/exactness.md. The figures are kept
in a file as they come, so that a run which was cut off goes on where it was. About 20 minutes on
one quiet core; ends with 1 where a model is further off than is promised.

    python benchmarks/exactness.py [--figures FILE] [--length N] [CASE ...]
"""

import argparse
import sys
from pathlib import Path

import msgspec
import torch
import transformers

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import architectures, referee  # noqa: E402
from support.referee import LENGTHS, Verdict  # noqa: E402

PAGE = ROOT / "docs" / "exactness.md"
HEAD = """# Exactness

Every logprob, rank, entropy and margin is tested against a plain full forward pass in float32,
along branches and after switches, to 1e-4 nats for most families, and eleven families' tests are
shown to fail on a planted bug. Where a model turns all positions otherwise in a longer text
(LongRoPE, dynamic NTK), a path that grows past that length is fed again from its start. The first
distribution that was computed for a path stays; the screen says when one was recomputed or re-fed,
because low precision is not the same number twice.

What every number is held against: a plain forward pass of transformers over the first p ids of the
path, with `use_cache=False`, whose last row is the truth after p tokens. For each causal
architecture that transformers {transformers} can build small, a random model in float32 on the CPU
(hidden size 32, two to four layers, sliding windows of 8 tokens, logits of standard deviation near
2) is streamed, forked from a kept cache and fed, scored in one go, and run as a batch of rows; what
stands here is the largest difference of a logit, in nats, on paths of {lengths} tokens.
`name+rope` is the same model with another type of rope, made for {border} positions, so that all
paths cross that border.

Fed **batched**: several tokens at once on top of a kept cache; **in twos**: the last token again
with each new one; **stepwise**: one by one; **whole**: no cache, every step runs the whole path.
Beyond a **border** the model turns all positions otherwise: a path that crosses it is fed again in
one piece, once for LongRoPE, at every step for dynamic scaling, and the screen says "re-fed N".
**Refused** models are not opened: the sentence tells why.

Measured with tokexplore {tokexplore}, torch {torch}, transformers {transformers}, Python {python}.
The table is made by `python benchmarks/exactness.py`; `make test-families` runs the same as tests.

"""


class Figures(msgspec.Struct):
    """What was measured of one case at one length."""

    case: str
    length: int
    family: str = ""
    refused: str = ""
    feed: str = ""
    branching: str = ""
    worst: dict[str, float] = {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", default=architectures.CASES)
    parser.add_argument("--figures", type=Path, default=ROOT / "build" / "exactness.jsonl")
    parser.add_argument("--length", type=int, action="append", choices=LENGTHS, help="of a path")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    asked.figures.parent.mkdir(parents=True, exist_ok=True)
    cached = read(asked.figures)
    with asked.figures.open("ab") as file:
        for length in asked.length or LENGTHS:
            for case in asked.cases:
                if (case, length) not in cached:
                    cached[case, length] = figures = measured(case, length)
                    file.write(msgspec.json.encode(figures) + b"\n")
                    file.flush()
                    print(f"{case} {length}: {figures.refused or max(figures.worst.values())}")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(list(cached.values())))
    sys.exit(any(beyond(figures) for figures in cached.values()))


def read(file: Path) -> dict[tuple[str, int], Figures]:
    lines = file.read_bytes().splitlines() if file.exists() else []
    found = [msgspec.json.decode(line, type=Figures) for line in lines]
    return {(figures.case, figures.length): figures for figures in found}


def measured(case: str, length: int) -> Figures:
    try:
        model = architectures.build(case)
    except Exception as error:  # whatever a config of 150 kinds may raise
        return Figures(case, length, refused=f"not built: {type(error).__name__}")
    verdict: Verdict = referee.judge(model, length)
    return Figures(
        case,
        length,
        verdict.family,
        verdict.refused,
        verdict.feed,
        verdict.branching,
        verdict.worst,
    )


def beyond(figures: Figures) -> bool:
    """Whether a model that is not refused is further off than is promised."""
    return max(figures.worst.values(), default=0.0) > referee.tolerance(figures.case)[0]


def page(all_figures: list[Figures]) -> str:
    import platform

    from tokexplore import __version__

    head = HEAD.format(
        transformers=transformers.__version__,
        tokexplore=__version__,
        torch=torch.__version__.partition("+")[0],
        python=platform.python_version(),
        lengths=" and ".join(f"{length:,}" for length in LENGTHS),
        border=architectures.BORDER,
    )
    built = [f for f in all_figures if not f.refused.startswith("not built")]
    rows = [row(case, built) for case in sorted({f.case for f in built})]
    columns = ["model", "class", "fed", *(f"{length:,}" for length in LENGTHS), "promised"]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns), *rows]
    reasons = [f"- **{name}**: {why}" for name, (_, why) in referee.WIDER.items()]
    left_out = sorted({f.case for f in all_figures if f not in built})
    missing = [c for c in architectures.CASES if c not in {f.case for f in all_figures}]
    return (
        head
        + "\n".join(lines)
        + "\n\nWider than usual:\n\n"
        + "\n".join(reasons)
        + "\n\nNot among them, because no small model of these could be made of its config alone "
        + "(most are wrappers with a vision or audio tower): "
        + ", ".join(left_out)
        + ".\n"
        + (f"\nNot measured yet: {', '.join(missing)}.\n" if missing else "")
    )


def row(case: str, built: list[Figures]) -> str:
    own = [f for f in built if f.case == case]
    first = own[0]
    if first.refused:
        return f"| {case} | {first.family} | refused: {first.refused} | | | |"
    feed = "in twos" if first.feed == "twos" else first.feed
    if "fed again whole" in first.branching:
        feed += ", again at the border"
    if "every step feeds the whole path" in first.branching:
        feed += ", whole beyond the border"
    by_length = {f.length: f"{max(f.worst.values()):.1e}" for f in own}
    cells = [case, first.family, feed, *(by_length.get(n, "not measured") for n in LENGTHS)]
    return f"| {' | '.join(cells)} | {referee.tolerance(case)[0]:g} |"


if __name__ == "__main__":
    main()
