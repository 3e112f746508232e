"""The lab on a server: the same request alone, several times at once, beside others, uncached."""

import io
import json
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest
from support.fake_engine import FakeEngine
from support.lab import lab_told
from support.stub_server import Stub, send, serving

from tokexplore.models.api.engine import Control, DrawnToken, StreamEnded, StreamRequest
from tokexplore.models.api.options import LoadOptions, ServerOptions
from tokexplore.models.api.traffic import Load, Traffic
from tokexplore.models.catalog.located import EMBEDDED_DIRECTORY
from tokexplore.models.engine.local import LocalEngine
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.lab.conditions import Condition
from tokexplore.models.lab.experiment import Experiment, Forked, Outcome, Planned, conduct
from tokexplore.models.lab.repeat import Run
from tokexplore.models.lab.served import groups, served_conditions
from tokexplore.models.sampling.settings import SamplingSettings
from tokexplore.models.server.engine import ServerEngine
from tokexplore.models.tree.study import Checked

LENGTH = 8


@pytest.fixture
def stub() -> Stub:
    return Stub(FakeEngine())


@pytest.fixture
def engine(stub: Stub) -> Iterator[ServerEngine]:
    with serving(stub) as url:
        yield ServerEngine.open(LoadOptions(url), lambda _: None)


def request_of(engine: ServerEngine, **how: object) -> StreamRequest:
    ids = tuple(engine.encode("Once upon"))
    settings = SamplingSettings(**how)  # type: ignore[arg-type]
    return StreamRequest(ids, settings, LENGTH, prompt_length=len(ids), ignore_eos=True, top=16)


def test_each_condition_gets_its_runs_and_they_take_turns(engine: ServerEngine) -> None:
    ids = request_of(engine).ids
    knobs = ("copies", "batch", "cache")
    dealt = served_conditions(engine, ids, LENGTH, knobs, 5, concurrency=(1, 4))
    counts = Counter(condition.words() for condition in dealt)
    assert counts == {
        "alone": 5, "alone · cold": 5,
        "4 at once, the same": 8, "4 at once, the same · cold": 8,
        "4 at once, others beside": 5,
        "4 at once, others beside · cold": 5,
    }  # fmt: skip
    assert dealt[0] == Condition(traffic=Traffic())
    made = list(groups(dealt))
    assert [n for group in made for n in group] == list(range(len(dealt)))
    assert {len(group) for group in made if dealt[group[0]].traffic.copies == 4} == {4}
    early = {condition.words() for condition in dealt[:12]}
    assert early == set(counts), "a plan that is stopped early has some of each"
    others = [c.traffic.beside for c in dealt if c.traffic.beside]
    assert all(len(prompts) == 3 and all(map(len, prompts)) for prompts in others)
    assert len(set(others)) == len(others)
    alone = served_conditions(engine, ids, LENGTH, (), 3)
    assert alone == [Condition(traffic=Traffic())] * 3
    assert list(groups(alone)) == [[0], [1], [2]]


def test_requests_run_at_once_and_others_beside_them(stub: Stub, engine: ServerEngine) -> None:
    request, stub.gathers = request_of(engine), 4
    found = list(engine.requests.run([request] * 4, Traffic(copies=4), Control()))
    assert stub.most == 4
    (load,) = (event for event in found if isinstance(event, Load))
    assert load.waiting == 2
    events = [event for event in found if not isinstance(event, Load)]
    texts = {
        place: [e.standing.token for at, e in events if at == place and not _ends(e)]
        for place in range(4)
    }
    assert set(map(tuple, texts.values())) == {tuple(texts[0])}
    assert len(texts[0]) == LENGTH
    assert sorted(place for place, event in events if _ends(event)) == [0, 1, 2, 3]
    stub.most, stub.gathers = 0, 3
    beside = (tuple(engine.encode("The king")), tuple(engine.encode("A forest")))
    found = list(engine.requests.run([request], Traffic(beside=beside), Control()))
    assert stub.most == 3
    prompts = [body["prompt"] for path, body in stub.asked[-5:] if path == "/completion"]
    assert {tuple(prompt) for prompt in prompts} >= {*beside, request.ids}


def _ends(event: object) -> bool:
    return isinstance(event, StreamEnded)


