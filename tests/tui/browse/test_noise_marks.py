"""Steps that could flip are marked, once the noise was measured, and never before."""

from collections.abc import Sequence

import numpy as np
from support.app import make_app, press, screen_text, settle, until
from support.fake_engine import FakeEngine

from tokexplore.models.api.engine import Control, ScoredToken
from tokexplore.models.api.options import PromptSpec
from tokexplore.models.lab.flips import could_flip, scale
from tokexplore.tui.explore.options import AppOptions
from tokexplore.widgets.entropy_strip import EntropyStrip

SIZE = (120, 40)
OPTIONS = AppOptions(prompt=PromptSpec(text="Once upon a time"), max_new_tokens=24, ignore_eos=True)


class NoisyEngine(FakeEngine):
    """A prefill pass reads every logit a little otherwise than a stream does."""

    SIZE = 0.02

    def score(self, ids: Sequence[int], start: int, control):
        plain = self._logits

        def noisy(path: Sequence[int], key: bytes) -> np.ndarray:
            chance = np.random.default_rng(len(path))
            return plain(path, key) + chance.normal(0, self.SIZE, self.vocabulary.rows).astype("f4")

        self._logits = noisy  # type: ignore[method-assign]
        try:
            yield from list(super().score(ids, start, control))
        finally:
            self._logits = plain  # type: ignore[method-assign]


async def measured(pilot, app) -> None:
    await until(pilot, lambda: app.controller.state == "paused" and not app.controller.busy)
    await settle(pilot)


def noisy_app(monkeypatch, dtype: str):
    monkeypatch.setattr("support.app.FakeEngine", NoisyEngine)
    return make_app(options=OPTIONS, dtype=dtype)


async def test_marks_are_the_steps_within_three_sigmas_of_the_measured_noise(monkeypatch) -> None:
    app = noisy_app(monkeypatch, "bfloat16")
    async with app.run_test(size=SIZE) as pilot:
        await measured(pilot, app)
        controller, tree = app.controller, app.controller.explorer.tree
        path = controller.explorer.nodes
        prompt = tree.prompt_length(controller.explorer.leaf)
        assert sorted(controller.noise.gaps) == path[prompt:-1]
        engine = NoisyEngine(dtype="bfloat16")
        ids = tree.ids(controller.explorer.leaf)
        gaps = []
        for event in engine.score(ids, prompt + 1, Control()):
            if isinstance(event, ScoredToken):
                plain = FakeEngine().describe(ids[: event.position])
                a, b = plain.id_view[:2]
                read = dict(
                    zip(event.distribution.id_view, event.distribution.logit_view, strict=True)
                )
                gaps.append(read[a] - read[b] - plain.margin)
        noise = scale(gaps)
        view = app._browse.story.path_view
        assert view.noise is not None
        assert abs(view.noise - noise) < 1e-6
        margins = [tree.distribution.figures(node).margin for node in path[prompt - 1 : -1]]
        wanted = [prompt + n for n, margin in enumerate(margins) if could_flip(margin, noise)]
        assert view.flips == wanted
        strip = app._browse.query_one(EntropyStrip)
        assert len(strip._series.flips) == len(wanted)


async def test_a_mark_is_in_the_text_the_strip_and_the_figures(monkeypatch) -> None:
    monkeypatch.setattr(NoisyEngine, "SIZE", 0.2)
    app = noisy_app(monkeypatch, "bfloat16")
    async with app.run_test(size=SIZE) as pilot:
        await measured(pilot, app)
        flips = app._browse.story.path_view.flips
        assert flips
        assert screen_text(app).count("▲") >= 2
        app.controller.explorer.place(flips[0])
        app._browse.changed()
        await settle(pilot)
        assert "▲ could flip (noise" in screen_text(app)


async def test_nothing_is_marked_where_it_was_not_measured(monkeypatch) -> None:
    monkeypatch.setattr(NoisyEngine, "SIZE", 0.2)
    app = noisy_app(monkeypatch, "float32")
    async with app.run_test(size=SIZE) as pilot:
        await measured(pilot, app)
        assert not app.controller.noise.gaps
        assert "▲" not in screen_text(app)


async def test_another_branch_is_measured_from_its_fork_on(monkeypatch) -> None:
    app = noisy_app(monkeypatch, "bfloat16")
    async with app.run_test(size=SIZE) as pilot:
        await measured(pilot, app)
        before = dict(app.controller.noise.gaps)
        await press(pilot, "home", "right", "right", "2")
        await measured(pilot, app)
        after = app.controller.noise.gaps
        assert {node: after[node] for node in before} == before
        tree, explorer = app.controller.explorer.tree, app.controller.explorer
        fork = tree.prompt_length(explorer.leaf) + 2
        assert set(explorer.nodes[fork + 1 : -1]) <= set(after)
