"""What goes wrong in a rehearsal: to whom, when, and for how long."""

from collections.abc import Mapping
from random import Random
from typing import Literal, get_args

from attrs import field, frozen

from callboard.definition.links import Conditions
from callboard.definition.model import Place
from callboard.definition.source import Source
from callboard.simulation.distribution import Distribution, Fixed, Uniform
from callboard.simulation.pattern import Pattern

DrawnKind = Literal[
    "kill",
    "hang",
    "reboot",
    "slow",
    "lose",
    "duplicate",
    "reorder",
    "delay",
    "partition",
    "cut",
    "refuse",
]
"""What can be drawn: everything that happens to a single node."""

DRAWN_KINDS: tuple[DrawnKind, ...] = get_args(DrawnKind)

REBOOT = Fixed(10.0)
"""How long a node takes to come back, unless the fault says it."""

_FACTOR = 4.0
_PROBABILITY = 0.5
_DELAY = Uniform(0.0, 1.0)
_CUT_OFF = Fixed(10.0)


@frozen
class Target:
    """Nodes of a role.

    Attributes:
        role: The role; empty in a job without roles.
        place: Where it is written.
        node: Which of them, from 1, in the order of the split; None for every one.
        any: Whether it is one of them that the seed chooses.
    """

    role: str
    place: Place
    node: int | None = None
    any: bool = False


Targets = tuple[Target, ...]


@frozen
class AtTime:
    """At a time after the beginning of the rehearsal, in virtual seconds."""

    time: Distribution
    place: Place


@frozen
class AtAction:
    """Just before the node begins an action of the pipeline.

    Attributes:
        action: The action's name.
        place: Where it is written.
        occurrence: At which of the actions that are meant, from 1, in the order of the node.
    """

    action: Pattern
    place: Place
    occurrence: int = 1


@frozen
class AtStep:
    """Just before the node runs a command of a test; `occurrence` as in `AtAction`."""

    step: Pattern
    place: Place
    occurrence: int = 1


@frozen
class AtCall:
    """Just before the node makes a call as it is written; `occurrence` as in `AtAction`."""

    call: Pattern
    place: Place
    occurrence: int = 1


Moment = AtTime | AtAction | AtStep | AtCall


@frozen(kw_only=True)
class Kill:
    """The node is gone for good, with all that runs on it."""

    targets: Targets
    at: Moment
    place: Place


@frozen(kw_only=True)
class Hang:
    """The node does nothing; after `lasts` seconds it goes on, with None never."""

    targets: Targets
    at: Moment
    lasts: Distribution | None = None
    place: Place


@frozen(kw_only=True)
class Reboot:
    """The node loses its shell and what runs on it, and is there again after `takes` seconds."""

    targets: Targets
    at: Moment
    takes: Distribution = REBOOT
    place: Place


@frozen(kw_only=True)
class Slow:
    """What the node does takes `factor` times as long.

    Attributes:
        at: From when on, None for the whole rehearsal.
        lasts: For how many seconds, None to the end; both as in the faults below.
    """

    targets: Targets
    factor: float
    at: Moment | None = None
    lasts: Distribution | None = None
    place: Place


@frozen(kw_only=True)
class Noise:
    """Something happens now and then to messages between the node and the coordinator, either way.

    Attributes:
        probability: How likely it happens to a message, from 0 to 1.
    """

    targets: Targets
    probability: float
    at: Moment | None = None
    lasts: Distribution | None = None
    place: Place


@frozen(kw_only=True)
class Lose(Noise):
    """Messages get lost."""


@frozen(kw_only=True)
class Duplicate(Noise):
    """Messages arrive twice."""


@frozen(kw_only=True)
class Reorder(Noise):
    """Messages are overtaken by the next one."""


@frozen(kw_only=True)
class Delay:
    """Messages between the node and the coordinator are under way for `by` more seconds."""

    targets: Targets
    by: Distribution
    probability: float = 1.0
    at: Moment | None = None
    lasts: Distribution | None = None
    place: Place


@frozen(kw_only=True)
class Partition:
    """No message gets through between the node and the coordinator."""

    targets: Targets
    at: Moment | None = None
    lasts: Distribution | None = None
    place: Place


