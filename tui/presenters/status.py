"""What the header and the rules say, from the state of controller and explorer."""

import math

from tokexplore.models.api.model_info import ModelInfo
from tokexplore.models.api.provenance import Provenance
from tokexplore.models.display import NEWLINE, safe_text
from tokexplore.models.distribution import Distribution
from tokexplore.models.lab.flips import SIGMAS, could_flip
from tokexplore.models.numerics import LOW_PRECISION, grid_step
from tokexplore.models.sampling.bounds import BoundedView, entropy_bounds
from tokexplore.models.sampling.sampler_view import StepView
from tokexplore.models.tree.trie import ROOT, Branch
from tokexplore.tui.explore.controller import Controller
from tokexplore.tui.explore.explorer import Explorer
from tokexplore.tui.explore.options import adopted
from tokexplore.tui.explore.replay import Replay
from tokexplore.tui.presenters.second import step_parts
from tokexplore.tui.presenters.sources import source_words
from tokexplore.tui.presenters.watchlist import WatchView
from tokexplore.widgets.cell_text import cut, cut_left, width
from tokexplore.widgets.entropy_strip import FAINTEST
from tokexplore.widgets.header import HeaderValues
from tokexplore.widgets.header import State as HeaderState
from tokexplore.widgets.numbers import count, logprob_text, short_count, unit_of
from tokexplore.widgets.title_rule import Part

SHORT_DTYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "unstated": ""}
STAGES = {
    "libraries": "loading libraries",
    "reading": "reading files",
    "probe": "checking the KV cache",
    "download": "downloading",
    "server": "asking the server",
}
"""Stages of loading whose names alone say too little, in words."""
ROOM_FOR_SIGN = 8
"""Cells that the lens's title leaves for the sign of a recording."""
TYPED_AFTER, TYPED_CELLS = 12, 24
"""Tokens, and cells of them, that tell where a text is typed."""
CONTEXT_WORDS = 3
"""Tokens that the step's title repeats from before it."""


def header_values(controller: Controller, *, recording: bool = False) -> HeaderValues:
    """The header of this moment; `recording` tells whether the screen is."""
    info = controller.link.info
    explorer, progress = controller.explorer, controller.progress
    settings = explorer.settings
    values = HeaderValues(
        model=explorer.recorded_model or controller.options.load.model,
        sampler=sampler_words(controller, with_seed=False)
        + (" · single step" if controller.streams.single_step else ""),
        seed=None if settings.greedy else settings.seed,
        state="loading",
        detail=_detail(controller),
        progress=progress.done / progress.total if progress and progress.total else None,
        recording=recording,
    )
    if info is None or controller.state == "loading":
        if controller.replay is not None:
            return values._replace(state="replaying", detail=_clock(controller.replay))
        if controller.state in ("lost", "recorded"):
            return values._replace(state=controller.state, context_used=len(explorer.nodes))
        return values
    return values._replace(
        model=info.name,
        parameters=short_count(info.parameters) if info.parameters else "",
        device=info.device,
        dtype=_held(info),
        state=_state(controller),
        tokens_per_second=controller.rate if controller.streaming else None,
        context_used=len(explorer.nodes),
        context_size=info.context or None,
    )


def _held(info: ModelInfo) -> str:
    """`f32`, or `int8/f32` of weights that are codes and what is computed in."""
    dtype = SHORT_DTYPES.get(info.dtype, info.dtype)
    return f"{info.weight_format}/{dtype}" if info.weight_format else dtype


def sampler_words(controller: Controller, *, with_seed: bool = True) -> str:
    """The settings in a few characters, with whether they are what the model's makers suggest."""
    settings, suggested = controller.explorer.settings, controller.link.suggested
    if controller.link.info is None and controller.options.adopts and not controller.explorer.nodes:
        return "as the model suggests"
    own = suggested is not None and settings == adopted(settings, frozenset(), suggested)
    return settings.short(with_seed=with_seed) + (" · suggested" if own else "")


def _clock(replay: Replay) -> str:
    """How far a replay is: `0:12 of 1:30`."""
    now, end = (f"{int(t) // 60}:{int(t) % 60:02}" for t in replay.clock)
    return f"{'paused at ' if replay.paused else ''}{now} of {end}"


