"""What the links of a group's network are like: the same keys for real runs and rehearsals."""

from attrs import frozen

from callboard.definition.model import Place


@frozen
class Conditions:
    """What happens to what a link carries, in each direction.

    Attributes:
        delay_s: How long it takes, in seconds.
        jitter_s: By how much that varies at most, in seconds.
        loss: Which share of the packets never arrives, from 0 to 1.
        rate_bps: How much it carries at most, in bits a second; None for no limit.
        cut: Whether it carries nothing.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    rate_bps: int | None = None
    cut: bool = False

    def and_also(self, other: "Conditions") -> "Conditions":
        """What a link is like that goes through both: delays add up, the lower rate counts."""
        rates = [each for each in (self.rate_bps, other.rate_bps) if each is not None]
        return Conditions(
            self.delay_s + other.delay_s,
            self.jitter_s + other.jitter_s,
            _either(self.loss, other.loss),
            min(rates, default=None),
            self.cut or other.cut,
        )

    def __str__(self) -> str:
        if self.cut:
            return "cut"
        found = []
        if self.delay_s:
            jitter = f" ± {_seconds(self.jitter_s)}" if self.jitter_s else ""
            found.append(f"delay {_seconds(self.delay_s)}{jitter}")
        if self.loss:
            found.append(f"loss {self.loss * 100:.6g} %")
        if self.rate_bps is not None:
            found.append(f"rate {_bits(self.rate_bps)}/s")
        return ", ".join(found) or "undisturbed"


UNDISTURBED = Conditions()
"""A link that carries everything at once."""

CUT = Conditions(cut=True)
"""A link that carries nothing."""


@frozen
class Link:
    """The links that a rule is about.

    Attributes:
        ends: Roles: one for all links of its nodes, two for the links between their nodes.
        conditions: What they are like.
        place: Where it is written.
    """

    ends: tuple[str] | tuple[str, str]
    conditions: Conditions
    place: Place


def _either(one: float, other: float) -> float:
    # What is lost by one alone is that share exactly, which 1 - (1 - share) isn't.
    return one + other - one * other


def _seconds(value_s: float) -> str:
    return f"{value_s * 1000:.6g} ms" if value_s < 1 else f"{value_s:.6g} s"


def _bits(value: int) -> str:
    for unit, size in (("Gbit", 10**9), ("Mbit", 10**6), ("kbit", 10**3)):
        if value >= size:
            return f"{value / size:.6g} {unit}"
    return f"{value} bit"
