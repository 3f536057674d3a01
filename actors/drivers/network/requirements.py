"""What a machine must have for networks of groups, tried on a network that is made for that."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from callboard.actors.drivers.lxc.requirements.machine import Machine
from callboard.actors.drivers.lxc.requirements.requirement import Requirement, as_root, install
from callboard.actors.drivers.network import subnets
from callboard.actors.drivers.network.ability import delays_packets
from callboard.actors.drivers.network.attachment import Attached
from callboard.actors.drivers.network.group import GroupNetwork, open_network
from callboard.actors.drivers.network.plan import Member, Plan
from callboard.actors.drivers.sandboxed import Sandbox, SandboxedNode
from callboard.definition.devices import LocalLimits

_PROBE = "probe"
_WAYS = {
    "pasta": "by pasta",
    "slirp4netns": "by slirp4netns",
    "masquerade": "by this machine's own routing, with masquerading",
}


async def network_requirements(machine: Machine, sandbox: Sandbox) -> list[Requirement]:
    """Everything that a network of a group wants of this machine; causes first.

    Args:
        machine: This machine.
        sandbox: In which local nodes can be made.
    """
    name = "network of a group"
    if machine.tool("ip") is None:
        cure = as_root(machine, install(machine, "iproute2"))
        return [Requirement(name, False, "it is made with `ip`, which is not installed", cure)]
    try:
        async with _probed(machine, sandbox) as (network, lacking):
            detail = "bridges and virtual interfaces, in namespaces of the run"
            return [
                Requirement(name, True, detail),
                *_interfaces(lacking),
                _filter(machine),
                await _delay(machine),
                _way_out(machine, network),
            ]
    except (OSError, LookupError) as error:
        cure = as_root(machine, "modprobe -a bridge veth")
        return [Requirement(name, False, f"it can't be made: {error}", cure)]


@contextlib.asynccontextmanager
async def _probed(
    machine: Machine, sandbox: Sandbox
) -> AsyncIterator[tuple[GroupNetwork, Sequence[str]]]:
    """A network with one node, and what that lacks; raises OSError and LookupError."""
    taken = await subnets.routes()
    members = (Member(_PROBE, None, 0),)
    plan = Plan(_PROBE, members, subnets.free(taken), subnets.local_ipv6(_PROBE))
    async with open_network(sandbox, plan, taken, machine.tool) as network:
        node = SandboxedNode(_PROBE, sandbox, LocalLimits(), Attached(network, _PROBE))
        try:
            await node.prepare()
            yield network, node.lacking
        finally:
            await node.release()


def _interfaces(lacking: Sequence[str]) -> list[Requirement]:
    return [
        Requirement(
            "interfaces in /sys",
            False,
            f"nodes can't have {each}; they see those of this machine, where VLANs aren't found",
            "run callboard on the machine itself, not in a container",
        )
        for each in lacking
    ]


def _filter(machine: Machine) -> Requirement:
    name = "packet filter"
    if machine.tool("nft"):
        return Requirement(name, True, "nft: links can be cut, and lose packets")
    detail = "nft is not installed, so links can't be cut, and there is no way out"
    return Requirement(name, False, detail, as_root(machine, install(machine, "nftables")))


async def _delay(machine: Machine) -> Requirement:
    name = "delay of links"
    if machine.tool("tc") is None:
        cure = as_root(machine, install(machine, "iproute2"))
        return Requirement(name, False, "links are slowed with `tc`, which is not installed", cure)
    if await delays_packets(root=machine.is_root):
        return Requirement(name, True, "netem")
    detail = "this kernel has no netem, so links can't have `delay` and `jitter`"
    return Requirement(name, False, detail, as_root(machine, "modprobe sch_netem"))


def _way_out(machine: Machine, network: GroupNetwork) -> Requirement:
    name = "way out"
    if network.way is not None:
        detail = f"{_WAYS[network.way.name]}, from a group's network to where this machine gets"
        return Requirement(name, True, detail)
    if machine.tool("nft") is None:
        detail = "nodes in a group's network reach only each other: there is no nft"
        return Requirement(name, False, detail, as_root(machine, install(machine, "nftables")))
    tried = [each for each in ("pasta", "slirp4netns") if machine.tool(each)]
    why = (
        f"{' and '.join(tried)} didn't work" if tried else "neither pasta nor slirp4netns is there"
    )
    detail = f"nodes in a group's network reach only each other: {why}"
    package = "passt" if "pasta" not in tried else "slirp4netns"
    return Requirement(name, False, detail, as_root(machine, install(machine, package)))
