"""Groups with VLANs in rehearsals: who makes them, who waits, and that none is left."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import anyio
import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.drivers.switches import Port, Vlan
from callboard.actors.errors import InfrastructureError
from callboard.actors.job import Job
from callboard.actors.messages import Done
from callboard.definition import read_text
from callboard.definition.model import Definition, Place
from callboard.events import (
    CallMade,
    Event,
    JobEnded,
    PortMoved,
    PortRestored,
    RunEnded,
    VlanCreated,
    VlanDeleted,
)
from callboard.simulation.faults import AtCall, Fault, Faults, Hang, Kill, Target
from callboard.simulation.pattern import ANY
from callboard.simulation.simulator import Outcome, prepare
from callboard.simulation.switches import SwitchModel

HERE = Place("faults.yaml", 1, 1)
HEAD = """\
job_name: vlans
visibility: public
timeouts: {job: {minutes: 30}, action: {minutes: 5}, connection: {minutes: 2}}
protocols:
"""
BLOCKS = """\
actions:
- deploy:
    role: [ROLES]
    to: tmpfs
    images: {rootfs: {url: "http://files.example/rootfs"}}
    protocols: {lava-vland: [{action: lava-vland-overlay, request: deploy_vlans}]}
- boot: {role: [ROLES], method: qemu, prompts: ["#"]}
- test:
    role: [ROLES]
    definitions:
    - from: inline
      name: meet
      path: meet.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: meet}
        run: {steps: [lava-sync met]}
