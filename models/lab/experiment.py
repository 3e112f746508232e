"""A repeat experiment as the app asks for it: one request, what varies, and what comes of it."""

from collections.abc import Iterator, Sequence

import msgspec

from tokexplore.models.api.engine import Control, Engine, StreamRequest
from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.lab.close_calls import close_calls
from tokexplore.models.lab.conditions import (
    BATCHES,
    PLAIN,
    Condition,
    Knob,
    deal,
    offered,
    possible,
    usual,
)
from tokexplore.models.lab.forks import forks
from tokexplore.models.lab.repeat import Plan, Run, repeat
from tokexplore.models.lab.served import CONCURRENCY, served_conditions
from tokexplore.models.sampling.randomness import seed_after
from tokexplore.models.tree.study import Checked, CloseCalls, Fork, StudiedRun, Study

RUNS = 30
IN_TURN = (
    "above temperature 0 this server is asked for each token by itself, as its streams leave some "
    "out: nothing runs at once there."
)
UNSEEDED = (
    "this server draws anew for each request, whatever the seed: repeat at temperature 0, or other "
    "draws with --new-seeds."
)


class Experiment(msgspec.Struct, frozen=True):
    """What is to be repeated, and what may differ between the runs."""

    request: StreamRequest
    runs: int = RUNS
    """In all; of a server, of each condition."""
    knobs: tuple[Knob, ...] | None = None
    """None is what usually varies."""
    batches: tuple[int, ...] = BATCHES
    new_seeds: bool = False
    """Run r draws with the seed of the settings + r; else all draw alike."""
    deal: int = 0
    """Number of the deal of conditions."""
    concurrency: tuple[int, ...] = CONCURRENCY
    """Of a server: requests at once."""


class Planned(msgspec.Struct, frozen=True, tag=True):
    """What will be run: the first event."""

    plan: Plan
    knobs: tuple[Knob, ...]
    """Those of the experiment that this model can vary."""
    notices: tuple[str, ...]
    """A sentence for each group that it cannot."""
    offered: tuple[Knob, ...]
    """All that this model can vary of the request as it is loaded."""


class Forked(msgspec.Struct, frozen=True, tag=True):
    """Where the runs part, or were closest to it, once all are done."""

    forks: tuple[Fork, ...] = ()
    close_calls: CloseCalls | None = None
    """Of several runs that all gave one text."""


NOTHING_FOUND = Forked()
Outcome = Planned | Run | Checked | Forked


def planned(engine: Engine, experiment: Experiment) -> Planned:
    """The runs of an experiment on this model.

    Raises:
        UsageError: the same draws are asked of a server that takes no seed.
    """
    request = experiment.request
    asked = usual(engine.info) if experiment.knobs is None else experiment.knobs
    knobs, notices = possible(asked, engine.info, len(request.ids), request.max_new_tokens)
    of = engine, request.ids, request.max_new_tokens
    if engine.info.capabilities.serves:
        if not (request.settings.greedy or experiment.new_seeds or engine.requests.seeded):
            raise UsageError(UNSEEDED)
        if not engine.requests.at_once(request.settings):
            knobs = tuple(knob for knob in knobs if knob == "cache")
            notices.append(IN_TURN)
        conditions = served_conditions(
            *of, knobs, experiment.runs, concurrency=experiment.concurrency, seed=experiment.deal
        )
    else:
        conditions = deal(
            *of, knobs, experiment.runs, batches=experiment.batches, seed=experiment.deal
        )
    return Planned(
        Plan(request, tuple(conditions), experiment.new_seeds),
        knobs,
        tuple(notices),
        offered(engine, len(request.ids), request.max_new_tokens),
    )


def conduct(engine: Engine, experiment: Experiment, control: Control) -> Iterator[Outcome]:
    """Run an experiment on one loaded model.

    Raises:
        UsageError: it wants the model loaded otherwise, which is the command line's part.
        ServerError: the server was lost, or refused; what is done until then is told before.
    """
    first = planned(engine, experiment)
    yield first

    def own(condition: Condition) -> Engine:
        if (condition.dtype, condition.device) != (PLAIN.dtype, PLAIN.device):
            raise UsageError("another dtype or device is `tokexplore lab repeat --vary`'s part.")
        return engine

    runs: list[Run] = []
    outcomes = repeat(
        first.plan, own, control, lambda _done, _total: None, checked_when_stopped=False
    )
    lost: ServerError | None = None
    try:
        for event in outcomes:
            if isinstance(event, Run):
                runs.append(event)
            yield event
    except ServerError as error:  # what is done is compared all the same
        lost = error
    if runs:
        yield compared(first.plan, runs, engine)
    if lost is not None:
        raise lost


def compared(plan: Plan, runs: Sequence[Run], engine: Engine) -> Forked:
    """Where one run or more part, or were closest to it."""
    return Forked(tuple(forks(plan, runs, engine)), close_calls(plan, runs, engine.info.dtype))


def study_of(
    design: Planned,
    dtype: str,
    runs: Sequence[Run],
    controls: Sequence[Checked] = (),
    found: Forked = NOTHING_FOUND,
) -> Study:
    """What is kept of an experiment, as far as it was done."""
    request = design.plan.request
    return Study(
        setting=setting_of(design.plan),
        dtype=dtype,
        length=request.max_new_tokens,
        planned=len(design.plan.conditions),
        varied=design.knobs,
        runs=tuple(
            StudiedRun(
                run.number,
                run.condition.words(),
                run.seed,
                run.ids,
                run.ended,
                run.seconds,
                run.load or msgspec.UNSET,
            )
            for run in runs
        ),
        controls=tuple(controls),
        forks=found.forks,
        close_calls=found.close_calls or msgspec.UNSET,
        notices=design.notices or msgspec.UNSET,
        offered=design.offered,
        served=design.plan.served or msgspec.UNSET,
    )


def setting_of(plan: Plan) -> str:
    """The settings, and which seeds the runs have."""
    settings = plan.request.settings
    if settings.greedy or not plan.new_seeds:
        return settings.short()
    first, second = settings.seed, seed_after(settings.seed, 1)
    return f"{settings.short(with_seed=False)} seeds {first}, {second}, ..."
