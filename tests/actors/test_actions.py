"""Actions: children in order, time-outs, retries, and what is skipped."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
from attrs import evolve

from callboard.actors import action as action_module
from callboard.actors.action import Action
from callboard.actors.context import JobContext
from callboard.actors.drivers.bare import BareNode
from callboard.actors.errors import (
    InfrastructureError,
    JobError,
    LAVATimeoutError,
    MultinodeTimeout,
)
from callboard.actors.messages import Done, JobData, JobMessage, Run
from callboard.definition import NodeJob, PipelineAction, read_text, split
from callboard.events import ActionEnded, ActionStarted, Event, Message
from callboard.journal import Journal
from callboard.runtime import Actor, ActorSystem

pytestmark = pytest.mark.asyncio

JOB = """\
job_name: x
device_type: qemu
visibility: public
timeouts: {job: {minutes: 5}}
actions:
- test:
    failure_retry: 3
    failure_retry_interval: 1
    definitions:
    - from: inline
      name: t
      path: t.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: t}
        run: {steps: ["true"]}
"""

Step = Callable[[], Awaitable[None]]


def job() -> NodeJob:
    found, diagnostics = read_text(JOB)
    assert found is not None, diagnostics
    [split_off] = split(found, first_id=1, group="")
    return split_off


def plan(
    name: str, *children: PipelineAction, level: str = "1", duration_s: int = 30, retries: int = 1
) -> PipelineAction:
    return PipelineAction(
        name,
        level,
        "",
        evolve(job().blocks[0], failure_retry_interval_s=0),
        "common",
        duration_s,
        10,
        children,
        max_retries=retries,
    )


class Owner(Actor[JobMessage]):
    """Stands where the job is; these actions ask it nothing."""


class Bench:
    """Runs actions whose work is given by the test, and records their events."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[Event] = []
        self._monkeypatch = monkeypatch
        self._work: dict[str, object] = {}
        monkeypatch.setattr(action_module, "WORK", self._work)

    def work(self, name: str, step: Step) -> None:
        """Let the actions called `name` do `step`."""

        async def run(_context: JobContext, _plan: PipelineAction, data: JobData) -> JobData:
            await step()
            return data

        self._work[name] = run

    async def run(self, top: PipelineAction, within_s: float = 60) -> Done:
        """Run an action to its end."""
        journal = Journal(anyio.current_time, sinks=[self.events.append])
        async with ActorSystem() as system:
            owner = system.spawn(Owner, "owner")
            context = JobContext(job(), (top,), BareNode("n"), (), journal, owner, Action, None)
            ref = system.spawn(lambda: Action(top, context), "action")
            return await ref.ask(Run(JobData(), anyio.current_time() + within_s))

    @property
    def ended(self) -> list[tuple[str, str]]:
        """The actions that ended, and how."""
        bodies = [each.body for each in self.events]
        return [(body.name, body.result) for body in bodies if isinstance(body, ActionEnded)]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def failing(error: Exception, times: int = 1_000) -> tuple[Step, list[int]]:
    """A step that fails so many times, and the list of its attempts."""
    attempts: list[int] = []

    async def step() -> None:
        attempts.append(len(attempts) + 1)
        if len(attempts) <= times:
            raise error

    return step, attempts


async def test_an_action_runs_its_own_work_then_its_children_in_order(bench: Bench) -> None:
    order: list[str] = []
    for name in ("top", "one", "two"):

        async def step(name: str = name) -> None:
            order.append(name)

        bench.work(name, step)
    done = await bench.run(plan("top", plan("one", level="1.1"), plan("two", level="1.2")))
    assert done.failure is None
    assert order == ["top", "one", "two"]
    assert bench.ended == [("one", "pass"), ("two", "pass"), ("top", "pass")]
    started = [e.body.level for e in bench.events if isinstance(e.body, ActionStarted)]
    assert started == ["1", "1.1", "1.2"]


async def test_a_failing_child_ends_its_parent_and_is_the_one_that_is_recorded(
    bench: Bench,
) -> None:
    step, _ = failing(JobError("no such file"))
    bench.work("one", step)
    done = await bench.run(plan("top", plan("one", level="1.1"), plan("two", level="1.2")))
    assert done.failure is not None
    assert (done.failure.type, done.failure.action) == ("JobError", "1.1 one")
    assert bench.ended == [("one", "fail"), ("top", "fail")]
    recorded = [
        e.body.name for e in bench.events if isinstance(e.body, ActionEnded) and e.body.recorded
    ]
    assert recorded == ["one"]


@pytest.mark.parametrize("error", [InfrastructureError("x"), JobError("x"), OSError("x")])
async def test_a_retry_action_tries_again_after_errors_that_may_pass(
    bench: Bench, error: Exception
) -> None:
    step, attempts = failing(error, times=2)
    bench.work("one", step)
    done = await bench.run(plan("retry", plan("one", level="1.1"), retries=3))
    assert done.failure is None
    assert attempts == [1, 2, 3]
    warnings = [e.body.text for e in bench.events if isinstance(e.body, Message)]
    assert warnings == ["attempt 1 of 3 failed: x", "attempt 2 of 3 failed: x"]


