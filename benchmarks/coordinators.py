"""Coordinators in processes of their own: LAVA's, callboard's, and one that only answers."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen

LAVA = Path("/var/cache/callboard-tests/lava")
"""Where `tests/provision.sh lava` unpacks LAVA's coordinator."""

_LIMIT_S = 30.0

_THEIRS = """
import json, pathlib, runpy, socket, sys
program, folder, port = sys.argv[1:]
bind = socket.socket.bind
socket.socket.bind = lambda own, address: bind(own, ("127.0.0.1", address[1]))
config = pathlib.Path(folder, "lava-coordinator.conf")
config.write_text(json.dumps({"port": int(port), "blocksize": 4096, "poll_delay": 1}))
sys.argv = [program, "--config", str(config), "--logfile", f"{folder}/log"]
runpy.run_path(program, run_name="__main__")
"""

_ECHO = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096) as server:
    while True:
        connection, _ = server.accept()
        connection.recv(4096)
        connection.sendall(b'00000014{"response": "wait"}')
        connection.close()
"""


class MissingError(Exception):
    """What is to be measured isn't on this machine; the text says how to get it."""


@frozen
class Running:
    """A coordinator that serves.

    Attributes:
        port: Where, on loopback.
        pid: Of its process.
    """

    port: int
    pid: int

    @property
    def cpu_s(self) -> float:
        """How long its process has been running on a CPU, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def theirs() -> Iterator[Running]:
    """LAVA's own program, with its log as it is unless told otherwise.

    Raises:
        MissingError: It isn't there.
    """
    packages = LAVA / "usr/lib/python3/dist-packages"
    if not packages.exists():
        raise MissingError("LAVA's coordinator is not here: `make bench-coordinator` gets it")
    environment = {"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _THEIRS, str(LAVA / "usr/bin/lava-coordinator"), folder]
        with _running(command, environment) as running:
            yield running


@contextmanager
def ours(*options: str) -> Iterator[Running]:
    """`callboard coordinator`, with these options."""
    with tempfile.TemporaryDirectory() as folder:
        own = ["--socket", f"{folder}/status", *(each.format(folder=folder) for each in options)]
        command = [sys.executable, "-m", "callboard", "coordinator", *own, "--port"]
        with _running(command, dict(os.environ)) as running:
            yield running


@contextmanager
def echo() -> Iterator[Running]:
    """One that answers everything at once without reading it: what is left is the client."""
    with _running([sys.executable, "-c", _ECHO], {}) as running:
        yield running


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[Running]:
    port = free_port()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [*command, str(port)], stdin=quiet, stdout=quiet, stderr=quiet, env=environment
    )
    try:
        while not _listens(port):
            if process.poll() is not None:
                raise MissingError(f"this has ended with {process.returncode}: {command}")
        yield Running(port, process.pid)
    finally:
        process.terminate()
        process.wait(_LIMIT_S)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), _LIMIT_S) as connection:
        connection.shutdown(socket.SHUT_WR)
        connection.recv(64)  # until it is closed, or answered
        return True
    return False