@frozen(kw_only=True)
class LinkFault:
    """Something happens to links between nodes; messages to the coordinator don't go over these.

    Attributes:
        targets: Nodes; to each it happens on its own, at its moment.
        between: The nodes at the other ends; empty for all links of the targets.
    """

    targets: Targets
    between: Targets = ()
    at: Moment | None = None
    place: Place


@frozen(kw_only=True)
class Cut(LinkFault):
    """They carry nothing; after `lasts` seconds they do again, with None never."""

    lasts: Distribution | None = None


@frozen(kw_only=True)
class Impair(LinkFault):
    """They are worse, by `conditions` on top of what they are; `lasts` as in `Cut`."""

    conditions: Conditions
    lasts: Distribution | None = None


@frozen(kw_only=True)
class Heal(LinkFault):
    """Nothing counts any more that has happened to them before."""


@frozen(kw_only=True)
class Crash:
    """The coordinator is gone; after `lasts` seconds it is back from its log, with None never."""

    at: AtTime
    lasts: Distribution | None = None
    place: Place


@frozen(kw_only=True)
class Refuse:
    """The node's device or container can't be prepared: an infrastructure error.

    Attributes:
        times: How often it fails before it works, None for always.
    """

    targets: Targets
    times: int | None = None
    place: Place


Fault = (
    Kill
    | Hang
    | Reboot
    | Slow
    | Lose
    | Duplicate
    | Reorder
    | Delay
    | Partition
    | Cut
    | Impair
    | Heal
    | Crash
    | Refuse
)


@frozen(kw_only=True)
class Draw:
    """The seed chooses who suffers what, and when.

    Attributes:
        kinds: What may happen, all equally likely.
        rate: How likely it is, from 0 to 1, that a node suffers one of them.
        within_s: It begins at a time from 0 up to this, in virtual seconds.
        role: The role whose nodes may suffer, None for every role.
        places: Where the values of its keys stand.
    """

    kinds: tuple[DrawnKind, ...]
    rate: float
    within_s: float
    role: str | None = None
    place: Place
    places: Mapping[str, Place] = field(factory=dict[str, Place], eq=False, repr=False)

    def draw(self, random: Random, role: str, node: int) -> Fault | None:
        """What a node (from 1) of a role suffers, None for nothing.

        How much is drawn from the generator doesn't depend on the outcome.
        """
        suffers = random.random() < self.rate
        kind = self.kinds[random.randrange(len(self.kinds))]
        time_s = random.uniform(0.0, self.within_s)
        if not suffers or self.role not in (None, role):
            return None
        at = AtTime(Fixed(time_s), self.place)
        return _drawn(kind, (Target(role, self.place, node),), at, self.place)


Rule = Fault | Draw


@frozen
class Faults:
    """The rules of a faults file, in the order written.

    Attributes:
        rules: What goes wrong.
        source: The file, None for faults that are in none.
    """

    rules: tuple[Rule, ...] = ()
    source: Source | None = field(default=None, eq=False, repr=False)


def _drawn(kind: DrawnKind, targets: Targets, at: AtTime, place: Place) -> Fault:
    match kind:
        case "kill":
            return Kill(targets=targets, at=at, place=place)
        case "hang":
            return Hang(targets=targets, at=at, place=place)
        case "reboot":
            return Reboot(targets=targets, at=at, place=place)
        case "slow":
            return Slow(targets=targets, at=at, factor=_FACTOR, place=place)
        case "lose":
            return Lose(targets=targets, at=at, probability=_PROBABILITY, place=place)
        case "duplicate":
            return Duplicate(targets=targets, at=at, probability=_PROBABILITY, place=place)
        case "reorder":
            return Reorder(targets=targets, at=at, probability=_PROBABILITY, place=place)
        case "delay":
            return Delay(targets=targets, at=at, by=_DELAY, place=place)
        case "partition":
            return Partition(targets=targets, at=at, lasts=_CUT_OFF, place=place)
        case "cut":
            return Cut(targets=targets, at=at, lasts=_CUT_OFF, place=place)
        case "refuse":
            return Refuse(targets=targets, place=place)