def _state(controller: Controller) -> HeaderState:
    if controller.state == "lost":
        return "lost"
    if controller.prompts.renders_chat:
        return "rendering"
    if controller.progress:
        return "prefill"
    if controller.streaming:
        return "streaming"
    if controller.state == "asking":
        return "waiting"
    ended = controller.explorer.tree.ended.get(controller.explorer.leaf)
    return "paused" if ended in (None, "interrupted") else "ended"


def _detail(controller: Controller) -> str:
    progress = controller.progress
    if controller.state == "lost":
        return ""
    if progress is None:
        if controller.state == "loading":
            return "starting"
        return controller.explorer.tree.ended.get(controller.explorer.leaf, "")
    stage = STAGES.get(progress.stage, progress.stage)
    if progress.unit == "bytes":
        return f"{stage} {progress.done / 1e9:.1f}/{progress.total / 1e9:.1f} GB"
    return stage if progress.total <= 1 else f"{stage} {progress.done:,}/{progress.total:,}"


def provenance_words(provenance: Provenance) -> str:
    """Where a distribution comes from, in a few words."""
    revision = f" @ {provenance.revision[:12]}" if provenance.revision else ""
    threads = f", threads {provenance.threads}" if provenance.threads else ""
    return (
        f"{provenance.model}{revision}, {provenance.dtype} on {provenance.device}, attention "
        f"{provenance.attention}{threads}"
    )


def story_title(explorer: Explorer) -> str:
    """Which path is in view."""
    branch = explorer.branch
    if branch is None:
        return "story"
    name = f" {branch.name}" if branch.name else ""
    chat = " · chat" if any(prompt.form == "chat" for prompt in explorer.path.prompts) else ""
    remarks = " · remarks (i)" if explorer.remarks_on_path() else ""
    return f"story{chat} · branch {branch.number}{name}{of_listed(explorer, branch)}{remarks}"


def of_listed(explorer: Explorer, branch: Branch) -> str:
    """How many branches the list shows, after a branch's number; numbers have gaps in it."""
    count = len(explorer.listed())
    return f" of {count}" if branch.number <= count else f" · {count} listed"


def suggestion(controller: Controller) -> list[Part]:
    """The sampling that the model's makers suggest, where it is not what is set."""
    suggested, settings = controller.link.suggested, controller.explorer.settings
    if suggested is None or settings == adopted(settings, frozenset(), suggested):
        return []
    return [Part(f"suggested by the model's makers: {suggested.short(with_seed=False)} · A adopts")]


def step_title(explorer: Explorer, room: int) -> list[Part]:
    """Which step is shown: both counts, and the words before it, their last `room` cells."""
    tree, node = explorer.tree, explorer.taken
    if not explorer.nodes:
        return [Part("candidates")]
    number = explorer.number(explorer.cursor)
    name = f"step {number}" if number else "prompt"
    if node is None:
        name += " · open end"
    here = explorer.leaf if node is None else node
    mark = " ◆" if here in tree.bookmarks else ""
    if label := tree.labels.get(here):
        name += f" {cut(safe_text(label), room)}"
    parts = [Part(name + mark, "here"), Part(f"position {explorer.cursor}", "text")]
    start = max(0, explorer.cursor - CONTEXT_WORDS)
    words = explorer.path.words(start, explorer.cursor).replace("\n", NEWLINE).strip()
    if note := tree.notes.get(here):
        parts.append(Part(f"note: {cut(safe_text(note), room)}", "here"))
    elif words:
        parts.append(Part(f"after “{cut_left(safe_text(words), room)}”", "text"))
    return parts


def watch_parts(controller: Controller, view: WatchView, *, bits: bool) -> list[Part]:
    """How the watched tokens stand at the cursor's step."""
    unit, nats = unit_of(bits=bits)
    explorer = controller.explorer
    if not controller.watchlist.tokens:
        return []
    parts = [Part(f"watched, bars from −{FAINTEST / nats:.3g} to 0 {unit}")]
    # Of a step of a session whose model is not loaded, or without a complete distribution, nobody
    # is asked.
    comes = controller.link.can("whole_rows") and explorer.tree.distribution.is_complete(
        explorer.before
    )
    for token in controller.watchlist.tokens:
        watched, figures = view.here(token), "…" if comes else "·"
        if watched is not None:
            figures = f"{logprob_text(watched.logprob, bits=bits)} rank {count(watched.rank)}"
        parts.append(Part(f"{explorer.vocabulary.show(token)} {figures}", "text"))
    return parts


