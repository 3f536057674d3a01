"""Reads how a device is cabled: its network interfaces, and the switches they are plugged into.

An interface is an entry of the device's map `interfaces`. LAVA's device dictionaries spread it
over a list `interfaces` and maps from labels to one property each; these are read as well
(LAVA: VLANd protocol, device data).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from attrs import frozen

from callboard.definition.address import HOST_HINT, MOST_PORT, is_host
from callboard.definition.interfaces import Interface
from callboard.definition.reader import Section, did_you_mean, listed
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode, kind

Wire = Literal["made", "laid", "modelled"]
"""How the interfaces of a device come to be: made with its node, there before, or not at all."""

_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,39}")
_KERNEL_NAME = re.compile(r"(?!lo$|group0$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
_SYSFS = re.compile(r"/(?!.*(?:^|/)\.\.(?:/|$))[A-Za-z0-9._/@:,+=~#!-]*")
_LINE_BREAK = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")

_MAC_HINT = "write six bytes such as `00:24:d7:9b:c0:8c`"
_SYSFS_HINT = "write the folder above the interface's kernel name, such as `/sys/devices/…/net/`"
_SCATTERED = ("sysfs", "mac_addr", "map")
"""LAVA's maps of one property each; the fourth is `tags`."""


@frozen
class Cable:
    """An interface as it is written, with what a message may have to point at."""

    interface: Interface
    mac: Node
    socket: Node


def has_scattered_tags(device: Section) -> bool:
    """Whether `tags` of a device are those of its interfaces, as in LAVA's device dictionaries."""
    return isinstance(device.get("interfaces"), ListNode) and isinstance(
        device.get("tags"), MapNode
    )


def read_cables(device: Section, wire: Wire) -> tuple[Cable, ...]:
    """The interfaces of one device in its order; what is wrong with them is reported."""
    node = device.get("interfaces")
    if node is None:
        return ()
    if isinstance(node, ListNode):
        cables = _read_scattered(device, node, wire)
    else:
        cables = _read_gathered(device, node, wire)
    return tuple(cables)


def check_cables(cables: Iterable[tuple[str, Cable]], file: Section) -> None:
    """Find what two interfaces of a file, each given with its device, can't both have."""
    macs: dict[str, tuple[str, Cable]] = {}
    sockets: dict[tuple[str, int], tuple[str, Cable]] = {}
    for device, cable in cables:
        found = cable.interface
        if found.mac is not None:
            other = macs.setdefault(found.mac, (device, cable))
            if other[1] is not cable:
                message = f"{_named(device, cable)} has the hardware address of {_named(*other)}"
                hint = "each interface has its own; `ip link` on the device shows it"
                file.error("CB197", cable.mac, message, hint)
        if found.switch is not None and found.port is not None:
            other = sockets.setdefault((found.switch.lower(), found.port), (device, cable))
            if other[1] is not cable:
                message = (
                    f"{_named(device, cable)} is on port {found.port} of `{found.switch}`, and so"
                    f" is {_named(*other)}"
                )
                hint = "one interface is plugged into a port: see which one, and mend the other"
                file.error("CB196", cable.socket, message, hint)


def _named(device: str, cable: Cable) -> str:
    return f"`{cable.interface.label}` of `{device[:60]}`"


def _read_gathered(device: Section, node: Node, wire: Wire) -> Iterator[Cable]:
    interfaces = device.section_of(node, f"`interfaces` of {device.title}")
    if interfaces is None:
        return
    for label, key, value in interfaces.labels(f"the label of an interface of {device.title}"):
        title = f"interface `{label[:60]}` of {device.title}"
        section = interfaces.section_of(value, title)
        if section is None:
            continue
        if label == "target":
            section.ignore("ip")  # LAVA's name for how the device itself is reached
        tags: tuple[str, ...] = ()
        written = section.get("tags")
        if written is not None and not _is_null(written):
            tags = section.strings("tags")
        switch = section.string("switch")
        port = _read_port(section)
        cable = Cable(
            Interface(
                label=label,
                tags=_checked_tags(section, written or key, title, tags),
                mac=_read_mac(section, section.get("mac"), title),
                sysfs=_read_sysfs(section, section.get("sysfs"), title),
                switch=switch,
                port=port,
                place=section.findings.source.place(key.offset),
            ),
            mac=section.get("mac") or key,
            socket=section.get("port") or key,
        )
        section.close()
        switched = section.get("switch") is not None
        numbered = section.get("port") is not None
        if switched != numbered:
            given, lacking = ("switch", "port") if switched else ("port", "switch")
            message = f"{title} has a `{given}`, but no `{lacking}`"
            hint = "write both: the switch, and the number of the port there"
            section.error("CB195", section.key(given), message, hint)
        elif _is_whole(section, key, cable, title, wire, plugged=switched):
            yield cable


