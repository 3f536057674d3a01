"""JUnit XML: a suite a definition and node; `classname` has the role and the node."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import groupby

from callboard.report.record import Case, Job, Run

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(run: Run) -> bytes:
    """The whole file.

    A case `skip` is skipped. So is `unknown`, for JUnit has no word for it; its message says so.
    """
    root = ET.Element("testsuites", name=_text(run.name), time=f"{run.duration_s:.3f}")
    for job in run.jobs:
        root.extend(_suites(job))
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _suites(job: Job) -> Iterator[ET.Element]:
    by_suite = sorted(job.cases, key=lambda case: case.suite)  # stable: cases keep their order
    for name, group in groupby(by_suite, key=lambda case: case.suite):
        cases = list(group)
        suite = ET.Element(
            "testsuite",
            name=_text(name),
            hostname=_text(job.device),
            tests=str(len(cases)),
            failures=str(sum(case.result == "fail" for case in cases)),
            errors="0",
            skipped=str(sum(case.result in ("skip", "unknown") for case in cases)),
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
    match case.result:
        case "fail":
            kind = case.error.type if case.error else "fail"
            known = case.error.message if case.error else case.reason
            message = known or f"see line {case.line} of jobs/{job.id}/output.yaml"
            ET.SubElement(element, "failure", type=_text(kind), message=_text(message))
        case "skip" | "unknown":
            ET.SubElement(element, "skipped", message=_text(case.reason or f"result {case.result}"))
        case _:
            pass
    return element


def _time_s(case: Case) -> float:
    return case.duration_s or 0.0


def _text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
