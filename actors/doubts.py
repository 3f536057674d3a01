"""Which waits of a group can't be satisfied any more, why, and who is to blame.

A member that ends can leave others waiting for what never comes. Such a wait is hopeless: for
certain, when it needs that very member; presumably, when nobody who could still satisfy it lives
or when all living members wait.
"""

from collections.abc import Iterable, Iterator

from callboard.actors.blame import Knot, culprits
from callboard.actors.effects import Absent, Effect, Hopeless, Ticket
from callboard.actors.queues import Queue, Queues
from callboard.actors.roster import Roster
from callboard.definition.senders import Senders
from callboard.events import MemberState


class Doubts:
    """What is doubtful about the waits of one group.

    Args:
        roster: Who belongs to the group.
        queues: Who of them waits where.
        senders: Which roles send which IDs; None when any may send any.
    """

    def __init__(self, roster: Roster, queues: Queues, senders: Senders | None) -> None:
        self._roster = roster
        self._queues = queues
        self._senders = senders
        self._abandoned: dict[Queue, None] = {}
        self._blame: dict[int, tuple[int, ...]] = {}
        self._reported: set[Ticket] = set()

    # What happens

    def arise(self, queue: Queue) -> None:
        """The first request has begun to wait in `queue`."""
        if self._is_abandoned(queue):
            self._abandoned[queue] = None

    def cease(self, queue: Queue, tickets: Iterable[Ticket]) -> None:
        """`tickets` don't wait in `queue` any more."""
        if not queue.tickets:
            self._abandoned.pop(queue, None)
        if self._reported:
            self._reported.difference_update(tickets)

    def blame(self, member: int, to_blame: tuple[int, ...]) -> None:
        """`member` has given up; whom it can blame for all that follows, the first time counts."""
        self._blame.setdefault(member, to_blame)

    def end(self) -> list[Effect]:
        """A member has ended; what has become hopeless by that."""
        self._abandoned.update((each, None) for each in self._queues if self._is_abandoned(each))
        return [effect for queue in self._queues for effect in self.certain(queue, queue.tickets)]

    # What is doubtful

    @property
    def any_presumed(self) -> bool:
        """Whether `presumed` would find any: all living members wait, or some for nobody."""
        if self._abandoned:
            return True
        return 0 < len(self._queues.waiting) == self._roster.alive

    def presumed(self) -> list[Ticket]:
        """The requests that are presumably hopeless now, whether they were reported or not.

        Where all living members wait, nobody can act who doesn't work aside.
        """
        all_wait = len(self._queues.waiting) == self._roster.alive
        return [
            ticket
            for queue in (self._queues if all_wait else self._abandoned)
            for ticket in queue.tickets
        ]

    @property
    def abandoned(self) -> frozenset[Ticket]:
        """Those of them that nobody can help who lives, whatever the others do."""
        return frozenset(ticket for queue in self._abandoned for ticket in queue.tickets)

    def judge(self, tickets: Iterable[Ticket]) -> list[Hopeless]:
        """Why waiting requests are presumably hopeless, and who is to blame."""
        wanted = set(tickets)
        queues = list(self._queues)
        missing = [tuple(self.missing(queue)) for queue in queues]
        knots = [
            Knot([ticket[0] for ticket in queue.tickets], needed, self._guilty(queue, needed))
            for queue, needed in zip(queues, missing, strict=True)
        ]
        return [
            _hopeless(ticket, queue, self._absent(needed), blamed, certain=False)
            for queue, needed, blamed in zip(queues, missing, culprits(knots), strict=True)
            for ticket in queue.tickets
            if ticket in wanted
        ]

    def certain(self, queue: Queue, tickets: Iterable[Ticket]) -> list[Effect]:
        """What to say of `tickets` in `queue`: for certain hopeless, and not said before."""
        if not self._is_certain(queue):
            return []
        fresh = [ticket for ticket in tickets if ticket not in self._reported]
        if not fresh:
            return []
        self._reported.update(fresh)
        missing = tuple(self.missing(queue))
        absent, blamed = self._absent(missing), self._guilty(queue, missing)
        return [_hopeless(each, queue, absent, blamed, certain=True) for each in fresh]

    def missing(self, queue: Queue) -> Iterator[int]:
        """The members that would have to act; of those that may, any will do for a wait."""
        able = self._roster.by_role.get(queue.role, [])
        if queue.kind == "wait" and self._senders is not None:
            roles = self._senders.likely(queue.id)
            able = [member for member in able if self._roster.roles[member] in roles]
        return (member for member in able if member not in queue.acted)

    def _is_certain(self, queue: Queue) -> bool:
        """Whether `queue` needs a member that has ended without acting."""
        if queue.kind == "wait":
            return False
        ended = self._roster.ended_in[queue.role]
        while queue.excused < len(ended) and ended[queue.excused] in queue.acted:
            queue.excused += 1
        return queue.excused < len(ended)

    def _is_abandoned(self, queue: Queue) -> bool:
        """Whether nobody lives who may still send what `queue` waits for."""
        if queue.kind != "wait" or self._senders is None:
            return False
        return not any(self._roster.living[role] for role in self._senders.possible(queue.id))

    # Who is missing, and who is to blame

    def _absent(self, missing: tuple[int, ...]) -> tuple[Absent, ...]:
        return tuple(Absent(each, self._state(each)) for each in missing)

    def _state(self, member: int) -> MemberState:
        if member in self._roster.ended:
            return "ended"
        if member not in self._queues.waiting:
            return "running"
        delayed = all(queue.kind == "start" for _, queue in self._queues.places(member))
        return "delayed" if delayed else "waiting"

    def _guilty(self, queue: Queue, missing: tuple[int, ...]) -> tuple[int, ...]:
        """Who is to blame for the missing that have ended: they, or who kept them from it."""
        found: dict[int, None] = {}
        for member in missing:
            if member in self._roster.ended:
                kept_from_it = self._would_have_acted(queue, self._roster.roles[member])
                blamed = self._blame.get(member, ()) if kept_from_it else ()
                found.update(dict.fromkeys(blamed or (member,)))
        return tuple(found)

    def _would_have_acted(self, queue: Queue, role: str) -> bool:
        """Whether the definitions of `role` do what `queue` waits for, as far as is known."""
        if self._senders is None:
            return True
        if queue.kind == "sync":
            return role in self._senders.callers(queue.id)
        return role in self._senders.possible(queue.id)


def _hopeless(
    ticket: Ticket,
    queue: Queue,
    absent: tuple[Absent, ...],
    blamed: tuple[int, ...],
    *,
    certain: bool,
) -> Hopeless:
    return Hopeless(ticket, queue.kind, queue.id, queue.role, certain, absent, blamed)
