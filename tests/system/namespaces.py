"""Machines with a network of their own, on this one: workers of a cluster, and its server."""

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from attrs import define, field

HUB = "10.87.0.1"
"""The address of the machine to which all others are connected."""

_LXC_BRIDGE = "lxcbr0"


@define(eq=False)
class Namespace:
    """A network namespace, for as long as the process lives that holds it.

    Attributes:
        holder: The process.
    """

    holder: "subprocess.Popen[bytes]"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What brings a command into it, and changes nothing else."""
        return ("nsenter", f"--net=/proc/{self.holder.pid}/ns/net")

    def ip(self, *words: str) -> None:
        """Run `ip` there."""
        subprocess.run([*self.prefix, "ip", *words], check=True, timeout=30)


@define(eq=False)
class Street:
    """Machines around a hub, each at the end of a cable.

    Attributes:
        hub: To which all are connected.
        machines: By their names.
    """

    hub: Namespace
    machines: dict[str, Namespace] = field(factory=dict[str, Namespace])

    def cut(self, machine: str) -> None:
        """Pull the plug of a machine."""
        self.hub.ip("link", "set", machine, "down")

    def mend(self, machine: str) -> None:
        """Put it in again."""
        self.hub.ip("link", "set", machine, "up")


@contextmanager
def open_street(*names: str) -> Iterator[Street]:
    """A hub with these machines, each with a bridge for containers; nothing is left of it."""
    with ExitStack() as stack:
        street = Street(stack.enter_context(_namespace()))
        street.hub.ip("link", "add", "hub", "type", "bridge")
        street.hub.ip("address", "add", f"{HUB}/24", "dev", "hub")
        street.hub.ip("link", "set", "hub", "up")
        for number, name in enumerate(names, 2):
            machine = street.machines[name] = stack.enter_context(_namespace())
            far = ("peer", "name", "up0", "netns", str(machine.holder.pid))
            street.hub.ip("link", "add", name, "type", "veth", *far)
            street.hub.ip("link", "set", name, "master", "hub", "up")
            machine.ip("address", "add", f"10.87.0.{number}/24", "dev", "up0")
            machine.ip("link", "set", "up0", "up")
            machine.ip("link", "add", _LXC_BRIDGE, "type", "bridge")
            machine.ip("link", "set", _LXC_BRIDGE, "up")
        yield street


@contextmanager
def _namespace() -> Iterator[Namespace]:
    """A namespace; it ends with this process, however that ends."""
    words = ["unshare", "--net", "--", "sh", "-c", "echo; exec cat"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        made = Namespace(holder)
        try:
            made.ip("link", "set", "lo", "up")
            yield made
        finally:
            with contextlib.suppress(OSError):
                holder.stdin.close()
            holder.wait(30)
