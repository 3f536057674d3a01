"""The switchboard of a group: VLANs are there while somebody uses them, and not any longer."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from attrs import define, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.drivers.switches import Port, Vlan
from callboard.actors.errors import ActionError, InfrastructureError, JobError
from callboard.actors.vland import Switchboard, SwitchboardMessage
from callboard.actors.vland.messages import CreateVlan, LeaveVlans, MovePort
from callboard.actors.vland.switchboard import CHANGE_S, LEAVING_S, Membership
from callboard.events import (
    Event,
    Message,
    PortMoved,
    PortRestored,
    VlanCreated,
    VlanDeleted,
)
from callboard.journal import Journal
from callboard.runtime import ActorRef, ActorStopped, ActorSystem, run_virtual
from callboard.simulation.switches import SwitchModel

Board = ActorRef[SwitchboardMessage]


@define
class Lab:
    """Switches whose changes take a while, and some of which fail.

    Attributes:
        model: What they are in the end.
        takes_s: How long each change takes, in turn.
        failing: Which changes fail, by their number.
        late: Whether VLANs are there at once, and only their replies take a while.
        changes: What was done, in order.
        busy: The VLANs with which something is under way.
        clashes: What was begun though another change of the same VLAN was under way.
    """

    model: SwitchModel = field(factory=SwitchModel)
    takes_s: Sequence[float] = (0.0,)
    failing: frozenset[int] = frozenset()
    late: bool = False
    changes: list[str] = field(factory=list[str])
    busy: set[str] = field(factory=set[str])
    clashes: list[str] = field(factory=list[str])
    _places: dict[Port, Vlan] = field(factory=dict[Port, Vlan])

    async def create(self, name: str) -> Vlan:
        made = await self.model.create(name) if self.late else None
        await self._take(name, f"create {name}")
        return made or await self.model.create(name)

    async def move(self, port: Port, vlan: Vlan) -> None:
        self._places[port] = vlan
        await self._take(vlan.name, f"move {port.device} {vlan.name}")
        await self.model.move(port, vlan)

    async def restore(self, port: Port) -> None:
        await self._take(self._places[port].name, f"restore {port.device}")
        await self.model.restore(port)

    async def delete(self, vlan: Vlan) -> None:
        await self._take(vlan.name, f"delete {vlan.name}")
        await self.model.delete(vlan)

    async def _take(self, name: str, change: str) -> None:
        number = len(self.changes)
        self.changes.append(change)
        if name in self.busy:
            self.clashes.append(change)
        self.busy.add(name)
        try:
            await anyio.sleep(self.takes_s[number % len(self.takes_s)])
        finally:
            self.busy.discard(name)
        if number in self.failing:
            raise InfrastructureError(f"{change} failed")


@frozen
class Stage:
    """A switchboard at work, what it says, and those who may use VLANs, until they leave."""

    board: Board
    events: list[Event]
    present: set[int]

    async def deploy(self, member: int, vlan: str) -> None:
        made = await self.board.ask(CreateVlan(member, vlan))
        await self.board.ask(MovePort(member, vlan, made.id))

    async def leave(self, member: int) -> tuple[str, ...]:
        self.present.discard(member)
        return await self.board.ask(LeaveVlans(member))

    async def end(self, how: str) -> None:
        self.present.clear()
        await (self.board.stop() if how == "stop" else self.board.cancel())

    def said(self, *kinds: type) -> list[str]:
        return [
            f"{type(each.body).__name__} {getattr(each.body, 'job', '')}"
            for each in self.events
            if isinstance(each.body, kinds)
        ]


def on_stage(
    lab: Lab, users: Mapping[int, Sequence[str]], play: Callable[[Stage], Awaitable[None]]
) -> list[Event]:
    """Play something with a switchboard in virtual time, and end it; returns the events.

    No VLAN is deleted before its users have left, except at the end.
    """
    events: list[Event] = []
    present = set(users)

    def see(event: Event) -> None:
        events.append(event)
        if isinstance(event.body, VlanDeleted):
            vlan = event.body.vlan
            assert not present & {member for member, vlans in users.items() if vlan in vlans}

    async def main() -> None:
        journal = Journal(anyio.current_time, sinks=[see])
        members = tuple(
            Membership(member, {vlan: Port(f"d{member}", vlan) for vlan in vlans})
            for member, vlans in users.items()
        )
        makers: dict[str, int] = {}
        for member, vlans in users.items():
            for vlan in vlans:
                makers.setdefault(vlan, member)
        async with ActorSystem() as system:
            switches = dict.fromkeys(makers, lab)
            board = system.spawn(lambda: Switchboard(members, switches, makers, journal), "board")
            await play(Stage(board, events, present))
            present.clear()

    run_virtual(main)
    return events


CHANGES = (VlanCreated, PortMoved, PortRestored, VlanDeleted)


def test_a_vlan_is_made_once_and_deleted_when_the_last_has_left() -> None:
    lab = Lab()

    async def play(stage: Stage) -> None:
        await stage.deploy(1, "a")
        await stage.deploy(2, "a")
        assert await stage.leave(1) == ()
        assert await stage.leave(2) == ()
        assert stage.said(*CHANGES) == [
            "VlanCreated 1",
            "PortMoved 1",
            "PortMoved 2",
            "PortRestored 1",
            "PortRestored 2",
            "VlanDeleted 2",
        ]

    on_stage(lab, {1: ["a"], 2: ["a"]}, play)
    assert (lab.model.vlans, lab.model.places) == ({}, {})


def test_a_vlan_waits_for_users_who_have_not_come_yet() -> None:
    async def play(stage: Stage) -> None:
        await stage.deploy(1, "a")
        await stage.leave(1)
        await stage.deploy(2, "a")
        await stage.leave(2)
        assert stage.said(VlanCreated, VlanDeleted) == ["VlanCreated 1", "VlanDeleted 2"]

    on_stage(Lab(), {1: ["a"], 2: ["a"]}, play)


def test_who_deploys_twice_is_moved_once() -> None:
    lab = Lab()

    async def play(stage: Stage) -> None:
        await stage.deploy(1, "a")
        await stage.deploy(1, "a")

    on_stage(lab, {1: ["a"]}, play)
    assert lab.changes == ["create 1a", "move d1 1a", "restore d1", "delete 1a"]


def test_who_has_left_is_let_in_no_more() -> None:
    async def play(stage: Stage) -> None:
        await stage.leave(1)
        with pytest.raises(InfrastructureError, match="job 1 has left the VLAN a"):
            await stage.deploy(1, "a")
        assert await stage.leave(1) == ()

    on_stage(Lab(), {1: ["a"]}, play)


def test_a_vlan_that_the_message_names_wrongly_is_not_entered() -> None:
    async def play(stage: Stage) -> None:
        with pytest.raises(JobError, match="the VLAN a is not 7, as the message says: there is"):
            await stage.board.ask(MovePort(1, "a", 7))
        await stage.deploy(1, "a")
        with pytest.raises(JobError, match="the VLAN a is not 7, as the message says: it is 1"):
            await stage.board.ask(MovePort(1, "a", 7))

    on_stage(Lab(), {1: ["a"]}, play)


def test_what_can_not_be_put_back_is_said_and_tried_once_more_at_the_end() -> None:
    lab = Lab(failing=frozenset({2}))

    async def play(stage: Stage) -> None:
        await stage.deploy(1, "a")
        problems = await stage.leave(1)
        assert problems == (
            "a of d1 is still in the VLAN a: restore d1 failed",
            "the VLAN a (1a) is still there: a of d1 still use 1a",
        )
        await stage.end("stop")
        assert stage.said(PortRestored, VlanDeleted) == ["PortRestored 1", "VlanDeleted 1"]

    on_stage(lab, {1: ["a"]}, play)
    assert (lab.model.vlans, lab.model.places) == ({}, {})


def test_a_locked_port_fails_its_job_and_leaves_nothing() -> None:
    port = Port("d1", "a")
    lab = Lab(SwitchModel(locked=[port]))

    async def play(stage: Stage) -> None:
        with pytest.raises(InfrastructureError, match="a of d1 is locked on its switch"):
            await stage.deploy(1, "a")
        assert await stage.leave(1) == ()

    events = on_stage(lab, {1: ["a"]}, play)
    assert lab.model.vlans == {}
    assert not any(isinstance(event.body, Message) for event in events)


def test_a_switch_that_never_answers_is_given_up() -> None:
    lab = Lab(takes_s=(10 * CHANGE_S,))

    async def play(stage: Stage) -> None:
        with pytest.raises(InfrastructureError, match="creating it as 1a took longer than 120 s"):
            await stage.deploy(1, "a")
        assert anyio.current_time() == CHANGE_S

    on_stage(lab, {1: ["a"]}, play)


@pytest.mark.parametrize("end", ["leave", "stop", "cancel"])
def test_switches_that_answer_no_more_keep_nobody_for_long(end: str) -> None:
    users = {member: [f"v{number}" for number in range(5)] for member in range(20)}
    takes_s = [0.0] * 105 + [10 * CHANGE_S] * 1000  # all are made and moved, and that was it
    lab = Lab(takes_s=takes_s)
    problems: list[str] = []

    async def leave(stage: Stage, member: int) -> None:
        problems.extend(await stage.leave(member))

    async def play(stage: Stage) -> None:
        for member, vlans in users.items():
            for vlan in vlans:
                await stage.deploy(member, vlan)
        assert len(lab.changes) == 105
        began_s = anyio.current_time()
        if end == "leave":
            async with anyio.create_task_group() as tasks:
                for member in users:
                    tasks.start_soon(leave, stage, member)
        else:
            await stage.end(end)
            problems.extend(stage.said(Message))
        assert len(problems) == 20 * 5 + 5, "of every port and of every VLAN"
        assert anyio.current_time() - began_s <= LEAVING_S + 1

    on_stage(lab, users, play)


def test_a_change_that_nobody_waits_for_any_more_is_not_begun() -> None:
    lab = Lab(takes_s=(100.0, 1.0))

    async def play(stage: Stage) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.deploy, 1, "a")
            await anyio.sleep(1)
            with anyio.move_on_after(1):
                await stage.deploy(2, "a")
            tasks.start_soon(stage.leave, 2)

    on_stage(lab, {1: ["a"], 2: ["a"]}, play)
    assert lab.changes == ["create 1a", "move d1 1a", "restore d1", "delete 1a"]


def test_a_port_of_which_nobody_knows_where_it_is_is_named() -> None:
    lab = Lab(failing=frozenset({1, 2}))  # it is neither moved nor put back

    async def play(stage: Stage) -> None:
        with pytest.raises(InfrastructureError, match="move d1 1a failed"):
            await stage.deploy(1, "a")
        assert await stage.leave(1) == ("a of d1 may be in the VLAN a: restore d1 failed",)

    on_stage(lab, {1: ["a"]}, play)


def test_another_vlan_does_not_wait_for_a_slow_one() -> None:
    lab = Lab(takes_s=(60.0, 1.0))  # the first of all changes is slow

    async def play(stage: Stage) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.deploy, 1, "a")
            await anyio.sleep(0.1)
            await stage.board.ask(CreateVlan(2, "b"))
            assert anyio.current_time() == pytest.approx(1.1)

    on_stage(lab, {1: ["a"], 2: ["b"]}, play)


def test_a_change_that_nobody_waits_for_is_brought_to_its_end() -> None:
    lab = Lab(takes_s=(5.0,))

    async def play(stage: Stage) -> None:
        with anyio.move_on_after(1):
            await stage.deploy(1, "a")
        await stage.leave(1)
        assert stage.said(*CHANGES) == ["VlanCreated 1", "VlanDeleted 1"]

    on_stage(lab, {1: ["a"]}, play)
    assert lab.model.vlans == {}


@pytest.mark.parametrize("after_s", [0.5, 1.5, 2.5])
def test_a_switchboard_that_is_ended_at_once_undoes_what_it_was_doing(after_s: float) -> None:
    lab = Lab(takes_s=(1.0,), late=True)

    async def play(stage: Stage) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_ignoring(partial(stage.deploy, 1, "a")))
            await anyio.sleep(after_s)
            await stage.end("cancel")

    on_stage(lab, {1: ["a"]}, play)
    assert (lab.model.vlans, lab.model.places) == ({}, {})


def _ignoring(deed: Callable[[], Awaitable[None]]) -> Callable[[], Coroutine[None, None, None]]:
    async def do() -> None:
        with suppress(ActionError, ActorStopped):
            await deed()

    return do


@frozen
class Part:
    """What a member does: it deploys a while after the beginning, gives up, or stays, and leaves.

    Attributes:
        vlans: The VLANs that it uses.
        comes_s: When it deploys them.
        patience_s: How long it waits for that.
        stays_s: How long it stays.
        leaves: Whether it leaves by itself.
    """

    vlans: tuple[str, ...]
    comes_s: float
    patience_s: float
    stays_s: float
    leaves: bool


MOMENTS = st.sampled_from([0.0, 0.5, 1.0, 2.5, 7.0])
PARTS = st.builds(
    Part,
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True).map(tuple),
    MOMENTS,
    MOMENTS,
    MOMENTS,
    st.booleans(),
)


@given(
    st.lists(PARTS, min_size=1, max_size=4),
    st.lists(MOMENTS, min_size=1, max_size=5),
    st.frozensets(st.integers(0, 15), max_size=4),
    st.sampled_from(["stop", "cancel"]),
)
def test_a_vlan_is_never_deleted_while_it_is_used_and_none_is_left_at_the_end(
    parts: list[Part], takes_s: list[float], failing: frozenset[int], end: str
) -> None:
    """Whoever comes, gives up, fails and leaves, in whatever order; failures pass."""
    lab = Lab(takes_s=takes_s, failing=failing)

    async def act(stage: Stage, member: int, part: Part) -> None:
        await anyio.sleep(part.comes_s)
        with anyio.move_on_after(part.patience_s):
            for vlan in part.vlans:
                await _ignoring(partial(stage.deploy, member, vlan))()
        await anyio.sleep(part.stays_s)
        if part.leaves:
            await stage.leave(member)

    async def play(stage: Stage) -> None:
        async with anyio.create_task_group() as tasks:
            for member, part in enumerate(parts):
                tasks.start_soon(act, stage, member, part)
        assert not any(place not in lab.model.vlans for place in lab.model.places.values())
        await stage.end(end)

    events = on_stage(lab, {n: part.vlans for n, part in enumerate(parts)}, play)
    assert lab.clashes == []
    said = [event.body for event in events]
    if not any(isinstance(body, Message) for body in said):
        assert (lab.model.vlans, lab.model.places) == ({}, {})
        created = [body.name for body in said if isinstance(body, VlanCreated)]
        assert created == sorted(created, key=created.index)
        assert sorted(created) == sorted(
            body.name for body in said if isinstance(body, VlanDeleted)
        )
