"""The summary of a run for people: what failed comes first."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen
from rich.console import Console
from rich.table import Table
from rich.text import Text

from callboard.events import Health
from callboard.report.hopeless import HopelessWait
from callboard.report.record import Case, Job, Run

MOST_ROWS = 20
"""Jobs that have a row of their own; more than that are counted by role."""

MOST_FAILURES = 50
"""Failures that are shown; the files of the run have all of them."""

_COUNTED = ("pass", "fail", "skip")
"""Results of test cases that are counted; what is unknown counts as skipped."""

_NO_LIMIT = 10_000
"""Columns of a terminal that everything fits."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_WORST_FIRST: tuple[Health, ...] = ("incomplete", "canceled", "complete")
_COLOUR = {"complete": "green", "incomplete": "red", "canceled": "yellow"}


def summary(run: Run, directory: Path | None, console: Console) -> None:
    """Print how a run ended, where and why it failed, and where its results lie, if anywhere."""
    where = f", see {'results.yaml' if directory else '--json'}"
    for part in (_failures(run.jobs), _blame(run)):
        lines = _first(part, where)
        for line in lines:
            print_hanging(line, console)
        if lines:
            console.print()
    if run.jobs:
        _print_jobs(run.jobs, console)
    skipped = sum(_is_skipped_action(case) for job in run.jobs for case in job.cases)
    if skipped:
        console.print(f"{_count(skipped, 'action')} skipped that these nodes can't do", style="dim")
    if not run.ended:
        console.print("the run was cut off: its log has no end", style="red")
    ending = Text(run.status, style=f"bold {_COLOUR[run.status]}")
    ending.append(f", exit code {run.exit_code}, {run.duration_s:.1f} s", style="default")
    console.print(ending)
    if directory is not None:
        console.print(Text(f"results in {printable(str(directory))}"), soft_wrap=True)


def explain(run: Run) -> Iterator[str]:
    """Lines that say what failed and why: who waited where for what, and who is to blame."""
    for part in (_failures(run.jobs), _blame(run)):
        yield from (line.plain for line in _first(part))


def print_hanging(line: Text, console: Console) -> None:
    """Print a line; where it is too long it goes on in the next, indented as far."""
    indent = len(line.plain) - len(line.plain.lstrip())
    for part in line[indent:].wrap(console, max(20, console.width - indent)):
        part.rstrip()
        part.pad_left(indent)
        console.print(part, soft_wrap=True)


def _first(lines: Iterable[Text], where: str = "") -> list[Text]:
    """As many lines as fit, and how many more there are."""
    found = list(lines)
    more = len(found) - MOST_FAILURES
    if more <= 0:
        return found
    return [*found[:MOST_FAILURES], Text(f"and {more} lines more{where}")]


def _failures(jobs: Iterable[Job]) -> Iterator[Text]:
    """Jobs that didn't complete, then what failed on the others; nodes that failed alike together.

    Each line is an item of its own, so that a reader can be given as many as fit.
    """
    alike: dict[tuple[str | None, Health, tuple[str, ...]], list[Job]] = {}
    for job in sorted(jobs, key=lambda job: job.health == "complete"):
        lines = (*_error(job), *_failed_cases(job))
        if lines:
            alike.setdefault((job.role, job.health, lines), []).append(job)
    for (role, health, lines), same in alike.items():
        head = Text(printable(_heading(role, same)), style="bold")
        if health != "complete":
            head.append(f"  {health}", style=_COLOUR[health])
        yield head
        for line in lines:
            yield Text(f"  {line}", style="red")


def _blame(run: Run) -> Iterator[Text]:
    """Who made whom wait in vain, a line for each call and its culprits."""
    roles = {job.id: job.role or "job" for job in run.jobs}
    alike: dict[tuple[str, tuple[int, ...]], list[HopelessWait]] = {}
    for wait in run.hopeless:
        # Those who wait for what nobody sends have only themselves to blame, in the same way.
        culprits = wait.culprits if wait.missing or wait.is_victim else ()
        alike.setdefault((wait.call, culprits), []).append(wait)
    for (call, _), waits in alike.items():
        waits.sort(key=lambda wait: wait.job)
        culprits = tuple(dict.fromkeys(job for wait in waits for job in wait.culprits))
        guilty = _jobs([(job, roles.get(job, "job")) for job in culprits])
        victims = _jobs([(each.job, each.role or "job") for each in waits if each.is_victim])
        where = waits[0].where
        at = f" ({where.file}:{where.line})" if where else ""
        if victims:
            text = f"to blame: {guilty}; {victims} waited in vain in {call}{at}"
        else:
            what = "each other" if len(culprits) > 1 else "itself"
            what = what if waits[0].missing else "what nobody sends"
            text = f"to blame: {guilty}, which waited for {what} in {call}{at}"
        yield Text(printable(text), style="yellow")


