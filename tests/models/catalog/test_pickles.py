"""What torch pickled, read without torch: the same tensors, and nothing else."""

import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from support.written_models import make

from tokexplore.models.catalog.checkpoint import read_checkpoint
from tokexplore.models.catalog.entries import list_models
from tokexplore.models.catalog.pickles import pickled_header

WEIGHTS: dict[str, torch.Tensor] = {
    "embed.weight": torch.zeros(10, 4),
    "half": torch.zeros(2, 3, dtype=torch.float16),
    "brain": torch.zeros(2, dtype=torch.bfloat16),
    "double": torch.zeros(2, dtype=torch.float64),
    "eight": torch.zeros(3, 4, dtype=torch.float8_e4m3fn),
    "scale": torch.zeros(3, dtype=torch.float8_e8m0fnu),
    "codes": torch.zeros(2, dtype=torch.int8),
    "wide": torch.zeros(2, dtype=torch.uint16),
    "mask": torch.zeros(2, 2, dtype=torch.bool),
    "complex": torch.zeros(2, dtype=torch.complex64),
    "count": torch.tensor(3),
    "learned": torch.nn.Parameter(torch.zeros(5)),
    "part": torch.zeros(10, 10)[3:5],
}
DTYPES = [
    *("F32", "F16", "BF16", "F64", "F8_E4M3", "F8_E8M0", "I8", "U16", "BOOL", "C64", "I64"),
    *("F32", "F32"),
]


@pytest.fixture(params=["an archive", "as of old"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return saved(tmp_path / "w.bin", WEIGHTS, archive=request.param == "an archive")


def saved(file: Path, value: object, *, archive: bool = True, **options: Any) -> Path:
    torch.save(value, file, _use_new_zipfile_serialization=archive, **options)
    return file


def test_every_tensor_is_told_by_dtype_and_shape(file: Path) -> None:
    found = pickled_header(file)
    assert {name: header.dtype for name, header in found.items()} == dict(
        zip(WEIGHTS, DTYPES, strict=True)
    )
    for name, tensor in WEIGHTS.items():
        assert (found[name].shape, found[name].size) == (list(tensor.shape), tensor.nbytes), name


def test_tied_weights_are_told_once_and_what_is_no_weight_never(tmp_path: Path) -> None:
    weight = torch.ones(3, 2)
    state = torch.nn.BatchNorm1d(3).state_dict()
    more: dict[Any, Any] = {"a": weight, "b": weight, "c": weight[1:], 5: weight, (1,): weight}
    more |= {"step": 3, "at": 1.5, "seen": torch.eye(4).to_sparse(), "in": {"d": torch.ones(2)}}
    more |= {"kind": torch.float16, "size": weight.shape, "set": {1}, "order": OrderedDict(a=1)}
    found = pickled_header(saved(tmp_path / "w.bin", state | more))
    assert [*found] == [*state, "a", "c"]


def test_the_list_tells_pickled_weights_as_it_does_others(tmp_path: Path) -> None:
    path = make(tmp_path / "m")
    (path / "model.safetensors").unlink()
    weights = {"model.embed_tokens.weight": torch.zeros(20, 8, dtype=torch.float16)}
    saved(path / "pytorch_model.bin", weights)
    found = list_models([path])[-1]
    assert (found.complete, found.parameters, found.dtype) == (True, 160, "float16")
    assert read_checkpoint(path).bytes_as("float32") == 640
    saved(path / "pytorch_model.bin", {"q.weight": torch.zeros(8, 8, dtype=torch.int8)})
    (said,) = list_models([path])[-1].problems
    assert said.startswith("stores 1 weights as I8 codes (q.weight)")


def test_what_is_cut_short_is_said(file: Path) -> None:
    data = file.read_bytes()
    for rest in (data[:-300], data[: len(data) // 2], data[:20], data[:2]):
        file.write_bytes(rest)
        with pytest.raises(ValueError, match=r"is (cut short|not a file of weights)"):
            pickled_header(file)


def test_an_archive_without_its_numbers_is_cut_short(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.bin", WEIGHTS)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(tmp_path / "cut.bin", "w") as new:
        for name in old.namelist():
            if not name.endswith("data/0"):
                new.writestr(name, old.read(name))
    with pytest.raises(ValueError, match=r"is cut short \(0 of 160 bytes\)"):
        pickled_header(tmp_path / "cut.bin")


class Calls:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_nothing_in_a_pickle_is_called(tmp_path: Path) -> None:
    made = tmp_path / "made"
    file = saved(tmp_path / "w.bin", WEIGHTS | {"more": Calls(made)})
    with pytest.raises(ValueError, match=r"asks for Python's \S+, as weights do not: choose a"):
        pickled_header(file)
    assert not made.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol 4")
def test_what_torch_would_not_read_is_refused(tmp_path: Path) -> None:
    for value, options in ((torch.nn.Linear(2, 2), {}), (WEIGHTS, {"pickle_protocol": 4})):
        file = saved(tmp_path / "w.bin", value, **options)
        with pytest.raises(Exception, match="weights_only"):
            torch.load(file, weights_only=True)
        with pytest.raises(ValueError, match=r"Linear, as weights do not|as weights are not"):
            pickled_header(file)


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x02.",
        b"\x80\x02h\x07.",
        b"\x80\x02t.",
        b"\x80\x02}(X\x01\x00\x00\x00au.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02K\x01)R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02" + b"(" * 1000 + b".",
        b"\x80\x02" + b"N" * 1_100_000 + b".",
        b"\x80\x02X\xff\xff\xff\xffa.",
        b"\x80\x02K\x01" + b"\x85" * 100_000 + b"}q\x01h\x00K\x01s.",
    ],
)
def test_a_pickle_that_makes_no_sense_is_no_file_of_weights(tmp_path: Path, code: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "w.bin", "w") as archive:
        archive.writestr("w/data.pkl", code)
    with pytest.raises(ValueError, match=r"is not a file of weights by torch"):
        pickled_header(tmp_path / "w.bin")


def test_a_key_that_is_deep_is_not_looked_into(tmp_path: Path) -> None:
    code = b"\x80\x02}K\x01" + b"\x85" * 100_000 + b"K\x01s."
    with zipfile.ZipFile(tmp_path / "w.bin", "w") as archive:
        archive.writestr("w/data.pkl", code)
    assert pickled_header(tmp_path / "w.bin") == {}
