"""Devices of a devices file belong to one run at a time, whoever started it."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
from attrs import frozen

from callboard.actors.allocation import allocate, serves
from callboard.definition.devices import Device, DevicesFile
from callboard.definition.model import NodeJob
from callboard.state import state_directory

_RETRY_S = 0.2


class QueueTimeout(Exception):
    """The devices stayed busy for longer than the definition's `timeouts.queue`."""


@frozen
class Reservation:
    """The device of each job, until it is released or this process ends."""

    devices: Mapping[int, Device]
    _locks: tuple[int, ...]

    def release(self) -> None:
        """Give the devices back."""
        for lock in self._locks:
            os.close(lock)


Choice = Callable[[Sequence[NodeJob], Sequence[Device]], Mapping[int, Device] | None]
"""Says which of the free devices each job gets; None when they can't serve all jobs."""


async def reserve(
    jobs: Sequence[NodeJob],
    file: DevicesFile,
    usable: Sequence[Device],
    limit_s: float | None,
    waiting: Callable[[frozenset[str]], None],
    choice: Choice = allocate,
) -> Reservation:
    """Reserve a device for every job, all at once; waits while too many are busy.

    Args:
        jobs: The jobs of a group; `usable` must have a device for each when none is busy.
        file: Where the devices are from.
        usable: Those of them that this version can run jobs on.
        limit_s: How long to wait, in seconds; None waits as long as it takes.
        waiting: Called once if there is a wait, with the names of the busy devices.
        choice: Chooses among those that are free.

    Raises:
        QueueTimeout: The limit has passed.
        OSError: The state directory can't be written.
    """
    fitting = [device for device in usable if any(serves(device, job) for job in jobs)]
    deadline_s = anyio.current_time() + limit_s if limit_s is not None else float("inf")
    told = False
    while True:
        reservation = _attempt(jobs, file, fitting, choice)
        if reservation is not None:
            return reservation
        names = busy(file, fitting)
        if not told:
            waiting(names)
            told = True
        if anyio.current_time() >= deadline_s:
            listed = ", ".join(sorted(names))
            raise QueueTimeout(f"no free devices within {limit_s:g} s (timeouts.queue): {listed}")
        await anyio.sleep(_RETRY_S)


def busy(file: DevicesFile, devices: Iterable[Device]) -> frozenset[str]:
    """The names of the devices that a run has now; raises OSError."""
    with _attempts():
        return frozenset(each.name for each in devices if not _free(_lock_path(file, each)))


def _attempt(
    jobs: Sequence[NodeJob], file: DevicesFile, devices: Sequence[Device], choice: Choice
) -> Reservation | None:
    with _attempts():
        locks = {each.name: _try_lock(_lock_path(file, each)) for each in devices}
        free = [each for each in devices if locks[each.name] is not None]
        chosen = choice(jobs, free) or {}
        kept = {device.name for device in chosen.values()}
        for name, lock in locks.items():
            if lock is not None and name not in kept:
                os.close(lock)
    if not chosen:
        return None
    return Reservation(
        chosen, tuple(lock for name, lock in locks.items() if name in kept and lock is not None)
    )


@contextmanager
def _attempts() -> Iterator[None]:
    """One attempt at a time on this machine, so that no two runs take half of the devices each."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "attempt", os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _folder() -> Path:
    return state_directory() / "devices"


def _lock_path(file: DevicesFile, device: Device) -> Path:
    """Devices of the same name in different files are different devices."""
    key = f"{Path(file.file).resolve()}\0{device.name}"
    return _folder() / hashlib.sha256(key.encode()).hexdigest()[:32]


def _try_lock(path: Path) -> int | None:
    lock = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _free(path: Path) -> bool:
    if not path.exists():
        return True
    lock = _try_lock(path)
    if lock is not None:
        os.close(lock)
    return lock is not None
