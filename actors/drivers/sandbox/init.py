"""The first process of a node: makes the node's view, then serves callboard until it is gone.

Every process of the node ends with this one (pid_namespaces(7)), and this one ends when its
socket is closed at the other side, whatever has closed it.
"""

import contextlib
import fcntl
import os
import signal
import socket
import tarfile
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, assert_never

from callboard.actors.drivers import survey
from callboard.actors.drivers.sandbox import kernel, seccomp, view, wire
from callboard.actors.drivers.sandbox.kernel import OF_NETWORK, OF_ROOT, Namespace
from callboard.actors.drivers.sandbox.limits import Cgroups
from callboard.actors.drivers.sandbox.territory import Territory
from callboard.actors.drivers.sandbox.view import View
from callboard.actors.drivers.sandbox.wire import (
    Done,
    Ended,
    Failed,
    Made,
    MakeNode,
    MakeSegment,
    Message,
    OpenShell,
    Packet,
    RunTool,
    Started,
    Survey,
    Surveyed,
    Unpack,
)
from callboard.actors.drivers.survey import Process


def run(
    peer: socket.socket,
    request: MakeNode,
    files: Sequence[int],
    cgroups: Cgroups,
    group: str,
    user: tuple[int, int],
    territory: Territory | None,
) -> NoReturn:
    """Be the first process of a node; to be called in a process just made for it.

    Args:
        peer: The socket to callboard; every other open file is closed.
        request: The node to be.
        files: What came with the request: lines for its `/etc/hosts`, or nothing.
        cgroups: Where its limits are made already.
        group: The name of its cgroups.
        user: The user that runs callboard, and its nodes; and their group.
        territory: What it has for its network where they are root.
    """
    try:
        shells: set[int] = set()
        signal.signal(signal.SIGCHLD, lambda _number, _frame: _reap(shells))
        # which the node itself can't send then
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        kernel.die_with_parent()
        hosts = _read(files[0]) if files else ""
        if territory is not None:
            kernel.enter_network(territory.network)
        network = os.open("/proc/self/ns/net", os.O_RDONLY) if request.connected else None
        lacking = _prepare(request, hosts, cgroups, group, user, territory)
        done = Done(tuple(sorted(cgroups.controllers)), lacking)
        wire.send(peer, done, *([] if network is None else [network]))
        _close_all_but(peer.fileno())
        while packet := wire.receive(peer):
            _serve(peer, packet, shells)
    except OSError as error:
        with contextlib.suppress(OSError):
            wire.send(peer, _failed(error))
    except Exception as error:  # whatever goes wrong must not end the node without a word
        with contextlib.suppress(OSError):
            wire.send(peer, Failed(0, f"{type(error).__name__}: {error}"))
    finally:
        os._exit(0)


def _read(file: int) -> str:
    """All of a file that others read at the same time."""
    return os.pread(file, os.fstat(file).st_size, 0).decode()


def _prepare(
    request: MakeNode,
    hosts: str,
    cgroups: Cgroups,
    group: str,
    user: tuple[int, int],
    territory: Territory | None,
) -> tuple[str, ...]:
    """Make the node; returns what this machine doesn't let it have."""
    root = user[0] == 0
    if not root:
        kernel.be_the_same_user(*user)
    cgroups.enter(group)
    kernel.unshare(Namespace.CGROUP)
    if not root:
        # Cgroups that are the user's own could be mounted in another one, and changed.
        Path("/proc/sys/user/max_cgroup_namespaces").write_text("0")
    writable = wire.as_paths(request.writable)
    network = view.OwnNetwork(hosts, request.resolver) if request.connected else None
    lacking = view.enter(View(request.name, root, request.disk_bytes, writable, network))
    request.limits.apply(cgroups.controllers)
    if territory is not None:
        kernel.enter_users(territory.users)  # only now: what is above needs the machine's root
    if root:
        seccomp.forbid(packets=not request.connected)
    kept = (OF_ROOT if root else frozenset()) | (OF_NETWORK if request.connected else frozenset())
    kernel.keep_capabilities(kept, passed_on=not root)
    kernel.be_unreadable()
    return lacking


def _close_all_but(kept: int) -> None:
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))


def _serve(peer: socket.socket, packet: Packet, shells: set[int]) -> None:
    answer: Message = Done()
    terminal = None
    try:
        match packet.message:
            case OpenShell() as request:
                terminal = _open_shell(request, shells)
            case Unpack():
                _unpack(*packet.files)
            case Survey():
                # A copy: shells that end meanwhile are forgotten.
                answer = Surveyed(survey.busy(_others, frozenset(shells)))
            case (
                MakeNode()
                | MakeSegment()
                | RunTool()
                | Started()
                | Made()
                | Ended()
                | Done()
                | Surveyed()
                | Failed()
            ):
                raise OSError(0, "not for a node")
            case _:
                assert_never(packet.message)
    except OSError as error:
        wire.send(peer, _failed(error))
    except Exception as error:  # whatever goes wrong must not end the node without a word
        wire.send(peer, Failed(0, f"{type(error).__name__}: {error}"))
    else:
        wire.send(peer, answer, *([] if terminal is None else [terminal]))
    finally:
        for file in (*packet.files, *([] if terminal is None else [terminal])):
            with contextlib.suppress(OSError):
                os.close(file)


def _failed(error: OSError) -> Failed:
    where = f"{error.filename}: " if error.filename else ""
    return Failed(error.errno or 0, f"{where}{error.strerror or error}")


def _open_shell(request: OpenShell, shells: set[int]) -> int:
    """Start the command as the leader of a session with a terminal of the node's own."""
    master, slave = os.openpty()
    # Its end must not be noticed before it is known.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            _be_command(request, slave)
        shells.add(child)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.close(slave)
    return master


def _be_command(request: OpenShell, slave: int) -> NoReturn:
    try:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for standard in range(3):
            os.dup2(slave, standard)
        try:
            os.chdir(request.folder)
        except OSError:
            os.chdir("/")
        os.execvpe(request.command[0], list(request.command), request.environment)
    except OSError as error:
        os.write(2, f"{request.command[0]} can't be started: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _unpack(archive: int) -> None:
    with (
        os.fdopen(os.dup(archive), "rb") as opened,
        tarfile.open(fileobj=opened) as members,
    ):
        # Whole, for callboard made it; the first releases of Python 3.11 have no filters.
        members.extraction_filter = lambda member, _folder: member
        members.extractall("/")


def _others() -> dict[int, Process]:
    """Every living process of the node but this one."""
    found = survey.processes()
    del found[os.getpid()]
    return found


def _reap(shells: set[int]) -> None:
    """Take note of every process that has ended: who has lost its parent has this one."""
    with contextlib.suppress(ChildProcessError):
        while child := os.waitpid(-1, os.WNOHANG)[0]:
            shells.discard(child)  # another process will have its id
