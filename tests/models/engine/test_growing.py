"""A tree that grows on a real model of few tokens, against plain passes over every path."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
import transformers as hf
from support import families, truth
from support.growing import best_first, every_text, grown, steps
from transformers import PreTrainedModel

from tokexplore.models.api.engine import Control, DrawnToken, StreamRequest
from tokexplore.models.distribution import STORED_CANDIDATES
from tokexplore.models.engine.forward.forward_pass import Forward
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.engine.rows_of_paths import TOGETHER
from tokexplore.models.errors import UsageError
from tokexplore.models.grow.budget import Budget
from tokexplore.models.grow.growth import By, Growth
from tokexplore.models.grow.watch import Watch
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.tokens import Vocabulary

ROWS, END = 12, 11
PROMPT = (1, 5, 2, 7, 3)
LETTERS = [*(bytes([97 + i]) for i in range(END)), b"</s>"]
PLAIN = SamplingSettings()
CUT = SamplingSettings(temperature=0.8, top_p=0.9, min_p=0.02)
CHANGED = SamplingSettings(temperature=1.3, top_k=7, repetition_penalty=1.4)


@cache
def made() -> PreTrainedModel:
    config = hf.LlamaConfig(
        vocab_size=ROWS, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=48, max_position_embeddings=64,
    )  # fmt: skip
    torch.manual_seed(0)
    model = hf.LlamaForCausalLM(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return model


@pytest.fixture
def engine() -> LocalEngine:
    vocabulary = Vocabulary.pack(LETTERS, (END,), ROWS)
    facts = {"vocabulary": vocabulary, "rows": ROWS, "eos_ids": (END,), "context": 64}
    return LocalEngine(families.loaded(made(), **facts))


@cache
def logits(path: tuple[int, ...]) -> np.ndarray:
    return truth.logits_after(made(), path)[-1]


def shares_under(settings: SamplingSettings | None) -> Callable[[tuple[int, ...]], np.ndarray]:
    """The probability of every token after a path by its definition, in float64."""

    def shares(path: tuple[int, ...]) -> np.ndarray:
        values = logits(path)
        if settings is None:
            return np.exp(values - np.logaddexp.reduce(values))
        values = values.copy()
        for token in set(path):
            penalty = settings.repetition_penalty
            values[token] *= penalty if values[token] < 0 else 1 / penalty
        values /= settings.temperature
        order = np.argsort(-values, kind="stable")
        if settings.top_k:
            values[order[settings.top_k :]] = -np.inf
        weights = np.exp(values - np.logaddexp.reduce(values))
        if settings.top_p < 1:
            before = np.cumsum(weights[order]) - weights[order]
            weights[order[before >= settings.top_p]] = 0
            weights /= weights.sum()
        weights[weights < settings.min_p * weights.max()] = 0
        return weights / weights.sum()

    return shares


def growth_of(engine: LocalEngine, by: By, settings: SamplingSettings, budget: Budget) -> Growth:
    request = StreamRequest(PROMPT, settings, 0, prompt_length=5, stops_from=5)
    watches = [Watch("ab"), Watch("/c.?d/"), Watch("/b$/")]
    return Growth(request, by, engine.info, engine.vocabulary, budget, watches)


@pytest.mark.parametrize(
    ("by", "settings"), [("model", PLAIN), ("sampler", CUT), ("sampler", CHANGED)]
)
@pytest.mark.parametrize("most", [1, 8])
def test_all_is_what_plain_passes_over_every_path_give(
    by: By, settings: SamplingSettings, most: int, engine: LocalEngine
) -> None:
    growth = growth_of(engine, by, settings, Budget(depth=3))
    shares = shares_under(None if by == "model" else settings)
    texts = every_text(shares, PROMPT, 3, lambda ids: ids[-1] == END)
    over = math.fsum(text.mass for text in texts if text.over)
    holding = [
        math.fsum(t.mass for t in texts if t.over and watch.holds(said(t.ids)))
        for watch in growth.watches
    ]
    for _ in steps(growth, engine, most):
        assert math.fsum((growth.covered, growth.open, growth.cut)) == pytest.approx(1, abs=1e-6)
        for watch, least in zip(growth.watches, holding, strict=True):
            assert watch.bounds.high >= least - 1e-4

    assert growth.open == pytest.approx(0, abs=1e-6)
    assert growth.covered == pytest.approx(over, abs=1e-4)
    assert {tuple(leaf.tokens()): leaf.mass for leaf in growth.leaves()} == pytest.approx(
        {text.ids: text.mass for text in texts}, abs=1e-4
    )
    for watch in growth.watches:
        surely = math.fsum(
            t.mass for t in texts
            if (watch.holds(said(t.ids)) if t.over else watch.is_settled(said(t.ids)))
        )  # fmt: skip
        missed = math.fsum(t.mass for t in texts if t.over and not watch.holds(said(t.ids)))
        assert watch.bounds == pytest.approx((surely, 1 - missed), abs=1e-4)


def said(ids: tuple[int, ...]) -> str:
    return b"".join(LETTERS[t] for t in ids if t != END).decode()


def test_it_grows_where_the_most_is_open(engine: LocalEngine) -> None:
    growth = grown(growth_of(engine, "model", PLAIN, Budget(tokens=150)), engine, 1)
    expected = best_first(shares_under(None), PROMPT, 150, frozenset((END,)))
    assert [tuple(node.tokens()) for node in growth.nodes] == expected


def test_every_step_s_distribution_is_the_one_that_is_described(engine: LocalEngine) -> None:
    growth = grown(growth_of(engine, "sampler", CUT, Budget(tokens=20)), engine)
    for node in growth.nodes:
        told = engine.describe(growth.ids(node))
        assert node.distribution is not None
        assert (node.distribution.ids, node.distribution.logits, node.distribution.lse) == (
            told.ids, told.logits, told.lse,
        )  # fmt: skip


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "qwen3_next", "mamba", "rwkv"])
def test_pages_of_the_order_are_the_whole_of_it(
    family: str, engine_of: Callable[..., LocalEngine], model_of: Callable[[str], PreTrainedModel]
) -> None:
    engine, paths = engine_of(family), [(3, 1, 4), (3, 1, 4, 7), (3, 1, 4, 7, 2), (3, 1, 4, 9)]
    whole = engine.describe_all(paths)
    first = engine.describe_all(paths, count=10)
    second = engine.describe_all(paths, start=10, count=80)
    for path, all_of, one, two in zip(paths, whole, first, second, strict=True):
        values = truth.logits_after(model_of(family), path)[-1]
        p = np.exp(values - np.logaddexp.reduce(values))
        assert len(all_of) == families.ROWS < STORED_CANDIDATES
        assert np.abs(p[list(all_of.id_view)] - list(all_of.share_view)).max() <= (
            families.tolerance(family)
        )
        assert (all_of.more, one.more, two.more) == (False, True, True)
        assert [*one.id_view, *two.id_view] == list(all_of.id_view)[:90]
        assert [*one.share_view, *two.share_view] == list(all_of.share_view)[:90]
        for part, listed in ((one, 10), (two, 90)):
            assert part.rest == pytest.approx(math.fsum(all_of.share_view[listed:]), abs=1e-12)
        assert math.fsum(all_of.share_view) == pytest.approx(1, abs=1e-12)
        assert one.distribution is not None
        assert two.distribution is None


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2", "qwen3_moe", "qwen3_next"])
def test_rows_of_many_paths_are_those_of_plain_passes(
    family: str, engine_of: Callable[..., LocalEngine], model_of: Callable[[str], PreTrainedModel]
) -> None:
    engine = engine_of(family)
    trunk = (*range(3, 43), 5)
    paths = [
        *((*trunk, token) for token in range(20)),
        *((*trunk, 3, token) for token in range(9)),
        *((*trunk, 50, 51, token) for token in range(3)),
        *((token,) for token in (7, 8)),
        trunk, (*trunk, 4), (*trunk, 4),
    ]  # fmt: skip
    lane = engine.stream(StreamRequest((*trunk, 60), PLAIN, 30, ignore_eos=True), Control())
    drawn = [next(lane) for _ in range(6)]
    for path, row in zip(paths, engine.rows_of(paths), strict=True):
        expected = truth.logits_after(model_of(family), path)[-1]
        assert np.abs(row.logits - expected).max() <= families.tolerance(family)
    assert sum(leaf.busy for leaf in engine.core.leaves) <= 1  # the lane's
    new = [event.standing.token for event in (*drawn, *lane) if isinstance(event, DrawnToken)]
    assert new == truth.run(engine_of(family), (*trunk, 60), 30, PLAIN).new


def test_paths_that_go_on_by_a_token_share_passes(
    engine_of: Callable[..., LocalEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, passes = engine_of(), list[int]()
    together, alone = Forward.together, Forward.__call__
    monkeypatch.setattr(
        Forward,
        "together",
        lambda self, ids, caches: passes.append(len(ids)) or together(self, ids, caches),
    )
    monkeypatch.setattr(
        Forward, "__call__", lambda self, ids, *more: passes.append(-len(ids)) or
        alone(self, ids, *more))  # fmt: skip
    trunk = tuple(range(3, 43))
    engine.rows_of([(*trunk, token) for token in range(TOGETHER + 4)])
    assert passes == [-len(trunk), TOGETHER, 4]
    passes.clear()
    sources = {row.source for row in engine.rows_of([(*trunk, t, 9) for t in range(TOGETHER)])}
    assert passes == [TOGETHER]
    assert sources == {f"step of {TOGETHER} rows"}


def test_greedy_is_one_path(engine: LocalEngine) -> None:
    settings = SamplingSettings(temperature=0)
    growth = grown(growth_of(engine, "sampler", settings, Budget(depth=6)), engine)
    (leaf,) = growth.leaves()
    assert leaf.mass == 1
    assert leaf.tokens() == truth.run(engine, PROMPT, len(leaf.tokens()), settings).new


def test_settings_that_ban_all_are_refused(engine: LocalEngine) -> None:
    banned = SamplingSettings(banned=tuple((token,) for token in range(ROWS)))
    growth = growth_of(engine, "sampler", banned, Budget(depth=2))
    with pytest.raises(UsageError, match="every token is banned"):
        grown(growth, engine)


def test_a_row_that_is_read_anew_for_its_next_page_keeps_the_mass_and_lists_no_token_twice() -> (
    None
):
    """In bfloat16, computed alone where the first page was of a pass of many rows."""
    model = families.model("qwen3_moe").to(torch.bfloat16)
    engine = LocalEngine(families.loaded(model, dtype="bfloat16"))
    engine.core.rows_held.limit = 2000
    growth = growth_of(engine, "model", PLAIN, Budget(tokens=150))
    apart = list[float]()
    while (due := growth.due()).nodes:
        paths = [growth.ids(node) for node in due.nodes]
        told = engine.describe_all(paths, start=due.start, count=4)
        if due.start:
            page = math.fsum((*told[0].share_view, told[0].rest))
            apart.append(abs(page - due.nodes[0].rest))
        growth.take_in(due, told)
        assert math.fsum((growth.covered, growth.open, growth.cut)) == pytest.approx(1, abs=1e-12)
    assert max(apart) > 1e-3  # else no row was read anew, or it came out as before
    assert all(len(node.ids) == len(set(node.ids)) for node in growth.nodes)
