"""Sockets that listen for clients."""

import errno
import socket
from collections.abc import Iterable
from typing import Any, TypeAlias

from callboard.coordinator.errors import AddressError

BACKLOG = 4_096
"""How many connections the kernel keeps that were not accepted yet, if it is allowed to."""

_BUFFER_BYTES = 1 << 17
"""What the kernel keeps of a connection each way, so that what it keeps in all is bounded too."""


_Address: TypeAlias = tuple[Any, ...]
"""As sockets take it: host and port first, and what IPv6 adds."""


def listeners(hosts: Iterable[str], port: int) -> list[socket.socket]:
    """Listen on every address of the hosts.

    Args:
        hosts: Names or addresses.
        port: The port; 0 for a free one, which all addresses share.

    Raises:
        AddressError: One of them can't be had; none is left open.
    """
    opened: list[socket.socket] = []
    try:
        for host in hosts:
            for family, address in _addresses(host, port):
                opened.append(_listener(family, (address[0], port, *address[2:])))
                port = opened[-1].getsockname()[1]
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened


def _addresses(host: str, port: int) -> list[tuple[int, _Address]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AddressError(
            f"the host '{host}' can't be found: {error.strerror}", "name an address of this machine"
        ) from None
    return list(dict.fromkeys((family, (str(at[0]), *at[1:])) for family, _, _, _, at in found))


def _listener(family: int, address: _Address) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):  # connections inherit them
            listener.setsockopt(socket.SOL_SOCKET, buffer, _BUFFER_BYTES)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _refused(address[0], address[1], error) from None
    return listener


def _refused(host: str, port: int, error: OSError) -> AddressError:
    match error.errno:
        case errno.EADDRINUSE:
            return AddressError(
                f"port {port} of {host} is in use",
                f"`ss -ltnp 'sport = :{port}'` says by whom; end that, or give another --port",
            )
        case errno.EACCES:
            return AddressError(
                f"port {port} of {host} is not for this user",
                "ports below 1024 are for root, or whoever has CAP_NET_BIND_SERVICE",
            )
        case errno.EADDRNOTAVAIL:
            return AddressError(
                f"this machine doesn't have the address {host}", "`ip address` says which it has"
            )
        case _:
            return AddressError(f"can't listen on {host}, port {port}: {error.strerror}")
