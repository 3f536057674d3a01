"""Has the links of a group's network be what they are to be, with `nft` and `tc`.

Losses and cuts are rules of the packet filter, which name both ends of a link and hold for all
that it carries, broadcasts and address resolution too. Rates and delays are queues before the
cable of the node that receives, with a class for each node that sends.

What goes out of the network is delayed once, on its way in, for both directions, so that the time
of a round trip is right; and what is above its rate gets lost, for the router has no queue.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import anyio

from callboard.actors.drivers.network.rules import Path, ruleset
from callboard.actors.drivers.network.shaping import FREE, ROUTER, Pace, Queues, Source
from callboard.actors.drivers.segment import Segment, Station
from callboard.actors.links import Links
from callboard.definition.links import UNDISTURBED, Conditions


class SegmentCables:
    """The cables of a segment; satisfies `Cables`.

    Args:
        segment: The network.
        jobs: The job of each node that is in it, by the name of its device or container.
        links: What the links are to be like.
    """

    def __init__(self, segment: Segment, jobs: Mapping[str, int], links: Links) -> None:
        self._segment = segment
        self._links = links
        self._jobs = jobs
        self._nodes = tuple(each for each in segment.plan.values() if each.device in jobs)
        self._sources = {
            station.device: Source(number, station.mac)
            for number, station in enumerate(self._nodes, ROUTER + 1)
        }
        self._queues = {each.device: Queues(each.link) for each in self._nodes}
        self._ruled = ruleset(())
        self._lock = anyio.Lock()

    async def welcome(self, station: Station) -> None:
        """See to the links of a node that comes, whose cable is a new one; raises OSError."""
        async with self._lock:
            if station.device in self._queues:
                self._queues[station.device].forget()
            await self._change()

    async def apply(self) -> None:
        """See that all links are as they are to be now; raises OSError when they can't be."""
        async with self._lock:
            await self._change()

    async def _change(self) -> None:
        rules = ruleset(self._paths())
        if rules != self._ruled:
            await self._segment.execute("nft", "-f", "-", given=rules)
            self._ruled = rules
        try:
            await self._tune(self._nodes)
        except OSError:
            await self._begin_anew()

    async def _begin_anew(self) -> None:
        """Tune the cables that are there, again as long as others come or go meanwhile."""
        before: list[Station] | None = None
        while True:
            listed = await self._segment.execute("ip", "-brief", "link", "show")
            there = {line.split()[0].split("@")[0] for line in listed.splitlines()}
            left = [each for each in self._nodes if each.link in there]
            for station in self._nodes:
                self._queues[station.device].forget()
            with contextlib.suppress(OSError):
                lines = [f"qdisc del dev {each.link} root" for each in left]
                await self._tc(lines, "-force")
            try:
                await self._tune(left)
            except OSError:
                if left == before:
                    raise
                before = left
            else:
                return

    async def _tune(self, nodes: Sequence[Station]) -> None:
        """Tune the queues of those nodes that are there now."""
        there = self._segment.stations
        lines = [
            line
            for station in nodes
            if station.device in there
            for line in self._queues[station.device].retune(self._paces(station))
        ]
        if lines:
            await self._tc(lines)

    async def _tc(self, lines: Sequence[str], *options: str) -> None:
        await self._segment.execute("tc", *options, "-batch", "-", given="\n".join([*lines, ""]))

    def _paths(self) -> Iterator[Path]:
        """Every link, once."""
        for number, one in enumerate(self._nodes):
            yield Path(one, None, self._links.between(self._jobs[one.device], None))
            for other in self._nodes[number + 1 :]:
                yield Path(one, other, self._between(one, other))

    def _paces(self, station: Station) -> Mapping[Source, Pace]:
        """How what others send goes to a node."""
        way_in = self._links.between(self._jobs[station.device], None)
        out = Pace(2 * way_in.delay_s, 2 * way_in.jitter_s, way_in.rate_bps)
        paces = {Source(ROUTER): out}
        for other in self._nodes:
            if other != station:
                paces[self._sources[other.device]] = _pace(self._between(station, other))
        return paces if out != FREE else {s: pace for s, pace in paces.items() if pace != FREE}

    def _between(self, one: Station, other: Station) -> Conditions:
        """What a link is like; a job's own container is never far from its device."""
        job, against = self._jobs[one.device], self._jobs[other.device]
        return UNDISTURBED if job == against else self._links.between(job, against)


def _pace(like: Conditions) -> Pace:
    return Pace(like.delay_s, like.jitter_s, like.rate_bps)
