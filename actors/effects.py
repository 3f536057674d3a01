"""What a group's coordination answers: requests are granted, refused, or found hopeless."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from attrs import field, frozen

from callboard.events import MemberState

if TYPE_CHECKING:
    from callboard.actors.messages import Answer
    from callboard.runtime import Reply

Ticket = tuple[int, int]
"""A request that may have to wait: the member's job id, and the member's own number for it."""

Slot: TypeAlias = "Reply[Answer] | None"
"""Where the answer to a request goes; carried along with it, and never looked at."""

Data = Mapping[int, Mapping[str, str]]
"""What was sent under one ID: key and value, by the sender's job id."""

NO_DATA: Data = MappingProxyType({})

Kind = Literal["wait", "wait-all", "sync", "start"]


@frozen
class Grant:
    """Requests are satisfied together, in this order, and share `data`; `slots` are theirs."""

    tickets: tuple[Ticket, ...]
    data: Data = NO_DATA
    slots: tuple[Slot, ...] = field(default=(), eq=False, repr=False)


@frozen
class Refusal:
    """A request that is not served.

    Attributes:
        ticket: The request.
        reason: Why, in the job writer's words.
        overlooked: Whether nodes go on all the same (LAVA: answers to calls, a nack).
        slot: The request's own.
    """

    ticket: Ticket
    reason: str
    overlooked: bool = False
    slot: Slot = field(default=None, eq=False, repr=False)


@frozen
class Wake:
    """Requests that were waiting are to be made again; see `Semantics.fetched`."""

    tickets: tuple[Ticket, ...]


@frozen
class Absent:
    """A member that a wait still needs, and what it is doing."""

    member: int
    state: MemberState


@frozen
class Hopeless:
    """A waiting request can't be satisfied any more; it waits on until it is withdrawn.

    Attributes:
        ticket: The request.
        kind: What it asks.
        id: The message or sync ID.
        role: The role that it waits for, if any.
        certain: Whether that is known, or presumed.
        missing: Who would have had to act; for a `wait`, any of them.
        culprits: Who is to blame: members that ended, not for want of others; where all live,
            those that wait for each other; who waits for what nobody sends, for itself.
    """

    ticket: Ticket
    kind: Kind
    id: str
    role: str | None
    certain: bool
    missing: tuple[Absent, ...]
    culprits: tuple[int, ...]


Effect = Grant | Refusal | Wake | Hopeless
