"""The process that makes the nodes of one run, and ends them all when callboard is gone.

It is a program of its own because it has to have one thread, and because it has to outlive
callboard by a moment: what the kernel doesn't remove by itself, the cgroups, it removes.
"""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
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

_NODE = Namespace.MOUNT | Namespace.UTS | Namespace.IPC | Namespace.PID


class Holder:
    """The nodes of one run.

    Args:
        peer: The socket to callboard.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._cgroups = Cgroups()
        self._groups: dict[int, str] = {}
        self._tools: dict[int, socket.socket] = {}
        self._made = 0
        self._refusal: OSError | None = None

    def serve(self) -> None:
        """Make nodes until callboard is gone, then end what is left of them."""
        # Not sooner: a child that ends must find who takes note of it.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: self._reap(os.WNOHANG))
        try:
            self._own_user_namespace()
            while packet := wire.receive(self._peer):
                self._serve(packet)
        finally:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for child in (*self._groups, *self._tools):
                os.kill(child, signal.SIGKILL)
            self._reap(0)
            self._cgroups.close()

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
                        segment.make(asker)
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
        # Its end must not be noticed before it is known.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        try:
            with self._territory(request) as territory:
                child = kernel.clone(self._namespaces(request))
                if child == 0:
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
                    user = (self._uid, self._gid)
                    init.run(node, request, files, self._cgroups, group, user, territory)
            self._groups[child] = group
            with _descriptor(child) as descriptor:
                wire.send(node, Started(), descriptor)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})

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
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        try:
            child = os.fork()
            if child == 0:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
                segment.run(request, network, source, output, more[0] if more else None)
            self._tools[child] = asker.dup()
            with _descriptor(child) as descriptor:
                wire.send(asker, Started(), descriptor)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})

    def _reap(self, options: int) -> None:
        """Take note of who has ended; with `options` 0, of all, waiting for them."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, options)) != (0, 0):
                child, status = ended
                if (group := self._groups.pop(child, None)) is not None:
                    self._cgroups.remove(group)
                elif (asker := self._tools.pop(child, None)) is not None:
                    with asker, contextlib.suppress(OSError):
                        wire.send(asker, Ended(os.waitstatus_to_exitcode(status)))


@contextlib.contextmanager
def _descriptor(process: int) -> Iterator[int]:
    descriptor = os.pidfd_open(process)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def main() -> NoReturn:
    """Serve the socket whose number is the only argument."""
    Holder(socket.socket(fileno=int(sys.argv[1]))).serve()
    sys.exit(0)


if __name__ == "__main__":
    main()