"""


def definition(vlans: Mapping[str, Sequence[str]], counts: Mapping[str, int] = {}) -> Definition:
    """A group whose roles have these VLANs, and meet in them."""
    roles = "".join(
        f"      {role}: {{device_type: qemu, count: {counts.get(role, 1)}}}\n" for role in vlans
    )
    own = "".join(
        f"    {role}: {{{', '.join(f'{vlan}: {{tags: [RJ45]}}' for vlan in names)}}}\n"
        for role, names in vlans.items()
    )
    text = f"{HEAD}  lava-multinode:\n    roles:\n{roles}  lava-vland:\n{own}{BLOCKS}"
    found, diagnostics = read_text(text.replace("ROLES", ", ".join(vlans)), "group.yaml")
    assert found is not None, diagnostics
    return found


@define
class Seen:
    """What happens in a rehearsal, and the switches at its end."""

    events: list[Event] = field(factory=list[Event])
    switches: SwitchModel = field(factory=SwitchModel)

    def of(self, *kinds: type) -> list[str]:
        """The events of these kinds, as `kind job vlan`."""
        return [
            f"{event.kind} {getattr(event.body, 'job', 0)} {getattr(event.body, 'vlan', '')}"
            for event in self.events
            if isinstance(event.body, kinds)
        ]

    @property
    def errors(self) -> dict[int, str]:
        """What went wrong, by job."""
        return {
            event.body.job: f"{event.body.error.type}: {event.body.error.message}"
            for event in self.events
            if isinstance(event.body, JobEnded) and event.body.error is not None
        }

    def is_clean(self) -> bool:
        """Whether all is as it was, and every change is recorded before the end of the run."""
        assert isinstance(self.events[-1].body, RunEnded)
        made, moved = self.of(VlanCreated), self.of(PortMoved)
        undone = (len(self.of(VlanDeleted)), len(self.of(PortRestored)))
        return not (self.switches.vlans or self.switches.places) and undone == (
            len(made),
            len(moved),
        )


def rehearsed(
    group: Definition,
    *faults: Fault,
    seed: int = 0,
    fails: Callable[[str, Port | Vlan | str], None] = lambda _change, _what: None,
) -> tuple[Outcome, Seen]:
    seen = Seen(switches=SwitchModel(fails=fails))
    rehearsal = evolve(prepare(group, faults=Faults(faults)), switches=lambda: seen.switches)
    return rehearsal.run(seed, [seen.events.append]), seen


def failing(change: str, what: str) -> Callable[[str, Port | Vlan | str], None]:
    def fails(doing: str, about: Port | Vlan | str) -> None:
        if doing == change and what in str(about):
            raise InfrastructureError(f"the switch refuses to {change} it")

    return fails


def test_the_first_that_uses_a_vlan_makes_it_and_the_others_hear_of_it() -> None:
    outcome, seen = rehearsed(definition({"a": ["one"], "b": ["one", "two"], "c": ["two"]}))
    assert (outcome.status, outcome.exit_code) == ("complete", 0)
    assert sorted(seen.of(VlanCreated)) == ["vlan-created 1 one", "vlan-created 2 two"]
    calls = {
        (event.body.job, event.body.call, event.body.id, event.body.limit_s)
        for event in seen.events
        if isinstance(event.body, CallMade) and event.body.id != "met"
    }
    assert calls == {
        (1, "send", "one", None),
        (2, "wait", "one", 120.0),
        (2, "send", "two", None),
        (3, "wait", "two", 120.0),
    }
    assert seen.is_clean()


def test_the_message_says_what_the_switches_call_the_vlan() -> None:
    _, seen = rehearsed(definition({"a": ["one", "two"], "b": ["two"]}))
    [sent] = [
        event.body.data
        for event in seen.events
        if isinstance(event.body, CallMade) and event.body.id == "two" and event.body.data
    ]
    assert sent == {"vlan_name": "2", "vlan_tag": "2"}


def test_the_first_node_of_a_role_makes_the_vlan_for_all_of_them() -> None:
    group = definition({"server": ["one"], "client": ["one"]}, {"server": 2, "client": 3})
    outcome, seen = rehearsed(group)
    assert outcome.exit_code == 0
    assert seen.of(VlanCreated) == ["vlan-created 1 one"]
    assert sorted(seen.of(PortMoved)) == [f"port-moved {job} one" for job in range(1, 6)]
    assert seen.is_clean()


def test_a_vlan_is_deleted_by_the_last_that_leaves_it() -> None:
    _, seen = rehearsed(definition({"a": ["one"], "b": ["one"], "c": ["one"]}))
    ended = [event.body.job for event in seen.events if isinstance(event.body, JobEnded)]
    assert seen.of(VlanDeleted) == [f"vlan-deleted {ended[-1]} one"]


def test_a_group_with_a_hundred_vlans_is_rehearsed() -> None:
    ring = {f"n{each}": [f"v{each}", f"v{(each + 1) % 100}"] for each in range(100)}
    outcome, seen = rehearsed(definition(ring))
    assert outcome.exit_code == 0
    assert len(seen.of(VlanCreated)) == 100
    assert len(seen.of(PortMoved)) == 200
    names = {event.body.name for event in seen.events if isinstance(event.body, VlanCreated)}
    assert len(names) == 100
    assert seen.is_clean()


def test_who_can_not_make_a_vlan_fails_and_who_waits_for_it_learns_it() -> None:
    group = definition({"a": ["one"], "b": ["one"]})
    outcome, seen = rehearsed(group, fails=failing("create", "one"))
    assert outcome.exit_code == 4
    assert seen.errors[1] == "InfrastructureError: the switch refuses to create it"
    assert "Waiting for vlan creation failed: lava-wait one" in seen.errors[2]
    assert "1 (a) ended without it" in seen.errors[2]
    assert outcome.duration_s < 10
    assert seen.is_clean()


def test_who_can_not_be_moved_fails_and_the_others_keep_the_vlan() -> None:
    group = definition({"a": ["one"], "b": ["one"]})
    _, seen = rehearsed(group, fails=failing("move", "simulated-2"))
    assert seen.errors[2] == "InfrastructureError: the switch refuses to move it"
    assert seen.of(PortMoved, PortRestored) == ["port-moved 1 one", "port-restored 1 one"]
    assert seen.is_clean()


@pytest.mark.parametrize(
    ("change", "what", "problem"),
    [
        ("restore", "simulated-2", "eth1 of simulated-2 is still in the VLAN one"),
        ("delete", "one", "the VLAN one (1one) is still there"),
    ],
)
def test_what_can_not_be_put_back_is_trouble_of_the_lab(
    change: str, what: str, problem: str
) -> None:
    """It is said by the job, which is incomplete for it, whatever its tests came to."""
    group = definition({"a": ["one"], "b": ["one"]})
    outcome, seen = rehearsed(group, fails=failing(change, what))
    assert outcome.exit_code == 3
    said = f"InfrastructureError: {problem}: the switch refuses to {change} it"
    assert said in seen.errors.values()
    assert isinstance(seen.events[-1].body, RunEnded)


def test_a_job_that_crashes_leaves_its_vlans(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = Job._action_done

    async def crash(job: Job, done: Done | None) -> None:
        if job._job.id == 2:
            raise RuntimeError("a fault of callboard")
        await goes_on(job, done)

    monkeypatch.setattr(Job, "_action_done", crash)
    outcome, seen = rehearsed(definition({"a": ["one"], "b": ["one"], "c": ["one"]}))
    assert seen.errors[2] == "Bug: RuntimeError: a fault of callboard"
    assert outcome.status == "incomplete"
    assert "port-restored 2 one" in seen.of(PortRestored)
    assert seen.is_clean()


def test_a_switch_that_answers_too_late_ends_the_job_at_its_limit() -> None:
    """The action's own limit comes first; what its switch has done then is undone."""

    @define
    class Slow(SwitchModel):
        async def create(self, name: str) -> Vlan:
            await anyio.sleep(100)
            return await SwitchModel.create(self, name)

    text = definition({"a": ["one"]}).text.replace("action: {minutes: 5}", "action: {minutes: 1}")
    group, diagnostics = read_text(text)
    assert group is not None, diagnostics
    seen = Seen(switches=Slow())
    rehearsal = evolve(prepare(group), switches=lambda: seen.switches)
    rehearsal.run(0, [seen.events.append])
    assert seen.errors[1].startswith("JobError: ")
    assert seen.of(VlanCreated, VlanDeleted) == ["vlan-created 1 one", "vlan-deleted 1 one"]
    assert seen.is_clean()


