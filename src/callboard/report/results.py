"""results.yaml: a list of every result of every job, in LAVA's words, one a line."""

from collections.abc import Iterator

from callboard.report.log import quoted
from callboard.report.record import Case, Job, Run

_Field = str | float | None


def results(run: Run) -> Iterator[str]:
    """The lines of results.yaml, their ends included."""
    if not any(job.cases for job in run.jobs):
        yield "[]\n"
    for job in run.jobs:
        for case in job.cases:
            pairs = ", ".join(f"{name}: {_scalar(value)}" for name, value in _fields(job, case))
            yield f"- {{{pairs}}}\n"


def _fields(job: Job, case: Case) -> Iterator[tuple[str, _Field]]:
    yield "job", job.id
    yield "suite", case.suite
    yield "name", case.case
    yield "result", case.result
    yield "measurement", case.measurement
    yield "unit", case.units
    yield "duration", case.duration_s
    yield "level", case.level
    yield "log_line", case.line
    yield "log_start_line", case.first_line
    yield "log_end_line", case.last_line
    extra = {
        "set": case.set,
        "reference": case.reference,
        "namespace": case.namespace,
        "uuid": case.uuid,
        "path": case.path,
        "repository": case.repository,
        "revision": case.revision,
        "commit_id": case.commit,
        "extra": case.reason,
        "error_type": case.error.type if case.error else None,
        "error_msg": case.error.message if case.error else None,
        "blame": _blame(case),
    }
    yield from ((name, value) for name, value in extra.items() if value is not None)


def _blame(case: Case) -> str | None:
    """Which jobs are to blame for a wait in vain, this one itself included if it is."""
    return " ".join(map(str, case.hopeless.culprits)) if case.hopeless else None


def _scalar(value: _Field) -> str:
    match value:
        case None:
            return "null"
        case str():
            return quoted(value)
        case _:
            return repr(value)
