"""The list of models and what a name stands for, over directories written by hand."""

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.written_models import TENSORS, make, make_sharded

from tokexplore.models.catalog import footprint, hub_cache, located
from tokexplore.models.catalog.catalog import locate, nearest, suggestion
from tokexplore.models.catalog.checkpoint import Checkpoint, read_checkpoint
from tokexplore.models.catalog.entries import entries, list_models
from tokexplore.models.errors import ModelError, UsageError
from tokexplore.tui.cli.dispatch import main

COMMIT, OLDER = "a" * 40, "b" * 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no hub to ask."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub"


def cached(cache: Path, name: str, *commits: str, main: str = "") -> Path:
    repository = cache / f"models--{name.replace('/', '--')}"
    for commit in commits:
        make(repository / "snapshots" / commit)
    if main:
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(main)
    return repository


# One directory


def test_parameters_and_dtype_come_from_the_headers(tmp_path: Path) -> None:
    found = read_checkpoint(make(tmp_path / "m"))
    assert found.complete
    assert found.parameters == 800 + 128 + 8 + 800
    assert found.dtype == "bfloat16"
    assert found.bytes_as("auto") == 2 * 1728 + 4 * 8
    assert found.bytes_as("float32") == 4 * 1736
    assert found.disk_bytes == sum(f.stat().st_size for f in (tmp_path / "m").iterdir())


def test_shards_are_added_up(tmp_path: Path) -> None:
    sharded = read_checkpoint(make_sharded(tmp_path / "sharded"))
    assert sharded.complete
    assert sharded.parameters == read_checkpoint(make(tmp_path / "m")).parameters


@pytest.mark.parametrize("layout", [make, make_sharded])
def test_tied_weights_count_once(tmp_path: Path, layout: Any) -> None:
    path = layout(tmp_path / "m")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    assert read_checkpoint(path).parameters == 800 + 128 + 8


def test_a_tied_head_alone_is_counted(tmp_path: Path) -> None:
    only_head = {"lm_head.weight": ("BF16", [100, 8])}
    path = make(tmp_path / "m", only_head, tie_word_embeddings=True)
    assert read_checkpoint(path).parameters == 800


def test_old_buffers_are_no_parameters(tmp_path: Path) -> None:
    tensors = TENSORS | {
        "h.0.attn.bias": ("F32", [1, 1, 64, 64]),
        "h.0.attn.masked_bias": ("F32", []),
        "model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", [4]),
        "h.0.attention.bias": ("F32", [8]),
    }
    assert read_checkpoint(make(tmp_path / "m", tensors)).parameters == 1736 + 8


def test_packed_weights_have_no_parameters_and_keep_their_size(tmp_path: Path) -> None:
    quantised = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    found = read_checkpoint(make(tmp_path / "m", {"a.qweight": ("I32", [10, 10])}, **quantised))
    assert (found.parameters, found.dtype) == (None, "gptq")
    assert found.bytes_as("float32") == 400
    eight = {"quantization_config": {"quant_method": "fp8"}}
    floats = read_checkpoint(make(tmp_path / "f", {"a.weight": ("F8_E4M3", [10, 10])}, **eight))
    assert (floats.parameters, floats.dtype) == (100, "fp8")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda p: (p / "config.json").unlink(), "has no config.json"),
        (lambda p: (p / "config.json").write_text("{"), "has a config.json that is not valid JSON"),
        (lambda p: (p / "tokenizer.json").unlink(), "has no tokenizer"),
        (lambda p: (p / "model.safetensors").unlink(), "has no weights"),
        (
            lambda p: (p / "model.safetensors").write_bytes(b"PK" * 100),
            "has a model.safetensors that is not a safetensors file",
        ),
        (
            lambda p: (p / "model.safetensors").write_bytes(
                (p / "model.safetensors").read_bytes()[:-1]
            ),
            "has a model.safetensors that is cut short",
        ),
        (
            lambda p: (p / "model.safetensors").write_bytes(struct.pack("<Q", 6) + b'{"a":1'),
            "has a model.safetensors that is not a safetensors file",
        ),
        (
            lambda p: (p / "model.safetensors").write_bytes(struct.pack("<Q", 7) + b'{"a":1}'),
            "has a model.safetensors that is not a safetensors file",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, spoil: Any, problem: str) -> None:
    path = make(tmp_path / "m")
    spoil(path)
    (found,) = read_checkpoint(path).problems
    assert found.startswith(problem)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n"