@pytest.mark.parametrize("kind", ["llama.cpp", "vllm", "sglang"])
def test_a_planted_difference_is_found_under_its_condition(kind: str) -> None:
    model = LocalEngine.open(LoadOptions(threads=1), lambda _: None)
    stub = Stub(FakeEngine() if kind == "llama.cpp" else model, kind)
    server = ServerOptions(tokenizer="" if kind == "llama.cpp" else str(EMBEDDED_DIRECTORY))
    with serving(stub) as url:
        engine = ServerEngine.open(LoadOptions(url, server=server), lambda _: None)
        request = request_of(engine)
        plain = [e for e in engine.stream(request, Control()) if isinstance(e, DrawnToken)]
        path = (*request.ids, *(event.standing.token for event in plain[:3]))
        first, second = engine.describe(path).id_view[:2]
        margin = engine.describe(path).margin
        stub.cold_noise[path] = {first: -margin - 0.25}
        events = list(
            conduct(engine, Experiment(request, 2, ("cache",), concurrency=(1,)), Control())
        )
    assert isinstance(events[0], Planned)
    runs = [event for event in events if isinstance(event, Run)]
    assert [run.condition.words() for run in runs] == ["alone", "alone · cold"] * 2
    (forked,) = (event for event in events if isinstance(event, Forked))
    (fork,) = forked.forks
    assert (fork.step, fork.tokens[:2]) == (4, (first, second))
    assert [runs for _, runs in fork.choices] == [(0, 2), (1, 3)]
    assert fork.margin == pytest.approx(margin, abs=1e-5)
    assert fork.noise == pytest.approx(margin + 0.25, abs=1e-5)
    assert (fork.verdict.kind, fork.verdict.explained) == ("arithmetic", True)
    controls = [event for event in events if isinstance(event, Checked)]
    assert [(c.number, c.same_tokens, c.same_logits) for c in controls] == [
        (0, True, True), (1, True, True),
    ]  # fmt: skip


def test_what_a_server_draws_under_other_seeds_is_not_told_apart() -> None:
    model = LocalEngine.open(LoadOptions(threads=1), lambda _: None)
    with serving(Stub(model, "vllm")) as url:
        server = ServerOptions(tokenizer=str(EMBEDDED_DIRECTORY))
        engine = ServerEngine.open(LoadOptions(url, server=server), lambda _: None)
        request = request_of(engine, temperature=1.0, seed=3)
        experiment = Experiment(request, 3, (), new_seeds=True)
        events = list(conduct(engine, experiment, Control()))
        (forked,) = (event for event in events if isinstance(event, Forked))
        assert {fork.verdict.kind for fork in forked.forks} == {"untold"}
        again = Experiment(request, 3, ())
        events = list(conduct(engine, again, Control()))
        (forked,) = (event for event in events if isinstance(event, Forked))
        assert forked.forks == ()


def test_a_refused_run_is_told(stub: Stub, engine: ServerEngine) -> None:
    stub.faults["/completion"] = [
        lambda handler: send(handler, 400, {"error": {"message": "no room for this"}})
    ]
    with pytest.raises(ServerError, match="no room for this"):
        list(engine.requests.run([request_of(engine)], Traffic(), Control()))


def told(engine: ServerEngine, *arguments: str) -> str:
    return "\n".join(
        lab_told(
            "repeat", "--prompt", "Once upon", "--max-new-tokens", "6", "--runs", "2",
            "--ignore-eos", *arguments, engine=engine,
        )
    )  # fmt: skip


def test_the_report_tells_texts_by_condition(engine: ServerEngine) -> None:
    text = told(engine, "--concurrency", "1,2")
    assert "llama.cpp's server at http://127.0.0.1" in text
    assert "varied: copies, batch, cache" in text
    assert "asked again under the same condition gave the same logprobs" in text
    for words in ("alone  ", "alone · cold  ", "2 at once, the same  "):
        (line,) = (line for line in text.splitlines() if line.startswith(words))
        assert "2 waiting" in line
    assert "closest calls" in text
    assert "dtype" not in text
    lines = [json.loads(line) for line in told(engine, "--format", "jsonl").splitlines()]
    run = next(line for line in lines if line["type"] == "run")
    assert run["condition"]["traffic"] == {"copies": 1, "beside": [], "cold": False}
    assert run["load"]["waiting"] == 2
    unable = told(engine, "--vary", "dtype,threads")
    assert "varied: nothing" in unable