def _jobs(jobs: list[tuple[int, str]]) -> str:
    names = ", ".join(f"{job} ({role})" for job, role in jobs[:3])
    return f"{names} and {len(jobs) - 3} more" if len(jobs) > 3 else names


def _heading(role: str | None, jobs: list[Job]) -> str:
    first, *others = jobs
    name = role or "job"
    if not others:
        return f"{first.id} {name} on {first.device}"
    ids = ", ".join(str(job.id) for job in jobs[:3])
    more = f" and {len(jobs) - 3} more" if len(jobs) > 3 else ""
    return f"{ids}{more} {name}"


def _error(job: Job) -> Iterator[str]:
    if job.error is not None:
        where = f" ({job.error.action})" if job.error.action else ""
        yield printable(f"{job.error.type}: {job.error.message}{where}")


def _failed_cases(job: Job) -> Iterator[str]:
    for case in job.cases:
        if case.result != "fail" or _repeats_the_error(job, case):
            continue
        if case.suite != "lava":
            reason = f": {case.reason}" if case.reason else ""
            text = f"{case.suite}/{case.case} failed{reason}"
        elif case.uuid is not None:
            text = f"{case.case} did not reach its end"
        else:
            text = f"{case.level or ''} {case.case} failed".strip()
        yield printable(text)


def _repeats_the_error(job: Job, case: Case) -> bool:
    """Whether a case says no more than the job's own error does."""
    if case.suite != "lava" or job.error is None:
        return False
    return case.case == "job" or (case.error is not None and case.error.type == job.error.type)


def _is_skipped_action(case: Case) -> bool:
    return case.suite == "lava" and case.result == "skip"


@frozen
class _Row:
    """What is said of one job, or of all that have a role."""

    labels: tuple[str, ...]
    title: str
    jobs: list[Job]


def _rows(jobs: tuple[Job, ...]) -> Iterator[_Row]:
    if len(jobs) <= MOST_ROWS:
        for job in jobs:
            labels = (str(job.id), printable(job.role or "-"), printable(job.device))
            yield _Row(labels, printable(_heading(job.role, [job])), [job])
        return
    for role in dict.fromkeys(job.role for job in jobs):
        of_role = [job for job in jobs if job.role == role]
        name, nodes = printable(role or "-"), len(of_role)
        yield _Row((name, str(nodes)), f"{name}, {_count(nodes, 'node')}", of_role)


def _print_jobs(jobs: tuple[Job, ...], console: Console) -> None:
    """A table of the jobs; where that is too wide for the terminal, two lines a row."""
    rows = list(_rows(jobs))
    table = _table(rows)
    unlimited = console.options.update(max_width=_NO_LIMIT)
    if console.measure(table, options=unlimited).maximum <= console.width:
        console.print(table)
        return
    for row in rows:
        for line in _lines(row):
            print_hanging(line, console)


def _table(rows: list[_Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    labels = ("job", "role", "device") if len(rows[0].labels) == 3 else ("role", "nodes")
    for name in labels:
        table.add_column(name, justify="right" if name in ("job", "nodes") else "left")
    table.add_column("health")
    for name in (*_COUNTED, "time"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*map(Text, row.labels), *_results(row.jobs), Text(_took(row.jobs)))
    return table


def _lines(row: _Row) -> Iterator[Text]:
    yield Text(row.title)
    health, *counts = _results(row.jobs)
    parts = [health]
    parts += [
        Text.assemble(count, f" {name}")
        for name, count in zip(_COUNTED, counts, strict=True)
        if count.plain != "0"
    ]
    yield Text("  ") + Text(", ").join([*parts, Text(_took(row.jobs))])


def _results(jobs: list[Job]) -> Iterator[Text]:
    healths = Counter(job.health for job in jobs)
    health = min(healths, key=_WORST_FIRST.index)
    number = f"{healths[health]} " if len(healths) > 1 else ""
    yield Text(f"{number}{health}", style=_COLOUR[health])
    cases = [case for job in jobs for case in job.cases if case.suite != "lava"]
    counts = Counter(case.result for case in cases)
    yield Text(str(counts["pass"]))
    yield Text(str(counts["fail"]), style="bold red" if counts["fail"] else "default")
    yield Text(str(counts["skip"] + counts["unknown"]))


def _duration_s(job: Job) -> float:
    return (job.finished_s or 0.0) - (job.started_s or 0.0)


def _took(jobs: list[Job]) -> str:
    """How long the longest of them took."""
    longest = max(jobs, key=_duration_s)
    known = longest.finished_s is not None and longest.started_s is not None
    return f"{_duration_s(longest):.1f} s" if known else "-"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def printable(text: str) -> str:
    """Text of a device or a definition on one line, without what a terminal would act on."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\n", " ").replace("\t", " "))
