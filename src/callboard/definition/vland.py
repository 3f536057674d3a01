"""Reads `vland` of a devices file: the daemon that moves the ports of switches."""

from attrs import frozen

from callboard.definition.address import HOST_HINT, MOST_PORT, is_host
from callboard.definition.model import Place
from callboard.definition.reader import Section

VLAND_PORT = 3080
"""Where the daemon listens unless it was told otherwise (LAVA: VLANd protocol)."""


@frozen
class Daemon:
    """Where a VLANd daemon is.

    Attributes:
        host: Its name or IP address.
        port: Its TCP port.
        place: Where it is written; None where it isn't.
    """

    host: str
    port: int
    place: Place | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def read_daemon(devices_file: Section) -> Daemon | None:
    """The daemon of a devices file; None where it has none, or in no sensible way."""
    section = devices_file.section("vland", "`vland`")
    if section is None:
        return None
    host = section.string("host") or "localhost"
    port = section.integer("port", minimum=1, maximum=MOST_PORT) or VLAND_PORT
    section.close()
    if not is_host(host):
        node = section.get("host") or section.node
        section.error("CB198", node, f"`host` of `vland` can't be `{host[:60]}`", HOST_HINT)
        return None
    return Daemon(host, port, section.findings.source.place(section.node.offset))
