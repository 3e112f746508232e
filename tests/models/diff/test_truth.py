"""Real models against float64 sums over all of their own logits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support import made_models, truth
from transformers import AutoModelForCausalLM, AutoTokenizer

from tokexplore.models.api.engine import Control
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.api.questions import Compare, FindLogits
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.diff.along import along, readings
from tokexplore.models.diff.spans import span_totals, spans_of, spelling
from tokexplore.models.diff.steps import Step
from tokexplore.models.diff.vocabularies import Shared, shared_tokens
from tokexplore.models.engine.local import LocalEngine

TOLERANCE = 1e-4
TEXT = "Once upon a time there was a king who had a daughter, and nobody knew her name. " * 4


def opened(model: str, dtype: str = "float32") -> LocalEngine:
    options = LoadOptions(model=model, dtype=dtype, device="cpu", threads=1)  # type: ignore[arg-type]
    return LocalEngine.open(options, lambda _: None)


@pytest.fixture(scope="module")
def embedded() -> LocalEngine:
    return opened("embedded")


@pytest.fixture(scope="module")
def sibling(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random Llama with the embedded model's tokenizer, and 24 rows of padding."""
    words = AutoTokenizer.from_pretrained(EMBEDDED_DIRECTORY)
    model = made_models.llama(len(words) + 24, max_position_embeddings=1024, bos_token_id=0)
    return str(made_models.save(tmp_path_factory.mktemp("models") / "llama", model, words))


def plain(model: str, dtype: torch.dtype, ids: list[int]) -> torch.Tensor:
    """Logprobs after each token in float64, of one pass in the model's dtype: [T, V]."""
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=dtype).eval()
    with torch.inference_mode():
        return loaded(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)


def compared(first: LocalEngine, second: LocalEngine, ids: list[int]) -> tuple[list[Step], Shared]:
    shared = shared_tokens(first, second)
    assert shared is not None
    return list(along(first, second, ids, 1, shared, Control())), shared


def worst(steps: list[Step], one: torch.Tensor, other: torch.Tensor, ids: list[int]) -> float:
    """The largest error of all figures, by the formulas over the whole vocabulary."""
    count = min(one.shape[1], other.shape[1])
    taken = torch.tensor(ids[1:])[:, None]
    delta = (other[:-1].gather(1, taken) - one[:-1].gather(1, taken))[:, 0]
    accepted = torch.minimum(one[:-1, :count].exp(), other[:-1, :count].exp()).sum(-1)
    p, q = (x[:-1, :count].log_softmax(-1) for x in (one, other))
    mixed = torch.logaddexp(p, q) - np.log(2)
    kl, back = ((a.exp() * (a - b)).sum(-1) for a, b in ((p, q), (q, p)))
    js = ((p.exp() * (p - mixed)).sum(-1) + (q.exp() * (q - mixed)).sum(-1)) / 2
    expected = torch.stack([delta, accepted, kl, back, js])
    found = [(s.delta, s.acceptance, s.kl, s.kl_back, s.js) for s in steps]
    return float((torch.tensor(found, dtype=torch.float64).T - expected).abs().max())


def read_along(first: LocalEngine, second: LocalEngine, ids: list[int], rows: int) -> list[Step]:
    """As the app reads: a few rows at a time go from one engine to the other."""
    shared = shared_tokens(first, second)
    assert shared is not None
    steps = list[Step]()
    for start in range(1, len(ids), rows):
        path = ids[: start + rows]
        logits = FindLogits(path, start).ask(first)
        names = first.info.name, second.info.name
        steps += Compare(path, start, logits, shared, names).ask(second)
    return steps


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_reading_along_a_branched_stream(embedded: LocalEngine, sibling: str, rows: int) -> None:
    """Rows that were streamed, rows that were not, and a branch off the middle."""
    other = opened(sibling)
    prompt = embedded.encode(TEXT[:60])
    main = truth.run(embedded, prompt, 40)
    branch = [*main.ids[: len(prompt) + 11], *embedded.encode(" queen", continuation=True)]
    one_by_one = {tuple(s.path): s for s in main.said}
    for ids in (main.ids, branch, [*branch, *embedded.encode(TEXT, continuation=True)]):
        steps = read_along(embedded, other, ids, rows)
        one, two = (plain(name, torch.float32, ids) for name in (str(EMBEDDED_DIRECTORY), sibling))
        assert [step.position for step in steps] == list(range(1, len(ids)))
        assert worst(steps, one, two, ids) <= TOLERANCE
        for step in steps:  # what was streamed is held to what was shown of it
            shown = one_by_one.get(tuple(ids[: step.position]))
            if shown is not None and shown.standing.token == step.token:  # type: ignore[union-attr]
                assert step.first.logprob == pytest.approx(shown.standing.logprob, abs=1e-5)  # type: ignore[union-attr]


