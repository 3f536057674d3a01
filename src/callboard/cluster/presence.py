"""A worker's entry among those of its cluster, for as long as the worker lives."""

import fcntl
import os
import platform
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import anyio
from nats.errors import Error as NatsError

from callboard.cluster import subjects
from callboard.cluster.alongside import alongside
from callboard.cluster.connection import Cluster
from callboard.cluster.errors import ClusterError
from callboard.cluster.lease import Lease, LeaseTaken
from callboard.cluster.records import Registration, decode, encode
from callboard.cluster.refusals import refused
from callboard.state import state_directory

_CURE = "give this one another name with --name"


class Presence:
    """A worker's entry; `present` makes it."""

    def __init__(self, entry: Registration, lease: Lease) -> None:
        self._entry = entry
        self._lease = lease

    @property
    def entry(self) -> Registration:
        """What stands there."""
        return self._entry

    def update(self, change: Callable[[Registration], Registration]) -> None:
        """Change what the others see, soon."""
        self._entry = change(self._entry)
        self._lease.update(encode(self._entry))


@contextmanager
def only_one(name: str) -> Iterator[str]:
    """Be the only worker of that name on this machine, also across workers' deaths.

    Yields:
        What tells this machine from every other, see `Registration.machine`: whoever finds it in
        an entry of the same name knows that the entry's worker is dead.

    Raises:
        ClusterError: There is one already.
        OSError: The state directory can't be written.
    """
    folder = state_directory() / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"a worker called {name} runs on this machine already"
            raise ClusterError("CB273", text, _CURE) from None
        yield _machine(lock)
    finally:
        os.close(lock)


@asynccontextmanager
async def present(
    cluster: Cluster, registration: Registration, waiting: Callable[[str], None]
) -> AsyncIterator[Presence]:
    """Be among the workers of the cluster.

    Args:
        cluster: The cluster.
        registration: What the others see; `only_one` has given its `machine`.
        waiting: Called with a line when an entry of the same name has to be watched, to see
            whether its worker lives.

    Raises:
        ClusterError: A worker of that name lives; or, later, one has taken the name while this
            one was cut off.
    """
    bucket = cluster.bucket(subjects.WORKERS)
    name = registration.name
    lease = Lease(bucket, name, encode(registration), cluster.lease_s, regains=True)
    await _enter(cluster, lease, registration, waiting)

    async def keep() -> None:
        await lease.keep()
        text = f"another worker has taken the name {name} while this one was cut off"
        raise ClusterError("CB273", text, _CURE)

    try:
        async with alongside(keep):
            yield Presence(registration, lease)
    finally:
        await lease.give_back()


async def _enter(
    cluster: Cluster, lease: Lease, registration: Registration, waiting: Callable[[str], None]
) -> None:
    """Take the name; whoever lives writes its entry anew within a third of the lease."""
    watched: int | None = None
    while True:
        try:
            await lease.take()
        except LeaseTaken as taken:
            other = _read(taken.holder)
            if other is not None and other.machine == registration.machine:
                with suppress(LeaseTaken):
                    await lease.take(replacing=taken.revision)
                    return
            elif watched is None:
                watched = taken.revision
                where = f" on {other.host}" if other is not None else ""
                waiting(f"there is a worker {lease.key}{where}; waiting to see whether it lives")
            elif watched != taken.revision:
                where = f" on {other.host}" if other is not None else ""
                text = f"another worker is called {lease.key}, and lives{where}"
                raise ClusterError("CB273", text, _CURE) from None
        except NatsError as error:
            if cluster.connected:
                raise refused(error) from error
            await cluster.wait_connected()
        else:
            return
        await anyio.sleep(cluster.lease_s / 10)


def _read(data: bytes) -> Registration | None:
    try:
        return decode(data, Registration)
    except ClusterError:
        return None


def _machine(lock: int) -> str:
    """A hash of what the lock's file holds, which no two of them do, and of whose file it is."""
    os.lseek(lock, 0, os.SEEK_SET)
    own = os.read(lock, 64)
    if not own:
        own = secrets.token_hex(16).encode()
        os.write(lock, own)
    try:
        system = Path("/etc/machine-id").read_bytes()
    except OSError:
        system = b""
    return sha256(b"\0".join((own, system, platform.node().encode()))).hexdigest()[:32]
