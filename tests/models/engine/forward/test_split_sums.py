"""What logits are the sums of, and passes that add up in blocks, against plain arithmetic."""

import numpy as np
import pytest
import torch
import transformers as hf
from accelerate import cpu_offload
from support import families

from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import UsageError

IDS = tuple(range(5, 30))


def engine_of(family: str) -> LocalEngine:
    """The family with biases, which are zero in a model that was never trained."""
    model = families.model(family)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.25)
    return LocalEngine(families.loaded(model))


def low(family: str) -> LocalEngine:
    """The family in bfloat16."""
    return LocalEngine(families.loaded(families.model(family).bfloat16(), dtype="bfloat16"))


@pytest.mark.parametrize("family", families.FAMILIES)
def test_one_block_is_the_plain_pass_and_more_are_it_but_for_rounding(family: str) -> None:
    engine = engine_of(family)
    plain = engine.core.forward(IDS, 0, None, len(IDS))
    own, whole, *rest = engine.bench.split(IDS, (1, 2, 4, 64))
    assert [own.blocks, whole.blocks, *(split.blocks for split in rest)] == [None, 1, 2, 4, 64]
    assert own.matrices == 0
    assert all(layer.largest == layer.relative == 0 for layer in whole.layers)
    # A processor's kernel may begin a sum with the bias, as it may add up in blocks of its own.
    assert all(layer.largest <= families.tolerance(family) for layer in own.layers)
    names = [layer.name for layer in rest[0].layers]
    layers = engine.core.forward.model.config.num_hidden_layers
    assert names == [*(f"layer {n + 1}" for n in range(layers)), "logits"]
    for split in rest:
        assert split.matrices == whole.matrices > layers
        assert split.layers[-1].largest <= families.tolerance(family)
    assert max(split.layers[-1].largest for split in rest) > 0
    assert torch.equal(plain, engine.core.forward(IDS, 0, None, len(IDS))), "nothing is left behind"


