"""Adapters in the list of models and behind names, by files written by hand."""

from pathlib import Path

import pytest
from support.written_models import edit_json, make, make_adapter

from tokexplore.models.api.options import Adapter, LoadOptions
from tokexplore.models.catalog.adapter import read_adapter
from tokexplore.models.catalog.bases import base_of, check_base
from tokexplore.models.catalog.catalog import locate
from tokexplore.models.catalog.checkpoint import read_checkpoint
from tokexplore.models.catalog.choices import Choice, Choices
from tokexplore.models.catalog.entries import list_directory
from tokexplore.models.catalog.footprint import Room
from tokexplore.models.catalog.glance import check_files
from tokexplore.models.errors import ModelError, UsageError
from tokexplore.models.opening import open_engine
from tokexplore.tui.cli.models import model_table


@pytest.fixture(autouse=True)
def _no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_the_list_names_it_as_an_adapter_with_its_base(tmp_path: Path) -> None:
    base = make(tmp_path / "shelf" / "base")
    make_adapter(tmp_path / "shelf" / "style", str(base))
    make_adapter(tmp_path / "shelf" / "away", "owner/away")
    away, model, style = list_directory(tmp_path / "shelf")
    assert (away.adapter_of, model.adapter_of, style.adapter_of) == ("owner/away", "", str(base))
    assert style.complete
    assert not style.refusal
    assert style.family == "LoRA adapter"
    assert style.parameters == 2 * 8 * 2
    assert style.fit == model.fit
    assert not away.fit.is_known
    table, wrong = model_table([str(tmp_path / "shelf")])
    assert not wrong
    assert f"LoRA adapter of {base}" in table


def test_what_is_wrong_with_it_is_listed(tmp_path: Path) -> None:
    path = make_adapter(tmp_path / "style", "owner/base", peft_type="LORA")
    (path / "adapter_model.safetensors").rename(path / "adapter_model.bin")
    (entry,) = list_directory(path)
    assert "is an adapter whose weights are pickled (adapter_model.bin)" in entry.refusal
    with pytest.raises(ModelError, match="style is an adapter whose weights are pickled"):
        check_files(locate(str(path)))


def test_what_it_changes_is_read_off_its_tensors(tmp_path: Path) -> None:
    found = read_adapter(make_adapter(tmp_path / "style", "owner/base"))
    assert (found.kind, found.rank, found.targets) == ("LoRA", "2", ("q_proj",))
    assert found.info(Adapter("s", "x")).words == "LoRA of rank 2 on q_proj"


def test_its_base_is_what_is_opened(tmp_path: Path) -> None:
    base = make(tmp_path / "base")
    style = locate(str(make_adapter(tmp_path / "style", str(base))))
    check_files(style)
    assert base_of(style).path == base
    assert base_of(locate(str(base))).path == base
    chained = locate(str(make_adapter(tmp_path / "chained", str(tmp_path / "style"))))
    with pytest.raises(ModelError, match="which is an adapter itself: merge that one"):
        base_of(chained)
    lost = locate(str(make_adapter(tmp_path / "lost", "owner/base")))
    with pytest.raises(ModelError, match="lost is an adapter of owner/base, which cannot be"):
        base_of(lost)


@pytest.mark.parametrize(
    ("stated", "same"),
    [("", True), ("owner/Base", True), ("/on/another/machine/base/", True), ("owner/base2", False)],
)
def test_a_base_is_the_one_of_its_name(tmp_path: Path, stated: str, same: bool) -> None:
    adapter = read_adapter(make_adapter(tmp_path / "style", stated))
    base = locate(str(make(tmp_path / "base")))
    if same:
        check_base("style", adapter, base)
    else:
        with pytest.raises(UsageError, match="style is an adapter of owner/base2, and MODEL is"):
            check_base("style", adapter, base)
    edit_json(tmp_path / "base" / "config.json", _name_or_path="owner/base2")
    check_base("style", read_adapter(make_adapter(tmp_path / "again", "owner/base2")), base)


def test_a_model_beside_an_adapter_is_neither(tmp_path: Path) -> None:
    both = make(tmp_path / "both")
    (both / "adapter_config.json").write_text("{}")
    (problem,) = read_checkpoint(both).problems
    assert "holds a model and an adapter (adapter_config.json) in one folder" in problem


def test_none_is_put_on_a_servers_model() -> None:
    asked = LoadOptions("http://127.0.0.1:9", adapters=(Adapter("s", "loras/s"),))
    with pytest.raises(UsageError, match="--adapter loras/s cannot be put on a server's model"):
        open_engine(asked, lambda _: None)
    asked = LoadOptions("http://127.0.0.1:9", quantize="int8")
    with pytest.raises(UsageError, match="--quantize int8 cannot be asked of a server"):
        open_engine(asked, lambda _: None)
    asked = LoadOptions("http://127.0.0.1:9", kv_memory=1.5)
    with pytest.raises(UsageError, match=r"--kv-memory 1\.5 cannot be asked of a server"):
        open_engine(asked, lambda _: None)


def test_another_model_is_opened_without_the_adapters_of_this_one(tmp_path: Path) -> None:
    base = make(tmp_path / "base")
    present = LoadOptions(str(base), adapters=(Adapter("s", "x"),))
    choices = Choices(list, [], lambda: Room(1, 0))
    assert choices.opening(Choice(str(base), "typed"), present).adapters == ()