ROLES = "abcd"
VLANS = st.dictionaries(
    st.sampled_from(ROLES),
    st.lists(st.sampled_from(["one", "two", "three"]), max_size=3, unique=True),
    min_size=1,
)


@st.composite
def mishaps(draw: st.DrawFn, roles: Sequence[str]) -> Fault:
    target = (Target(draw(st.sampled_from(roles)), HERE),)
    moment = AtCall(ANY, HERE, draw(st.integers(1, 4)))
    if draw(st.booleans()):
        return Kill(targets=target, at=moment, place=HERE)
    return Hang(targets=target, at=moment, place=HERE)


@given(VLANS, st.integers(0, 2**32), st.data())
def test_whatever_befalls_whom_no_vlan_is_left(
    vlans: dict[str, list[str]], seed: int, data: st.DataObject
) -> None:
    counts = data.draw(st.dictionaries(st.sampled_from(sorted(vlans)), st.integers(1, 3)))
    faults = data.draw(st.lists(mishaps(sorted(vlans)), max_size=2))
    number = data.draw(st.none() | st.integers(0, 8))
    changes: list[str] = []

    def fails(change: str, _what: object) -> None:
        changes.append(change)
        if len(changes) - 1 == number and change in ("create", "move"):
            raise InfrastructureError(f"{change} failed")

    group = definition(vlans, counts)
    _, seen = rehearsed(group, *faults, seed=seed, fails=fails)
    assert seen.is_clean()
    makers: dict[str, int] = {}
    users = [role for role in vlans for _ in range(counts.get(role, 1))]
    for job, role in enumerate(users, 1):
        for vlan in vlans[role]:
            makers.setdefault(vlan, job)
    for event in seen.events:
        if isinstance(event.body, VlanCreated):
            assert event.body.job == makers[event.body.vlan]


def test_a_rehearsal_with_vlans_is_the_same_each_time() -> None:
    run = partial(rehearsed, definition({"a": ["one"], "b": ["one", "two"], "c": ["two"]}))
    assert run(seed=3)[1].events == run(seed=3)[1].events


def test_a_message_of_a_test_that_is_called_like_a_vlan_is_not_taken_for_it() -> None:
    text = definition({"a": ["one"], "b": ["one"], "c": []}).text.replace(
        "- deploy:\n    role: [a, b, c]",
        "- deploy:\n    role: [c]\n    to: tmpfs\n    images: {rootfs: {url: http://x.example/y}}\n"
        "    protocols:\n      lava-multinode:\n"
        "      - {action: lava-overlay, request: lava-send, messageID: one}\n"
        "- deploy:\n    role: [a]\n    to: tmpfs\n    images: {rootfs: {url: http://x.example/y}}\n"
        "    protocols:\n      lava-multinode:\n"
        "      - {action: lava-overlay, request: lava-wait, messageID: never}\n"
        "- deploy:\n    role: [a, b]",
    )
    group, diagnostics = read_text(text)
    assert group is not None, diagnostics
    _, seen = rehearsed(group)
    assert seen.errors[2].startswith(
        "JobError: Waiting for vlan creation failed: the message one came from job 3, not from "
        "job 1, which makes the VLAN"
    )
    assert seen.is_clean()
