"""The requests of a group that are held until they should be made again."""

from collections.abc import Iterable

from callboard.actors.effects import Ticket
from callboard.coordinator.answers import Call


class Holds:
    """Each request has a ticket and a call, both of its own, and is called once."""

    def __init__(self) -> None:
        self._calls: dict[Ticket, Call] = {}
        self._tickets: dict[Call, Ticket] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, ticket: Ticket, call: Call) -> None:
        """Hold a request."""
        self._calls[ticket] = call
        self._tickets[call] = ticket

    def wake(self, tickets: Iterable[Ticket]) -> None:
        """Call those of them that are held."""
        for ticket in tickets:
            call = self._calls.pop(ticket, None)
            if call is not None:
                del self._tickets[call]
                call()

    def wake_all(self) -> None:
        """Call all."""
        self.wake(list(self._calls))

    def remove(self, call: Call) -> Ticket | None:
        """Hold the request of that call no longer, and say which it was."""
        ticket = self._tickets.pop(call, None)
        if ticket is not None:
            del self._calls[ticket]
        return ticket
