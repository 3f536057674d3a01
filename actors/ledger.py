"""What a coordinator writes down, so that one that takes its place knows all that it knew."""

from collections.abc import Iterator
from typing import Protocol

from attrs import frozen

from callboard.actors.effects import Hopeless, Ticket
from callboard.actors.messages import (
    CoordinatorMessage,
    Disband,
    Join,
    Leave,
    Release,
    Send,
    Waiting,
    Withdraw,
)

Entry = CoordinatorMessage | Hopeless
"""A request; or a wait that was failed as presumably hopeless, which no request has led to."""


class Ledger(Protocol):
    """The requests that changed a group's state, in order; it outlives its coordinators."""

    def append(self, entry: Entry) -> None:
        """Keep `entry`; when this returns, it is not lost any more."""

    def __iter__(self) -> Iterator[Entry]:
        """All that was appended, in order."""

    def reports(self, request: Waiting, certain: bool) -> bool:
        """Whether it is to be reported that a wait is hopeless: not when that is on record.

        Who is told to reports it before anything else happens.

        Args:
            request: What waits.
            certain: Whether it is certainly so, which is another report than presumably.
        """


class MemoryLedger:
    """A ledger that lives as long as this process."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._reported: set[tuple[Ticket, bool]] = set()

    def append(self, entry: Entry) -> None:
        """See `Ledger.append`."""
        self._entries.append(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def reports(self, request: Waiting, certain: bool) -> bool:
        """See `Ledger.reports`."""
        known = (request.ticket, certain) in self._reported
        self._reported.add((request.ticket, certain))
        return not known


@frozen
class _Withdrawal:
    """The identity of a withdrawal, which has the ticket of what it withdraws."""

    ticket: Ticket


Identity = Ticket | _Withdrawal


def identity(request: CoordinatorMessage) -> Identity | None:
    """What a request has in common with itself when it comes again.

    None for those that do no harm when they come twice, and for those without a number. A member
    ends once, so that its end needs no number, unless it is said to end several times.
    """
    match request:
        case Join() | Disband():
            return None
        case Leave():
            return (request.member, request.number)
        case Send() | Release():
            return (request.member, request.number) if request.number else None
        case Withdraw(ticket):
            return _Withdrawal(ticket)
        case _:
            return request.ticket
