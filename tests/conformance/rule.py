"""A rule of LAVA's documentation, what a run of its definition must show, and whether it does."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import field, frozen
from tests.system.harness import Callboard, Ran

from callboard.events import (
    ActionEnded,
    ActionStarted,
    Body,
    CallAnswered,
    CallMade,
    ConsoleOutput,
    Health,
    JobEnded,
    JobStarted,
    Message,
    PortMoved,
    PortRestored,
    Result,
    TestCaseResult,
    TestRunEnded,
    TestRunStarted,
    VlanCreated,
    VlanDeleted,
)

DEFINITIONS = Path(__file__).parent / "definitions"
PROTOCOLS = "Protocol Reference"
API = "MultiNode API"

Results = Mapping[str, Result]
_T = TypeVar("_T")


@frozen
class Ends:
    """How a job ends: its health, the type of its error, and what the error says among others."""

    health: Health = "complete"
    error: str | None = None
    says: tuple[str, ...] = ()


@frozen
class Rule:
    """One rule and the run that shows it.

    A node is named by its role, e.g. `server`; where the role has several nodes, `server-2` is
    its second one, and `server` stands for each of them. Job ids count from 1.

    Attributes:
        name: Name of the definition.
        sentence: The rule.
        source: Where LAVA's documentation has it: page and topic.
        options: Given to `callboard run`.
        exit_code: Of the run.
        ends: How jobs end; those that aren't named end complete, without an error.
        results: All test cases of a node, and as `lava/CASE` some of the suite `lava`.
        trace: What happens, in this order; none of it happens at any other time.
        never: What doesn't happen at all.
        log: Parts of a node's log lines.
        printed: Whole lines that a node prints.
        errors: Code of each error of a refused definition, and a part of its text.
        warnings: Parts of what is said of the definition though it runs.
        under_s: The run takes less than that, in seconds.
        today: What LAVA does today, where that is known to differ from its documentation.
    """

    name: str
    sentence: str
    source: str
    options: tuple[str, ...] = ()
    exit_code: int = 0
    ends: Mapping[str, Ends] = field(factory=dict[str, Ends])
    results: Mapping[str, Results] = field(factory=dict[str, Results])
    trace: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    log: Mapping[str, tuple[str, ...]] = field(factory=dict[str, tuple[str, ...]])
    printed: Mapping[str, tuple[str, ...]] = field(factory=dict[str, tuple[str, ...]])
    errors: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    under_s: float | None = None
    today: str | None = None

    @property
    def path(self) -> Path:
        """The definition."""
        return DEFINITIONS / f"{self.name}.yaml"

    @property
    def header(self) -> str:
        """The comments at the top of the definition."""
        return f"# {self.sentence}\n# LAVA: {self.source}\n"


@frozen
class Topic:
    """Rules that belong together; the page numbers both."""

    title: str
    rules: Sequence[Rule]


def run(rule: Rule, callboard: Callboard) -> Ran:
    """Run the definition of a rule to its end."""
    return callboard.run(rule.path, "--first-id", "1", *rule.options)


def complaints(rule: Rule, ran: Ran) -> list[str]:
    """In what a run differs from what the rule says; empty when it holds."""
    return [*_of_the_run(rule, ran), *(_of_the_jobs(rule, ran) if "jobs" in ran.document else ())]


def _of_the_run(rule: Rule, ran: Ran) -> Iterator[str]:
    if ran.exit_code != rule.exit_code:
        yield f"the exit code is {ran.exit_code}, not {rule.exit_code}"
    found = [
        (each["code"], each["message"])
        for each in ran.document.get("diagnostics", ())
        if each["severity"] == "error"
    ]
    if [code for code, _ in found] != [code for code, _ in rule.errors] or not all(
        part in text for (_, text), (_, part) in zip(found, rule.errors, strict=True)
    ):
        yield f"the errors of the definition are {found}, not {list(rule.errors)}"
    for part in rule.warnings:
        if part not in ran.stderr:
            yield f"nobody says: {part}"
    if rule.under_s is not None and ran.document["duration"] >= rule.under_s:
        yield f"the run took {ran.document['duration']} s"


def _of_the_jobs(rule: Rule, ran: Ran) -> Iterator[str]:
    jobs = _nodes(ran.document["jobs"])
    named = {*rule.ends, *rule.results, *rule.log, *rule.printed}
    for name in named - jobs.keys() - {job["role"] for job in jobs.values()}:
        yield f"there is no node {name}"
    for node, job in jobs.items():
        for expected in _about(rule.ends, node, job) or [Ends()]:
            yield from _of_the_end(expected, node, job)
        for results in _about(rule.results, node, job):
            yield from _of_the_results(results, node, job)
        for parts in _about(rule.log, node, job):
            lines = _lines(ran, job, Message)
            for part in parts:
                if not any(part in line for line in lines):
                    yield f"{node} doesn't log: {part}"
        for whole in _about(rule.printed, node, job):
            lines = _lines(ran, job, ConsoleOutput)
            yield from (f"{node} doesn't print: {line}" for line in whole if line not in lines)
    if rule.trace or rule.never:
        labels = {job["id"]: node for node, job in jobs.items()}
        wanted = {*rule.trace, *rule.never}
        seen = tuple(each for each in _trace(ran, labels) if each in wanted)
        if seen != rule.trace:
            yield f"what happens is {list(seen)}, not {list(rule.trace)}"


def _of_the_end(expected: Ends, node: str, job: Any) -> Iterator[str]:
    error = job["error"] or {"type": None, "message": ""}
    if (job["health"], error["type"]) != (expected.health, expected.error):
        yield f"{node} ends {job['health']} with {job['error']}"
    for part in expected.says:
        if part not in error["message"]:
            yield f"the error of {node} doesn't say '{part}': {error['message']}"


def _of_the_results(expected: Results, node: str, job: Any) -> Iterator[str]:
    found = {f"{each['suite']}/{each['case']}": each["result"] for each in job["results"]}
    kept = {
        case: result
        for case, result in found.items()
        if case in expected or not case.startswith("lava/")
    }
    if kept != expected:
        yield f"the results of {node} are {kept}, not {dict(expected)}"


def _nodes(jobs: Sequence[Any]) -> dict[str, Any]:
    """Every job by the name of its node."""
    counts = Counter(job["role"] for job in jobs)
    seen: Counter[str] = Counter()
    named: dict[str, Any] = {}
    for job in jobs:
        role = job["role"]
        seen[role] += 1
        named[role if counts[role] == 1 else f"{role}-{seen[role]}"] = job
    return named


def _about(said: Mapping[str, _T], node: str, job: Any) -> list[_T]:
    return [said[name] for name in dict.fromkeys((node, job["role"])) if name in said]


def _lines(ran: Ran, job: Any, kind: type[Message | ConsoleOutput]) -> list[str]:
    bodies = (each.body for each in ran.events(kind))
    return [body.text for body in bodies if isinstance(body, kind) and body.job == job["id"]]


def _trace(ran: Ran, labels: Mapping[int, str]) -> Iterator[str]:
    """Everything that rules speak of, in the order in which it happened."""
    for event in ran.events(
        JobStarted,
        JobEnded,
        ActionStarted,
        ActionEnded,
        TestRunStarted,
        TestRunEnded,
        TestCaseResult,
        CallMade,
        CallAnswered,
        PortMoved,
        PortRestored,
        VlanCreated,
        VlanDeleted,
    ):
        job = getattr(event.body, "job", 0)
        yield f"{labels[job]}: {_said(event.body)}"


def _said(body: Body) -> str:
    match body:
        case JobStarted():
            return "starts"
        case JobEnded():
            return "ends"
        case ActionStarted(name=name) | TestRunStarted(suite=name):
            return f"begins {name}"
        case ActionEnded(name=name, result=result) | TestRunEnded(suite=name, result=result):
            return f"{name} {result}"
        case TestCaseResult(suite=suite, case=case, result=result):
            return f"{suite}/{case} {result}"
        case CallMade(call=call, id=id_):
            return f"{call} {id_}"
        case CallAnswered(call=call, id=id_, result=result):
            return f"{call} {id_} {result}"
        case VlanCreated(vlan=vlan):
            return f"makes VLAN {vlan}"
        case PortMoved(vlan=vlan):
            return f"is in VLAN {vlan}"
        case PortRestored(vlan=vlan):
            return f"has left VLAN {vlan}"
        case VlanDeleted(vlan=vlan):
            return f"deletes VLAN {vlan}"
        case _:
            raise AssertionError(f"no rule speaks of {type(body).__name__}")
