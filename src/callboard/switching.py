"""What moves the interfaces of a real group between its VLANs: a daemon, or bridges made here."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from attrs import evolve

from callboard.actors.drivers.network.bridges import Bridges
from callboard.actors.drivers.network.naming import mac_of
from callboard.actors.drivers.segment import Segment
from callboard.actors.drivers.switches import Switches
from callboard.actors.drivers.vland import open_vland
from callboard.actors.movers import Mover, movers
from callboard.actors.wiring import Wiring
from callboard.definition.interfaces import MADE_HERE, Interface
from callboard.definition.vland import Daemon
from callboard.state import state_directory


async def open_switches(
    wirings: Sequence[Wiring],
    daemon: Daemon | None,
    segment: Segment | None,
    run: str,
    resources: AsyncExitStack,
) -> Mapping[str, Switches]:
    """What moves the ports of each VLAN of a group, by the VLAN's name.

    Args:
        wirings: Those of its devices; none of their VLANs is divided.
        daemon: Moves ports of switches; it is there if there are any.
        segment: Where the interfaces of nodes end that are made here; it is there if there are any.
        run: The run's UUID.
        resources: Closes what is opened here.

    Raises:
        OSError: The state directory can't be written.
    """
    wanted = movers(wirings)
    open_: dict[Mover, Switches] = {}
    if "vland" in wanted.values():
        assert daemon is not None, "without one the definition is refused"
        opened = open_vland(daemon, state_directory() / "vland", run)
        open_["vland"] = await resources.enter_async_context(opened)
    if "bridge" in wanted.values():
        assert segment is not None, "a group with such VLANs has one"
        open_["bridge"] = Bridges(segment)
    return {vlan: open_[mover] for vlan, mover in wanted.items()}


def addressed(wiring: Wiring, run: str, device: str, segment: Segment | None) -> Wiring:
    """A wiring whose interfaces have hardware addresses, and their folders in `/sys`.

    An interface on a switch has what the devices file says, all others what they are made with.
    """

    def complete(interface: Interface) -> Interface:
        if interface.switch is not None:
            return interface
        mac = interface.mac
        if interface.primary and segment is not None and device in segment.plan:
            mac = segment.plan[device].mac
        return evolve(
            interface,
            mac=mac or mac_of(run, device, interface.label),
            sysfs=interface.sysfs or MADE_HERE,
        )

    return Wiring(tuple(map(complete, wiring.interfaces)), wiring.ports)
