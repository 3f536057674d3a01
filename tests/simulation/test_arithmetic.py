"""Virtual time is what one reckons from the model, to the nanosecond that a float can tell."""

from collections.abc import Iterable

import pytest
from attrs import field, frozen
from tests.system.harness import Test, definition

from callboard.definition import read_text
from callboard.definition.model import Place
from callboard.events import ActionEnded, CallAnswered, CallMade, Event, JobEnded, TestRunEnded
from callboard.simulation.distribution import NONE, Distribution, Fixed
from callboard.simulation.faults import AtTime, Fault, Faults, Hang, Reboot, Slow, Target
from callboard.simulation.model import ActionRule, Model, StepRule
from callboard.simulation.pattern import ANY, Pattern
from callboard.simulation.simulator import prepare

HERE = Place("model.yaml", 1, 1)
SERVER, CLIENT = 1, 2


def action(name: str, takes_s: float, role: str | None = None) -> ActionRule:
    return ActionRule(Pattern(name), HERE, role, Fixed(takes_s))


def step(text: str, takes_s: float) -> StepRule:
    return StepRule(Pattern(text), HERE, takes=Fixed(takes_s))


GROUP = {
    "server": [Test("serve", ["make web", "lava-send ready", "lava-sync done"])],
    "client": [Test("use", ["lava-wait ready", "fetch page", "lava-sync done"])],
}
NOTHING = (ActionRule(ANY, HERE, takes=Fixed(0)),)
ACTIONS = (
    *NOTHING,
    action("http-download", 3),
    action("execute-qemu", 7),
    action("execute-qemu", 5, "client"),
    action("power-off", 1),
)
STEPS = (StepRule(ANY, HERE, takes=Fixed(0)), step("make *", 11), step("fetch *", 2.5))
"""The server has booted at 10 and sends at 21; the client waits from 8 on and is done at 23.5."""


@frozen
class Seen:
    """The events of a rehearsal."""

    events: list[Event] = field(factory=list[Event])

    def duration_s(self, job: int) -> float:
        [found] = [
            each.body.duration_s
            for each in self.events
            if isinstance(each.body, JobEnded) and each.body.job == job
        ]
        return found

    def action(self, job: int, name: str) -> ActionEnded:
        [found] = [
            each.body
            for each in self.events
            if isinstance(each.body, ActionEnded) and (each.body.job, each.body.name) == (job, name)
        ]
        return found

    def call(self, job: int, name: str) -> tuple[float, float, CallAnswered]:
        """When a call was made, and when it was answered."""
        calls = [each for each in self.events if isinstance(each.body, CallMade | CallAnswered)]
        made, answered = (
            each
            for each in calls
            if (each.body.job, each.body.id) == (job, name)  # type: ignore[union-attr]
        )
        assert isinstance(answered.body, CallAnswered)
        return made.time_s, answered.time_s, answered.body


def rehearsed(
    *,
    actions: Iterable[ActionRule] = (),
    steps: Iterable[StepRule] = (),
    faults: Iterable[Fault] = (),
    latency: Distribution = NONE,
    **options: int,
) -> Seen:
    found, problems = read_text(definition(GROUP, **options), "group.yaml")  # type: ignore[arg-type]
    assert found is not None, problems
    model = Model((*ACTIONS, *actions), (*STEPS, *steps), latency=latency)
    seen = Seen()
    prepare(found, model=model, faults=Faults(tuple(faults))).run(3, [seen.events.append])
    return seen


def test_jobs_and_actions_take_the_sum_of_what_they_do() -> None:
    seen = rehearsed()
    assert seen.action(SERVER, "http-download").duration_s == 3
    assert seen.action(SERVER, "execute-qemu").duration_s == 7
    assert seen.action(SERVER, "multinode-test").duration_s == 13.5
    assert seen.action(CLIENT, "multinode-test").duration_s == 15.5
    assert (seen.duration_s(SERVER), seen.duration_s(CLIENT)) == (24.5, 24.5)


def test_calls_wait_for_what_they_need_and_no_longer() -> None:
    seen = rehearsed()
    made_s, answered_s, wait = seen.call(CLIENT, "ready")
    assert (made_s, answered_s, wait.waited_s) == (8, 21, 13)
    made_s, answered_s, sync = seen.call(SERVER, "done")
    assert (made_s, answered_s, sync.waited_s) == (21, 23.5, 2.5)
    assert seen.call(CLIENT, "done")[2].waited_s == 0


@pytest.mark.parametrize("limit_s", [1, 12])
def test_a_call_is_given_up_at_its_limit_and_not_before(limit_s: int) -> None:
    made_s, answered_s, wait = rehearsed(limit_s=limit_s).call(CLIENT, "ready")
    assert wait.result == "fail"
    assert (made_s, answered_s, wait.waited_s) == (8, 8 + limit_s, limit_s)


