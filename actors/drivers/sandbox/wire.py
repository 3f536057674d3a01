"""What callboard, the holder and the nodes' first processes say to each other.

One message is one packet of a local socket: JSON, with open files beside it.
"""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import cattrs
from attrs import field, frozen

from callboard.actors.drivers.sandbox.limits import Limits

_PACKET_BYTES = 131_072
_MOST_FILES = 5

NETWORK = "/tmp/network"
"""Where a tool finds the network namespace that it is to serve from outside."""

FILE = "/proc/self/fd/3"
"""Where a tool finds the open file that it was given besides."""


@frozen
class MakeNode:
    """To the holder, with the node's socket: make a node.

    With `connected` the node has a network namespace of its own, which comes with its `Done`, and
    an open file comes with the message, with lines for the node's `/etc/hosts`. Of its resolver
    file `resolver` is the text, unless it is None.
    """

    name: str
    disk_bytes: int
    limits: Limits
    writable: tuple[str, ...]
    connected: bool = False
    resolver: str | None = None


@frozen
class MakeSegment:
    """To the holder, with a socket: make a network namespace that forwards what it receives.

    It is answered with `Made`, and the open namespace.
    """


@frozen
class RunTool:
    """To the holder, with a socket, a network namespace, an input and an output: run a tool.

    With `inside` it runs in the namespace, and may do there what one can do in networks; else it
    runs beside it, may do all that the holder may, and finds the namespace at `NETWORK`. One more
    file can come with the message, which the tool finds at `FILE`.

    It is answered with `Started`, and with `Ended` in the end, which is the holder's at the latest.
    """

    command: tuple[str, ...]
    inside: bool


@frozen
class OpenShell:
    """To a node: start a command on a new terminal; answered with `Done` and the terminal."""

    command: tuple[str, ...]
    environment: dict[str, str]
    folder: str


@frozen
class Unpack:
    """To a node, with an open tar archive: unpack it at the node's root; answered with `Done`."""


@frozen
class Survey:
    """To a node: see what runs on it; answered with `Surveyed`."""


@frozen
class Started:
    """From the holder, with a descriptor of the process that it has started."""


@frozen
class Ended:
    """From the holder: a tool has ended, with an exit status, or by a signal that is negative."""

    status: int


@frozen
class Made:
    """From the holder, with open namespaces."""


@frozen
class Done:
    """From a node: it is ready, or what was asked for is done.

    A node that is ready says which controllers limit it, and what this machine didn't let it have.
    """

    limited: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


@frozen
class Surveyed:
    """From a node: whether a process runs on it besides its shells and what they wait for."""

    busy: bool


@frozen
class Failed:
    """From a node: what was asked for can't be done, with the reason."""

    number: int
    reason: str

    def error(self) -> OSError:
        """The failure as it was raised there."""
        return OSError(self.number, self.reason)


Message = (
    MakeNode
    | MakeSegment
    | RunTool
    | OpenShell
    | Unpack
    | Survey
    | Started
    | Ended
    | Made
    | Done
    | Surveyed
    | Failed
)

_KINDS: Mapping[str, type[Message]] = {kind.__name__: kind for kind in Message.__args__}
_converter = cattrs.Converter()


@frozen
class Packet:
    """A message with the open files that came with it; who receives it has to close them."""

    message: Message
    files: tuple[int, ...] = field(default=())


def send(peer: socket.socket, message: Message, *files: int) -> None:
    """Send a message with open files; raises OSError when the peer is gone."""
    content = {"kind": type(message).__name__, **_converter.unstructure(message)}
    socket.send_fds(peer, [json.dumps(content).encode()], list(files))


def receive(peer: socket.socket) -> Packet | None:
    """The next message, None when the peer is gone; raises OSError, BlockingIOError included."""
    data, files, _flags, _address = socket.recv_fds(peer, _PACKET_BYTES, _MOST_FILES)
    for file in files:
        os.set_inheritable(file, False)  # a node's shell must not have them
    if not data:
        return None
    content = json.loads(data)
    return Packet(_converter.structure(content, _KINDS[content.pop("kind")]), tuple(files))


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a local socket that keeps packets apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def as_paths(names: tuple[str, ...]) -> tuple[Path, ...]:
    """Paths as they travel."""
    return tuple(Path(name) for name in names)
