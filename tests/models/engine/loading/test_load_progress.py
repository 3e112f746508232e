"""Loading progress in bytes."""

import pytest

from tokexplore.models.api.engine import Progress
from tokexplore.models.engine.loading import load_progress as module
from tokexplore.models.engine.loading.load_progress import Meter


@pytest.fixture(autouse=True)
def every_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_INTERVAL", 0.0)


def told(sizes: dict[str, int], names: list[str], desc: str = "Loading weights") -> list[int]:
    """What is reported while transformers walks through `names`, one after the other."""
    reports: list[Progress] = []
    meter = Meter(sizes, sum(sizes.values()), reports.append)
    bar = meter.hook(object, ([(name, "mapping") for name in names],), {"desc": desc})
    with bar as walked:
        assert [name for name, _ in walked] == names
        walked.set_postfix(anything=1)
        walked.update(1)
    return [report.done for report in reports]


def test_each_tensor_counts_its_own_bytes() -> None:
    assert told({"a": 10, "model.b": 30, "c": 60}, ["a", "b", "model.c"]) == [10, 40, 100]


def test_tensors_put_together_from_several_share_the_rest() -> None:
    sizes = {"a": 10, "gate.0": 20, "gate.1": 20, "up.0": 25, "up.1": 25}
    assert told(sizes, ["gates", "a", "ups"]) == [45, 55, 100]


def test_other_bars_report_nothing() -> None:
    assert told({"a": 10}, ["a"], desc="Fetching files") == []


def test_done_never_passes_the_total() -> None:
    assert told({"a": 10}, ["a", "model.a", "a"]) == [10, 10, 10]
