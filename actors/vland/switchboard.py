"""The VLANs of a group: made, shared and deleted by one actor, whatever moves the ports."""

import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import anyio
from attrs import define, field, frozen

from callboard.actors.drivers.switches import Port, Switches, Vlan
from callboard.actors.errand import Errand, Perform
from callboard.actors.errors import ActionError, InfrastructureError, JobError
from callboard.actors.vland.messages import (
    Changed,
    CreateVlan,
    LeaveVlans,
    MovePort,
    SwitchboardMessage,
)
from callboard.actors.vland.names import names_of
from callboard.events import Body, Message, PortMoved, PortRestored, VlanCreated, VlanDeleted
from callboard.journal import Journal
from callboard.runtime import Actor, Outcome, Reply

T = TypeVar("T")

CHANGE_S = 120.0
"""How long one change may take (LAVA: the shortest limit of `deploy_vlans`)."""

LEAVING_S = 240.0
"""How long it may take to let a member go, and to undo what is left when the group has ended."""


@frozen
class Membership:
    """A job that uses VLANs.

    Attributes:
        member: Its id.
        ports: The port that it has in each of them, by the VLAN's name in the definition.
    """

    member: int
    ports: Mapping[str, Port]


@frozen
class _Change:
    """Something to be done with a VLAN, and who is told of its end."""

    operation: Callable[[], Awaitable[object]]
    ended: Callable[[Outcome[object]], None]


@define
class _Leaving:
    """A member that leaves: the VLANs that still have to let it go, and what went wrong."""

    reply: Reply[tuple[str, ...]]
    left: set[str]
    problems: list[str] = field(factory=list[str])


@define
class _Shared:
    """A VLAN of the group.

    Attributes:
        name: What the definition calls it.
        title: What its switches call it.
        maker: The member that has it made.
        switches: What moves ports into it.
        users: Those who may still be in it, or come.
        vlan: The VLAN itself, None while there is none.
        ports: The ports that are in it, by member.
        doubtful: Those of them of which nobody knows where they are, for moving them failed.
        changes: What is to be done with it, the first of it under way.
    """

    name: str
    title: str
    maker: int
    switches: Switches
    users: set[int]
    vlan: Vlan | None = None
    ports: dict[int, Port] = field(factory=dict[int, Port])
    doubtful: set[int] = field(factory=set[int])
    changes: deque[_Change] = field(factory=deque[_Change])