def _read_scattered(device: Section, node: ListNode, wire: Wire) -> Iterator[Cable]:
    of = {key: _by_label(device, key) for key in (*_SCATTERED, "tags")}
    what = f"each item of `interfaces` of {device.title}"
    labels: dict[str, Node] = {}
    for item in node.items:
        label = device.text_of(item, what)
        if label in labels:
            message = f"`interfaces` of {device.title} has `{label[:60]}` twice"
            device.error("CB194", item, message, "remove one of them")
        elif label is not None:
            labels[label] = item
    for key, named in of.items():
        for label in named.keys() - labels.keys():
            message = f"`{key}` of {device.title} names no interface of it: `{label[:60]}`"
            hint = did_you_mean(label, labels) or f"`interfaces` has {listed(labels) or 'none'}"
            device.error("CB194", named[label][0], message, hint)
    for label, item in labels.items():
        title = f"interface `{label[:60]}` of {device.title}"
        mac, sysfs, socket, tags = (
            of[key].get(label, (item, None))[1] for key in ("mac_addr", "sysfs", "map", "tags")
        )
        switch, port, where = _read_socket(device, socket, title)
        cable = Cable(
            Interface(
                label=label,
                tags=_scattered_tags(device, tags, title),
                mac=_read_mac(device, mac, title),
                sysfs=_read_sysfs(device, sysfs, title),
                switch=switch,
                port=port,
                place=device.findings.source.place(item.offset),
            ),
            mac=mac or item,
            socket=where or item,
        )
        if _is_whole(device, item, cable, title, wire, plugged=socket is not None):
            yield cable


def _by_label(device: Section, key: str) -> dict[str, tuple[Node, Node]]:
    """LAVA's map of one property: from each label to where it stands, and its value."""
    node = device.get(key)
    if node is None or (key == "tags" and not isinstance(node, MapNode)):
        return {}  # the tags of the device itself
    section = device.section_of(node, f"`{key}` of {device.title}")
    if section is None:
        return {}
    labels = section.labels(f"each label in {section.title}")
    return {label: (at, value) for label, at, value in labels}


def _read_socket(
    device: Section, node: Node | None, title: str
) -> tuple[str | None, int | None, Node | None]:
    """Switch and port of `{switch: port}`, and where they stand."""
    section = None if node is None else device.section_of(node, f"the entry in `map` of {title}")
    if section is None:
        return None, None, None
    if len(section.node.pairs) != 1:
        message = f"{title} is on {len(section.node.pairs)} switches"
        device.error("CB195", section.node, message, "write one: `{switch: port}`")
        return None, None, None
    switch = section.names[0]
    return switch, _read_port(section, switch), section.key(switch)


def _scattered_tags(device: Section, node: Node | None, title: str) -> tuple[str, ...]:
    if node is None or _is_null(node):
        return ()
    if not isinstance(node, ListNode):
        device.error("CB021", node, f"the tags of {title} must be a list, but are {kind(node)}")
        return ()
    tags = (device.text_of(item, f"each tag of {title}") for item in node.items)
    return _checked_tags(device, node, title, tuple(tag for tag in tags if tag is not None))


def _checked_tags(section: Section, at: Node, title: str, tags: tuple[str, ...]) -> tuple[str, ...]:
    for tag in tags:
        if _LINE_BREAK.search(tag):
            hint = "`lava-vland-tags` prints each on a line of its own"
            section.error("CB194", at, f"a tag of {title} has a line break", hint)
    return tags


def _read_port(section: Section, key: str = "port") -> int | None:
    return section.integer(key, minimum=1, maximum=MOST_PORT)


def _read_mac(section: Section, node: Node | None, title: str) -> str | None:
    text = None if node is None else section.text_of(node, f"the hardware address of {title}")
    if node is None or text is None:
        return None
    mac = text.lower().replace("-", ":")
    if not _MAC.fullmatch(text) or mac == "00:00:00:00:00:00":
        message = f"the hardware address of {title} can't be `{text[:60]}`"
        section.error("CB194", node, message, _MAC_HINT)
        return None
    if int(mac[:2], 16) & 1:
        message = f"the hardware address of {title} is one of a group: `{text}`"
        section.error("CB194", node, message, "the first byte of an interface's own is even")
        return None
    return mac


def _read_sysfs(section: Section, node: Node | None, title: str) -> str | None:
    text = None if node is None else section.text_of(node, f"`sysfs` of {title}")
    if node is None or text is None:
        return None
    if not _SYSFS.fullmatch(text):
        section.error("CB194", node, f"`sysfs` of {title} can't be `{text[:100]}`", _SYSFS_HINT)
        return None
    return f"{text.rstrip('/')}/"


def _is_whole(
    section: Section, key: Node, cable: Cable, title: str, wire: Wire, *, plugged: bool
) -> bool:
    """Whether an interface has a label and a switch that can be; says so where not."""
    found = cable.interface
    if not _LABEL.fullmatch(found.label):
        message = f"an interface can't be called `{found.label[:60]}`"
        section.error("CB194", key, message, "labels have letters, digits and `_.:-`")
        return False
    if wire == "made" and not plugged and not _KERNEL_NAME.fullmatch(found.label):
        message = f"{title} can't be made under that name"
        hint = "15 letters, digits and `_.-` at most, and neither `lo` nor `group0`"
        section.error("CB194", key, message, hint)
        return False
    if found.switch is not None and not is_host(found.switch):
        message = f"the switch of {title} can't be `{found.switch[:60]}`"
        section.error("CB195", cable.socket, message, HOST_HINT)
        return False
    if wire == "laid" and found.tags and not plugged:
        message = f"{title} has tags, but no switch"
        hint = "write `switch` and `port`; without tags it is never moved, and needs none"
        section.error("CB195", key, message, hint)
        return False
    return True


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is None
