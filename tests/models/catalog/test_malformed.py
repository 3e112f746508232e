"""A model directory that a stranger made is told of in a sentence; the others are still there."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.written_models import edit_json, make, make_sharded

from tokexplore.models.catalog.catalog import locate, suggestion
from tokexplore.models.catalog.checkpoint import read_checkpoint
from tokexplore.models.catalog.entries import list_models
from tokexplore.models.catalog.footprint import footprint
from tokexplore.models.display import safe_text
from tokexplore.models.errors import ModelError, UsageError
from tokexplore.tui.cli import dispatch

DEEP = "[" * 100_000 + "]" * 100_000
LONG = "9" * 5000
INDEX = "model.safetensors.index.json"


@pytest.fixture(autouse=True)
def _no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def config(**changes: object) -> Callable[[Path], object]:
    return lambda path: edit_json(path / "config.json", **changes)


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda path: (path / name).write_text(content)


def header(value: object) -> Callable[[Path], object]:
    """A header and a hundred bytes of data."""
    packed = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    data = struct.pack("<Q", len(packed)) + packed + bytes(100)
    return lambda path: (path / "model.safetensors").write_bytes(data)


def tensor(**changes: object) -> Callable[[Path], object]:
    """One tensor of a hundred bytes, some of whose entries are others; None leaves one out."""
    told = {"dtype": "F32", "shape": [25], "data_offsets": [0, 100]} | changes
    return header({"a.weight": {k: v for k, v in told.items() if v is not None}})


def sharded(path: Path, content: str) -> None:
    (path / "model.safetensors").rename(path / "one.safetensors")
    (path / INDEX).write_text(content)


def index(value: object) -> Callable[[Path], object]:
    return lambda path: sharded(path, json.dumps({"weight_map": value, "metadata": {}}))


def pickled(data: bytes) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        (path / "model.safetensors").unlink()
        (path / "pytorch_model.bin").write_bytes(data)

    return spoil


NOT_A_MODEL = "has a config.json that cannot be a model's (Expected "
NO_PICKLE = "has a pytorch_model.bin that is not a file of weights by torch"
NO_HEADER = "has a model.safetensors that is not a safetensors file"
MALFORMED: dict[str, tuple[Callable[[Path], object], str]] = {
    "architectures an int": (config(architectures=3), NOT_A_MODEL),
    "architectures an object": (config(architectures={"LlamaForCausalLM": 1}), NOT_A_MODEL),
    "architectures of ints": (config(architectures=[3]), NOT_A_MODEL),
    "architectures a text": (config(architectures="LlamaForCausalLM"), NOT_A_MODEL),
    "a model type that is a list": (config(model_type=["llama"]), NOT_A_MODEL),
    "a quantisation that is an int": (config(quantization_config=4), NOT_A_MODEL),
    "a quantisation that is a text": (config(quantization_config="gptq"), NOT_A_MODEL),
    "a quantisation that is a list": (config(quantization_config=[1]), NOT_A_MODEL),
    "a method that is a list": (config(quantization_config={"quant_method": []}), NOT_A_MODEL),
    "own code that is an int": (config(auto_map=7), NOT_A_MODEL),
    "a text config that is a list": (config(text_config=[1]), NOT_A_MODEL),
    "a nested model type that is an int": (config(text_config={"model_type": 3}), NOT_A_MODEL),
    "kinds of layers that are ints": (config(layer_types=[1, 2]), NOT_A_MODEL),
    "-2 layers": (config(num_hidden_layers=-2), "has a config.json whose num_hidden_layers is -2"),
    "no layer": (config(n_layer=0), "has a config.json whose n_layer is 0"),
    "10^9 layers": (
        config(num_hidden_layers=10**9),
        "has a config.json whose num_hidden_layers is 1,000,000,000, for weights of 4 tensors",
    ),
    "10^9 layers inside": (
        config(text_config={"num_hidden_layers": 10**9}),
        "has a config.json whose text_config.num_hidden_layers is 1,000,000,000",
    ),
    "10^9 hidden units": (
        config(hidden_size=10**9), "has a config.json whose hidden_size is 1,000,000,000",
    ),
    "-1 units between": (
        config(intermediate_size=-1), "has a config.json whose intermediate_size is -1: put",
    ),
    "2^63 units between": (
        config(intermediate_size=2**63), "has a config.json whose intermediate_size is beyond 64",
    ),
    "-2^64 units between": (
        config(n_inner=-(2**64)), "has a config.json whose n_inner is beyond 64 bits",
    ),
    "10^9 units between": (
        config(ffn_dim=10**9), "has a config.json whose ffn_dim is 1,000,000,000, for weights of",
    ),
    "no hidden unit": (config(hidden_size=0), "has a config.json whose hidden_size is 0"),
    "no head": (config(num_attention_heads=0), "has a config.json whose num_attention_heads is 0"),
    "no words": (config(vocab_size=0), "has a config.json whose vocab_size is 0"),
    "a text of hidden units": (
        config(hidden_size="8"), 'has a config.json whose hidden_size is "8", no whole number',
    ),
    "half a layer": (
        config(num_hidden_layers=2.5), "has a config.json whose num_hidden_layers is 2.5, no whole",
    ),
    "a true head": (config(num_heads=True), "has a config.json whose num_heads is true, no whole"),
    "endless words": (
        text("config.json", '{"vocab_size": 1e400}'),
        "has a config.json whose vocab_size is Infinity, no whole number",
    ),
    "-8 seen units": (
        config(vision_config={"hidden_size": -8}),
        "has a config.json whose vision_config.hidden_size is -8",
    ),
    "a length of 2^63": (
        config(max_position_embeddings=2**63),
        "has a config.json whose max_position_embeddings is beyond 64 bits",
    ),
    "weights elsewhere": (
        config(transformers_weights="other.safetensors"), "has no weights (other.safetensors)",
    ),
    "weights outside": (
        config(transformers_weights="../m.safetensors"),
        "has a config.json that names weights outside (../m.safetensors)",
    ),
    "weights that are a number": (config(transformers_weights=3), NOT_A_MODEL),
    "another config": (
        config(configuration_files=["config.5.0.json"]),
        "has a config.json that gives way to others: take configuration_files out",
    ),
    "10^400 heads": (
        config(num_attention_heads=10**400),
        "has a config.json whose num_attention_heads is beyond 64 bits",
    ),
    "half a surrogate pair for a name": (
        text("config.json", r'{"\ud800": 1}'),
        "has a config.json that cannot be a model's ('utf-8' codec can't encode",
    ),
    "half a surrogate pair in an index": (
        lambda p: sharded(p, r'{"weight_map": {"a": "\ud800"}, "metadata": {}}'),
        "lacks 1 of 1 weight files",
    ),
    "a deep config": (
        text("config.json", f'{{"a": {DEEP}}}'), "has a config.json that is nested more than 100",
    ),
    "a config with a long number": (
        text("config.json", f'{{"a": {LONG}}}'), "has a config.json that has a whole number of too",
    ),
    "a config that is no UTF-8": (
        lambda p: (p / "config.json").write_bytes(b'{"a": "\xff"}'),
        "has a config.json that is not valid JSON",
    ),
    "a deep index": (lambda p: sharded(p, f'{{"weight_map": {DEEP}}}'), f"has a {INDEX} that is "),
    "an index without a map": (lambda p: sharded(p, "{}"), f"has a {INDEX} that holds what it"),
    "an index that is a list": (lambda p: sharded(p, "[]"), f"has a {INDEX} that holds what it"),
    "an index of a map alone": (
        lambda p: sharded(p, '{"weight_map": {"a": "one.safetensors"}}'),
        f"has a {INDEX} that holds what it cannot (Object missing required field `metadata`)",
    ),
    "a map that is null": (index(None), f"has a {INDEX} that holds what it cannot"),
    "a map that is a list": (index(["a"]), f"has a {INDEX} that holds what it cannot"),
    "a map in a map": (index({"a": {"b": "c"}}), f"has a {INDEX} that holds what it cannot"),
    "a map of ints": (index({"a": 1}), f"has a {INDEX} that holds what it cannot"),
    "an empty map": (index({}), f"has a {INDEX} that names no files"),
    "a shard outside": (index({"a": "../x"}), f"has a {INDEX} that names a file outside (../x)"),
    "a shard from the root": (index({"a": "/etc/x"}), f"has a {INDEX} that names a file outside"),
    "a shard with a long name": (index({"a": "x" * 300}), "cannot be read (file name too long)"),
    "a shard with a NUL": (index({"a": "x\0"}), "lacks 1 of 1 weight files"),
    "no tensors": (header({}), "has no tensors in model.safetensors"),
    "no tensors but metadata": (
        header({"__metadata__": {"format": "pt"}}), "has no tensors in model.safetensors",
    ),
    "a tensor without a shape": (tensor(shape=None), NO_HEADER),
    "text for offsets": (tensor(data_offsets=["0", "100"]), NO_HEADER),
    "offsets that are backwards": (tensor(data_offsets=[100, 0]), NO_HEADER),
    "offsets below zero": (tensor(data_offsets=[-100, 0]), NO_HEADER),
    "offsets beyond 64 bits": (tensor(data_offsets=[0, 10**30]), NO_HEADER),
    "one offset": (tensor(data_offsets=[0]), NO_HEADER),
    "text for a shape": (tensor(shape="25"), NO_HEADER),
    "texts in a shape": (tensor(shape=["25"]), NO_HEADER),
    "a shape below zero": (tensor(shape=[-5, -5]), NO_HEADER),
    "a shape of 10^400": (tensor(shape=[10**400]), NO_HEADER),
    "a shape that is not the data's": (tensor(shape=[10**12]), NO_HEADER),
    "an unknown dtype of another size": (tensor(dtype="X9", shape=[10**12]), NO_HEADER),
    "a list for a dtype": (tensor(dtype=["F32"]), NO_HEADER),
    "a deep header": (header(f'{{"a": {DEEP}}}'), NO_HEADER),
    "a header that is a list": (header([1]), NO_HEADER),
    "a tensor that is an int": (header({"a": 1}), NO_HEADER),
    "codes of one dimension": (
        header({"model.norm.weight": {"dtype": "I8", "shape": [100], "data_offsets": [0, 100]}}),
        "stores 1 weights as I8 codes (model.norm.weight)",
    ),
    "zeros for a pickle": (pickled(bytes(1000)), NO_PICKLE),
    "a text for a pickle": (pickled(b"hello"), NO_PICKLE),
    "an empty pickle": (pickled(b""), NO_PICKLE),
    "the head of an archive": (pickled(b"PK\3\4" * 100), NO_PICKLE),
    "a pickle of something else": (pickled(pickle.dumps({"a": 1}, 2)), NO_PICKLE),
    "a pickle that calls": (
        pickled(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(print, 2)),
        "has a pytorch_model.bin that asks for Python's __builtin__.print, as weights do not",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "problem"), MALFORMED.values(), ids=MALFORMED.keys())
def test_it_is_told_in_a_sentence(
    tmp_path: Path, spoil: Callable[[Path], object], problem: str, capsys: Any
) -> None:
    for name in ("a", "b", "c"):
        make(tmp_path / "models" / name)
    spoil(tmp_path / "models" / "b")
    found = read_checkpoint(tmp_path / "models" / "b")
    (said,) = found.problems
    assert said.startswith(problem)
    footprint(found, "auto").sentence(1, "here")
    assert dispatch.main(["models", str(tmp_path / "models")]) == 0
    *_, a, b, c = capsys.readouterr().out.splitlines()
    assert safe_text(said) in b
    assert "complete" in a
    assert "complete" in c


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (f'{{"a": {DEEP}}}', "is nested more than 100 deep"),
        (f'{{"a": {LONG}}}', "has a whole number of too many digits"),
        ("[]", "is not a JSON object"),
        ("\0", "is not valid JSON (Expecting value: line 1 column 1 (char 0))"),
    ],
)
@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json"])
def test_tokenizer_settings_that_cannot_be_meant(
    tmp_path: Path, name: str, value: str, problem: str
) -> None:
    path = make(tmp_path / "m")
    (path / name).write_text(value)
    assert read_checkpoint(path).problems == (f"has a {name} that {problem}",)


@pytest.mark.parametrize(
    "name",
    [
        "tokenizer.json", "vocab.txt", "merges.txt", "words.tiktoken", "chat_template.jinja",
        "additional_chat_templates/tool_use.jinja",
    ],
)  # fmt: skip
def test_files_that_would_be_read_whole_have_a_size_for_that(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "m")
    (path / name).parent.mkdir(exist_ok=True)
    with (path / name).open("ab") as file:
        file.truncate(10**11)
    said = f"has a {Path(name).name} that is too large (100,000,000,000 bytes; 100,000,000 at most)"
    assert said in read_checkpoint(path).problems


@pytest.mark.parametrize("value", [10**400, -3, "8", [8], True, 2.5, None, {}])
@pytest.mark.parametrize(
    "name", ["head_dim", "num_key_value_heads", "kv_lora_rank", "v_head_dim", "qk_rope_head_dim"]
)
def test_a_footprint_counts_with_sizes_only(tmp_path: Path, name: str, value: object) -> None:
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "kv_lora_rank": 4}
    found = read_checkpoint(make(tmp_path / "m", **(sizes | {name: value})))
    assert footprint(found, "float32").sentence(1, "here")


@pytest.mark.parametrize(
    "sizes",
    [
        {"vision_feature_layer": -1, "spatial_vision_layer": -2},
        {"num_attention_heads": [2, 4], "intermediate_size": [8, 16]},
        {"num_hidden_layers": {"vision": 5}, "max_position_embeddings": 1200.0},
        {"n_inner": None, "head_dim": None, "num_experts": 0, "max_position_embeddings": -1},
        {"mamba_d_head": "auto", "tie_heads": True, "shared_intermediate_size": 0},
        {"vision_config": {"num_hidden_layers": 0, "image_size": -1}, "sliding_window": -1},
    ],
)
def test_sizes_that_a_family_may_have_are_left_to_it(tmp_path: Path, sizes: Any) -> None:
    assert read_checkpoint(make(tmp_path / "m", **sizes)).complete


def test_a_whole_one_in_shards_is_whole(tmp_path: Path) -> None:
    assert read_checkpoint(make_sharded(tmp_path / "m")).problems == ()


def test_what_cannot_be_read_is_told_and_the_others_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "bad")
    make(tmp_path / "good")
    is_file = Path.is_file

    def refused(path: Path) -> bool:
        if path.parent == tmp_path / "bad":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    bad, good = list_models([tmp_path])[-2:]
    assert bad.problems == ("cannot be read (permission denied)",)
    assert good.complete


@pytest.mark.parametrize("name", ["x" * 300, "/tmp/" + "x" * 300, "a/" + "x" * 5000])
def test_a_name_that_is_too_long(name: str) -> None:
    with pytest.raises(ModelError, match=r"cannot be opened: file name too long\.$"):
        locate(name)
    with pytest.raises(UsageError, match=r"(cannot be read: file name too long|no directory)"):
        list_models([name])


def test_a_user_who_is_not_here() -> None:
    for look in (locate, suggestion, lambda name: list_models([name])):
        with pytest.raises(UsageError, match=r"no such user here: write \./~nobody-here"):
            look("~nobody-here/model")
