"""What the parts of a group's network are called."""

import hashlib

PRIMARY = "eth0"
"""The interface with which a local node is in the network of its group."""

BRIDGE = "group0"
"""The bridge of a group's network; the interface of a container that is in it is called so too."""

UPLINK = "uplink"
"""The interface that leads out of a group's network."""


def mac_of(run: str, device: str, interface: str) -> str:
    """A hardware address that no other interface of the run has, always the same for these.

    It is a local one (IEEE 802: the second bit of the first byte).

    Args:
        run: The run's UUID.
        device: Name of the device.
        interface: The interface's label.
    """
    digest = hashlib.sha256("\0".join((run, device, interface)).encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def link_of(number: int, interface: int | None = None) -> str:
    """What the segment's side of a cable is called, in at most 15 characters.

    Args:
        number: The node's number in the group, from 1.
        interface: The number of the interface in a VLAN, from 1; None for that in the network of
            the group.
    """
    return f"p{number}" if interface is None else f"p{number}v{interface}"