def test_what_was_read_is_gone_on_from(embedded: LocalEngine) -> None:
    """Reading a long path a few rows at a time feeds each token about once."""
    other = opened("embedded")
    ids = embedded.encode(TEXT)
    fed = 0
    passes = other.core.forward.__call__

    def counted(tokens: object, *more: object, **named: object) -> torch.Tensor:
        nonlocal fed
        fed += len(tokens)  # type: ignore[arg-type]
        return passes(tokens, *more, **named)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(other.core.forward), "__call__", lambda _, *a, **k: counted(*a, **k))
        for start in range(1, len(ids), 8):
            other.read(ids[: start + 8], start)
    assert len(ids) - 1 <= fed <= 1.3 * len(ids)


def test_float32_against_bfloat16(embedded: LocalEngine) -> None:
    ids = embedded.encode(TEXT)
    steps, shared = compared(embedded, opened("embedded", "bfloat16"), ids)
    assert shared.complete
    model = str(EMBEDDED_DIRECTORY)
    one, other = plain(model, torch.float32, ids), plain(model, torch.bfloat16, ids)
    assert worst(steps, one, other, ids) <= TOLERANCE
    assert 0 < max(s.kl or 0.0 for s in steps) < 0.1


def test_another_model_with_the_same_tokens_and_padding(
    embedded: LocalEngine, sibling: str
) -> None:
    ids = embedded.encode(TEXT)
    steps, shared = compared(embedded, opened(sibling), ids)
    assert shared == Shared(embedded.info.vocabulary, (), (0, 24))
    one = plain(str(EMBEDDED_DIRECTORY), torch.float32, ids)
    other = plain(sibling, torch.float32, ids)
    assert worst(steps, one, other, ids) <= TOLERANCE
    held = other[:-1, embedded.info.vocabulary :].exp().sum(-1)
    assert [s.left_out[1] for s in steps] == pytest.approx(held.tolist(), abs=1e-6)
    for step, a, b in zip(steps, one, other, strict=False):
        assert (step.first.greedy, step.second.greedy) == (int(a.argmax()), int(b.argmax()))
        assert step.second.rank == 1 + int((b > b[step.token]).sum())


def test_the_same_options_twice_are_no_difference_at_all(embedded: LocalEngine) -> None:
    steps, _ = compared(embedded, opened("embedded"), embedded.encode(TEXT))
    assert {(s.kl, s.kl_back, s.delta, s.parts) for s in steps} == {(0.0, 0.0, 0.0, False)}


def test_rows_are_the_ones_that_score_sums_up_and_few_at_a_time(
    embedded: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tokexplore.models.engine.forward.prefill._LOGIT_BYTES", 4 * 16 * embedded.info.vocabulary
    )
    ids = embedded.encode(TEXT)
    chunks = list(embedded.logits(ids, 3, Control()))
    assert max(map(len, chunks)) <= 16
    assert len(np.concatenate(chunks)) == len(ids) - 3
    known = [reading.logprob for reading in readings(embedded, ids, 3, Control())]
    rows = torch.from_numpy(np.concatenate(chunks)).double().log_softmax(-1)
    said = [float(row[token]) for row, token in zip(rows, ids[3:], strict=True)]
    assert said == pytest.approx(known, abs=1e-5)


def test_other_tokens_are_added_up_between_common_borders(
    embedded: LocalEngine, tmp_path: Path
) -> None:
    folder = str(made_models.save_llama(tmp_path / "other", max_position_embeddings=1024))
    other, data = opened(folder), TEXT.encode()
    assert shared_tokens(embedded, other) is None
    totals, ends = [], []
    for engine, model in ((embedded, str(EMBEDDED_DIRECTORY)), (other, folder)):
        ids = engine.encode(TEXT)
        rows = plain(model, torch.float32, ids)
        costs = [float(row[token]) for row, token in zip(rows, ids[1:], strict=False)]
        sizes = np.cumsum([len(engine.vocabulary.bytes_of(token)) for token in ids[1:]])
        totals.append(dict(zip(sizes.tolist(), np.cumsum(costs).tolist(), strict=True)))
        ends.append(set(sizes.tolist()))
    one, two = (spelling(e.vocabulary, e.encode(TEXT), data, "") for e in (embedded, other))
    known = [
        {n: r.logprob for n, r in enumerate(readings(e, e.encode(TEXT), 1, Control()), 1)}
        for e in (embedded, other)
    ]
    spans = list(spans_of(one, two, (known[0], known[1])))
    borders = sorted(ends[0] & ends[1])
    assert [span.end for span in spans] == borders
    assert len(borders) > 20
    for span in spans:
        for side, upto in ((span.first, totals[0]), (span.second, totals[1])):
            cost = upto[span.end] - upto.get(span.start, 0.0)
            assert side.logprob == pytest.approx(cost, abs=TOLERANCE)
    bits = [-upto[len(data)] / np.log(2) / len(data) for upto in totals]
    assert span_totals(spans).bits_per_byte == pytest.approx(bits, abs=TOLERANCE)
