"""What the links between the nodes of a real run are like: by the devices file, and by faults."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from attrs import frozen

from callboard.actors.drivers.lxc.requirements import Machine, as_root, install
from callboard.actors.drivers.network.ability import delays_packets, tools_of
from callboard.actors.drivers.network.conditions import SegmentCables
from callboard.actors.links import Links
from callboard.actors.messages import CoordinatorMessage
from callboard.actors.placement import Placement
from callboard.definition.diagnostics import DefinitionError, Diagnostic
from callboard.definition.links import Conditions, Link
from callboard.definition.model import NodeJob, Place
from callboard.definition.quoting import with_lines
from callboard.events import Event
from callboard.runtime import ActorRef
from callboard.runtime.link import Link as RefLink
from callboard.runtime.transport import Deliver, Envelope

_PACKAGES = {"nft": "nftables", "tc": "iproute2"}


class Mishaps(Protocol):
    """What befalls the links of a run while it goes on."""

    @property
    def meant(self) -> Iterable[tuple[str, Place]]:
        """The roles whose nodes' links suffer, and where they are named."""
        ...

    @property
    def conditions(self) -> Iterable[Conditions]:
        """What links may come to be like."""
        ...

    def begin(self, links: Links, jobs: Sequence[NodeJob]) -> None:
        """They are to befall these links, between the nodes of these jobs."""
        ...

    def __call__(self, event: Event) -> None:
        """Take the next event of the run."""
        ...


@frozen
class Linked:
    """The links of a run.

    Attributes:
        links: What they are like.
        cables: What they are made of.
    """

    links: Links
    cables: SegmentCables

    def reach(
        self, job: int, coordinator: ActorRef[CoordinatorMessage]
    ) -> ActorRef[CoordinatorMessage]:
        """The ref by which a job reaches the coordinator.

        What happens just before a call has happened when the coordinator hears of the call.
        """
        del job  # all are alike
        return RefLink(coordinator, _Gate(self.links)).ref


@frozen
class _Gate:
    """Lets nothing through while links are being changed; satisfies `Transport`."""

    links: Links

    def send(self, envelope: Envelope, deliver: Deliver) -> None:
        """Carry it, as soon as what has happened to links is done."""
        self.links.settled(lambda: deliver(envelope))


def link(
    placements: Sequence[Placement], rules: Sequence[Link], mishaps: Mishaps | None
) -> Linked | None:
    """Have the links between nodes be what they are to be; None where nothing is said of them.

    Args:
        placements: All jobs of the group.
        rules: What the devices file says of links.
        mishaps: What befalls them.

    Raises:
        DefinitionError: Something is said of links that aren't those of the group's network.
    """
    if not rules and mishaps is None:
        return None
    segment = next((each.segment for each in placements if each.segment is not None), None)
    plan = segment.plan if segment else {}
    roles = {each.job.id: each.job.role.name if each.job.role else "" for each in placements}
    jobs = {name: each.job.id for each in placements for name in _names(each) if name in plan}
    outside = {
        roles[each.job.id]: each.device for each in placements if each.job.id not in jobs.values()
    }
    meant = [(role, rule.place) for rule in rules for role in rule.ends]
    meant += mishaps.meant if mishaps is not None else ()
    if wrong := [_outside(role, outside[role], at) for role, at in meant if role in outside]:
        raise DefinitionError(with_lines(wrong))
    if segment is None:
        return None  # what is said is said of nobody
    links = Links(roles, rules)
    cables = SegmentCables(segment, jobs, links)
    segment.welcome(cables.welcome)
    if mishaps is not None:
        mishaps.begin(links, [each.job for each in placements])
    return Linked(links, cables)


def _names(placement: Placement) -> Iterator[str]:
    """What the systems of a job are called in the network."""
    yield placement.device
    if placement.container is not None:
        yield placement.container.name


def _outside(role: str, device: str, place: Place) -> Diagnostic:
    message = f"`{role}` runs on {device}, which has no link to a network of the group"
    hint = "local nodes and containers have one with `--network group`"
    return Diagnostic("CB265", "error", message, place, hint)


async def lacking(rules: Sequence[Link], mishaps: Mishaps | None) -> "tuple[str, str] | None":
    """What this machine lacks for links to be so, and what would mend it; None for nothing."""
    conditions = [rule.conditions for rule in rules]
    conditions += mishaps.conditions if mishaps is not None else ()
    machine = Machine()
    missing = [tool for tool in tools_of(conditions) if machine.tool(tool) is None]
    if missing:
        cure = as_root(machine, install(machine, *(_PACKAGES[tool] for tool in missing)))
        return f"links can't be changed without {' and '.join(missing)}", cure
    late = any(each.delay_s for each in conditions)
    if late and not await delays_packets(root=machine.is_root):
        places = (f" ({rule.place})" for rule in rules if rule.conditions.delay_s)
        words = f"leave out `delay` and `jitter`{next(places, '')}"
        cure = f"{as_root(machine, 'modprobe sch_netem')}; or {words}"
        return "the kernel has no netem, so no link can have a `delay`", cure
    return None
