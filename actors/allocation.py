"""Which device each job of a group gets: all jobs have one, or nobody has."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

from callboard.definition.devices import Device
from callboard.definition.interfaces import Interface, match
from callboard.definition.model import NodeJob

W = TypeVar("W", bound=Hashable)
D = TypeVar("D", bound=Hashable)


def serves(device: Device, job: NodeJob) -> bool:
    """Whether `device` is what the job's role asks for, and can be in all of its VLANs."""
    return resembles(device, job) and not (job.vlans and wired(device, job) is None)


def resembles(device: Device, job: NodeJob) -> bool:
    """Whether `device` has the type and every tag that the job's role asks for."""
    return device.type == job.device_type and set(job.tags) <= set(device.tags)


def wired(device: Device, job: NodeJob) -> Mapping[str, Interface] | None:
    """The interface of `device` for each VLAN of the job; None when they can't all have one."""
    return match(job.vlans, device.interfaces_for(job.vlans))


def allocate(jobs: Sequence[NodeJob], devices: Sequence[Device]) -> Mapping[int, Device] | None:
    """A device of its own for every job.

    Returns:
        The device of each job id, None when the devices can't serve all jobs at once.
    """
    able: dict[Hashable, tuple[Device, ...]] = {}
    wants: list[Hashable] = []
    for job in jobs:
        want = (job.device_type, job.tags, job.vlans)
        if want not in able:
            able[want] = tuple(each for each in devices if serves(each, job))
        wants.append(want)
    named = {device.name: device for device in devices}
    names = {want: [device.name for device in found] for want, found in able.items()}
    found = matching(wants, names.__getitem__)
    if len(found) < len(jobs):
        return None
    return {jobs[number].id: named[name] for number, name in found.items()}


def matching(wants: Sequence[W], able: Callable[[W], Sequence[D]]) -> dict[int, D]:
    """Devices for as many wants as can have one at the same time, one each.

    It is found by augmenting paths: a want that finds no free device takes another's, if that
    one can have another again. A device that was given stays given, to whomever.

    Args:
        wants: What is wanted; equal ones can be served by the same devices.
        able: The devices that can serve a want, those that are preferred first.

    Returns:
        The device of each want, by its place in `wants`; the others can't all be served.
    """
    lists = {want: able(want) for want in dict.fromkeys(wants)}
    chosen: dict[int, D] = {}
    holder: dict[D, int] = {}
    hopeless: set[W] = set()
    for root, want in enumerate(wants):
        if want not in hopeless and not _augment(root, wants, lists, chosen, holder):
            hopeless.add(want)  # for what has failed once fails for ever after
    return chosen


def _augment(
    root: int,
    wants: Sequence[W],
    lists: Mapping[W, Sequence[D]],
    chosen: dict[int, D],
    holder: dict[D, int],
) -> bool:
    """Serve one want more, `root`; whether that was possible."""
    reached: dict[D, int] = {}
    looked: set[W] = set()
    queue = [root]
    for number in queue:
        if wants[number] in looked:
            continue
        looked.add(wants[number])
        for device in lists[wants[number]]:
            if device in reached:
                continue
            reached[device] = number
            if device in holder:
                queue.append(holder[device])
                continue
            _flip(device, reached, chosen, holder)
            return True
    return False


def _flip(free: D, reached: Mapping[D, int], chosen: dict[int, D], holder: dict[D, int]) -> None:
    """Hand devices on along the path by which a free one was reached."""
    device = free
    while True:
        number = reached[device]
        before = chosen.get(number)
        chosen[number], holder[device] = device, number
        if before is None:
            return  # it is the one that had none
        device = before
