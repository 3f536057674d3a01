"""Which device each job of a group gets: all jobs have one, or nobody has."""

from collections.abc import Mapping, Sequence

from callboard.definition.devices import Device
from callboard.definition.interfaces import Interface, match
from callboard.definition.model import NodeJob


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

    The jobs are matched by augmenting paths, so that an assignment is found whenever there is
    one, whatever the tags.

    Returns:
        The device of each job id, None when the devices can't serve all jobs at once.
    """
    holder: dict[str, NodeJob] = {}
    chosen: dict[int, Device] = {}

    def place(job: NodeJob, tried: set[str]) -> bool:
        able = [each for each in devices if each.name not in tried and serves(each, job)]
        for device in sorted(able, key=lambda device: device.name in holder):  # the free ones first
            if device.name in tried:
                continue
            tried.add(device.name)
            other = holder.get(device.name)
            if other is None or place(other, tried):
                holder[device.name] = job
                chosen[job.id] = device
                return True
        return False

    if all(place(job, set()) for job in jobs):
        return chosen
    return None
