"""The network of a real run's group, for the nodes that this machine makes."""

import contextlib
from collections.abc import Iterator, Sequence

from attrs import evolve, field, frozen

from callboard.actors.drivers.lxc.requirements import Machine, as_root, install
from callboard.actors.drivers.network import subnets
from callboard.actors.drivers.network.group import GroupNetwork, open_network
from callboard.actors.drivers.network.naming import mac_of
from callboard.actors.drivers.network.plan import Member, Plan, TooSmall
from callboard.actors.drivers.sandboxed import Sandbox, host_name
from callboard.actors.networks import is_movable
from callboard.actors.wiring import Wiring
from callboard.definition.interfaces import Interface
from callboard.definition.network import Network, NetworkKind


class NodesUnavailable(Exception):
    """This machine lacks what the nodes of a group need; the text says what that is.

    Args:
        text: What can't be had, and why.
        cure: What would mend it.
        code: The kind of problem.
    """

    def __init__(self, text: str, cure: str, code: str = "CB100") -> None:
        super().__init__(text)
        self.cure = cure
        self.code = code


@frozen
class Resident:
    """A job, as far as it has to do with the network of its group.

    Attributes:
        device: Name of its device.
        role: Its role, None in a job without roles.
        job: Its id.
        wiring: The interfaces of its device.
        beside: Name of the container that it has beside its device, None without one.
        made_here: Whether its node is made on this machine, to which it can then be connected.
    """

    device: str
    role: str | None
    job: int
    wiring: Wiring
    beside: str | None = None
    made_here: bool = field(default=True, kw_only=True)

    @property
    def moved(self) -> tuple[Interface, ...]:
        """Its interfaces that this machine puts into VLANs."""
        if not self.made_here:
            return ()
        return tuple(each for each in self.wiring.interfaces if is_movable(each))

    def members(self, run: str) -> Iterator[Member]:
        """Its node and its container, in the network of the group."""
        if self.made_here:
            made = (
                evolve(each, mac=each.mac or mac_of(run, self.device, each.label))
                for each in self.moved
            )
            names = (host_name(self.device),)
            yield Member(self.device, self.role, self.job, tuple(made), names)
        if self.beside is not None:
            yield Member(self.beside, None, self.job)


def is_networked(kind: NetworkKind | None, residents: Sequence[Resident]) -> bool:
    """Whether those whose nodes are made here have a network of the group.

    Args:
        kind: The network that somebody asks for.
        residents: All jobs of the group.
    """
    if kind is None:
        return any(each.moved for each in residents)
    return kind == "group" and any(each.made_here or each.beside for each in residents)


async def open_segment(
    run: str,
    settings: Network,
    residents: Sequence[Resident],
    sandbox: Sandbox,
    resources: contextlib.AsyncExitStack,
) -> GroupNetwork:
    """Make the network of a group, which goes with `resources`.

    Args:
        run: The run's UUID.
        settings: What the devices file says of it.
        residents: All jobs of the group.
        sandbox: Whose holder has it.
        resources: What the run has.

    Raises:
        NodesUnavailable: It can't be had.
    """
    machine = Machine()
    if machine.tool("ip") is None:
        text = "the network of a group is made with `ip`, which is not installed"
        raise NodesUnavailable(text, as_root(machine, install(machine, "iproute2")), "CB242")
    members = tuple(member for each in residents for member in each.members(run))
    try:
        taken = await subnets.routes()
        ipv4 = settings.ipv4 or subnets.free(taken)
        plan = Plan(run, members, ipv4, settings.ipv6 or subnets.local_ipv6(run))
        opened = open_network(sandbox, plan, taken, machine.tool)
        return await resources.enter_async_context(opened)
    except TooSmall as error:
        cure = "name a larger one as `ipv4` of `network` in the devices file, or use less nodes"
        raise NodesUnavailable(str(error), cure, "CB243") from error
    except LookupError as error:
        cure = "name a range that nobody needs as `ipv4` of `network` in the devices file"
        raise NodesUnavailable(str(error), cure, "CB243") from error
    except OSError as error:
        text = f"this machine can't make a network for the group: {error.strerror or error}"
        cure = "`callboard doctor` says what is missing"
        raise NodesUnavailable(text, cure, "CB242") from error