def typed_title(explorer: Explorer) -> str:
    """After which words a text is typed, and what becomes of those that stand there."""
    here = explorer.cursor
    words = explorer.path.words(max(0, here - TYPED_AFTER), here)
    before = cut_left(safe_text(words.replace("\n", NEWLINE)), TYPED_CELLS)
    after = "; what follows stays on its branch" if here < len(explorer.nodes) else ""
    return f"Type a continuation after “{before}”{after}"


def lens_title(explorer: Explorer, room: int) -> str:
    """The heading of the sampling lens, on a screen of 2 x `room` cells: which step it shows."""
    words = " · ".join(part.text for part in step_title(explorer, room))
    title = f"Sampling lens · {words}"
    more = f"{title} · applied from the next token on"
    return more if width(more) <= 2 * room - ROOM_FOR_SIGN else title


def step_figures(
    controller: Controller,
    distribution: Distribution | None,
    view: StepView | BoundedView | None,
    noise: float | None,
    *,
    bits: bool,
) -> list[Part]:
    """Entropy, margin and what the sampler kept.

    Args:
        noise: of the gap of two logits along the path, where it was measured (nats).
        bits: whether the figures are told in bits.
    """
    if distribution is None or controller.explorer.before == ROOT:
        return []
    again = controller.explorer.tree.recomputed.get(controller.explorer.before)
    unit, nats = unit_of(bits=bits)
    entropy = _entropy(distribution, nats)
    now = _again(_entropy(again, nats)) if again else ""
    gap = _again(again.margin / nats) if again and again.margin_known else ""
    known = _entropy_between(distribution, nats) if entropy is None else f"{entropy:.2f}{now}"
    parts = [
        f"H {known} {unit}",
        f"margin {_margin(controller, distribution, bits)}{gap}",
    ]
    parts += step_parts(controller.explorer, bits=bits)
    if noise is not None and could_flip(distribution.margin, noise):
        parts.append(f"▲ could flip (noise {SIGMAS * noise / nats:.2g})")
    if distribution.source not in ("step", "prefill", "fork"):
        parts.append(source_words(distribution.source))
    if view is not None:
        parts.append(kept(view, distribution.vocabulary))
    if not distribution.complete:
        parts.append(distribution.extent)
    return [Part(part) for part in parts]


def kept(view: StepView | BoundedView, vocabulary: int) -> str:
    """How many candidates the sampler keeps, or at least and at most."""
    if view.settings.greedy:
        return "greedy"
    if isinstance(view, StepView):
        return f"kept {count(view.sampler.kept)} of {count(vocabulary)}"
    low, high = int(view.kept.low), int(view.kept.high)
    shown = count(low) if low == high else f"{count(low)} to {count(high)}"
    return f"kept {shown} of {count(vocabulary)}{'' if view.total.exact else ' (bounds)'}"


def _entropy_between(distribution: Distribution, nats: float) -> str:
    """The least and the most that an entropy can be of which not all is known."""
    low, high = (f"{bound / nats:.2f}" for bound in entropy_bounds(distribution))
    return low if low == high else f"{low}–{high}"


def _entropy(distribution: Distribution, nats: float) -> float | None:
    """The entropy in a unit of so many nats, where it is known."""
    return None if distribution.entropy is None else distribution.entropy / nats


def _again(value: float | None) -> str:
    """A figure of a distribution that was computed again, beside the recorded one."""
    return "" if value is None else f" (now {value:.2f})"


def _margin(controller: Controller, distribution: Distribution, bits: bool) -> str:
    """The margin with its unit, where logits are of low precision in steps of their grid too."""
    margin, tree = distribution.margin, controller.explorer.tree
    unit, nats = unit_of(bits=bits)
    figures = tree.distribution.figures(controller.explorer.before)
    model = figures.model if figures else None
    dtype = "" if model is None else tree.provenance[model].dtype
    if margin == 0:
        return "0: a tie, lower id first"
    if not distribution.margin_known:
        return "?"
    step = grid_step(distribution.logit_view[0], dtype) if dtype in LOW_PRECISION else None
    if step is None or math.isinf(margin):
        return f"{margin / nats:.2f} {unit}"
    return f"{margin / step:.0f} {SHORT_DTYPES[dtype]} steps = {margin / nats:.2f} {unit}"
