"""Containers of a test: below a folder of its own, with nothing of them left at its end."""

import os
from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen

from callboard.actors.drivers import Console
from callboard.actors.drivers.lxc.container import LxcContainer
from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.order import Order
from callboard.actors.drivers.lxc.recipe import Recipe
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.lxc.tools import Tools
from callboard.definition.lxc_devices import LxcLimits, LxcMount

BUSYBOX = Recipe("busybox")


@frozen
class Yard:
    """Where a test's containers are.

    Attributes:
        folder: LXC's path.
        said: What was said of all containers, in order.
        made: The containers that were asked for.
    """

    folder: Path
    said: list[str] = field(factory=list[str])
    made: list[LxcContainer] = field(factory=list[LxcContainer])

    @property
    def tools(self) -> Tools:
        """LXC's tools for these containers."""
        return Tools(Store(self.folder))

    def container(
        self,
        name: str,
        recipe: Recipe = BUSYBOX,
        *,
        job: int = 1,
        persistent: bool = False,
        limits: LxcLimits | None = None,
        mounts: tuple[LxcMount, ...] = (),
        patience_s: float = 30.0,
    ) -> LxcContainer:
        """A container that a job wants."""
        order = Order(
            ContainerName(name),
            recipe,
            "run-of-a-test",
            job,
            persistent=persistent,
            limits=limits or LxcLimits(),
            mounts=mounts,
        )
        made = LxcContainer(self.tools, order, patience_s=patience_s)
        made.attend(self.said.append)
        self.made.append(made)
        return made

    def names(self) -> list[str]:
        """The containers that there are, without bases."""
        return [name.text for name in self.tools.store.names() if not name.is_base]

    async def destroy(self, name: str) -> None:
        """Destroy a container as somebody else would, with the lock file that LXC leaves."""
        container = ContainerName(name)
        await self.tools.destroy(container)
        self.tools.store.tools_lock(container).unlink(missing_ok=True)

    def left(self) -> list[str]:
        """What is left in the machine of containers: processes, cgroups, mounts, locks."""
        store = self.tools.store
        found = [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{store.cgroup_prefix}*")]
        found += [line for line in _lines("/proc/self/mounts") if str(self.folder) in line]
        found += [name.text for name in store.locked_names() if not name.is_base]
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                found += [line for line in _lines(f"{entry}/cmdline") if f"{self.folder}" in line]
        return found


def _lines(path: str) -> Iterator[str]:
    try:
        content = Path(path).read_bytes()
    except OSError:
        return
    yield from content.replace(b"\0", b" ").decode(errors="replace").splitlines()


async def read_until(console: Console, mark: str) -> str:
    """What a console prints, up to and with some text; AssertionError if it ends before."""
    text = ""
    while mark not in text:
        piece = await console.receive()
        assert piece, f"the console ended after {text!r}"
        text += piece.decode(errors="replace")
    return text