@pytest.mark.parametrize(
    "names",
    [
        ["model.safetensors"],
        ["tokenizer.json"],
        ["model.safetensors", "tokenizer.json"],
        ["pytorch_model.bin"],
        ["tokenizer.model"],
    ],
)
def test_git_lfs_pointers_are_named(tmp_path: Path, names: list[str]) -> None:
    path = make(tmp_path / "m")
    for name in names:
        (path / name).write_text(POINTER)
    (path / "figure.png").write_text(POINTER)
    (found,) = read_checkpoint(path).problems
    more = " and 1 more" if len(names) > 1 else ""
    assert found == (
        f"has git-lfs pointers where files should be ({names[0]}{more}): run `git lfs pull` in it"
    )


@pytest.mark.parametrize("name", ["consolidated.00.pth", "consolidated.safetensors", "tf_model.h5"])
def test_weights_of_another_program_are_named(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "m")
    (path / "model.safetensors").rename(path / name)
    (found,) = read_checkpoint(path).problems
    assert found.startswith(f"holds weights of another program ({name}), and only")


def test_a_dangling_link_of_a_partial_download_is_a_missing_shard(tmp_path: Path) -> None:
    path = make_sharded(tmp_path / "m")
    shard = path / "model-00002-of-00002.safetensors"
    shard.unlink()
    shard.symlink_to(tmp_path / "blobs" / "not-here")
    assert read_checkpoint(path).problems == (f"lacks 1 of 2 weight files ({shard.name})",)


