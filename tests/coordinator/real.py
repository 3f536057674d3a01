"""LAVA's own coordinator on loopback, to compare with: as `tests/provision.sh lava` unpacks it.

It is run as it is, but for the address: it would listen on all of the machine's.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from attrs import define, field

from callboard.coordinator.framing import FrameReader, frame

FOLDER = Path("/var/cache/callboard-tests/lava")
"""Where LAVA's packages are unpacked."""

PACKAGES = FOLDER / "usr/lib/python3/dist-packages"
"""What has to be on Python's path to import `lava.coordinator` or `lava_dispatcher`."""

MISSING = "LAVA's packages are not unpacked here: tests/provision.sh lava gets them on Debian"

_LIMIT_S = 20.0
_LARGEST = 1 << 28

_LAUNCHER = """
import socket, sys

bind = socket.socket.bind

def bind_to_loopback(own, address):
    bind(own, ("127.0.0.1", address[1]))
    print(own.getsockname()[1], flush=True)

socket.socket.bind = bind_to_loopback
from lava.coordinator import LavaCoordinator

LavaCoordinator("127.0.0.1", int(sys.argv[1]), 4096).run()
"""


def present() -> bool:
    """Whether LAVA's packages are there."""
    return (FOLDER / "complete").exists()


class NoReply(Exception):
    """The connection was closed without a reply."""


def exchange(address: tuple[str, int], data: bytes, limit_s: float = _LIMIT_S) -> bytes:
    """Send bytes over a connection of their own, as a dispatcher does, and read all that comes."""
    with socket.create_connection(address, timeout=limit_s) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        pieces = list(iter(lambda: connection.recv(1 << 16), b""))
    return b"".join(pieces)


def ask(address: tuple[str, int], document: Mapping[str, object]) -> Any:
    """Make a request, and return the reply's document.

    Raises:
        NoReply: The connection was closed without one.
        OSError: Nobody listens there, or nothing came in time.
    """
    data = exchange(address, frame(document))
    text = FrameReader(_LARGEST).feed(data) if data else None
    if text is None:
        raise NoReply
    return json.loads(text)


@define(eq=False)
class Real:
    """LAVA's coordinator in a process of its own; started again where a request has ended it.

    Attributes:
        port: Where it listens; 0 for any that is free.
    """

    port: int = 0
    _process: "subprocess.Popen[str] | None" = field(default=None, init=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return ("127.0.0.1", self.port)

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCHER, str(self.port)],
            env={"PYTHONPATH": str(PACKAGES), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        while True:  # it listens a moment after it has said where
            try:
                exchange(self.address, b"")
            except ConnectionRefusedError:
                continue
            return

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def ask(self, document: Mapping[str, object]) -> Any:
        """Make a request; see `ask`.

        Raises:
            NoReply: The connection was closed, as it is for `complete`.
            AssertionError: The request has ended the process; another is started.
        """
        try:
            return ask(self.address, document)
        except NoReply:
            if document.get("request") == "complete":  # the one that is answered by nothing
                raise
            self.stop()
            self.start()
            raise AssertionError(f"this request has ended LAVA's coordinator: {document}") from None


def running() -> Iterator[Real]:
    """LAVA's coordinator for as long as a fixture lives; skips where it isn't there."""
    if not present():
        pytest.skip(MISSING)
    with Real() as real:
        yield real
