"""What it costs to hide the words of a prompt of 200 tokens, over one forward pass of it.

    python benchmarks/occlusion.py [MODEL ...]     the embedded model where nothing is named

`rounds` is what is done for the question which words did it: sentences, then the words inside what
mattered, then their tokens. `everything` looks into all of them, `tokens` hides each token by
itself. Passes of the whole prompt alternate with them; each way is one process more, whose peak
memory stands beside that of a process that ran the passes alone.
"""

import resource
import statistics
import subprocess
import sys
import time

from tokexplore.models.api.engine import Control
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.interpret.occlusion import OcclusionPlan, occlusion

LENGTH, PASSES = 200, 5
WAYS = ("passes", "rounds", "everything", "tokens")
TEXT = """\
Once upon a time there was a little girl named Lily. She lived in a small house near the forest with
her mother and her dog. Every morning she went to the river to fetch water. One day she saw a big
bird with a broken wing. The bird was sad and could not fly. Lily wanted to help, so she took the
bird home and gave it some bread. Her mother said that the bird needed to rest. They made a soft bed
for it in a box. The dog came and looked at the bird, but he did not bark. After a week the wing was
well again. Lily opened the window and the bird flew away. She was happy and sad at the same time.
The next spring the bird came back and it was not alone. It had brought its children to see the
little girl. Lily laughed and called her mother. They all had bread together, and the dog wagged his
tail. From that day on the birds came every year. They sang in the garden until it was""".replace(
    "\n", " "
)


def hide(engine: LocalEngine, ids: list[int], way: str) -> float:
    """Do it; what it costs in forward passes by the count of tokens that are computed."""
    if way == "tokens":
        hidden = [range(at, at + 1) for at in range(len(ids) - 1)]
        for _ in engine.interpreter.occlude(ids, hidden, [0], Control()):
            pass
        return sum(len(ids) - each.stop for each in hidden) / len(ids)
    token = int(engine.row(ids)[0].logits.argmax())
    told = occlusion(engine, ids, [token], Control(), everything=way == "everything")
    return sum(each.cost for each in told if isinstance(each, OcclusionPlan))


def measure(model: str, way: str) -> None:
    """Print: the count, the seconds that it took over those of a pass, and bytes at the peak."""
    engine = LocalEngine.open(LoadOptions(model, threads=1), lambda _: None)
    ids = engine.encode(TEXT)[-LENGTH:]
    assert len(ids) == LENGTH

    def once() -> float:
        began = time.perf_counter()
        engine.core.forward(ids, 0, None)
        return time.perf_counter() - began

    once()
    before = [once() for _ in range(PASSES)]
    cost = seconds = 0.0
    if way != "passes":
        list(engine.interpreter.occlude(ids[:20], [range(0)], [0], Control()))  # once a model
        began = time.perf_counter()
        cost = hide(engine, ids, way)
        seconds = time.perf_counter() - began
    one = statistics.median(before + [once() for _ in range(PASSES)])
    print(cost, seconds / one, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[2] in WAYS:
        measure(sys.argv[1], sys.argv[2])
        return
    for model in sys.argv[1:] or ["embedded"]:
        alone = 0.0
        for way in WAYS:
            command = [sys.executable, __file__, model, way]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            cost, ratio, peak = map(float, told.split())
            alone = alone or peak
            print(
                f"{model} {way:<10} {cost:6.1f} passes by count, {ratio:6.1f} by time; "
                f"peak {peak / 1e6:,.0f} MB, {peak / alone:.2f} x that of passes alone"
            )


if __name__ == "__main__":
    main()
