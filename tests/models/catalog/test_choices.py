"""What another model is chosen from: recent ones, those that are here, and what is typed."""

import os
from pathlib import Path

import pytest
from support.written_models import make, make_sharded

from tokexplore.models.catalog import located
from tokexplore.models.catalog.choices import (
    CACHED,
    MOST_FOLDERS,
    RECENT,
    SHIPPED_ONES,
    TYPED,
    Choice,
    Choices,
)
from tokexplore.models.catalog.footprint import Room

ROOM = Room(cpu=10**9, gpu=0)
COMMIT = "a" * 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache with one whole and one partial model, and no model of a package."""
    monkeypatch.setattr(located, "_SMOLLM2_PACKAGE", "no_such_package")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    make(tmp_path / "hub" / "models--owner--story" / "snapshots" / COMMIT)
    partial = make_sharded(tmp_path / "hub" / "models--owner--partial" / "snapshots" / COMMIT)
    (partial / "model-00002-of-00002.safetensors").unlink()
    return tmp_path / "hub"


def choices(*directories: Path | str, recent: tuple[str, ...] = ()) -> Choices:
    return Choices(lambda: recent, [str(d) for d in directories], lambda: ROOM)


def here(found: Choices) -> list[tuple[str, str]]:
    return [(choice.section, choice.name) for batch in found.here() for choice in batch]


def named(found: Choices, name: str) -> Choice:
    return next(choice for batch in found.here() for choice in batch if choice.name == name)


def test_each_model_is_there_once_under_where_it_was_found_first(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    make(shelf / "one")
    make(shelf / "two")
    recent = (str(shelf / "two"), "owner/story", "gone/for-ever", "/no/such/folder", "a\0b", "")
    assert here(choices(shelf, tmp_path / "nowhere", recent=recent)) == [
        (RECENT, str(shelf / "two")),
        (RECENT, "owner/story"),
        (SHIPPED_ONES, "embedded"),
        (SHIPPED_ONES, "flock"),
        (CACHED, "owner/partial"),
        (f"in {shelf}", str(shelf / "one")),
        (f"in {tmp_path / 'nowhere'}", str(tmp_path / "nowhere")),
    ]


def test_what_cannot_be_opened_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = tmp_path / "shelf"
    (make(shelf / "broken") / "model.safetensors").unlink()
    make(shelf / "bert", model_type="bert", architectures=["BertForMaskedLM"])
    make(shelf / "fine")
    found = choices(shelf, tmp_path / "nowhere")
    assert "has no weights" in named(found, str(shelf / "broken")).refusal
    assert "is no causal language model" in named(found, str(shelf / "bert")).refusal
    assert not named(found, str(shelf / "fine")).refusal
    assert "there is no directory" in named(found, str(tmp_path / "nowhere")).refusal
    partial = named(found, "owner/partial")
    assert partial.comes_from_hub
    assert not partial.refusal, "the rest of it can be had"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not partial.comes_from_hub
    assert "lacks 1 of 2 weight files" in partial.refusal


def test_a_search_finds_names_and_kinds() -> None:
    found = choices()
    assert named(found, "embedded").holds(["fable"])
    assert named(found, "owner/story").holds(["own", "llama", "bfloat"])
    assert not named(found, "owner/story").holds(["own", "gpt"])
    assert not named(found, "owner/story").holds(["flo"]), "of bfloat16"
    assert named(found, "owner/story").holds([])


def test_a_path_is_listed_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "shelf"
    for name in ("Llama-8B", "Llama-70B", "llama-old"):
        make(shelf / name)
    (shelf / "notes").mkdir()
    (shelf / ".hidden").mkdir()
    (shelf / "file").write_text("no folder")
    found = choices()

    def typed(text: str) -> list[str]:
        return [choice.name for choice in found.typed(text)]

    whole = [f"{shelf}/{name}" for name in ("Llama-70B", "Llama-8B", "llama-old", "notes/")]
    assert typed(f"{shelf}/") == whole
    assert typed(f"{shelf}/Llama") == whole[:2]
    assert typed(f"{shelf}/LLAMA") == whole[:3], "other letters where none are alike"
    assert typed(f"{shelf}/.h") == [f"{shelf}/.hidden/"]
    assert typed(f"{shelf}/zzz") == []
    assert [choice.is_folder for choice in found.typed(f"{shelf}/")] == [False, False, False, True]
    assert typed(f"{shelf}/Llama-8B/") == [f"{shelf}/Llama-8B/"]
    assert not found.typed(f"{shelf}/Llama-8B/")[0].is_folder
    monkeypatch.setenv("HOME", str(tmp_path))
    assert typed("~/shelf/no") == ["~/shelf/notes/"]
    assert "~/shelf/" in typed("~")
    monkeypatch.chdir(shelf)
    assert typed("./no") == ["./notes/"]
    assert typed(".") == [f"./{name}" for name in ("Llama-70B", "Llama-8B", "llama-old", "notes/")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/no/such/", "cannot be read: no such file"),
        ("~nobody-of-this-name/", "there is no such user here"),
        ("/a\0b/", "cannot be read"),
        (f"/{'x' * 5000}/", "cannot be read: file name too long"),
    ],
)
def test_a_path_that_leads_nowhere_says_so(text: str, said: str) -> None:
    (choice,) = choices().typed(text)
    assert said in choice.refusal
    assert not choice.is_folder


def test_folders_of_any_name_and_number_are_listed(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    for number in range(MOST_FOLDERS + 20):
        (shelf / f"n{number:04}").mkdir(parents=True)
    assert len(choices().typed(f"{shelf}/n")) == MOST_FOLDERS
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    for name in (b"\xff\xfe", b"\x1b[31mred", "e\u202evil".encode(), b"new\nline"):
        os.mkdir(os.path.join(os.fsencode(hostile), name))
    assert len(choices().typed(f"{hostile}/")) == 4


def test_a_hub_id_is_what_is_here_or_would_be_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = choices()
    (known,) = found.typed("owner/story")
    assert known.entry is not None
    (other,) = found.typed("owner/another")
    assert (other.section, other.entry, other.refusal) == (TYPED, None, "")
    assert other.comes_from_hub
    assert found.typed("story") == []
    assert found.typed("owner/") == []
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (refused,) = found.typed("owner/another")
    assert "is set to be offline" in refused.refusal
    assert not refused.comes_from_hub
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "shelf" / "one")
    (local,) = found.typed("shelf/one")
    assert local.entry is not None
    assert local.entry.origin == "directory"


def test_a_model_is_read_once(tmp_path: Path) -> None:
    path = make(tmp_path / "shelf" / "one")
    found = choices(tmp_path / "shelf")
    before = named(found, str(path)).entry
    assert found.typed(f"{tmp_path}/shelf/on")[0].entry is before


def test_a_server_is_one_row_however_often_it_was_used() -> None:
    served = "http://127.0.0.1:8000#owner/name"
    rows = next(choices(recent=(served, served, "http://127.0.0.1:8000/v1#owner/name")).here())
    (row,) = (row for row in rows if row.section == RECENT)
    assert (row.name, row.is_server, row.comes_from_hub, row.refusal) == (served, True, False, "")


def test_a_cache_that_cannot_be_read_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", f"/{'x' * 300}")
    problem = named(choices(), CACHED).problem
    assert problem == f"the hub cache (/{'x' * 300}) cannot be read: file name too long."


def test_a_repository_that_another_user_closed_hides_no_other_one(cache: Path) -> None:
    other = cache / "models--other--closed"
    other.mkdir()
    (other / "snapshots").symlink_to("x" * 300)  # which nobody can look into, not even root
    found = choices()
    assert named(found, "owner/story").refusal == ""
    entry = named(found, "other/closed").entry
    assert entry is not None
    assert entry.problems == ("cannot be read (file name too long)",)
