"""The nodes of a real run: what each job has to itself, made of what this machine reaches."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from attrs import evolve, frozen

from callboard.actors.drivers import Container, Node
from callboard.actors.drivers.abilities import DRIVERS
from callboard.actors.drivers.bare import BareNode
from callboard.actors.drivers.commanded import CommandNode
from callboard.actors.drivers.lxc.container import LxcContainer
from callboard.actors.drivers.lxc.node import LxcNode, NoDevice
from callboard.actors.drivers.lxc.order import order_of, order_of_device
from callboard.actors.drivers.lxc.reclaim import reclaim
from callboard.actors.drivers.lxc.requirements import Machine as ThisMachine
from callboard.actors.drivers.lxc.requirements import as_root, install, missing
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.sandboxed import Sandbox, SandboxedNode, open_sandbox
from callboard.actors.drivers.ssh import Guest, KeyRing, Login, Machine, Trust, open_key_ring
from callboard.actors.lxc.download import Download
from callboard.actors.lxc.protocol import Commands
from callboard.actors.overlay import Access
from callboard.actors.placement import Placement
from callboard.actors.support import driver_of
from callboard.definition import pipeline
from callboard.definition.command_devices import CommandDevice
from callboard.definition.devices import (
    Device,
    DevicesFile,
    Driver,
    LocalLimits,
    Means,
    SimulatedDevice,
)
from callboard.definition.lxc_devices import LxcDevice
from callboard.definition.model import NodeJob
from callboard.definition.ssh_devices import SSH_PORT, SshDevice
from callboard.reservation import reserve
from callboard.state import state_directory

_SSH = ("ssh", "ssh-keygen")


class NodesUnavailable(Exception):
    """This machine lacks what the nodes of a group need; the text says what that is.

    Args:
        text: What can't be had, and why.
        cure: The commands that would mend it.
    """

    def __init__(self, text: str, cure: str) -> None:
        super().__init__(text)
        self.cure = cure


@frozen
class Wanted:
    """What a run wants of its nodes.

    Attributes:
        run: The run's UUID.
        jobs: All jobs of the group.
        devices: The devices to choose from; None gives every node a device of its own.
        queue_s: How long to wait for busy devices, in seconds; None waits as long as it takes.
        sandbox: Whether local nodes get a throw-away view of the machine.
        background: Of each role whether its tests may have work in the background.
        download: Downloads files for containers.
    """

    run: str
    jobs: Sequence[NodeJob]
    devices: DevicesFile | None
    queue_s: float | None
    sandbox: bool
    background: Mapping[str, bool]
    download: Download


@contextlib.asynccontextmanager
async def open_nodes(
    wanted: Wanted, waiting: Callable[[frozenset[str]], None]
) -> AsyncIterator[tuple[Placement, ...]]:
    """Where each job of a group runs; on leaving, what the nodes share has ended.

    Args:
        wanted: What is wanted.
        waiting: Called once if there is a wait, with the names of the busy devices.

    Raises:
        QueueTimeout: The devices stayed busy for too long.
        SandboxUnavailable: This machine can't make throw-away nodes.
        NodesUnavailable: It can't make containers, or log in anywhere.
        OSError: The state directory or the keys of the run can't be written.
    """
    async with contextlib.AsyncExitStack() as resources:
        chosen: Mapping[int, Device] = {}
        if wanted.devices is not None:
            needy = [job for job in wanted.jobs if job.device_type is not None]
            usable = [each for each in wanted.devices.devices if each.driver in DRIVERS]
            reserved = await reserve(needy, wanted.devices, usable, wanted.queue_s, waiting)
            resources.callback(reserved.release)
            chosen = reserved.devices
        seats = tuple(
            _Seat(job, driver_of(job, chosen.get(job.id)), number, chosen.get(job.id))
            for number, job in enumerate(wanted.jobs, 1)
        )
        _demand_containers(seats)
        _demand_ssh(seats)
        tools = Tools(Store(state_directory() / "lxc"))
        await reclaim(tools, _unsaid)
        maker = _Maker(
            wanted,
            {seat.role: seat for seat in reversed(seats)},
            await _sandbox(wanted, seats, resources),
            await _ring(seats, resources),
            tools,
        )
        yield tuple([await maker.place(seat) for seat in seats])


def _demand_containers(seats: Sequence["_Seat"]) -> None:
    """See that this machine makes the containers of a group; raises NodesUnavailable."""
    templates = {seat.template for seat in seats} - {None}
    if not templates:
        return
    if lacking := missing([each for each in templates if each is not None]):
        text = "; ".join(each.detail for each in lacking)
        cures = dict.fromkeys(each.cure for each in lacking if each.cure)
        raise NodesUnavailable(f"this machine can't make containers: {text}", "; ".join(cures))


def _demand_ssh(seats: Sequence["_Seat"]) -> None:
    """See that logins can be made; raises NodesUnavailable."""
    machine = ThisMachine()
    lacking = [each for each in _SSH if machine.tool(each) is None]
    if lacking and any(seat.logs_in for seat in seats):
        text = f"this machine can't log in over ssh: there is no {', no '.join(lacking)}"
        raise NodesUnavailable(text, as_root(machine, install(machine, "openssh-client")))


async def _sandbox(
    wanted: Wanted, seats: Sequence["_Seat"], resources: contextlib.AsyncExitStack
) -> Sandbox | None:
    """What local nodes are in, None when there are none or they are to be without."""
    if not wanted.sandbox or all(seat.driver != "local" for seat in seats):
        return None
    sandbox = await resources.enter_async_context(open_sandbox())
    await sandbox.probe()
    return sandbox


async def _ring(seats: Sequence["_Seat"], resources: contextlib.AsyncExitStack) -> KeyRing | None:
    """The keys of the run, None when nobody logs in anywhere."""
    if not any(seat.logs_in for seat in seats):
        return None
    return await resources.enter_async_context(open_key_ring())


@frozen
class _Seat:
    """A job, and what it is to run on."""

    job: NodeJob
    driver: Driver
    number: int
    device: Device | None

    @property
    def name(self) -> str:
        """Of the device; without a devices file it has the driver's and a number."""
        return self.device.name if self.device else f"{self.driver}-{self.number}"

    @property
    def role(self) -> str:
        """The job's role, empty in a job without roles."""
        return self.job.role.name if self.job.role else ""

    @property
    def means(self) -> Means | None:
        """What its node is made of, None for the login of a guest."""
        if self.device is not None:
            return self.device.means
        match self.driver:
            case "lxc":
                return LxcDevice()
            case "local":
                return LocalLimits()
            case _:
                return None

    @property
    def lxc(self) -> LxcDevice:
        """What the devices file says of a container of the device."""
        return self.means if isinstance(self.means, LxcDevice) else LxcDevice()

    @property
    def ssh(self) -> SshDevice | None:
        """What it says of a fixed machine, None where it is none."""
        return self.means if isinstance(self.means, SshDevice) else None

    @property
    def commands(self) -> Commands:
        """What requests of definitions run on this machine."""
        if self.device is None:
            return {}
        return {
            "pre-os-command": self.device.pre_os_command,
            "pre-power-command": self.device.pre_power_command,
        }

    @property
    def authorizes(self) -> bool:
        """Whether others may log in on what it deploys."""
        return any(block.authorizes_ssh for block in self.job.blocks)

    @property
    def template(self) -> str | None:
        """What its container is made from, None where it has none."""
        if self.job.container is not None:
            return self.job.container.template
        return self.lxc.template if self.driver == "lxc" else None

    @property
    def logs_in(self) -> bool:
        """Whether keys of the run are needed: it is a login, or others log in on it."""
        return self.driver == "ssh" or self.authorizes

    def is_made_here(self, *, sandbox: bool) -> bool:
        """Whether its system is made for the job, its host key with it."""
        hosts = [block for block in self.job.blocks if block.authorizes_ssh]
        namespaces = self.job.contained_namespaces
        contained = all(block.namespace in namespaces for block in hosts)
        thrown_away = self.driver == "lxc" or (self.driver == "local" and sandbox)
        return bool(hosts) and (contained or thrown_away)


