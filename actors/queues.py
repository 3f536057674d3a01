"""Who waits where: the requests of a group that wait, by what they wait for and by member."""

from collections.abc import Container, Iterable, Iterator

from attrs import define, field

from callboard.actors.effects import Kind, Slot, Ticket


@define(eq=False)
class Queue:
    """Requests that wait for the same.

    Attributes:
        kind: What they ask.
        id: The message or sync ID.
        acted: The members that have done what they wait for; it only grows while a member's end
            is noticed.
        role: The role that they wait for, if any.
        tickets: The requests, in the order in which they were made, each with its slot.
        excused: How many of those that ended are known to have acted, the first ones to end.
    """

    kind: Kind
    id: str
    acted: Container[int]
    role: str | None = None
    tickets: dict[Ticket, Slot] = field(factory=dict[Ticket, Slot])
    excused: int = 0


Place = tuple[Ticket, Queue, "Place | None"]
"""A request, where it waits, and the same of the request that its member made before it."""


class Queues:
    """The queues of a group in which anybody waits; iterates over them, the longest open first.

    Attributes:
        waiting: The members that wait, each with its last request; only to be read.
    """

    def __init__(self) -> None:
        self.waiting: dict[int, Place] = {}
        self._open: dict[Queue, None] = {}

    def __iter__(self) -> Iterator[Queue]:
        return iter(self._open)

    def enqueue(self, ticket: Ticket, queue: Queue, slot: Slot) -> None:
        """A request begins to wait."""
        if not queue.tickets:
            self._open[queue] = None
        queue.tickets[ticket] = slot
        member = ticket[0]
        self.waiting[member] = (ticket, queue, self.waiting.get(member))

    def places(self, member: int) -> Iterator[tuple[Ticket, Queue]]:
        """The requests of `member` that wait, and where; the last one first."""
        place = self.waiting.get(member)
        while place is not None:
            ticket, queue, place = place
            yield ticket, queue

    def find(self, ticket: Ticket) -> Queue | None:
        """Where a request waits; None when it doesn't."""
        return dict(self.places(ticket[0])).get(ticket)

    def dequeue(self, ticket: Ticket, queue: Queue) -> Slot:
        """A request in `queue` waits no more; its slot."""
        slot = queue.tickets.pop(ticket)
        if not queue.tickets:
            del self._open[queue]
        self._unblock([ticket])
        return slot

    def release(self, queue: Queue) -> tuple[tuple[Ticket, ...], tuple[Slot, ...]]:
        """Nobody in `queue` waits any more; who did, and their slots.

        The whole queue at once: what waits with thousands of others goes on with them.
        """
        slots = tuple(queue.tickets.values())
        tickets, queue.tickets = tuple(queue.tickets), {}
        del self._open[queue]
        self._unblock(tickets)
        return tickets, slots

    def _unblock(self, tickets: Iterable[Ticket]) -> None:
        """Their members don't wait for them any more."""
        waiting = self.waiting
        if not self._open:  # nobody waits for anything else
            waiting.clear()
            return
        for ticket in tickets:
            last = waiting.pop(ticket[0])
            if last[2] is not None and (others := _without(ticket, last)):
                waiting[ticket[0]] = others


def _without(ticket: Ticket, last: Place | None) -> Place | None:
    """The same requests of a member but for one."""
    if last is None:
        return None
    own, queue, before = last
    return before if own == ticket else (own, queue, _without(ticket, before))
