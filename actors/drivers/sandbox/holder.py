"""The process that makes the nodes of one run, and ends them all when callboard is gone.

It is a program of its own because it has to have one thread, and because it has to outlive
callboard by a moment: what the kernel doesn't remove by itself, the cgroups, it removes.
"""

import contextlib
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NoReturn

from callboard.actors.drivers.sandbox import init, kernel, segment, wire
from callboard.actors.drivers.sandbox.kernel import Namespace
from callboard.actors.drivers.sandbox.limits import Cgroups
from callboard.actors.drivers.sandbox.territory import Territory, open_territory
from callboard.actors.drivers.sandbox.wire import (
    Ended,
    Failed,
    MakeNode,
    MakeSegment,
    Packet,
    RunTool,
    Started,
)

_Ended = Callable[[int], None]
_NODE = Namespace.MOUNT | Namespace.UTS | Namespace.IPC | Namespace.PID


class Holder:
    """The nodes of one run.

    It waits for packets and for the ends of its children in one place. A handler of SIGCHLD would
    miss an end just before it waits for a packet, until that comes.

    Args:
        peer: The socket to callboard.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._cgroups = Cgroups()
        self._ready = selectors.DefaultSelector()
        self._children: dict[int, _Ended] = {}
        self._made = 0
        self._refusal: OSError | None = None

    def serve(self) -> None:
        """Make nodes until callboard is gone, then end what is left of them."""
        try:
            self._own_user_namespace()
            for packet in self._packets():
                self._serve(packet)
        finally:
            for child in self._children:
                os.kill(child, signal.SIGKILL)
            for child in list(self._children):
                self._reap(child)
            self._cgroups.close()

    def _packets(self) -> Iterator[Packet]:
        """What callboard sends; children that end meanwhile are taken note of."""
        self._ready.register(self._peer, selectors.EVENT_READ)
        while True:
            for key, _ in self._ready.select():
                if key.fileobj is not self._peer:
                    self._ready.unregister(key.fileobj)
                    os.close(key.fd)
                    self._reap(key.data)
                elif packet := wire.receive(self._peer):
                    yield packet
                else:
                    return

    def _own_user_namespace(self) -> None:
        """Without root's rights, the user namespace in which the nodes of the run lie."""
        if self._uid == 0:
            return
        try:
            kernel.unshare(Namespace.USER)
            kernel.be_the_same_user(self._uid, self._gid)
        except OSError as error:
            self._refusal = error

    def _serve(self, packet: Packet) -> None:
        """Do what is asked for; the first file that comes with it is the socket for the answer."""
        first, *files = packet.files
        with socket.socket(fileno=first) as asker:
            try:
                if self._refusal is not None:
                    raise self._refusal
                match packet.message:
                    case MakeNode() as request:
                        self._start(request, asker, files)
                    case MakeSegment():
                        self._watch(segment.make(asker), lambda _status: None)
                    case RunTool() as request:
                        self._run(request, asker, files)
                    case _:
                        pass  # it is not for the holder
            except OSError as error:
                with contextlib.suppress(OSError):
                    wire.send(asker, Failed(error.errno or 0, error.strerror or str(error)))
            finally:
                for file in files:
                    os.close(file)

    def _start(self, request: MakeNode, node: socket.socket, files: Sequence[int]) -> None:
        self._made += 1
        group = f"node-{self._made}"
        self._cgroups.make(group, request.limits)
        with self._territory(request) as territory:
            child = kernel.clone(self._namespaces(request))
            if child == 0:
                user = (self._uid, self._gid)
                init.run(node, request, files, self._cgroups, group, user, territory)
        descriptor = self._watch(child, lambda _status: self._cgroups.remove(group))
        wire.send(node, Started(), descriptor)

    def _namespaces(self, request: MakeNode) -> Namespace:
        if self._uid == 0:
            return _NODE
        found = _NODE | Namespace.USER
        return found | Namespace.NET if request.connected else found

    @contextlib.contextmanager
    def _territory(self, request: MakeNode) -> Iterator[Territory | None]:
        """What a node of root's has for its network; others have it by their namespaces."""
        if self._uid != 0 or not request.connected:
            yield None
            return
        with open_territory() as territory:
            yield territory

    def _run(self, request: RunTool, asker: socket.socket, files: Sequence[int]) -> None:
        network, source, output, *more = files
        ended = partial(_tell, asker.dup())
        child = os.fork()
        if child == 0:
            segment.run(request, network, source, output, more[0] if more else None)
        descriptor = self._watch(child, ended)
        wire.send(asker, Started(), descriptor)

    def _watch(self, child: int, ended: _Ended) -> int:
        """Have a function called with the exit status of a child; returns the child's pidfd."""
        self._children[child] = ended
        try:
            descriptor = os.pidfd_open(child)
        except OSError:
            os.kill(child, signal.SIGKILL)
            self._reap(child)
            raise
        self._ready.register(descriptor, selectors.EVENT_READ, child)
        return descriptor

    def _reap(self, child: int) -> None:
        """Wait for a child that has ended, or does at once, and take note of it."""
        _, status = os.waitpid(child, 0)
        self._children.pop(child)(os.waitstatus_to_exitcode(status))


def _tell(asker: socket.socket, status: int) -> None:
    with asker, contextlib.suppress(OSError):
        wire.send(asker, Ended(status))


def main() -> NoReturn:
    """Serve the socket whose number is the only argument."""
    Holder(socket.socket(fileno=int(sys.argv[1]))).serve()
    sys.exit(0)


if __name__ == "__main__":
    main()