def test_above_temperature_0_such_a_server_answers_in_turn(engine: ServerEngine) -> None:
    first = next(conduct(engine, Experiment(request_of(engine, temperature=1.0), 2), Control()))
    assert isinstance(first, Planned)
    assert first.knobs == ("cache",)
    assert any("nothing runs at once there" in notice for notice in first.notices)
    warm = msgspec.structs.replace(first.plan.conditions[0].traffic)
    assert warm == Traffic()


def against(engine: ServerEngine, *arguments: str, weights: FakeEngine | None = None) -> list[str]:
    here = weights or FakeEngine()
    return lab_told(
        "noise", "server", "--against", "weights", "--prompt", "Once upon",
        "--max-new-tokens", "10",
        "--ignore-eos", *arguments,
        open_engine=lambda options, _: here if options.model == "weights" else engine,
    )  # fmt: skip


def test_a_server_is_held_against_the_same_weights_here(stub: Stub, engine: ServerEngine) -> None:
    lines = [json.loads(line) for line in against(engine, "--format", "jsonl")]
    steps, summary = lines[:-1], lines[-1]
    assert [step["step"] for step in steps] == list(range(1, 11))
    assert all(step["listed"] == 20 for step in steps)
    assert max(step["streamed"] for step in steps) < 1e-5
    assert max(step["whole"] for step in steps) < 1e-5
    assert (summary["flipped"], summary["could_flip"]) == ([], [])
    path = (*request_of(engine).ids, *(step["token"]["id"] for step in steps[:4]))
    margin = engine.describe(path).margin
    first, second = engine.describe(path).id_view[:2]
    other = FakeEngine(planted={path: {second: float(stub.engine.full(path)[first]) + 0.5}})
    steps = [json.loads(line) for line in against(engine, "--format", "jsonl", weights=other)]
    assert steps[-1]["flipped"] == [5]
    assert steps[4]["first"] == [first, second]
    assert steps[4]["gap"] == pytest.approx(-margin - 0.5, abs=1e-4)
    assert steps[4]["streamed"] > 0.5
    table = "\n".join(against(engine, weights=other))
    assert "streamed, first 20" in table
    assert "whole vocabulary" in table
    assert "server's" in table
    for form in ("csv", "markdown"):
        assert against(engine, "--format", form)


def test_other_weights_are_refused(engine: ServerEngine) -> None:
    local = LocalEngine.open(LoadOptions(threads=1), lambda _: None)
    with pytest.raises(UsageError, match="takes the weights that the server runs"):
        against(engine, weights=local)  # type: ignore[arg-type]


def test_what_is_done_is_told_where_the_server_is_lost(stub: Stub, engine: ServerEngine) -> None:
    request = request_of(engine)
    events: list[Outcome] = []

    def lost(handler: object) -> None:
        send(handler, 500, {"error": {"message": "out of order"}})  # type: ignore[arg-type]

    def watch() -> None:
        for event in conduct(engine, Experiment(request, 5, ()), Control()):
            events.append(event)
            if sum(isinstance(event, Run) for event in events) == 2:
                stub.faults["/completion"] = [lost]

    with pytest.raises(ServerError, match="out of order"):
        watch()
    assert [type(event).__name__ for event in events] == ["Planned", "Run", "Run", "Forked"]


def test_the_report_tells_what_was_done_until_the_server_was_lost(
    stub: Stub, engine: ServerEngine
) -> None:
    plain, out, streams = stub.completion, io.BytesIO(), iter(range(100))

    def answered(body: dict[str, object]) -> object:
        refused = bool(body.get("stream")) and next(streams) >= 3
        return (500, {"error": {"message": "out of order"}}) if refused else plain(body)

    stub.completion = answered  # type: ignore[method-assign]
    with pytest.raises(ServerError, match="out of order"):
        lab_told(
            "repeat", "--prompt", "Once upon", "--max-new-tokens", "6", "--runs", "5", "--vary",
            "cache", "--concurrency", "1", engine=engine, out=out,
        )  # fmt: skip
    text = out.getvalue().decode()
    assert "10 runs of 6 tokens" in text
    assert "1 unique of 3: every run said the same." in text
    assert "control: not run." in text
