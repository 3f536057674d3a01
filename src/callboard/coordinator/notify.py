"""Tells systemd how a service is doing, if it is one (systemd: sd_notify)."""

import os
import socket
from contextlib import suppress

_HALF = 2


def notify(state: str) -> None:
    """Tell it, such as `READY=1`; nothing happens where nobody wants to know."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with (
        suppress(OSError),  # it is no matter of life and death
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.setblocking(False)
        sock.sendto(state.encode(), address)


def watchdog_s() -> float | None:
    """How often `WATCHDOG=1` is wanted, in seconds; None for never."""
    interval_us = os.environ.get("WATCHDOG_USEC", "")
    if not interval_us.isdecimal() or os.environ.get("WATCHDOG_PID") not in (
        None,
        str(os.getpid()),
    ):
        return None
    return int(interval_us) / 1_000_000 / _HALF or None
