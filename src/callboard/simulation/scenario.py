"""A scenario: a group, what befalls it in rehearsals, and what is expected of them."""

from collections.abc import Mapping

from attrs import field, frozen

from callboard.definition.devices import DevicesFile
from callboard.definition.model import Place
from callboard.definition.source import Source
from callboard.events import Health, Result, Status
from callboard.flow.proof import Outcome, Semantics
from callboard.simulation.faults import Faults
from callboard.simulation.model import Model
from callboard.simulation.pattern import Pattern
from callboard.simulation.seeds import Seeds

SUFFIX = ".scenario.yaml"
"""What the names of scenario files end with."""


@frozen
class ExpectedHealth:
    """How the jobs of a role end.

    Attributes:
        role: The role, None for every job; so below.
        health: A word for all of them, or how many end in which way.
        place: Where the expectation stands.
    """

    role: str | None
    health: Health | Mapping[Health, int]
    place: Place


@frozen
class ExpectedError:
    """What ends the jobs of a role: the type of their error, None for no error."""

    role: str | None
    error: str | None
    place: Place


@frozen
class ExpectedResult:
    """The result of a test case on every node of a role.

    Attributes:
        suite: The suite, e.g. `0_serve` or `lava`.
        case: The test case within it.
    """

    role: str | None
    suite: str
    case: str
    result: Result
    place: Place


@frozen
class ExpectedHopeless:
    """A role that has a wait which is found to be hopeless."""

    role: str
    place: Place


@frozen
class ExpectedCall:
    """A call of some node of a role, the first that is meant; see `Expectations.order`."""

    role: str
    call: Pattern
    place: Place


@frozen
class ExpectedDuration:
    """Bounds on the virtual time of a whole rehearsal, in seconds."""

    place: Place
    at_least_s: float = 0.0
    at_most_s: float | None = None


@frozen
class Expectations:
    """What is expected of every rehearsal; what is None or empty may be anything.

    Attributes:
        status: How the group ends.
        exit_code: What `callboard simulate` exits with.
        health: How jobs end.
        errors: What ends jobs.
        results: Results of test cases.
        hopeless: The roles with a hopeless wait, and no others; None for any.
        order: Calls each of which has returned, or, if it only sends, been made, before the
            next one has.
        duration: How long the rehearsal is.
        places: Where the values of its keys stand.
    """

    status: Status | None = None
    exit_code: int | None = None
    health: tuple[ExpectedHealth, ...] = ()
    errors: tuple[ExpectedError, ...] = ()
    results: tuple[ExpectedResult, ...] = ()
    hopeless: tuple[ExpectedHopeless, ...] | None = None
    order: tuple[ExpectedCall, ...] = ()
    duration: ExpectedDuration | None = None
    places: Mapping[str, Place] = field(factory=dict[str, Place], eq=False, repr=False)


@frozen
class Scale:
    """How many nodes a role has, in place of what the definition says."""

    role: str
    count: int
    place: Place


@frozen
class Scenario:
    """A scenario file.

    Attributes:
        file: The file, as it was named.
        definition: The definition's file, found from the scenario's.
        devices: The devices that it may use, None for one of its own for each node.
        model: How long things take.
        faults: What goes wrong.
        scale: How many nodes roles have.
        seeds: The seeds of its rehearsals.
        semantics: The reading of the protocol.
        check: What `callboard check` says of the definition, None for anything.
        expect: What is expected of every rehearsal.
        source: The file's text.
        places: Where the values of its keys stand.
    """

    file: str
    definition: str
    devices: DevicesFile | None = None
    model: Model = field(factory=Model)
    faults: Faults = field(factory=Faults)
    scale: tuple[Scale, ...] = ()
    seeds: Seeds = range(1)
    semantics: Semantics = "documented"
    check: Outcome | None = None
    expect: Expectations = Expectations()
    source: Source | None = field(default=None, eq=False, repr=False)
    places: Mapping[str, Place] = field(factory=dict[str, Place], eq=False, repr=False)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many nodes each role of `scale` has."""
        return {each.role: each.count for each in self.scale}
