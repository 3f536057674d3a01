"""A process that leads groups as far as their devices are concerned, and may be killed any time.

For `test_table_chaos`. A device that a group has is marked by a symbolic link to the group's name,
which is made and removed in one step: the witness of who uses what.
"""

import os
import random
import sys
from pathlib import Path

import anyio
from nats.errors import Error as NatsError

from callboard.cluster.access import Access
from callboard.cluster.allocation import Allocator
from callboard.cluster.bucket import change
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.errors import ClusterError
from callboard.cluster.fleet import watched
from callboard.cluster.lease import Lease, LeaseTaken
from callboard.cluster.records import GroupRecord, Lead, Need, Seat, Settings, decode, encode
from callboard.cluster.subjects import GROUPS, LEADERS

WORK_S = 0.2
"""How long a group uses its devices at most."""


def needs(group: str) -> tuple[Need, ...]:
    """What a group needs; its name ends in how many jobs it has."""
    return tuple(
        Need(number, "role", "qemu")
        for number in range(1, 1 + int(group.rsplit("-", maxsplit=1)[-1]))
    )


def record(*, ended: bool) -> bytes:
    """The record of any of the groups."""
    made = GroupRecord(
        "x", "x.yaml", 1, 1, "2020-01-01", Settings(), "ended" if ended else "queued"
    )
    return encode(made)


class Leader:
    """Leads groups of a cluster; what it does is said on stdout, a line a deed."""

    def __init__(self, cluster: Cluster, allocator: Allocator, marks: Path) -> None:
        self._cluster = cluster
        self._allocator = allocator
        self._marks = marks
        self._groups = cluster.bucket(GROUPS)
        self._lead = encode(Lead("leader", str(os.getpid())))

    async def see_through(self, group: str) -> None:
        """See to it that a group ends, whoever leads it."""
        while not await self.is_over(group):
            await self.lead(group)
            await anyio.sleep(random.uniform(0, WORK_S))

    async def lead(self, group: str) -> None:
        """Lead a group to its end, unless another does."""
        lease = Lease(self._cluster.bucket(LEADERS), group, self._lead, self._cluster.lease_s)
        try:
            await lease.take()
        except LeaseTaken:
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._perform, group, lease, tasks.cancel_scope)
            await lease.keep()
            tasks.cancel_scope.cancel()

    async def is_over(self, group: str) -> bool:
        """Whether a group has ended."""
        entry = await self._groups.get(group)
        return decode(entry.value or b"", GroupRecord).state == "ended"

    async def _perform(self, group: str, lease: Lease, scope: anyio.CancelScope) -> None:
        if not await self.is_over(group):
            seats = await self._allocator.seats(group, needs(group), None, lambda _shortage: None)
            say("granted", group)
            if lease.held:
                self._use(group, list(seats.values()))
            await anyio.sleep(random.uniform(0, WORK_S))
            if lease.held:
                self._leave(group, list(seats.values()))
                await change(self._groups, group, lambda _old: record(ended=True))
                say("ended", group)
                await self._allocator.release(group)
                say("released", group)
        await lease.give_back()
        scope.cancel()

    def _use(self, group: str, seats: list[Seat]) -> None:
        for seat in seats:
            mark = self._marks / f"{seat.worker}-{seat.device}"
            try:
                mark.symlink_to(group)
            except FileExistsError:
                if (other := mark.readlink().name) != group:
                    say("twice", f"{mark.name}: {other} and {group}")

    def _leave(self, group: str, seats: list[Seat]) -> None:
        for seat in seats:
            mark = self._marks / f"{seat.worker}-{seat.device}"
            if mark.is_symlink() and mark.readlink().name == group:
                mark.unlink()


def say(*words: str) -> None:
    """Print a line at once."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def main(*arguments: str) -> None:
    """Lead groups that nobody leads, until all have ended.

    Args:
        *arguments: The server's URL, the folder of the marks, and the groups.
    """
    url, marks, *left = arguments
    async with (
        connect(Access(url), name="leader", note=lambda _text: None, make=False) as cluster,
        watched(cluster) as fleet,
        anyio.create_task_group() as tasks,
    ):
        allocator = Allocator(cluster, fleet)
        tasks.start_soon(allocator.run)
        leader = Leader(cluster, allocator, Path(marks))
        async with anyio.create_task_group() as groups:
            for group in random.sample(left, len(left)):
                groups.start_soon(leader.see_through, group)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    try:
        anyio.run(main, *sys.argv[1:])
    except* (ClusterError, NatsError, TimeoutError):  # the server was away: as good as killed
        sys.exit(os.EX_TEMPFAIL)
