"""Options of a run whose group has its coordinator elsewhere."""

import uuid
from collections.abc import Callable
from functools import wraps

from attrs import frozen

from callboard.cli.options import Seconds, Whole, option
from callboard.cli.output import Refusal, refusal
from callboard.coordinator.client import Address
from callboard.coordinator.joining import Joining
from callboard.coordinator.suitability import unfit
from callboard.definition import Definition

_UNUSABLE = "CB295"

_OPTIONS = (
    option(
        "poll-delay",
        "Seconds to wait before asking that coordinator again.",
        type=Seconds(min=0.01, max=30),
        default=1.0,
        show_default=True,
        metavar="S",
    ),
    option(
        "group-size",
        "How many nodes that group has, those elsewhere included.  "
        "[default: as many as the definition]",
        metavar="N",
        type=Whole(min=1),
    ),
    option(
        "roles",
        "Run only the nodes of these roles; the others join from elsewhere.  [default: all]",
        metavar="ROLE,…",
    ),
    option(
        "group",
        "The group to join at that coordinator.  [default: a new one]",
        metavar="ID",
    ),
    option(
        "coordinator",
        "Join a group at a coordinator of LAVA's protocol, such as lava://host:3079.",
        metavar="URL",
    ),
)


@frozen
class Bridged:
    """What is said of a coordinator elsewhere.

    Attributes:
        address: Where it listens.
        group: The group's name there.
        roles: The roles whose nodes run here; None for all.
        size: How many nodes the group has; None for as many as the definition.
        poll_delay_s: How long to wait before asking again, in seconds.
    """

    address: Address
    group: str
    roles: frozenset[str] | None
    size: int | None
    poll_delay_s: float

    def join(self, definition: Definition) -> tuple[Joining, frozenset[str]]:
        """The group to join for a definition, and the roles whose nodes do.

        Raises:
            Refusal: It can't be joined for that one.
        """
        names = frozenset(role.name for role in definition.roles)
        roles = names if self.roles is None else self.roles
        if errors := unfit(definition, roles):
            raise Refusal(*errors)
        own = sum(role.count for role in definition.roles if role.name in roles)
        size = definition.size if self.size is None else self.size
        if size < own:
            nodes = "1 node" if size == 1 else f"{size} nodes"
            text = f"the group would have {nodes}, and {own} are to run here"
            raise refusal(_UNUSABLE, text, "--group-size counts all nodes, those elsewhere too")
        return Joining(self.address, self.group, size, self.poll_delay_s), roles


def bridge_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a verb the options that name a coordinator elsewhere; it gets `bridged`, or None.

    What can't be right is refused before anything is tried, with exit code 2.
    """

    @wraps(function)
    def with_bridged(
        *,
        coordinator: str | None,
        group: str | None,
        roles: str | None,
        group_size: int | None,
        poll_delay: float,
        **others: object,
    ) -> int:
        bridged = None
        if coordinator is not None:
            if group == "":
                raise refusal(_UNUSABLE, "--group names no group", "leave it out for a new one")
            group = str(uuid.uuid4()) if group is None else group
            named = None if roles is None else _named(roles)
            bridged = Bridged(_address(coordinator), group, named, group_size, poll_delay)
        else:
            _refuse({"--group": group, "--roles": roles, "--group-size": group_size})
        return function(bridged=bridged, **others)

    found: Callable[..., int] = with_bridged
    for each in _OPTIONS:
        found = each(found)
    return found


def _address(url: str) -> Address:
    try:
        return Address.parse(url)
    except ValueError as error:
        hint = "--coordinator is a URL such as lava://host:3079"
        raise refusal(_UNUSABLE, str(error), hint) from error


def _named(roles: str) -> frozenset[str]:
    names = frozenset(name for each in roles.split(",") if (name := each.strip()))
    if not names:
        raise refusal(_UNUSABLE, "--roles names no role", "leave it out to run all of them")
    return names


def _refuse(given: dict[str, object]) -> None:
    """Options that say something of a coordinator elsewhere, where none is named."""
    for name, value in given.items():
        if value is not None:
            hint = "such as --coordinator lava://host:3079"
            raise refusal(_UNUSABLE, f"{name} is of use with --coordinator only", hint)