def test_the_layers_are_those_that_transformers_tells() -> None:
    """A pass of 4 blocks against one, by modules that are replaced by hand."""
    engine = engine_of("llama")
    model = engine.core.forward.model
    inputs = torch.tensor([IDS])

    def in_blocks(layer: torch.nn.Linear, count: int):
        def forward(x: torch.Tensor) -> torch.Tensor:
            width = -(-layer.in_features // count)
            total = torch.zeros(*x.shape[:-1], layer.out_features)
            for start in range(0, layer.in_features, width):
                part = slice(start, start + width)
                total += x[..., part].float() @ layer.weight[:, part].float().T
            return total

        return forward

    (_, told) = engine.bench.split(IDS, (4,))
    outputs = {}
    linears = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    assert told.matrices == len(linears) == 15
    for count in (1, 4):
        for layer in linears:
            layer.forward = in_blocks(layer, count)
        found = model(input_ids=inputs, output_hidden_states=True)
        outputs[count] = (found.hidden_states[1][0].double(), found.logits[0].double())
    for name, whole, other in zip(("layer 1", "logits"), outputs[1], outputs[4], strict=True):
        (mine,) = (layer for layer in told.layers if layer.name == name)
        assert mine.largest == (other - whole).abs().max().item() > 0
        relative = ((other - whole).norm() / whole.norm()).item()
        assert mine.relative == pytest.approx(relative, rel=1e-9)


@pytest.mark.parametrize(("family", "matrices"), [("gpt2", 9), ("mixtral", 11)])
def test_it_is_told_how_many_matrices_took_part(family: str, matrices: int) -> None:
    """GPT-2: 4 of Conv1D a layer and the head; Mixtral: 4 and a router a layer and the head."""
    (_, told) = engine_of(family).bench.split(IDS, (2,))
    assert told.matrices == matrices


def test_weights_that_are_offloaded_take_part_and_stay_offloaded() -> None:
    engine = engine_of("llama")
    (_, *wanted), summands = engine.bench.split(IDS, (1, 2)), engine.bench.summands(IDS)
    model = engine.core.forward.model
    cpu_offload(model, execution_device=torch.device("cpu"))
    assert model.lm_head.weight.is_meta
    assert list(engine.bench.split(IDS, (1, 2)))[1:] == wanted
    assert engine.bench.summands(IDS) == summands
    assert model.lm_head.weight.is_meta
    assert engine.bench.summands(IDS) == summands


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_summands_are_the_heads_own_input_and_rows(dtype: str) -> None:
    engine = engine_of("llama") if dtype == "float32" else low("llama")
    model = engine.core.forward.model
    found = model(input_ids=torch.tensor([IDS]), output_hidden_states=True)
    told = engine.bench.summands(IDS)
    assert list(told.tokens) == found.logits[0, -1].float().topk(2).indices.tolist()
    hidden = found.hidden_states[-1][0, -1].float()
    assert np.array_equal(np.frombuffer(told.hidden, np.float32), hidden.numpy())
    rows = np.frombuffer(told.weights, np.float32).reshape(2, -1)
    assert np.array_equal(rows, model.lm_head.weight[list(told.tokens)].float().numpy())
    assert told.bias == (0.0, 0.0)
    assert told.head == told.logits


def test_a_head_that_is_capped_is_told_before_and_after() -> None:
    torch.manual_seed(0)
    config = hf.Gemma2Config(
        vocab_size=families.ROWS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=48,
        final_logit_softcapping=3.0,
    )
    model = hf.Gemma2ForCausalLM(config).eval().requires_grad_(False)
    model.lm_head.weight = torch.nn.Parameter(torch.randn(families.ROWS, 32), requires_grad=False)
    told = LocalEngine(families.loaded(model)).bench.summands(IDS)
    head = np.array(told.head)
    assert told.logits == pytest.approx((3 * np.tanh(head / 3)).tolist(), abs=1e-5)
    hidden = np.frombuffer(told.hidden, np.float32).astype(np.float64)
    rows = np.frombuffer(told.weights, np.float32).reshape(2, -1).astype(np.float64)
    assert rows @ hidden == pytest.approx(head, abs=1e-4)
    assert head[0] > told.logits[0] + 0.5


def test_the_bias_of_a_head_is_told() -> None:
    engine = engine_of("llama")
    head = engine.core.forward.model.lm_head
    head.bias = torch.nn.Parameter(torch.linspace(-1, 1, families.ROWS), requires_grad=False)
    told = engine.bench.summands(IDS)
    assert told.bias == tuple(head.bias[list(told.tokens)].tolist())
    hidden = np.frombuffer(told.hidden, np.float32).astype(np.float64)
    rows = np.frombuffer(told.weights, np.float32).reshape(2, -1).astype(np.float64)
    assert rows @ hidden + told.bias == pytest.approx(told.logits, abs=1e-4)


@pytest.mark.parametrize("kind", ["sequence", "subclass"])
def test_a_head_that_is_no_plain_matrix_is_refused(kind: str) -> None:
    """A subclass may hold its weights in a packed form."""
    engine = engine_of("llama")
    head = engine.core.forward.model.lm_head
    packed = type("Packed", (torch.nn.Linear,), {})(32, families.ROWS)
    engine.core.forward.model.lm_head = packed if kind == "subclass" else torch.nn.Sequential(head)
    with pytest.raises(UsageError, match="no plain matrix"):
        engine.bench.summands(IDS)


def test_a_split_of_the_shipped_model_is_not_nothing_in_bfloat16() -> None:
    engine = LocalEngine.open(LoadOptions(dtype="bfloat16"), report=lambda _: None)
    ids = engine.encode("Once upon a time there was a king who had a daughter as fair as the sun")
    _own, again, *splits = engine.bench.split(ids, (1, 2, 4, 8))
    assert all(layer.largest == 0 for layer in again.layers), "the same pass again"
    # A processor's kernel may itself add up in two or four blocks: then those change nothing.
    told = max(splits, key=lambda split: split.layers[-1].relative)
    assert told.layers[-2].relative > told.layers[0].relative
    assert 1e-5 < told.layers[-1].relative < 0.1
