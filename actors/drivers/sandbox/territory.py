"""Network namespaces of nodes whose root is the machine's own.

A right to change one network counts for every other network of the same owner, and a node gets at
those without entering them: by the numbers that the kernel gives to the networks at the other end
of its cables, and of theirs (rtnetlink(7): IFLA_TARGET_NETNSID), up to that of the machine. So the
owner of such a node's network is a user namespace of the node's own, in which everybody is who he
is outside.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from callboard.actors.drivers.sandbox import kernel
from callboard.actors.drivers.sandbox.kernel import Namespace, step


@frozen
class Territory:
    """A network namespace and its owner, as open files.

    Attributes:
        users: The user namespace.
        network: The network namespace.
    """

    users: int
    network: int


@contextmanager
def open_territory() -> Iterator[Territory]:
    """Make both; raises OSError."""
    wait, go = os.pipe()
    child = kernel.clone(Namespace.USER | Namespace.NET)
    if child == 0:
        os.close(go)
        os.read(wait, 1)
        os._exit(0)
    os.close(wait)
    opened: list[int] = []
    try:
        with step("mapping all users into a user namespace"):
            for name in ("uid_map", "gid_map"):
                (Path(f"/proc/{child}") / name).write_text(_identity(name))
        opened += [os.open(f"/proc/{child}/ns/{name}", os.O_RDONLY) for name in ("user", "net")]
    finally:
        os.close(go)
        os.waitpid(child, 0)
    try:
        yield Territory(*opened)
    finally:
        for file in opened:
            os.close(file)


def _identity(name: str) -> str:
    """A map (user_namespaces(7)) of all users, or groups, that there are here to themselves."""
    extents = (line.split() for line in (Path("/proc/self") / name).read_text().splitlines())
    return "".join(f"{first} {first} {count}\n" for first, _, count in extents)
