"""The network between the nodes of a rehearsal, and what goes over its links."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from random import Random

from attrs import define, field, frozen

from callboard.actors.links import Change, Ends, Links
from callboard.definition.links import CUT, Conditions
from callboard.simulation.faults import Cut, Heal, Impair, LinkFault, Targets
from callboard.simulation.model import Transfer

_BITS = 8


def jobs_of(targets: Targets, roles: Mapping[str, Sequence[int]]) -> frozenset[int]:
    """The jobs that targets mean.

    Args:
        targets: Nodes, none of them left to chance.
        roles: The jobs of each role, in the order of the split.
    """
    found: set[int] = set()
    for target in targets:
        members, node = roles.get(target.role, ()), target.node
        found.update(members if node is None else members[node - 1 : node])
    return frozenset(found)


def change_of(fault: LinkFault, job: int, roles: Mapping[str, Sequence[int]]) -> Change:
    """What a fault does to links when it strikes one of the nodes that it is for."""
    own = frozenset({job})
    ends: Ends = (own, jobs_of(fault.between, roles)) if fault.between else (own,)
    match fault:
        case Cut():
            return Change("cut", ends, CUT)
        case Impair(conditions=conditions):
            return Change("impair", ends, conditions)
        case Heal():
            return Change("heal", ends)
        case _:
            raise TypeError(f"{fault!r} does nothing to links")


@define(eq=False)
class Wires:
    """The links of a rehearsal.

    Attributes:
        links: What they are like.
        roles: The jobs of each role, in the order of the split.
    """

    links: Links
    roles: Mapping[str, Sequence[int]]
    _flows: "dict[_Flow, None]" = field(factory=dict, init=False)

    def suffer(self, change: Change, lasts_s: float | None) -> None:
        """Have something happen to links for so many seconds, with None for good."""
        self.links.begin(change)
        self._reconsider()
        if lasts_s is not None:
            asyncio.get_running_loop().call_later(lasts_s, self._end, change)

    def send(
        self, one: int, other: int, size_bytes: int, random: Random, ended: Callable[[bool], None]
    ) -> None:
        """Have something go over a link; `ended` is told whether all of it has arrived."""

        def over(arrived: bool) -> None:
            del self._flows[flow]
            ended(arrived)

        flow = _Flow(size_bytes * _BITS, random, over)
        self._flows[flow] = None
        flow.ends = (one, other)
        flow.carry(self.links.between(one, other))

    def _end(self, change: Change) -> None:
        self.links.end(change)
        self._reconsider()

    def _reconsider(self) -> None:
        for flow in tuple(self._flows):
            flow.carry(self.links.between(*flow.ends))


@frozen
class Plug:
    """Where a node is plugged into the network.

    Attributes:
        wires: The network.
        job: The node's job.
        random: What is drawn for what it sends.
    """

    wires: Wires
    job: int
    random: Random

    def suffer(self, fault: LinkFault, lasts_s: float | None) -> None:
        """Have a fault happen to the node's links for so many seconds, with None for good."""
        self.wires.suffer(change_of(fault, self.job, self.wires.roles), lasts_s)

    def transmission(self, transfer: Transfer) -> "Transmission":
        """Something that goes between the node and all others of a role."""
        return Transmission(self, transfer)


@define(eq=False)
class Transmission:
    """Something that goes to several nodes at a time; it fails when one of them is cut off."""

    plug: Plug
    transfer: Transfer
    _left: int = field(default=0, init=False)

    def begin(self, ended: Callable[[bool], None]) -> None:
        """Begin it; `ended` is told whether all has arrived everywhere."""
        plug, transfer = self.plug, self.transfer
        others = [job for job in plug.wires.roles.get(transfer.to, ()) if job != plug.job]
        self._left = len(others)
        if not others:
            ended(True)
        for other in others:
            plug.wires.send(
                plug.job,
                other,
                transfer.size_bytes,
                plug.random,
                lambda arrived: self._over(arrived, ended),
            )

    def _over(self, arrived: bool, ended: Callable[[bool], None]) -> None:
        if self._left > 0:
            self._left = self._left - 1 if arrived else -1
            if self._left <= 0:
                ended(arrived)


@define(eq=False)
class _Flow:
    """Bits that go over a link, at the rate that it has at each moment."""

    left_bits: float
    random: Random
    ended: Callable[[bool], None]
    ends: tuple[int, int] = (0, 0)
    _like: Conditions | None = None
    _rate_bps: float = 0.0
    _since_s: float = 0.0
    _sent: bool = False
    _timer: asyncio.TimerHandle | None = None

    def carry(self, like: Conditions) -> None:
        """Go on over a link that is like this from now on."""
        if like.cut:
            self._stop()
            self.ended(False)
        elif not self._sent and like != self._like:
            loop = asyncio.get_running_loop()
            now_s = loop.time()
            if self._rate_bps:
                self.left_bits -= self._rate_bps * (now_s - self._since_s)
            self._stop()
            self._like, self._since_s, self._rate_bps = like, now_s, _goodput_bps(like)
            if self._rate_bps == math.inf or self.left_bits <= 0:
                self._fly()
            elif self._rate_bps:
                self._timer = loop.call_later(self.left_bits / self._rate_bps, self._fly)

    def _fly(self) -> None:
        """The last bit is sent; it is under way for as long as the link delays it now."""
        self._sent = True
        like = self._like
        assert like is not None, "it has begun"
        jitter_s = self.random.uniform(-like.jitter_s, like.jitter_s) if like.jitter_s else 0.0
        delay_s = like.delay_s + jitter_s
        if delay_s > 0:
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.ended, True)
        else:
            self.ended(True)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _goodput_bps(like: Conditions) -> float:
    """What a link carries of what one wants to have carried, in bits a second."""
    if like.loss >= 1:
        return 0.0
    return math.inf if like.rate_bps is None else like.rate_bps * (1 - like.loss)
