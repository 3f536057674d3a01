"""The queues of links that are slow or far: what `tc` is to be told."""

from collections.abc import Mapping

from attrs import define, field, frozen

_UNLIMITED = "100gbit"

ROUTER = 1
"""The class of what comes from the router, and of all that has no class of its own."""

_LEAST_QUEUE = 128 * 1024
"""Bytes that a queue holds at least: two of the largest pieces that the kernel hands on whole."""

_QUEUE_S = 0.2
"""How long a full queue delays what is behind it, at most, in seconds."""

_QUANTUM = 15_140
"""Bytes that a class may send at a time; the kernel would reckon it from the rate, and complain."""


@frozen
class Pace:
    """How what comes from one end of a link goes to the other.

    Attributes:
        delay_s: How long it takes, in seconds.
        jitter_s: By how much that varies at most, in seconds.
        rate_bps: How much goes at most, in bits a second; None for no limit.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    rate_bps: int | None = None

    @property
    def late(self) -> bool:
        """Whether the kernel's `netem` is needed for it."""
        return self.delay_s > 0


FREE = Pace()
"""A link that is neither slow nor far."""


@frozen
class Source:
    """Whoever sends.

    Attributes:
        number: Of its class; that of the router is `ROUTER`, those of nodes are above.
        mac: The node's hardware address; empty for the router.
    """

    number: int
    mac: str = ""


@define
class Queues:
    """What waits at the network's side of a node's cable to go to the node.

    Attributes:
        link: What the cable's side is called.
    """

    link: str
    _there: dict[Source, Pace] = field(factory=dict[Source, Pace], init=False)

    def forget(self) -> None:
        """The cable is a new one, without queues."""
        self._there.clear()

    def retune(self, wanted: Mapping[Source, Pace]) -> list[str]:
        """Lines for `tc -batch` that change it, while traffic goes on.

        Args:
            wanted: How what comes from each source goes to the node. The others are like the
                router: where that is not `FREE`, every source has to be there.
        """
        if all(pace == FREE for pace in wanted.values()):
            lines = [f"qdisc del dev {self.link} root"] if self._there else []
            self._there.clear()
            return lines
        lines = []
        if not self._there:
            lines.append(f"qdisc add dev {self.link} root handle 1: htb default {ROUTER}")
            lines.append(self._class(ROUTER, FREE))
            self._there[Source(ROUTER)] = FREE
        for source in sorted({*self._there, *wanted}, key=lambda each: each.number):
            lines += self._pass(source, wanted.get(source, FREE))
        return lines

    def _pass(self, source: Source, pace: Pace) -> list[str]:
        known = self._there.get(source)
        self._there[source] = pace
        if known == pace:
            return []
        lines = [self._class(source.number, pace), *self._queue(source.number, known, pace)]
        if known is None:
            where = f"dev {self.link} parent 1: protocol all prio {source.number}"
            match = f"u32 match ether src {source.mac} flowid 1:{source.number:x}"
            lines.append(f"filter add {where} {match}")
        return lines

    def _class(self, number: int, pace: Pace) -> str:
        rate = _UNLIMITED if pace.rate_bps is None else f"{pace.rate_bps}bit"
        where = f"dev {self.link} parent 1: classid 1:{number:x}"
        return f"class replace {where} htb rate {rate} quantum {_QUANTUM}"

    def _queue(self, number: int, known: Pace | None, pace: Pace) -> list[str]:
        """What waits in a class; each kind has handles of its own, for none becomes another."""
        where = f"dev {self.link} parent 1:{number:x}"
        if pace.late:
            jitter = f" {_us(pace.jitter_s)}" if pace.jitter_s else ""
            queue = f"handle {0x2000 + number:x}: netem delay {_us(pace.delay_s)}{jitter}"
        elif pace.rate_bps is not None:
            limit = max(_LEAST_QUEUE, round(pace.rate_bps / 8 * _QUEUE_S))
            queue = f"handle {0x1000 + number:x}: bfifo limit {limit}"
        else:
            return [] if known in (None, FREE) else [f"qdisc del {where}"]
        return [f"qdisc replace {where} {queue}"]


def _us(value_s: float) -> str:
    return f"{round(value_s * 1e6)}us"
