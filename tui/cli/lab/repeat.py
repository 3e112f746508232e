"""`tokexplore lab repeat`: the same prompt many times, each run computed in another way."""

from collections.abc import Iterator

from tokexplore.models.errors import ServerError, UsageError
from tokexplore.models.lab.experiment import Experiment, compared, planned, study_of
from tokexplore.models.lab.forks import summarise
from tokexplore.models.lab.repeat import Checked, Run, repeat
from tokexplore.tui.cli.lab.repeat_report import REPORTS, Report, Result
from tokexplore.tui.cli.lab.runner import Engines, LabRunner, Subject


def lines(bench: LabRunner) -> Iterator[str]:
    """The report, model by model."""
    if not bench.options.own["runs"]:
        raise UsageError("--runs 0 is not possible: give 1 or more.")
    bench.need_tokens()
    results: list[Result] = []
    report = REPORTS[bench.options.format]()
    for subject in bench.subjects("repeats"):
        yield from _repeated(bench, subject, report, results)
    if results:
        yield from report.end(results)


def _repeated(
    bench: LabRunner, subject: Subject, report: Report, results: list[Result]
) -> Iterator[str]:
    own, engine = bench.options.own, subject.engine
    knobs = () if own["plain"] else own["vary"]
    experiment = Experiment(
        subject.request, own["runs"], knobs, own["batches"], own["new_seeds"], own["deal"],
        own["concurrency"],
    )  # fmt: skip
    design = planned(engine, experiment)
    plan = design.plan
    for sentence in design.notices:
        bench.say(sentence)
    yield from report.begin(engine, plan, design.knobs)
    runs, controls = list[Run](), list[Checked]()
    engines = Engines(bench, subject)
    lost: ServerError | None = None
    try:
        for event in repeat(plan, engines.of, subject.control, bench.progress("runs")):
            if isinstance(event, Run):
                runs.append(event)
                yield from report.run(engine, event)
            else:
                controls.append(event)
    except ServerError as error:  # what is done is reported all the same
        lost = error
    if runs:
        found = compared(plan, runs, engine)
        study = study_of(design, engine.info.dtype, runs, controls, found)
        result = Result(engine, study, summarise(runs))
        results.append(result)
        yield from report.model(result)
    if lost is not None:
        raise lost