@frozen
class _Maker:
    """Makes what jobs have to themselves.

    Attributes:
        wanted: What the run wants.
        hosts: The first seat of each role.
        sandbox: What local nodes are in.
        ring: The keys of those who log in.
        tools: What makes containers.
    """

    wanted: Wanted
    hosts: Mapping[str, _Seat]
    sandbox: Sandbox | None
    ring: KeyRing | None
    tools: Tools

    async def place(self, seat: _Seat) -> Placement:
        """What a job has to itself; raises OSError."""
        return Placement(
            seat.job,
            pipeline(seat.job),
            seat.name,
            seat.driver,
            await self._node(seat),
            self._container(seat),
            seat.commands,
            await self._access(seat),
            self.wanted.download,
            self.wanted.background.get(seat.role, True),
        )

    async def _node(self, seat: _Seat) -> Node:
        match seat.means:
            case None:
                return await self._guest(seat)
            case SshDevice() as ssh:
                return self._machine(seat, ssh)
            case CommandDevice() as console:
                return CommandNode(seat.name, console, seat.commands)
            case LxcDevice() if seat.job.container is not None:
                return NoDevice(seat.name)
            case LxcDevice() as lxc:
                order = order_of_device(seat.name, lxc, self.wanted.run, seat.job.id)
                return LxcNode(LxcContainer(self.tools, order), lxc.packages)
            case LocalLimits() as limits:
                sandbox, name = self.sandbox, seat.name
                return SandboxedNode(name, sandbox, limits) if sandbox else BareNode(name)
            case SimulatedDevice():
                raise AssertionError("those are for rehearsals, and never reserved")

    def _container(self, seat: _Seat) -> Container | None:
        if seat.job.container is None:
            return None
        lxc = seat.lxc
        order = order_of(seat.job.container, self.wanted.run, seat.job.id, lxc.limits, lxc.mounts)
        return LxcContainer(self.tools, order)

    def _machine(self, seat: _Seat, ssh: SshDevice) -> Machine:
        assert self.ring is not None, "it is there for every login"
        login = Login(
            self._known(seat),
            ssh.identity_file,
            configured=True,
            cure="see that `identity_file` or the agent has a key that it lets in",
            key_cure="mend `host_key` in the devices file, if the machine has a new one",
            server_cure="see that its ssh server runs, and that `port` is its port",
            address_cure="mend `address` in the devices file",
        )
        return Machine(seat.name, ssh.address, login, self.ring)

    async def _guest(self, seat: _Seat) -> Guest:
        """A login on the host of its role, whose key is known where it was made here."""
        assert self.ring is not None, "it is there for every login"
        assert seat.job.role is not None, "guests have one"
        host = self.hosts[seat.job.role.host_role or ""]
        await self.ring.access(host.role)
        made = host.is_made_here(sandbox=self.sandbox is not None)
        trust = self.ring.made_for(host.role) if made else self._known(host)
        login = Login(trust, self.ring.identity)
        if host.driver == "local" and host.authorizes and not made:
            login = evolve(login, cure="run it without --no-sandbox, so that its host lets them in")
        return Guest(
            seat.name,
            login,
            self.ring,
            port=host.device.ssh_port if host.device else SSH_PORT,
            user=host.ssh.address.user if host.ssh else "root",
        )

    def _known(self, host: _Seat) -> Trust:
        """Trust in a system that was there before the run."""
        assert self.ring is not None, "it is there for every login"
        if host.ssh is not None and host.ssh.host_keys:
            return self.ring.listed(host.ssh.host_keys)
        return self.ring.first_seen()

    async def _access(self, seat: _Seat) -> Access | None:
        """The keys that a host is to have; all hosts of a role have the same."""
        if self.ring is None or not seat.authorizes:
            return None
        return await self.ring.access(seat.role)


def _unsaid(_line: str) -> None:
    """What can't be cleaned up is no matter of this run; `callboard lxc gc` tells it."""
