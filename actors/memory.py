"""What is kept of a group's coordination where its server may be started anew."""

from collections.abc import Mapping

from attrs import frozen


@frozen
class Sending:
    """What a member has sent under an ID.

    Attributes:
        member: Who.
        number: Its last send, as a number in the order of the group's sends.
        values: What.
    """

    member: int
    number: int
    values: Mapping[str, str]


@frozen
class Memory:
    """A group's coordination at one time.

    Attributes:
        size: How many members it is to have.
        members: Number and role of those that have joined, in that order.
        joined: How many sends there had been when a member joined; 0 for those not in it.
        sends: How many there have been.
        messages: By ID what was sent, in the order of the members' first sends.
        called: By sync ID who has called it.
        went: By sync ID who has gone on.
        ends: How many ends were counted.
    """

    size: int
    members: tuple[tuple[int, str], ...]
    joined: Mapping[int, int]
    sends: int
    messages: Mapping[str, tuple[Sending, ...]]
    called: Mapping[str, tuple[int, ...]]
    went: Mapping[str, tuple[int, ...]]
    ends: int
