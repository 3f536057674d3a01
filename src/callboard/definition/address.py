"""Where a login over ssh goes: host, port and user, checked before they meet a command line."""

import ipaddress
import re

from attrs import field, frozen

HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")
"""Host names, and IPv4 addresses; never an option of ssh, a user or a port."""

USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
"""Names of users."""

MOST_PORT = 65_535

HOST_HINT = "write a host name or an IP address, without user and port"


def _host(_address: "Address", _attribute: object, host: str) -> None:
    if not is_host(host):
        raise ValueError(f"'{host[:100]}' is neither a host name nor an IP address")


def _user(_address: "Address", _attribute: object, user: str) -> None:
    if not USER.fullmatch(user):
        raise ValueError(f"'{user[:100]}' is no name of a user")


def _port(_address: "Address", _attribute: object, port: int) -> None:
    if not 1 <= port <= MOST_PORT:
        raise ValueError(f"{port} is no port: they go from 1 to {MOST_PORT}")


@frozen
class Address:
    """Where a login goes.

    Attributes:
        host: Name or IP address.
        port: TCP port of the ssh server.
        user: Who logs in.

    Raises:
        ValueError: A part is no such thing; the text says which.
    """

    host: str = field(validator=_host)
    port: int = field(default=22, validator=_port)
    user: str = field(default="root", validator=_user)

    def __str__(self) -> str:
        port = "" if self.port == 22 else f" port {self.port}"
        return f"{self.user}@{self.host}{port}"


def is_host(text: str) -> bool:
    """Whether a text is a host name or an IP address, of version 6 without brackets."""
    if HOST.fullmatch(text):
        return True
    address, _, zone = text.partition("%")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return not zone or HOST.fullmatch(zone) is not None
