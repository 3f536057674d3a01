"""JUnit XML: a suite a definition and node; `classname` has the role and the node."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from itertools import groupby

from callboard.events import MemberState, Result
from callboard.report.hopeless import HopelessWait
from callboard.report.record import Case, Job, Run

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_WHY: dict[MemberState | None, str] = {
    None: "kept others from it",
    "ended": "ended without it",
    "waiting": "waited too",
    "delayed": "had not started",
    "running": "had not done it",
}


def junit(run: Run) -> bytes:
    """The whole file.

    A case `skip` is skipped. So is `unknown`, for JUnit has no word for it; its message says so.
    A wait that failed for want of others is a failure of those that are to blame; the case of
    the one that waited is skipped and refers to them.
    """
    root = ET.Element("testsuites", name=_text(run.name), time=f"{run.duration_s:.3f}")
    blamed = _blamed(run)
    for job in run.jobs:
        root.extend(_suites(job, blamed.get(job.id, ())))
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _blamed(run: Run) -> dict[int, list[Case]]:
    """A failed case for every call that others made in vain because of a job, by that job's id."""
    waits: dict[tuple[int, str], list[HopelessWait]] = {}
    for wait in run.hopeless:
        for culprit in wait.culprits if wait.is_victim else ():
            waits.setdefault((culprit, wait.call), []).append(wait)
    found: dict[int, list[Case]] = {}
    for (culprit, call), same in waits.items():
        victims = ", ".join(f"{each.job} ({each.role})" for each in sorted(same, key=_job))
        reason = f"{victims} waited in vain: this job {_WHY[_state(culprit, same)]}"
        case = Case("lava", f"blamed for {call}", "fail", 0, reason=reason)
        found.setdefault(culprit, []).append(case)
    return found


def _job(wait: HopelessWait) -> int:
    return wait.job


def _state(job: int, waits: Sequence[HopelessWait]) -> MemberState | None:
    """What `job` did while others waited; None if it is to blame for what others didn't do."""
    return next((each.state for wait in waits for each in wait.missing if each.job == job), None)


def _suites(job: Job, blamed: Sequence[Case]) -> Iterator[ET.Element]:
    cases_of_job = [*job.cases, *blamed]
    by_suite = sorted(cases_of_job, key=lambda case: case.suite)  # stable: cases keep their order
    for name, group in groupby(by_suite, key=lambda case: case.suite):
        cases = list(group)
        suite = ET.Element(
            "testsuite",
            name=_text(name),
            hostname=_text(job.device),
            tests=str(len(cases)),
            failures=str(sum(_outcome(case) == "fail" for case in cases)),
            errors="0",
            skipped=str(sum(_outcome(case) in ("skip", "unknown") for case in cases)),
            time=f"{sum(_time_s(case) for case in cases):.3f}",
        )
        suite.extend(_case(job, case) for case in cases)
        yield suite


def _case(job: Job, case: Case) -> ET.Element:
    role = job.role or "job"
    element = ET.Element(
        "testcase",
        classname=_text(f"{role}.{job.id}-{job.device}"),
        name=_text(f"{case.set}/{case.case}" if case.set else case.case),
        time=f"{_time_s(case):.3f}",
    )
    if case.measurement is not None:
        text = f"{case.measurement:g} {case.units or ''}".strip()
        properties = ET.SubElement(element, "properties")
        ET.SubElement(properties, "property", name="measurement", value=_text(text))
    match _outcome(case):
        case "fail":
            kind = case.error.type if case.error else "fail"
            known = case.error.message if case.error else case.reason
            message = known or f"see line {case.line} of jobs/{job.id}/output.yaml"
            ET.SubElement(element, "failure", type=_text(kind), message=_text(message))
        case "skip" | "unknown":
            ET.SubElement(element, "skipped", message=_text(_why_skipped(case)))
        case _:
            pass
    return element


def _outcome(case: Case) -> Result:
    """What JUnit makes of a case: the victim of others has not failed."""
    return "skip" if case.hopeless and case.hopeless.is_victim else case.result


def _why_skipped(case: Case) -> str:
    if case.hopeless is None:
        return case.reason or f"result {case.result}"
    jobs = ", ".join(map(str, case.hopeless.culprits))
    return f"{case.hopeless.call} waited in vain; see job {jobs}"


def _time_s(case: Case) -> float:
    return case.duration_s or 0.0


def _text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