def test_an_action_ends_at_its_time_out() -> None:
    seen = rehearsed(actions=[action("execute-qemu", 500)], action_s=9)
    late = seen.action(SERVER, "execute-qemu")
    assert late.error is not None
    assert "did not end within 9 s" in late.error.message
    assert late.duration_s == 9
    assert seen.duration_s(SERVER) == 3 + 9 + 1


def test_a_test_ends_at_the_time_out_of_its_action() -> None:
    seen = rehearsed(steps=[step("make web", 500)], action_s=60, limit_s=200)
    assert seen.action(SERVER, "multinode-test").duration_s == 60
    [run] = [
        each.body
        for each in seen.events
        if isinstance(each.body, TestRunEnded) and each.body.job == SERVER
    ]
    assert (run.result, run.duration_s) == ("fail", 60)


def test_a_job_ends_at_its_time_out() -> None:
    seen = rehearsed(actions=[action("execute-qemu", 5000)], action_s=3600)
    late = seen.action(SERVER, "execute-qemu")
    assert late.error is not None
    assert "of the job (600 s)" in late.error.message
    assert late.duration_s == 600 - 3


SERVERS = (Target("server", HERE),)


def at(time_s: float) -> AtTime:
    return AtTime(Fixed(time_s), HERE)


def test_a_slow_device_takes_so_many_times_as_long() -> None:
    slow = Slow(targets=SERVERS, factor=4, place=HERE)
    seen = rehearsed(faults=[slow], limit_s=200, action_s=200)
    assert seen.action(SERVER, "http-download").duration_s == 12
    assert seen.action(SERVER, "execute-qemu").duration_s == 28
    made_s, answered_s, _ = seen.call(CLIENT, "ready")
    assert (made_s, answered_s) == (8, 4 * 21)


def test_what_has_begun_goes_on_more_slowly_and_then_as_before() -> None:
    slow = Slow(targets=SERVERS, factor=4, at=at(2), lasts=Fixed(6), place=HERE)
    seen = rehearsed(faults=[slow])
    assert seen.action(SERVER, "http-download").duration_s == 2 + 4
    assert seen.action(SERVER, "execute-qemu").duration_s == 2 + 6.5
    assert seen.call(CLIENT, "ready")[1] == 14.5 + 11


def test_slowness_upon_slowness_multiplies() -> None:
    twice = [
        Slow(targets=SERVERS, factor=2, place=HERE),
        Slow(targets=SERVERS, factor=3, at=at(2), lasts=Fixed(6), place=HERE),
    ]
    seen = rehearsed(faults=twice)
    assert seen.action(SERVER, "http-download").duration_s == 2 + 6 + 2


@pytest.mark.parametrize("at_s", [0, 1, 5, 9.5, 20])
def test_a_device_that_hangs_goes_on_where_it_was(at_s: float) -> None:
    seen = rehearsed(faults=[Hang(targets=SERVERS, at=at(at_s), lasts=Fixed(10), place=HERE)])
    assert seen.call(CLIENT, "ready")[1] == 21 + 10


def test_a_device_that_hangs_twice_at_once_goes_on_when_both_are_over() -> None:
    hangs = [
        Hang(targets=SERVERS, at=at(5), lasts=Fixed(10), place=HERE),
        Hang(targets=SERVERS, at=at(9), lasts=Fixed(10), place=HERE),
    ]
    assert rehearsed(faults=hangs).call(CLIENT, "ready")[1] == 21 + 14


def test_a_device_that_hangs_for_ever_is_cut_off_by_the_time_out() -> None:
    seen = rehearsed(faults=[Hang(targets=SERVERS, at=at(5), place=HERE)], action_s=60)
    assert seen.action(SERVER, "execute-qemu").duration_s == 60
    assert seen.duration_s(SERVER) >= 63


def test_a_reboot_during_a_test_leaves_the_test_to_its_time_out() -> None:
    reboot = Reboot(targets=SERVERS, at=at(12), takes=Fixed(4), place=HERE)
    seen = rehearsed(faults=[reboot], action_s=60, limit_s=20)
    assert seen.action(SERVER, "multinode-test").duration_s == 60
    assert seen.call(CLIENT, "ready")[2].waited_s == 20


def test_a_message_is_under_way_for_the_latency_each_way() -> None:
    seen = rehearsed(latency=Fixed(0.25))
    made_s, answered_s, wait = seen.call(CLIENT, "ready")
    assert made_s == 8
    assert answered_s == 21.5
    assert wait.waited_s == 13.5
