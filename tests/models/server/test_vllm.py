"""vLLM's server on the embedded model: numbers and ids are the model's, prompts are scored."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.growing import grown
from support.served import HERE, check, opened, steps
from support.stub_server import Stub, serving
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from tokexplore.models.api.capabilities import Capabilities
from tokexplore.models.api.engine import (
    Control,
    ScoredToken,
    StreamRequest,
)
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ModelError, UsageError
from tokexplore.models.grow.budget import Budget
from tokexplore.models.grow.growth import Growth
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine


@pytest.fixture(scope="module")
def local() -> LocalEngine:
    return LocalEngine.open(LoadOptions(threads=1), lambda _: None)


@pytest.fixture(scope="module")
def engine(local: LocalEngine) -> Iterator[ServerEngine]:
    with serving(Stub(local, "vllm")) as url:
        yield opened(url)


def test_what_it_can_do_is_found_out(engine: ServerEngine, local: LocalEngine) -> None:
    assert engine.info.capabilities == Capabilities(listed=20, instruments=False, serves=True)
    assert engine.info.eos_ids == local.info.eos_ids
    assert engine.vocabulary.bytes_of(300) == local.vocabulary.bytes_of(300)
    said = " ".join(what for what, _ in engine.info.evidence)
    for words in (
        "vLLM 0.32.0",
        f"up to 20 of {local.info.vocabulary:,} tokens",
        "before its sampler",
        "tokenizer here",
    ):
        assert words in said


def test_a_greedy_stream_is_the_models(engine: ServerEngine, local: LocalEngine) -> None:
    ours = steps(engine, "Once upon a time")
    check(ours, steps(local, "Once upon a time"))
    assert {step.chosen_by for step in ours} == {"greedy"}


def test_our_sampler_draws_where_it_can(engine: ServerEngine, local: LocalEngine) -> None:
    how = {"temperature": 0.8, "top_k": 6, "seed": 5}
    ours, theirs = steps(engine, "The king", **how), steps(local, "The king", **how)
    # A border that a server's rounding may move is none that we can draw at.
    same = next((i for i, step in enumerate(ours) if step.chosen_by == "server"), len(ours))
    assert same > 2
    ours, theirs = ours[:same], theirs[:same]
    check(ours, theirs)
    for step, truth in zip(ours, theirs, strict=True):
        assert step.sampler_logprob == pytest.approx(truth.sampler_logprob, abs=1e-4)


def test_a_token_outside_the_list_has_its_logprob_and_no_rank(
    engine: ServerEngine, local: LocalEngine
) -> None:
    path = list(engine.encode("The king"))
    outside = 0
    for step in steps(engine, "The king", temperature=1.9, seed=1):
        assert step.chosen_by == "server"
        (truth,) = local.standings(path, [step.standing.token])
        assert step.standing.logprob == pytest.approx(truth.logprob, abs=1e-5)
        assert len(step.distribution) == 20
        if step.standing.index < 0:
            outside += 1
            assert step.standing.rank == 0
        else:
            assert step.standing.rank == truth.rank
        path.append(step.standing.token)
    assert outside


def test_a_prompt_is_scored_with_ranks(engine: ServerEngine, local: LocalEngine) -> None:
    ids = engine.encode("The king said purple elephants sing.")
    ours = [e for e in engine.score(ids, 1, Control()) if isinstance(e, ScoredToken)]
    theirs = [e for e in local.score(ids, 1, Control()) if isinstance(e, ScoredToken)]
    assert [e.position for e in ours] == [e.position for e in theirs]
    for score, truth in zip(ours, theirs, strict=True):
        assert score.standing.token == truth.standing.token
        assert score.standing.logprob == pytest.approx(truth.standing.logprob, abs=1e-5)
        assert score.standing.rank == truth.standing.rank
        assert score.distribution.ids == truth.distribution.ids[:80]


def test_it_lists_as_many_as_it_may(local: LocalEngine) -> None:
    with serving(Stub(local, "vllm", limit=5)) as url:
        engine = opened(url)
        assert engine.info.capabilities.listed == 5
        assert len(engine.describe(engine.encode("The"))) == 5
    with serving(Stub(local, "vllm", limit=local.info.vocabulary)) as url:
        assert len(opened(url, top=64).describe(engine.encode("The"))) == 64


def test_a_tokenizer_that_is_not_the_servers_is_refused(local: LocalEngine, tmp_path: Path) -> None:
    AutoTokenizer.from_pretrained(HERE).save_pretrained(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.add_tokens(["price"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with (
        serving(Stub(local, "vllm")) as url,
        pytest.raises(ModelError, match="reads texts otherwise than the server"),
    ):
        opened(url, tokenizer=str(tmp_path))


def test_without_a_tokenizer_it_says_what_to_name(local: LocalEngine) -> None:
    with (
        serving(Stub(local, "vllm")) as url,
        pytest.raises(ModelError, match="--tokenizer DIR"),
    ):
        opened(url, tokenizer="")


def test_settings_that_it_has_not_are_refused(engine: ServerEngine) -> None:
    with pytest.raises(UsageError, match=r"vLLM 0\.32\.0 has no typical-p as we have it"):
        steps(engine, "The", temperature=1.0, typical_p=0.5)


def test_a_tree_grows_of_what_it_lists_and_the_rest_stays_open(
    engine: ServerEngine, local: LocalEngine
) -> None:
    ids = tuple(local.encode("Once upon a time"))
    request = StreamRequest(ids, SamplingSettings(), 0, prompt_length=len(ids))
    growth = Growth(request, "model", engine.info, engine.vocabulary, Budget(20))
    grown(growth, engine)
    told = local.describe_all([growth.ids(node) for node in growth.nodes])
    for node, whole in zip(growth.nodes, told, strict=True):
        assert node.ids == list(whole.id_view[:20])
        assert node.shares == pytest.approx(list(whole.share_view[:20]), abs=1e-5)
        assert node.rest == pytest.approx(1 - math.fsum(whole.share_view[:20]), abs=1e-5)
        assert not node.more
    assert math.fsum((growth.covered, growth.open, growth.cut)) == pytest.approx(1, abs=1e-6)
    for settings, start in ((SamplingSettings(0.7), 0), (None, 20)):
        with pytest.raises(UsageError, match="lists the first 20 candidates of a step"):
            engine.describe_all([ids], settings, start=start)
