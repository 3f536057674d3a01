"""What of a valid definition can't be run, found before anything is started."""

from collections.abc import Iterator, Sequence

from callboard.actors.allocation import allocate, resembles, serves
from callboard.actors.drivers.abilities import DRIVERS
from callboard.actors.movers import Site, unmoved
from callboard.actors.networks import network_problems
from callboard.definition.calls import LXC, MULTINODE, VLAND
from callboard.definition.devices import Device, DevicesFile, Driver
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.interfaces import fits
from callboard.definition.links_reading import unknown_ends
from callboard.definition.model import Block, Definition, NodeJob, PipelineAction, Place
from callboard.definition.network import NetworkKind
from callboard.definition.pipeline import pipeline
from callboard.definition.quoting import with_lines
from callboard.definition.split import one_a_role, split

NOT_YET = "CB101"
UNSERVED = "CB102"
NO_INTERFACE = "CB245"
SKIPPED = "CB103"

_MOST_NAMES = 5
MOST_NODES = 100_000
"""Nodes that a group may have to be run."""


def problems(
    definition: Definition,
    devices: DevicesFile | None = None,
    *,
    strict: bool = False,
    network: NetworkKind | None = None,
    sandbox: bool = True,
) -> tuple[Diagnostic, ...]:
    """What of a valid definition can't be run; nothing may be started then.

    Args:
        definition: The definition.
        devices: The devices to choose from; None gives every node a device of its own.
        strict: Refuse it also if a driver would skip a part of it.
        network: Which network nodes are to be in that are made here; None leaves it to the file
            and the definition.
        sandbox: Whether local nodes are throw-away.
    """
    known = None if devices is None else devices.devices
    found = [*unsupported(definition), *unserved(definition, known)]
    found += network_problems(definition, devices, network, sandbox=sandbox)
    if devices is not None:
        found += unknown_ends(devices.network.links, definition)
    if devices is not None and not found:
        found += _unmoved(definition, devices)
    if strict:
        found += skipped([(job, pipeline(job)) for job in one_a_role(definition)], known)
    return with_lines(found)


def unsupported(definition: Definition) -> Iterator[Diagnostic]:
    """What callboard understands but does not run yet."""
    for block in definition.blocks:
        yield from _unsupported_block(block)


def _unsupported_block(block: Block) -> Iterator[Diagnostic]:
    for call in block.calls:
        if call.protocol not in (MULTINODE, LXC, VLAND):
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


def _unmoved(definition: Definition, file: DevicesFile) -> Iterator[Diagnostic]:
    """The VLANs that one choice of devices, which stands for all, can't be moved into."""
    if not definition.vlans:
        return
    jobs = [each for each in split(definition, first_id=1, group="") if each.device_type]
    chosen = allocate(jobs, [each for each in file.devices if each.driver in DRIVERS])
    if chosen is not None:
        sites = [Site(job, chosen[job.id].name, chosen[job.id]) for job in jobs]
        yield from unmoved(sites, daemon=file.vland is not None)


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
        if alike := [each for each in usable if resembles(each, job)]:
            yield _unwired(job, alike)
            continue
        name = job.role.name if job.role else None
        tags = f" with the tags {', '.join(job.tags)}" if job.tags else ""
        rehearsed = any(serves(each, job) for each in devices)
        hint = (
            "those of the driver simulated are for `callboard simulate`"
            if rehearsed
            else _had(devices)
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
            hint=_shortage(jobs, usable) if size <= len(usable) else _had(devices),
        )


def _shortage(jobs: Sequence[NodeJob], devices: Sequence[Device]) -> str:
    """How many devices each role needs, and of which; they are too few for all roles at once."""
    needs = []
    for job in _first_a_role(jobs):
        name = job.role.name if job.role else job.job_name
        count = sum(each.role == job.role for each in jobs)
        able = [each for each in devices if serves(each, job)]
        needs.append(f"`{name}` needs {count} of {_named(able)}")
    more = len(needs) - _MOST_NAMES
    return "; ".join(needs[:_MOST_NAMES]) + (f"; and {more} roles more" if more > 0 else "")


def _unwired(job: NodeJob, devices: Sequence[Device]) -> Diagnostic:
    """The VLAN for which no device has an interface; else those that none has enough for.

    Args:
        job: A job that has VLANs.
        devices: Those that have the type and the tags of its role.
    """
    assert job.role is not None, "only roles have VLANs"
    offered = {each.name: each.interfaces_for(job.vlans) for each in devices}
    interfaces = [each for own in offered.values() for each in own]
    named = _named(devices)
    for vlan in job.vlans:
        if any(fits(vlan, each) for each in interfaces):
            continue
        known = {tag for each in interfaces for tag in each.tags}
        unknown = [tag for tag in vlan.tags if tag not in known]
        asked = f"the tags {', '.join(unknown or vlan.tags)}" if vlan.tags else "tags"
        message = f"no interface of {named} has {asked}, which the VLAN `{vlan.vlan}` asks for"
        tags = ", ".join(sorted(known)) or "none"
        hint = f"the tags of their interfaces are: {tags}"
        return Diagnostic(NO_INTERFACE, "error", message, vlan.place, hint, role=job.role.name)
    vlans = ", ".join(vlan.vlan for vlan in job.vlans)
    message = f"{named} can't give each VLAN of `{job.role.name}` an interface of its own: {vlans}"
    hint = "each VLAN takes one interface with its tags; those without tags are never moved"
    return Diagnostic(NO_INTERFACE, "error", message, job.vlans[0].place, hint, role=job.role.name)


def _named(devices: Sequence[Device]) -> str:
    shown = [each.name for each in devices[:_MOST_NAMES]]
    more = len(devices) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _first_a_role(jobs: Sequence[NodeJob]) -> list[NodeJob]:
    return list({job.role.name if job.role else "": job for job in jobs}.values())


def _had(devices: Sequence[Device]) -> str:
    counts: dict[str, int] = {}
    for device in devices:
        counts[device.type] = counts.get(device.type, 0) + 1
    types = ", ".join(f"{count} of type {name}" for name, count in counts.items())
    return f"the devices file has {types or 'no device'}"


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
    for job, actions in jobs:
        device = next((each for each in devices or () if serves(each, job)), None)
        for action in _leaves(actions):
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
    return driver_skips(job, action, driver_of(job, device))


def driver_skips(job: NodeJob, action: PipelineAction, driver: Driver) -> str | None:
    """Why a job skips an action on a node that this driver makes, None when it doesn't."""
    # what only checks a group needs none of the actors, which take long to load
    from callboard.actors.lxc.delivery import is_delivered
    from callboard.actors.testshell import TEST_SHELLS
    from callboard.actors.work import OWN

    if action.children or action.name in OWN | TEST_SHELLS or is_delivered(job, action):
        return None
    return DRIVERS[driver](action.name)


def _leaves(pipeline: Sequence[PipelineAction]) -> Iterator[PipelineAction]:
    for action in pipeline:
        if action.children:
            yield from _leaves(action.children)
        else:
            yield action