async def test_a_retry_action_gives_up_after_its_last_attempt(bench: Bench) -> None:
    step, attempts = failing(JobError("x"))
    bench.work("one", step)
    done = await bench.run(plan("retry", plan("one", level="1.1"), retries=2))
    assert done.failure is not None
    assert attempts == [1, 2]


async def test_an_error_that_will_not_pass_is_not_tried_again(bench: Bench) -> None:
    step, attempts = failing(LAVATimeoutError("x"))
    bench.work("one", step)
    await bench.run(plan("retry", plan("one", level="1.1"), retries=3))
    assert attempts == [1]


async def test_without_time_for_another_attempt_the_failure_says_so(bench: Bench) -> None:
    step, attempts = failing(JobError("x"))
    bench.work("one", step)
    top = plan("retry", plan("one", level="1.1"), retries=3)
    assert top.block is not None
    top = evolve(top, block=evolve(top.block, failure_retry_interval_s=60))
    done = await bench.run(top, within_s=30)
    assert attempts == [1]
    assert done.failure is not None
    assert done.failure.type == "JobError"
    assert done.failure.message == "x (attempt 1 of 3; no time was left for another)"


async def test_a_call_that_failed_is_not_tried_again(bench: Bench) -> None:
    step, attempts = failing(MultinodeTimeout("x"))
    bench.work("one", step)
    done = await bench.run(plan("retry", plan("one", level="1.1"), retries=3))
    assert done.failure is not None
    assert (attempts, done.failure.type) == ([1], "MultinodeTimeout")


async def test_repeat_runs_as_often_as_it_says_and_keeps_the_last_failure(bench: Bench) -> None:
    step, attempts = failing(JobError("x"), times=1)
    bench.work("one", step)
    done = await bench.run(evolve(plan("top", plan("one", level="1.1")), repeat=3))
    assert attempts == [1, 2, 3]
    assert done.failure is not None


async def test_an_action_that_takes_too_long_says_whose_time_was_up(bench: Bench) -> None:
    bench.work("slow", anyio.sleep_forever)
    done = await bench.run(plan("slow", duration_s=0))
    assert done.failure is not None
    assert done.failure.message == "slow did not end within 0 s"
    done = await bench.run(plan("slow"), within_s=0.0)
    assert done.failure is not None
    assert done.failure.message == (
        "slow was still running when the time of the action above it, or of the job (300 s) was up"
    )


async def test_what_nobody_foresaw_is_a_bug_with_its_traceback_in_the_log(bench: Bench) -> None:
    step, _ = failing(ZeroDivisionError("oops"))
    bench.work("one", step)
    done = await bench.run(plan("one"))
    assert done.failure is not None
    assert (done.failure.type, done.failure.message) == ("Bug", "ZeroDivisionError: oops")
    [logged] = [e.body for e in bench.events if isinstance(e.body, Message)]
    assert logged.level == "exception"
    assert "test_actions.py" in logged.text


async def test_a_leaf_that_the_node_can_not_do_is_skipped_with_the_reason(bench: Bench) -> None:
    done = await bench.run(plan("execute-qemu"))
    assert done.failure is None
    [ended] = [e.body for e in bench.events if isinstance(e.body, ActionEnded)]
    assert (ended.result, ended.reason, ended.recorded) == (
        "skip",
        "the local driver starts no QEMU",
        True,
    )


async def test_an_action_that_has_nothing_to_do_is_recorded_where_it_would_run(
    bench: Bench,
) -> None:
    await bench.run(
        plan("top", plan("test-overlay", level="1.1"), plan("login-action", level="1.2"))
    )
    told = [(type(each.body).__name__, each.actor) for each in bench.events]
    assert told == [
        ("ActionStarted", "/action"),
        ("ActionStarted", "/action/action-1.1"),
        ("ActionEnded", "/action/action-1.1"),
        ("ActionStarted", "/action/action-1.2"),
        ("ActionEnded", "/action/action-1.2"),
        ("ActionEnded", "/action"),
    ]
    ended = [each.body for each in bench.events if isinstance(each.body, ActionEnded)]
    assert [each.recorded for each in ended] == [True, False, False]


async def test_actions_that_are_cut_short_are_recorded_from_the_innermost_outwards(
    bench: Bench,
) -> None:
    top = plan("top", plan("middle", plan("slow", level="1.1.1"), level="1.1"))
    with anyio.CancelScope() as scope:

        async def step() -> None:
            scope.cancel()
            await anyio.sleep_forever()

        bench.work("slow", step)
        await bench.run(top)
    assert bench.ended == [("slow", "fail"), ("middle", "fail"), ("top", "fail")]
