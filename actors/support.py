"""What of a valid definition can't be run, found before anything is started."""

from collections.abc import Iterator, Sequence

from callboard.actors.allocation import allocate, serves
from callboard.actors.drivers.abilities import DRIVERS
from callboard.actors.lxc.delivery import is_delivered
from callboard.actors.testshell import TEST_SHELLS
from callboard.actors.work import OWN
from callboard.definition.calls import LXC, MULTINODE
from callboard.definition.devices import Device, Driver
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.model import Block, Definition, NodeJob, PipelineAction, Place
from callboard.definition.split import one_a_role, split

NOT_YET = "CB101"
UNSERVED = "CB102"
SKIPPED = "CB103"


def unsupported(definition: Definition) -> Iterator[Diagnostic]:
    """What callboard understands but does not run yet."""
    for vlan in definition.vlans:
        yield _not_yet("the protocol lava-vland", vlan.place, vlan.role)
    for block in definition.blocks:
        yield from _unsupported_block(block)


def _unsupported_block(block: Block) -> Iterator[Diagnostic]:
    for call in block.calls:
        if call.protocol not in (MULTINODE, LXC):
            yield _not_yet(f"a call of {call.protocol} from an action", call.place)
    if block.kind == "test" and block.test_kind != "shell":
        yield _not_yet(f"a test of kind {block.test_kind}", block.place)


def _not_yet(what: str, place: Place, role: str | None = None) -> Diagnostic:
    return Diagnostic(
        NOT_YET,
        "error",
        f"{what} is not supported yet",
        place,
        hint="the definition is valid; run it without this part",
        role=role,
    )


def driver_of(job: NodeJob, device: Device | None) -> Driver:
    """What makes the node of a job: a login for guests, else what its device has.

    Without a device of the devices file it is a container for LAVA's type `lxc`, and a
    throw-away view of this machine for all others.
    """
    if job.role is not None and job.role.connection is not None:
        return "ssh"
    if device is not None:
        return device.driver
    return "lxc" if job.device_type == "lxc" else "local"


def unserved(definition: Definition, devices: Sequence[Device] | None) -> Iterator[Diagnostic]:
    """The roles that the devices can never serve; None gives every node a device of its own."""
    if devices is None:
        return
    size = sum(role.count for role in definition.roles if role.connection is None) or 1
    few = size > len(devices)  # then nobody asks for all jobs
    found = one_a_role(definition) if few else split(definition, first_id=1, group="")
    jobs = [job for job in found if job.device_type is not None]
    places = {role.name: role.place for role in definition.roles}
    usable = [device for device in devices if device.driver in DRIVERS]
    lonely = [job for job in _first_a_role(jobs) if not any(serves(each, job) for each in usable)]
    for job in lonely:
        name = job.role.name if job.role else None
        tags = f" with the tags {', '.join(job.tags)}" if job.tags else ""
        rehearsed = any(serves(each, job) for each in devices)
        hint = (
            "those of the driver simulated are for `callboard simulate`"
            if rehearsed
            else f"the devices file has {_types(devices)}"
        )
        yield Diagnostic(
            UNSERVED,
            "error",
            f"no device has the type '{job.device_type}'{tags}",
            places.get(name or ""),
            hint=hint,
            role=name,
        )
    if not lonely and (size > len(usable) or allocate(jobs, usable) is None):
        yield Diagnostic(
            UNSERVED,
            "error",
            f"the group needs {size} devices at once, and the devices file can't serve "
            "all of its roles together",
            places.get(jobs[0].role.name) if jobs[0].role else None,
            hint=f"the devices file has {_types(devices)}",
        )


def _first_a_role(jobs: Sequence[NodeJob]) -> list[NodeJob]:
    return list({job.role.name if job.role else "": job for job in jobs}.values())


def _types(devices: Sequence[Device]) -> str:
    counts: dict[str, int] = {}
    for device in devices:
        counts[device.type] = counts.get(device.type, 0) + 1
    return ", ".join(f"{count} of type {name}" for name, count in counts.items()) or "no device"


def skipped(
    jobs: Sequence[tuple[NodeJob, tuple[PipelineAction, ...]]],
    devices: Sequence[Device] | None = None,
) -> Iterator[Diagnostic]:
    """The actions that a node's driver would skip, once a block.

    Args:
        jobs: The jobs with their pipelines.
        devices: Those that may be chosen from; the first that serves a job stands for all.
    """
    seen: set[tuple[Place | None, str]] = set()
    for job, pipeline in jobs:
        device = next((each for each in devices or () if serves(each, job)), None)
        for action in _leaves(pipeline):
            reason = skip_reason(job, action, device)
            place = action.block.place if action.block else None
            if reason is None or (place, action.name) in seen:
                continue
            seen.add((place, action.name))
            yield Diagnostic(
                SKIPPED,
                "error",
                f"{action.name} would be skipped: {reason}",
                place,
                hint="run without --strict, or on a device whose driver can do it",
                role=job.role.name if job.role else None,
            )


def skip_reason(job: NodeJob, action: PipelineAction, device: Device | None = None) -> str | None:
    """Why a job's node skips an action, None when it doesn't."""
    if action.children or action.name in OWN | TEST_SHELLS or is_delivered(job, action):
        return None
    return DRIVERS[driver_of(job, device)](action.name)


def _leaves(pipeline: Sequence[PipelineAction]) -> Iterator[PipelineAction]:
    for action in pipeline:
        if action.children:
            yield from _leaves(action.children)
        else:
            yield action
