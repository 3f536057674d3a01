"""The nodes of a real run: what each job has to itself, made of what this machine reaches."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from attrs import evolve, frozen

from callboard.actors.allocation import allocate
from callboard.actors.drivers import Container, Node
from callboard.actors.drivers.abilities import DRIVERS
from callboard.actors.drivers.bare import BareNode
from callboard.actors.drivers.commanded.node import CommandNode
from callboard.actors.drivers.lxc.container import LxcContainer
from callboard.actors.drivers.lxc.node import LxcNode, NoDevice
from callboard.actors.drivers.lxc.order import order_of, order_of_device
from callboard.actors.drivers.lxc.reclaim import reclaim
from callboard.actors.drivers.lxc.requirements import Machine as ThisMachine
from callboard.actors.drivers.lxc.requirements import as_root, install, missing
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.network.attachment import Attached
from callboard.actors.drivers.network.group import GroupNetwork
from callboard.actors.drivers.network.naming import BRIDGE, PRIMARY
from callboard.actors.drivers.sandboxed import Sandbox, SandboxedNode, open_sandbox
from callboard.actors.drivers.ssh import Guest, KeyRing, Login, Machine, Trust, open_key_ring
from callboard.actors.drivers.switches import Switches
from callboard.actors.lxc.download import Download
from callboard.actors.movers import Site, unmoved
from callboard.actors.networks import kind_of
from callboard.actors.overlay import Access
from callboard.actors.placement import Placement
from callboard.actors.support import driver_of
from callboard.actors.wiring import Wiring
from callboard.definition import pipeline
from callboard.definition.command_devices import CommandDevice
from callboard.definition.devices import (
    Device,
    DevicesFile,
    LocalLimits,
    SimulatedDevice,
)
from callboard.definition.diagnostics import DefinitionError
from callboard.definition.lxc_devices import LxcDevice
from callboard.definition.model import NodeJob
from callboard.definition.network import Network, NetworkKind
from callboard.definition.ssh_devices import SSH_PORT, SshDevice
from callboard.networks import NodesUnavailable, is_networked, open_segment
from callboard.reservation import Choice, reserve
from callboard.seats import Seat
from callboard.state import state_directory
from callboard.switching import addressed, open_switches

_SSH = ("ssh", "ssh-keygen")


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
        network: Which network nodes are in that are made here; None leaves it to the devices file,
            else to the definition.
        choice: Chooses among the free devices.
    """

    run: str
    jobs: Sequence[NodeJob]
    devices: DevicesFile | None
    queue_s: float | None
    sandbox: bool
    background: Mapping[str, bool]
    download: Download
    network: NetworkKind | None = None
    choice: Choice = allocate


@frozen
class Nodes:
    """What the jobs of a group run on.

    Attributes:
        placements: Where each job runs.
        switches: By the name of each VLAN, what moves the nodes' interfaces into it.
    """

    placements: tuple[Placement, ...]
    switches: Mapping[str, Switches]


