"""Fetching a hub model, with the hub's client replaced by a folder."""

import errno
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from huggingface_hub import close_session, constants
from huggingface_hub import errors as hub_errors
from support.made_models import save_llama

from tokexplore.models.api.engine import Progress
from tokexplore.models.api.options import LoadOptions
from tokexplore.models.engine.loading import download as module
from tokexplore.models.engine.loading.download import wanted_files
from tokexplore.models.engine.loading.opening import load
from tokexplore.models.errors import ModelError, TokexploreError, UsageError

COMMIT = "c" * 40


class FakeHub:
    """One repository on a fake hub, and what was asked of it."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.snapshot = cache / "models--owner--story" / "snapshots" / COMMIT
        self.error: Exception | None = None
        self.asked: list[Any] = []

    def model_info(self, name: str, *, revision: str | None, files_metadata: bool) -> Any:
        self.asked.append((name, revision))
        if self.error:
            raise self.error
        assert files_metadata
        files = [
            SimpleNamespace(rfilename=f.name, size=f.stat().st_size) for f in self.folder.iterdir()
        ]
        return SimpleNamespace(sha=COMMIT, siblings=files)

    def snapshot_download(
        self,
        name: str,
        *,
        revision: str,
        cache_dir: Path,
        allow_patterns: list[str],
        tqdm_class: Callable[..., Any],
    ) -> str:
        assert (name, revision) == ("owner/story", COMMIT)
        assert cache_dir == self.snapshot.parents[2]
        self.snapshot.mkdir(parents=True, exist_ok=True)
        received = tqdm_class(desc="Downloading bytes", total=0, unit="B", name="hub.transfer")
        written = tqdm_class(desc="Reconstructing", total=0, unit="B", name="hub")
        files = tqdm_class(desc="Fetching", total=len(allow_patterns))
        for pattern in allow_patterns:
            size = Path(shutil.copy(self.folder / pattern, self.snapshot)).stat().st_size
            for bar in (received, written):
                bar.update(size // 2)
                bar.update(size - size // 2)
            files.update(1)
        return str(self.snapshot)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    fake = FakeHub(save_llama(tmp_path / "remote"), tmp_path / "cache")
    monkeypatch.setattr(module, "HfApi", lambda: fake)
    monkeypatch.setattr(module, "getproxies", dict)
    monkeypatch.setattr(module, "snapshot_download", fake.snapshot_download)
    return fake


def test_a_hub_model_is_fetched_once_and_told_in_bytes(hub: FakeHub) -> None:
    reports: list[Progress] = []
    loaded = load(LoadOptions(model="owner/story", revision="v2"), reports.append)
    assert (loaded.source, loaded.revision) == ("owner/story", COMMIT)
    assert hub.asked == [("owner/story", "v2")]
    fetched = [r for r in reports if r.stage == "download"]
    done = [r.done for r in fetched]
    total = sum(f.stat().st_size for f in hub.snapshot.iterdir())
    assert done == sorted(set(done))
    assert (done[-1], {r.total for r in fetched}) == (total, {total})
    assert load(LoadOptions(model="owner/story"), reports.append).revision == COMMIT
    assert len(hub.asked) == 1


def test_a_partial_snapshot_is_completed(hub: FakeHub) -> None:
    load(LoadOptions(model="owner/story"), lambda _: None)
    (hub.snapshot / "model.safetensors").unlink()
    load(LoadOptions(model="owner/story"), lambda _: None)
    assert len(hub.asked) == 2


def test_a_partial_snapshot_is_refused_offline(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(LoadOptions(model="owner/story"), lambda _: None)
    (hub.snapshot / "model.safetensors").unlink()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="story has no weights"):
        load(LoadOptions(model="owner/story"), lambda _: None)


ANSWER: Any = SimpleNamespace(headers={}, request=SimpleNamespace(method="GET", url="hub"))
"""As much of an HTTP response as the hub's errors look at."""


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (
            hub_errors.RepositoryNotFoundError("404", response=ANSWER),
            ModelError,
            "owner/story is neither a directory nor a model on the hub that you may read",
        ),
        (
            hub_errors.GatedRepoError("403", response=ANSWER),
            ModelError,
            "owner/story is gated: accept its terms",
        ),
        (
            hub_errors.RevisionNotFoundError("404", response=ANSWER),
            UsageError,
            "owner/story has no revision v9 on the hub",
        ),
        (
            hub_errors.HfHubHTTPError("500", response=ANSWER),
            ModelError,
            "the hub cannot be reached (HfHubHTTPError)",
        ),
        (Exception("no route"), ModelError, "the hub cannot be reached (Exception)"),
        (OSError("disk full"), ModelError, "the hub cannot be reached (OSError)"),
        (Exception("no route"), ModelError, "owner/story at revision v9 is neither"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    hub: FakeHub, error: Exception, kind: type[TokexploreError], sentence: str
) -> None:
    hub.error = error
    with pytest.raises(kind) as caught:
        load(LoadOptions(model="owner/story", revision="v9"), lambda _: None)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