@pytest.mark.parametrize(
    ("config", "causal"),
    [
        ({}, True),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, True),
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, False),
        ({"model_type": "bert", "architectures": ["BertLMHeadModel"]}, False),
        ({"model_type": "bert", "architectures": ["BertLMHeadModel"], "is_decoder": True}, True),
        ({"model_type": "t5", "architectures": ["T5Model"], "is_encoder_decoder": True}, False),
        ({"architectures": ["LlamaForSequenceClassification"]}, False),
        ({"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {}}, True),
        ({"architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}, True),
        ({"architectures": ["Pix2StructForConditionalGeneration"]}, False),
        ({"architectures": ["LlamaModel"]}, None),
        ({"architectures": None}, None),
    ],
)
def test_causal_or_not_by_the_config(tmp_path: Path, config: Any, causal: bool | None) -> None:
    assert read_checkpoint(make(tmp_path / "m", **config)).causal is causal


def test_a_chat_template_is_seen_wherever_it_is(tmp_path: Path) -> None:
    path = make(tmp_path / "m")
    assert not read_checkpoint(path).chat_template
    (path / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    assert read_checkpoint(path).chat_template
    (path / "tokenizer_config.json").unlink()
    (path / "chat_template.jinja").write_text("{{ messages }}")
    assert read_checkpoint(path).chat_template
    (path / "chat_template.jinja").write_text("")
    assert not read_checkpoint(path).chat_template
    (path / "additional_chat_templates").mkdir()
    (path / "additional_chat_templates" / "rag.jinja").write_text("{{ messages }}")
    assert read_checkpoint(path).chat_template


@pytest.mark.parametrize(
    ("text", "there"),
    [('{"chat_template": "{{ messages }}"}', True), ('{"chat_template": ""}', False), ("{", False)],
)
def test_the_chat_template_of_a_processor_is_seen_where_it_is_one(
    tmp_path: Path, text: str, there: bool
) -> None:
    path = make(tmp_path / "m")
    (path / "chat_template.json").write_text(text)
    assert read_checkpoint(path).chat_template is there


def test_a_nested_config_is_the_language_models(tmp_path: Path) -> None:
    found = read_checkpoint(make(tmp_path / "m", text_config={"num_hidden_layers": 3}))
    assert found.text_config == {"num_hidden_layers": 3}
    assert isinstance(found, Checkpoint)


# Names


def test_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "m")
    found = locate(str(path))
    assert (found.name, found.origin, found.path, found.revision) == ("m", "directory", path, "")
    monkeypatch.chdir(path)
    assert locate(".").name == "m"


def test_the_hub_cache_by_id_and_by_bare_name(cache: Path) -> None:
    cached(cache, "owner/story-1", OLDER, COMMIT, main=COMMIT)
    for name in ("owner/story-1", "story-1"):
        found = locate(name)
        assert (found.source, found.revision) == ("owner/story-1", COMMIT)
        assert found.path == cache / "models--owner--story-1" / "snapshots" / COMMIT
    assert locate("owner/story-1", OLDER[:8]).revision == OLDER
    assert locate("owner/story-1", "main").revision == COMMIT


def test_the_newest_snapshot_stands_in_for_main(cache: Path) -> None:
    import os

    repository = cached(cache, "owner/story", OLDER, COMMIT)
    os.utime(repository / "snapshots" / OLDER, (1, 1))
    assert locate("owner/story").revision == COMMIT


def test_a_bare_name_of_two_owners_is_refused(cache: Path) -> None:
    cached(cache, "a/story", COMMIT)
    cached(cache, "b/story", COMMIT)
    with pytest.raises(UsageError, match="give one of a/story, b/story"):
        locate("story")


def test_the_cache_is_where_the_variables_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert hub_cache.hub_cache() == tmp_path / "home" / "hub"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert hub_cache.hub_cache() == tmp_path / "huggingface" / "hub"


def test_a_revision_that_is_not_cached(cache: Path) -> None:
    cached(cache, "owner/story", COMMIT, main=COMMIT)
    with pytest.raises(ModelError, match="owner/story at revision v9 is not in the hub cache"):
        locate("owner/story", "v9")


def test_online_a_hub_id_is_left_to_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    found = locate("owner/unseen", "v2")
    assert (found.path, found.source, found.revision) == (None, "owner/unseen", "v2")


@pytest.mark.parametrize("name", ["./nope", "/no/where", "a/b/c", "~/nope", "nope/"])
def test_a_path_that_is_not_there(name: str) -> None:
    with pytest.raises(ModelError, match=f"^there is no directory {name}: check the path"):
        locate(name)


@pytest.mark.parametrize("name", ["two words", "-x", "a?b"])
def test_a_name_that_is_nothing(name: str) -> None:
    with pytest.raises(UsageError, match="is neither a directory nor a hub id") as caught:
        locate(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name(name: str) -> None:
    with pytest.raises(UsageError, match="the name of the model is empty"):
        locate(name)


def test_mistyped_names_get_the_nearest(cache: Path) -> None:
    cached(cache, "owner/Tiny-Story-1B", COMMIT)
    with pytest.raises(ModelError, match=r"Did you mean embedded\?"):
        locate("embeded")
    with pytest.raises(ModelError, match=r"Did you mean embedded\?"):
        locate("fabel")
    with pytest.raises(ModelError, match=r"Did you mean owner/Tiny-Story-1B\?"):
        locate("tiny-stroy-1b")
    assert nearest("qqqq", hub_cache.hub_models()) == []
    assert nearest("story", hub_cache.hub_models()) == ["owner/Tiny-Story-1B"]


@pytest.mark.usefixtures("cache")
def test_a_mistyped_directory_gets_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "trunc").mkdir()
    (tmp_path / "trunc" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"Did you mean .*trunc\?"):
        locate(str(tmp_path / "trunk"))


def test_the_embedded_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(located, "EMBEDDED_DIRECTORY", make(tmp_path / "embedded"))
    found = locate("embedded")
    assert (found.name, found.source, found.origin, found.path) == (
        "fable",
        "embedded",
        "embedded",
        tmp_path / "embedded",
    )
    with pytest.raises(UsageError, match="revision v2"):
        locate("embedded", "v2")
    (tmp_path / "embedded" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="not part of this installation"):
        locate("embedded")


def test_the_sparse_model_gives_way_to_a_directory_of_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("flock").path == located.SPARSE_DIRECTORY
    with pytest.raises(UsageError, match="revision v2"):
        locate("flock", "v2")
    make(tmp_path / "flock")
    assert locate("flock").origin == "directory"
    monkeypatch.setattr(located, "SPARSE_DIRECTORY", tmp_path / "gone")
    monkeypatch.chdir("/")
    with pytest.raises(ModelError, match="the flock model is not part of this installation"):
        locate("flock")


# The list


def test_the_list_holds_embedded_cache_and_directories(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(located, "EMBEDDED_DIRECTORY", make(tmp_path / "embedded"))
    monkeypatch.setattr(located, "_SMOLLM2_PACKAGE", "no_such_package")
    cached(cache, "owner/story", COMMIT, main=COMMIT)
    make(tmp_path / "shelf" / "one")
    make_sharded(tmp_path / "shelf" / "two")
    (tmp_path / "shelf" / "two" / "model-00001-of-00002.safetensors").unlink()
    (tmp_path / "shelf" / "notes").mkdir()
    shipped, sparse, *others = list_models([tmp_path / "shelf"])
    assert (sparse.origin, sparse.name, sparse.complete) == ("embedded", "flock", True)
    found = [shipped, *others]
    assert [(e.origin, Path(e.name).name) for e in found] == [
        ("embedded", "embedded"),
        ("hub", "story"),
        ("directory", "one"),
        ("directory", "two"),
    ]
    assert [e.complete for e in found] == [True, True, True, False]
    assert found[1].revision == COMMIT
    assert found[2].parameters == 1736
    assert found[2].dtype == "bfloat16"
    assert found[2].causal
    for entry in found:
        assert locate(entry.name).path == Path(entry.path)


def test_a_model_directory_itself_can_be_given(tmp_path: Path) -> None:
    path = make(tmp_path / "m")
    assert [e.path for e in list_models([path])][-1] == str(path)
    with pytest.raises(UsageError, match="there is no directory"):
        list_models([tmp_path / "nope"])


def test_what_fits_is_by_the_free_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "m")
    for memory, gpu, fits in [(10**9, 0, True), (100, 0, False), (100, 10**9, True)]:
        monkeypatch.setattr(footprint, "free_memory", lambda memory=memory: memory)
        monkeypatch.setattr(footprint, "free_by_gpu", lambda gpu=gpu: {"GPU-0": gpu})
        assert list_models([path])[-1].fit.fits is fits


def test_what_fits_is_by_the_dtype_that_is_asked_for(tmp_path: Path) -> None:
    place = locate(str(make(tmp_path / "m")))
    needed = {
        dtype: entries([place], footprint.Room(10**9, 0, dtype))[0].fit.needed
        for dtype in ("auto", "float32", "own", "bfloat16")
    }
    assert needed["auto"] == needed["float32"] > needed["own"]
    assert needed["own"] > needed["bfloat16"], "a norm of it is stored in float32"


def test_what_a_partial_model_needs_is_not_known(tmp_path: Path) -> None:
    (make(tmp_path / "m") / "model.safetensors").unlink()
    assert list_models([tmp_path / "m"])[-1].fit.words() == "not known"


def test_listing_needs_no_heavy_import() -> None:
    code = (
        "import sys; import tokexplore.models.catalog.entries; "
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'numpy', 'psutil'}; "
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_cache_that_cannot_be_read_is_told_below_the_models_that_are_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", f"/{'x' * 300}")
    assert main(["models"]) == 2
    out, err = capsys.readouterr()
    assert "embedded" in out
    assert "flock" in out
    assert err.endswith(f"/{'x' * 300}) cannot be read: file name too long.\n")
    assert suggestion("embeded") == " Did you mean embedded?"