@contextlib.asynccontextmanager
async def open_nodes(
    wanted: Wanted, waiting: Callable[[frozenset[str]], None]
) -> AsyncIterator[Nodes]:
    """Where each job of a group runs; on leaving, what the nodes share has ended.

    Args:
        wanted: What is wanted.
        waiting: Called once if there is a wait, with the names of the busy devices.

    Raises:
        DefinitionError: The devices that are free can't be in the VLANs of their jobs.
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
            queue_s, choice = wanted.queue_s, wanted.choice
            reserved = await reserve(needy, wanted.devices, usable, queue_s, waiting, choice)
            resources.callback(reserved.release)
            chosen = reserved.devices
        seats = tuple(
            Seat(job, driver_of(job, chosen.get(job.id)), number, chosen.get(job.id))
            for number, job in enumerate(wanted.jobs, 1)
        )
        sites = [Site(seat.job, seat.name, seat.device) for seat in seats]
        daemon = wanted.devices.vland if wanted.devices else None
        if found := tuple(unmoved(sites, daemon=daemon is not None)):
            raise DefinitionError(found)
        residents = [seat.resident(site.wiring) for seat, site in zip(seats, sites, strict=True)]
        _demand_containers(seats)
        _demand_ssh(seats)
        tools = Tools(Store(state_directory() / "lxc"))
        await reclaim(tools, _unsaid)
        networked = is_networked(kind_of(wanted.network, wanted.devices), residents)
        sandbox = await _sandbox(wanted, seats, resources, networked=networked)
        segment: GroupNetwork | None = None
        if networked:
            assert sandbox is not None, "it is there for every network"
            settings = wanted.devices.network if wanted.devices else Network()
            segment = await open_segment(wanted.run, settings, residents, sandbox, resources)
        wirings = {
            site.job.id: addressed(site.wiring, wanted.run, site.name, segment) for site in sites
        }
        maker = _Maker(
            wanted,
            {seat.role: seat for seat in reversed(seats)},
            sandbox,
            await _ring(seats, resources),
            tools,
            segment,
            wirings,
        )
        yield Nodes(
            tuple([await maker.place(seat) for seat in seats]),
            await open_switches([*wirings.values()], daemon, segment, wanted.run, resources),
        )


def _demand_containers(seats: Sequence[Seat]) -> None:
    """See that this machine makes the containers of a group; raises NodesUnavailable."""
    templates = {seat.template for seat in seats} - {None}
    if not templates:
        return
    if lacking := missing([each for each in templates if each is not None]):
        text = "; ".join(each.detail for each in lacking)
        cures = dict.fromkeys(each.cure for each in lacking if each.cure)
        raise NodesUnavailable(f"this machine can't make containers: {text}", "; ".join(cures))


def _demand_ssh(seats: Sequence[Seat]) -> None:
    """See that logins can be made; raises NodesUnavailable."""
    machine = ThisMachine()
    lacking = [each for each in _SSH if machine.tool(each) is None]
    if lacking and any(seat.logs_in for seat in seats):
        text = f"this machine can't log in over ssh: there is no {', no '.join(lacking)}"
        raise NodesUnavailable(text, as_root(machine, install(machine, "openssh-client")))


async def _sandbox(
    wanted: Wanted,
    seats: Sequence[Seat],
    resources: contextlib.AsyncExitStack,
    *,
    networked: bool,
) -> Sandbox | None:
    """What local nodes and their network are in, None without any."""
    local = wanted.sandbox and any(seat.driver == "local" for seat in seats)
    if not local and not networked:
        return None
    sandbox = await resources.enter_async_context(open_sandbox())
    if local:
        await sandbox.probe()
    return sandbox


async def _ring(seats: Sequence[Seat], resources: contextlib.AsyncExitStack) -> KeyRing | None:
    """The keys of the run, None when nobody logs in anywhere."""
    if not any(seat.logs_in for seat in seats):
        return None
    return await resources.enter_async_context(open_key_ring())


@frozen
class _Maker:
    """Makes what jobs have to themselves.

    Attributes:
        wanted: What the run wants.
        hosts: The first seat of each role.
        sandbox: What local nodes are in.
        ring: The keys of those who log in.
        tools: What makes containers.
        segment: The network of the group, None where it has none on this machine.
        wirings: The wiring of each job's device.
    """

    wanted: Wanted
    hosts: Mapping[str, Seat]
    sandbox: Sandbox | None
    ring: KeyRing | None
    tools: Tools
    segment: GroupNetwork | None
    wirings: Mapping[int, Wiring]

    async def place(self, seat: Seat) -> Placement:
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
            self.segment,
            self.wirings[seat.job.id],
        )

    async def _node(self, seat: Seat) -> Node:
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
                attached = self._attached(seat.name, BRIDGE)
                return LxcNode(LxcContainer(self.tools, order, attached), lxc.packages)
            case LocalLimits() as limits:
                sandbox, name = self.sandbox, seat.name
                if sandbox is None:
                    return BareNode(name)
                return SandboxedNode(name, sandbox, limits, self._attached(name, PRIMARY))
            case SimulatedDevice():
                raise AssertionError("those are for rehearsals, and never reserved")

    def _container(self, seat: Seat) -> Container | None:
        if seat.job.container is None:
            return None
        lxc = seat.lxc
        order = order_of(seat.job.container, self.wanted.run, seat.job.id, lxc.limits, lxc.mounts)
        device = order.name.text if seat.driver == "local" else seat.name
        return LxcContainer(self.tools, order, self._attached(device, BRIDGE))

    def _attached(self, device: str, inside: str) -> Attached | None:
        if self.segment is None or device not in self.segment.plan:
            return None
        return Attached(self.segment, device, inside)

    def _machine(self, seat: Seat, ssh: SshDevice) -> Machine:
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

    async def _guest(self, seat: Seat) -> Guest:
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
        if self.segment is not None and host.driver == "local":
            login = evolve(login, inside=self.segment.inside.entering)
        return Guest(
            seat.name,
            login,
            self.ring,
            port=host.device.ssh_port if host.device else SSH_PORT,
            user=host.ssh.address.user if host.ssh else "root",
        )

    def _known(self, host: Seat) -> Trust:
        """Trust in a system that was there before the run."""
        assert self.ring is not None, "it is there for every login"
        if host.ssh is not None and host.ssh.host_keys:
            return self.ring.listed(host.ssh.host_keys)
        return self.ring.first_seen()

    async def _access(self, seat: Seat) -> Access | None:
        """The keys that a host is to have; all hosts of a role have the same."""
        if self.ring is None or not seat.authorizes:
            return None
        return await self.ring.access(seat.role)


def _unsaid(_line: str) -> None:
    """What can't be cleaned up is no matter of this run; `callboard lxc gc` tells it."""