Answer = tuple[int, dict[str, str]]


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Answer]]:
    """A hub on this machine that gives the last answer of the list to everything."""
    answers: list[Answer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers = answers[-1]
            self.send_response(status)
            for name, value in ({"Content-Length": "2"} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        close_session()
        yield answers
        server.shutdown()
    close_session()


@pytest.mark.parametrize(
    ("status", "headers", "sentence"),
    [
        (401, {}, "does not accept your token (401): log in again with `hf auth login`."),
        (401, {"X-Error-Code": "RepoNotFound"}, "nor a model on the hub that you may read"),
        (401, {"X-Error-Code": "GatedRepo"}, "is gated: accept its terms"),
        (403, {"X-Error-Code": "GatedRepo"}, "is gated: accept its terms"),
        (403, {}, "the hub does not let you read it (403): check what your token may do."),
        (404, {"X-Error-Code": "RevisionNotFound"}, "has no revision main on the hub."),
        (407, {}, "the proxy on the way wants a user and a password (407)"),
        (429, {"Retry-After": "7"}, "was asked too often (429): try again in 7 seconds, or"),
        (451, {}, "the hub answers with an error (451)."),
        (500, {}, "the hub has a fault of its own (500): try again later."),
        (503, {}, "the hub has a fault of its own (503): try again later."),
        (200, {}, "does not answer as the hub does."),
    ],
)
def test_what_the_hub_answers_is_told_as_it_is(
    answer: list[Answer], status: int, headers: dict[str, str], sentence: str
) -> None:
    answer.append((status, headers))
    with pytest.raises(TokexploreError) as caught:
        load(LoadOptions(model="owner/story"), lambda _: None)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "full"), "the cache cannot be written (No space left on device)"),
        (PermissionError(errno.EACCES, "no"), "the cache cannot be written (Permission denied)"),
        (httpx2.ReadTimeout("slow"), "does not answer in time: try again later."),
        (httpx2.ProxyError("no"), "the proxy on the way does not let it through"),
        (hub_errors.OfflineModeIsEnabled("no"), "this machine is set to be offline"),
        (httpx2.ConnectError("no"), "the hub cannot be reached (ConnectError)."),
    ],
)
def test_what_keeps_the_hub_away_is_told_as_it_is(
    hub: FakeHub, error: Exception, sentence: str
) -> None:
    hub.error = hub_errors.LocalEntryNotFoundError("a file of it")
    hub.error.__cause__ = error
    for raised in (error, hub.error):
        hub.error = raised
        with pytest.raises(ModelError) as caught:
            load(LoadOptions(model="owner/story"), lambda _: None)
        assert sentence.partition(" (Conn")[0] in str(caught.value)


def test_of_a_repository_of_gguf_one_model_is_fetched(hub: FakeHub) -> None:
    for name in ("story-Q4_K.gguf", "story-Q8_0-00001-of-00002.gguf"):
        (hub.folder / name).write_bytes(b"GGUF")
    (hub.folder / "story-Q8_0-00002-of-00002.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"story-Q2_K\.gguf names none of the 2 GGUF models"):
        load(LoadOptions(model="owner/story/story-Q2_K.gguf"), lambda _: None)
    assert not hub.snapshot.exists()
    with pytest.raises(
        ModelError, match=r"has a story-Q8_0-00001-of-00002\.gguf that is cut short"
    ):
        load(LoadOptions(model="owner/story/story-Q8_0-00002-of-00002.gguf"), lambda _: None)
    assert sorted(file.name for file in hub.snapshot.iterdir()) == [
        "story-Q8_0-00001-of-00002.gguf", "story-Q8_0-00002-of-00002.gguf",
    ]  # fmt: skip


def test_of_a_repository_of_gguf_alone_one_is_to_be_named(hub: FakeHub) -> None:
    (hub.folder / "model.safetensors").rename(hub.folder / "story-Q4_K.gguf")
    with pytest.raises(ModelError, match=r"has a story-Q4_K\.gguf that is not a GGUF file"):
        load(LoadOptions(model="owner/story"), lambda _: None)
    (hub.folder / "story-Q8_0.gguf").write_bytes(b"GGUF")
    shutil.rmtree(hub.snapshot)
    with pytest.raises(ModelError, match=r"owner/story names none .* owner/story/story-Q8_0\.gguf"):
        load(LoadOptions(model="owner/story"), lambda _: None)


def test_a_mistyped_name_is_answered_with_the_nearest(hub: FakeHub) -> None:
    for error in (
        ConnectionError("no route"),
        hub_errors.RepositoryNotFoundError("404", response=ANSWER),
    ):
        hub.error = error
        with pytest.raises(ModelError, match=r"Did you mean embedded\?$"):
            load(LoadOptions(model="embeddd"), lambda _: None)


def test_only_what_is_loaded_is_fetched() -> None:
    both = [
        "README.md",
        "config.json",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "modeling_own.py",
        "onnx/model.onnx",
        "original/consolidated.safetensors",
        "pytorch_model.bin",
        "tokenizer.json",
        "tokenizer.model",
    ]
    chosen = set(wanted_files(both, trust_remote_code=False))
    assert chosen == {n for n in both if n.endswith((".json", ".safetensors", ".model"))} - {
        "original/consolidated.safetensors"
    }
    assert "modeling_own.py" in wanted_files(both, trust_remote_code=True)
    pickled = [name for name in both if not name.endswith(".safetensors")]
    assert "pytorch_model.bin" in wanted_files(pickled, trust_remote_code=False)