class Switchboard(Actor[SwitchboardMessage]):
    """Changes each VLAN in one way at a time, and different ones side by side.

    A VLAN is there from the first request for it until the last of its users has left, however
    that came about. A change that has begun is brought to its end even if nobody waits for it any
    more, so that it is known what there is to be undone; one that hasn't is left out then.

    Args:
        members: Every job that uses VLANs.
        switches: By the name of each VLAN, what moves its ports.
        makers: By the name of each VLAN, the job that makes it.
        journal: Where it is recorded what happens.
    """

    def __init__(
        self,
        members: tuple[Membership, ...],
        switches: Mapping[str, Switches],
        makers: Mapping[str, int],
        journal: Journal,
    ) -> None:
        self._journal = journal
        self._ports = {each.member: each.ports for each in members}
        self._changes = 0
        self._vlans = {
            name: _Shared(
                name,
                title,
                makers[name],
                switches[name],
                {each.member for each in members if name in each.ports},
            )
            for name, title in names_of(makers).items()
        }

    async def stopped(self) -> None:
        """Undo what is left: nobody is in any VLAN any more."""
        by_s = anyio.current_time() + LEAVING_S
        async with anyio.create_task_group() as tasks:
            for vlan in self._vlans.values():
                tasks.start_soon(self._clear, vlan, by_s)

    async def _clear(self, vlan: _Shared, by_s: float) -> None:
        for member in sorted(vlan.ports):
            for problem in await self._restore(vlan, member, by_s):
                self._say(member, problem)
        vlan.users.clear()
        for problem in await self._delete(vlan, vlan.maker, by_s):
            self._say(vlan.maker, problem)

    def receive(self, message: SwitchboardMessage) -> None:
        """Take note of what is to be done; never waits for a switch."""
        match message:
            case CreateVlan(member, name):
                self._serve(message, name, lambda vlan: self._create(vlan, member))
            case MovePort(member, name, vlan_id):
                self._serve(message, name, lambda vlan: self._move(vlan, member, vlan_id))
            case LeaveVlans():
                self._leave(message)
            case Changed(name, outcome):
                self._changed(self._vlans[name], outcome.value or Outcome(error=outcome.error))

    def _serve(
        self,
        request: CreateVlan | MovePort,
        name: str,
        operation: Callable[[_Shared], Awaitable[object]],
    ) -> None:
        reply: Reply[object] = self.context.defer(request)
        vlan = self._vlans[name]

        def ended(outcome: Outcome[object]) -> None:
            if outcome.error is None:
                reply.send(outcome.value)
            else:
                reply.fail(outcome.error)

        async def wanted() -> object:
            if not reply.open:
                raise InfrastructureError("nobody waits for it any more")
            return await operation(vlan)

        self._enter(vlan, _Change(wanted, ended))

    def _leave(self, request: LeaveVlans) -> None:
        member = request.member
        reply = self.context.defer(request)
        names = [*self._ports.get(member, ())]
        leaving = _Leaving(reply, set(names))
        by_s = anyio.current_time() + LEAVING_S
        if not names:
            reply.send(())
        for name in names:
            vlan = self._vlans[name]

            def ended(outcome: Outcome[object], name: str = name) -> None:
                match outcome:
                    case Outcome(value=tuple(problems)):
                        leaving.problems += map(str, problems)
                    case Outcome(error=error):
                        leaving.problems.append(_words(error))
                leaving.left.discard(name)
                if not leaving.left:
                    leaving.reply.send(tuple(leaving.problems))

            def let_go(vlan: _Shared = vlan) -> Awaitable[object]:
                return self._let_go(vlan, member, by_s)

            self._enter(vlan, _Change(let_go, ended))

    # One change of a VLAN after the other

    def _enter(self, vlan: _Shared, change: _Change) -> None:
        vlan.changes.append(change)
        if len(vlan.changes) == 1:
            self._begin(vlan)

    def _begin(self, vlan: _Shared) -> None:
        self._changes += 1
        worker = self.context.spawn(Errand, f"change-{self._changes}")
        operation = vlan.changes[0].operation
        self.context.pipe(worker, Perform(operation), lambda outcome: Changed(vlan.name, outcome))

    def _changed(self, vlan: _Shared, outcome: Outcome[object]) -> None:
        vlan.changes.popleft().ended(outcome)
        if vlan.changes:
            self._begin(vlan)

    # The changes

    async def _create(self, vlan: _Shared, member: int) -> Vlan:
        """Have the VLAN; raises ActionError."""
        self._demand(vlan, member)
        if vlan.vlan is None:
            title = vlan.title
            made = await _finished(f"creating it as {title}", lambda: vlan.switches.create(title))
            vlan.vlan = made
            self._emit(VlanCreated(member, vlan.name, made.name, made.id, made.tag))
        return vlan.vlan

    async def _move(self, vlan: _Shared, member: int, vlan_id: int) -> None:
        """Have the member's port in the VLAN; raises ActionError."""
        self._demand(vlan, member)
        there, port = vlan.vlan, self._ports[member][vlan.name]
        if there is None or there.id != vlan_id:
            known = "there is none" if there is None else f"it is {there.id}"
            raise JobError(f"the VLAN {vlan.name} is not {vlan_id}, as the message says: {known}")
        if member in vlan.ports and member not in vlan.doubtful:
            return
        vlan.ports[member] = port
        vlan.doubtful.add(member)
        await _finished(f"moving {port} into it", lambda: vlan.switches.move(port, there))
        vlan.doubtful.discard(member)
        self._emit(PortMoved(member, vlan.name, port.interface, port.switch, port.number))

    async def _let_go(self, vlan: _Shared, member: int, by_s: float) -> tuple[str, ...]:
        """Put the member's port back, and delete the VLAN when nobody else uses it.

        Returns:
            What went wrong, or could not be done by then.
        """
        problems = await self._restore(vlan, member, by_s)
        vlan.users.discard(member)
        return (*problems, *(() if vlan.users else await self._delete(vlan, member, by_s)))

    async def _restore(self, vlan: _Shared, member: int, by_s: float) -> tuple[str, ...]:
        port = vlan.ports.get(member)
        if port is None:
            return ()
        try:
            await _finished(f"putting {port} back", lambda: vlan.switches.restore(port), by_s)
        except Exception as error:  # whatever it is, the others' ports are to go back, too
            how = "may be" if member in vlan.doubtful else "is still"
            return (f"{port} {how} in the VLAN {vlan.name}: {_words(error)}",)
        del vlan.ports[member]
        if member not in vlan.doubtful:
            restored = PortRestored(member, vlan.name, port.interface, port.switch, port.number)
            self._emit(restored)
        return ()

    async def _delete(self, vlan: _Shared, member: int, by_s: float) -> tuple[str, ...]:
        gone = vlan.vlan
        if gone is None:
            return ()
        try:
            await _finished(f"deleting {gone.name}", lambda: vlan.switches.delete(gone), by_s)
        except Exception as error:  # the same
            return (f"the VLAN {vlan.name} ({gone.name}) is still there: {_words(error)}",)
        vlan.vlan = None
        self._emit(VlanDeleted(member, vlan.name, gone.name, gone.id, gone.tag))
        return ()

    def _demand(self, vlan: _Shared, member: int) -> None:
        if member not in vlan.users:
            raise InfrastructureError(f"job {member} has left the VLAN {vlan.name}")

    def _say(self, member: int, text: str) -> None:
        self._emit(Message(member, "error", text))

    def _emit(self, body: Body) -> None:
        self._journal.emit(self.context.address, body)


async def _finished(what: str, change: Callable[[], Awaitable[T]], by_s: float = math.inf) -> T:
    """Bring a change to its end, even if whoever wants it is being ended.

    Args:
        what: What it does.
        change: Makes it.
        by_s: When it has to be over, by the clock of anyio.

    Raises:
        ActionError: It failed, or took too long.
    """
    limit_s = min(CHANGE_S, by_s - anyio.current_time())
    if limit_s <= 0:
        raise InfrastructureError(f"no time was left for {what}")
    try:
        with anyio.move_on_after(limit_s, shield=True):
            return await change()
    except OSError as error:
        raise InfrastructureError(f"{what} failed: {error}") from error
    raise InfrastructureError(f"{what} took longer than {limit_s:g} s")


def _words(error: Exception | None) -> str:
    """What went wrong, for the job's reader."""
    known = isinstance(error, ActionError)
    return str(error) if known else f"{type(error).__name__}: {error}"
