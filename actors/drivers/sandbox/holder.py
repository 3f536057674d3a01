"""The process that makes the nodes of one run, and ends them all when callboard is gone.

It is a program of its own because it has to have one thread, and because it has to outlive
callboard by a moment: what the kernel doesn't remove by itself, the cgroups, it removes.
"""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import NoReturn

from callboard.actors.drivers.sandbox import init, kernel, wire
from callboard.actors.drivers.sandbox.kernel import Namespace
from callboard.actors.drivers.sandbox.limits import Cgroups
from callboard.actors.drivers.sandbox.wire import Failed, MakeNode, Packet, Started

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
        self._made = 0
        self._refusal: OSError | None = None

    def serve(self) -> None:
        """Make nodes until callboard is gone, then end what is left of them."""
        # Not sooner: a child that ends must find who takes note of it.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: self._reap(os.WNOHANG))
        try:
            self._own_user_namespace()
            while packet := wire.receive(self._peer):
                self._make(packet)
        finally:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for child in self._groups:
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

    def _make(self, packet: Packet) -> None:
        request, files = packet.message, packet.files
        node = socket.socket(fileno=files[0])
        with node:
            if not isinstance(request, MakeNode):
                return
            try:
                if self._refusal is not None:
                    raise self._refusal
                self._start(request, node)
            except OSError as error:
                with contextlib.suppress(OSError):
                    wire.send(node, Failed(error.errno or 0, error.strerror or str(error)))

    def _start(self, request: MakeNode, node: socket.socket) -> None:
        self._made += 1
        group = f"node-{self._made}"
        self._cgroups.make(group, request.limits)
        # Its end must not be noticed before it is known.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        try:
            child = kernel.clone(_NODE if self._uid == 0 else _NODE | Namespace.USER)
            if child == 0:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
                init.run(node, request, self._cgroups, group, self._uid, self._gid)
            self._groups[child] = group
            with _descriptor(child) as descriptor:
                wire.send(node, Started(), descriptor)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})

    def _reap(self, options: int) -> None:
        """Take note of nodes that have ended; with `options` 0, of all, waiting for them."""
        with contextlib.suppress(ChildProcessError):
            while child := os.waitpid(-1, options)[0]:
                self._cgroups.remove(self._groups.pop(child))


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
