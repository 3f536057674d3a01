"""The JSON document of a run, and the schemas of all JSON that callboard writes."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Literal

from callboard.events import Failure
from callboard.report.hopeless import HopelessWait
from callboard.report.record import Case, Job, Run

Json = dict[str, object]
SchemaName = Literal[
    "run",
    "invalid",
    "event",
    "explain",
    "describe",
    "devices",
    "doctor",
    "flow",
    "check",
    "simulate",
    "simulate-seeds",
    "simulate-verify",
    "simulate-shrink",
    "simulate-every-fault",
    "simulate-scenario",
]


def document(run: Run, directory: Path | None) -> Json:
    """What `run --json` and `report --json` print; its schema is `run`.

    Without a directory, for a run that is recorded nowhere, that is null.
    """
    return {
        "group": run.group,
        "name": run.name,
        "status": run.status,
        "exit_code": run.exit_code,
        "duration": run.duration_s,
        "directory": None if directory is None else str(directory),
        "jobs": [_job(job) for job in run.jobs],
        "hopeless": [_hopeless(wait) for wait in run.hopeless],
    }


def schema(name: SchemaName) -> Json:
    """A JSON Schema (2020-12) of what callboard writes."""
    text = files("callboard.report").joinpath("schemas", f"{name}.schema.json").read_text()
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded


def _job(job: Job) -> Json:
    return {
        "id": job.id,
        "sub_id": job.sub_id,
        "role": job.role,
        "device": job.device,
        "health": job.health,
        "error": _error(job.error),
        "started": job.started_s,
        "finished": job.finished_s,
        "results": [_case(case) for case in job.cases],
    }


def _hopeless(wait: HopelessWait) -> Json:
    where = wait.where
    return {
        "job": wait.job,
        "role": wait.role,
        "call": wait.call,
        "file": where.file if where else None,
        "line": where.line if where else None,
        "step": where.step if where else None,
        "missing": [
            {"job": each.job, "role": each.role, "state": each.state} for each in wait.missing
        ],
        "culprits": list(wait.culprits),
    }


def _error(error: Failure | None) -> Json | None:
    if error is None:
        return None
    return {"type": error.type, "message": error.message, "action": error.action}


def _case(case: Case) -> Json:
    return {
        "suite": case.suite,
        "case": case.case,
        "set": case.set,
        "result": case.result,
        "measurement": case.measurement,
        "units": case.units,
        "duration": case.duration_s,
        "line": case.line,
    }
