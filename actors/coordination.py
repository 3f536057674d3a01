"""What the members of a group have sent, and who waits for what: a pure state machine.

Requests go in, effects come out; nothing here waits, reads a clock or knows an actor. The
semantics are those that LAVA documents for the MultiNode API, unless `Semantics` says otherwise:

| request | granted when | with |
| --- | --- | --- |
| `send ID` | at once | nothing; data of one sender is merged key by key, later wins |
| `wait ID` | any member has sent ID | the data of all senders so far |
| `wait_all ID` | every member has sent ID | the data of all senders |
| `wait_all ID, role` | every member of the role has sent ID | the data of all senders so far |
| `sync ID` | every member has called sync ID | nothing |
| `start role` | every member of the role has released the asker's role | nothing |

A send of `lava_start` releases every role. IDs of messages and of syncs are separate. A send
costs no more than the waiters that it releases; all of them share one snapshot of the data.

A member that ends can leave others waiting for what never comes. Such a wait is hopeless: for
certain, when it needs that very member; presumably, when nobody who could still satisfy it lives
or when all living members wait. `Hopeless` says so once; whether the wait is failed is for others
to decide.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping

from attrs import define, field

from callboard.actors.blame import Knot, culprits
from callboard.actors.effects import (
    NO_DATA,
    Absent,
    Effect,
    Grant,
    Hopeless,
    Kind,
    Refusal,
    Slot,
    Ticket,
)
from callboard.actors.semantics import DOCUMENTED, Semantics
from callboard.actors.sent import Sent
from callboard.definition.calls import START
from callboard.definition.senders import Senders
from callboard.events import MemberState


@define(eq=False)
class _Queue:
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


_Place = tuple[Ticket, _Queue, "_Place | None"]
"""A request, where it waits, and the same of the request that its member made before it."""


@define
class _Messages:
    """Everything about one message ID."""

    sent: Sent = field(factory=Sent)
    senders: Counter[str] = field(factory=Counter[str])
    waits: _Queue | None = None
    waits_all: dict[str | None, _Queue] = field(factory=dict[str | None, _Queue])


@define
class _Sync:
    """Everything about one sync ID."""

    called: set[int]
    waits: _Queue


@define
class _Starts:
    """Everything about the delayed start of one role; `waits` by the role that is expected."""

    released: set[int] = field(factory=set[int])
    releasers: Counter[str] = field(factory=Counter[str])
    waits: dict[str, _Queue] = field(factory=dict[str, _Queue])


class Coordination:
    """The state of one group.

    Args:
        members: Job id and role of every node of the group; ids are unique.
        senders: Which roles send which IDs; None when any may send any.
        semantics: Where the rules are read from.
    """

    def __init__(
        self,
        members: Iterable[tuple[int, str]],
        senders: Senders | None = None,
        semantics: Semantics = DOCUMENTED,
    ) -> None:
        self._roles = dict(members)
        self._counts = Counter(self._roles.values())
        self._living = self._counts.copy()
        self._alive = len(self._roles)
        self._members: dict[str | None, list[int]] = {None: list(self._roles)}
        for member, role in self._roles.items():
            self._members.setdefault(role, []).append(member)
        self._senders = senders
        self._semantics = semantics
        self._messages: defaultdict[str, _Messages] = defaultdict(_Messages)
        self._syncs: dict[str, _Sync] = {}
        self._starts: defaultdict[str, _Starts] = defaultdict(_Starts)
        self._waiting: dict[int, _Place] = {}
        self._queues: dict[_Queue, None] = {}
        self._abandoned: dict[_Queue, None] = {}
        self._ended: set[int] = set()
        self._ended_in: defaultdict[str | None, list[int]] = defaultdict(list)
        self._ends = 0
        self.over = False
        """Whether the group has come to its end, so that no request is served any more."""
        self._blame: dict[int, tuple[int, ...]] = {}
        self._reported: set[Ticket] = set()

    @property
    def waiting(self) -> frozenset[Ticket]:
        """The requests that have neither been granted nor withdrawn."""
        return frozenset(ticket for member in self._waiting for ticket, _ in self._places(member))

    def slot(self, ticket: Ticket) -> Slot:
        """The slot of a request that waits; None when it doesn't."""
        queue = dict(self._places(ticket[0])).get(ticket)
        return None if queue is None else queue.tickets[ticket]

    def answer_to(self, ticket: Ticket, slot: Slot) -> bool:
        """Have a request that waits answered to another slot; says whether it waits."""
        queue = dict(self._places(ticket[0])).get(ticket)
        if queue is not None:
            queue.tickets[ticket] = slot
        return queue is not None

    @property
    def suspicious(self) -> bool:
        """Whether `presumed` would find any: all living members wait, or some for nobody."""
        if self._abandoned:
            return True
        return 0 < len(self._waiting) == self._alive

    # Requests

    def send(self, member: int, message_id: str, data: Mapping[str, str]) -> list[Effect]:
        """Keep `data` of `member` for the life of the group; grants what was waiting for it."""
        if self.over:
            return []
        messages = self._messages[message_id]
        role = self._roles[member]
        if member not in messages.sent:
            messages.senders[role] += 1
        messages.sent.put(member, data, merge=self._semantics.merges)
        effects = self._release(messages.waits, messages)
        if self._semantics.whole_role:
            if messages.senders[role] == self._counts[role]:
                effects += self._release(messages.waits_all.get(role), messages)
        else:
            effects += self._release_first(messages)
        if len(messages.sent) == len(self._roles):
            effects += self._release(messages.waits_all.get(None), messages)
        if message_id == START:
            effects += self.release(member, None)
        return effects

    def release(self, member: int, roles: Iterable[str] | None) -> list[Effect]:
        """Let the delayed jobs of `roles` begin, of all roles if it is None.

        They wait until every member of the role that they expect has done so.
        """
        own = self._roles[member]
        effects: list[Effect] = []
        for role in self._counts if roles is None else roles:
            starts = self._starts[role]
            if member not in starts.released:
                starts.released.add(member)
                starts.releasers[own] += 1
            if starts.releasers[own] == self._counts[own]:
                effects += self._release(starts.waits.get(own))
        return effects

    def wait(self, ticket: Ticket, message_id: str, slot: Slot = None) -> list[Effect]:
        """Grant `ticket` as soon as any member, the asking one included, has sent the ID."""
        if self.over:
            return self._refuse_late(ticket, slot)
        messages = self._messages[message_id]
        if messages.sent:
            return [Grant((ticket,), messages.sent.snapshot(), (slot,))]
        if messages.waits is None:
            messages.waits = _Queue("wait", message_id, messages.sent)
        return self._enqueue(ticket, messages.waits, slot)

    def wait_all(
        self, ticket: Ticket, message_id: str, role: str | None = None, slot: Slot = None
    ) -> list[Effect]:
        """Grant `ticket` as soon as every member, or every member of `role`, has sent the ID."""
        if self.over:
            return self._refuse_late(ticket, slot)
        if role is not None and role not in self._counts:
            return self._refuse_role(ticket, role, slot)
        messages = self._messages[message_id]
        if role is None and not messages.sent and not self._semantics.waits_unsent:
            return [Refusal(ticket, f"nobody has sent '{message_id}' yet", True, slot)]
        if self._have_sent(messages, role, self._roles[ticket[0]]):
            return [Grant((ticket,), messages.sent.snapshot(), (slot,))]
        queue = messages.waits_all.get(role)
        if queue is None:
            queue = _Queue("wait-all", message_id, messages.sent, role)
            messages.waits_all[role] = queue
        return self._enqueue(ticket, queue, slot)

    def sync(self, ticket: Ticket, sync_id: str, slot: Slot = None) -> list[Effect]:
        """Grant `ticket` as soon as every member has called sync with this ID."""
        if self.over:
            return self._refuse_late(ticket, slot)
        sync = self._syncs.get(sync_id)
        if sync is None:
            called = set[int]()
            sync = self._syncs[sync_id] = _Sync(called, _Queue("sync", sync_id, called))
        sync.called.add(ticket[0])
        if len(sync.called) < len(self._roles):
            return self._enqueue(ticket, sync.waits, slot)
        if not self._semantics.passes_again:
            sync.called.clear()
        return [*self._release(sync.waits), Grant((ticket,), slots=(slot,))]

    def start(self, ticket: Ticket, role: str, slot: Slot = None) -> list[Effect]:
        """Grant `ticket` as soon as every member of `role` has released the asker's role."""
        if not self._semantics.whole_role:
            return self.wait_all(ticket, START, role, slot)
        if role not in self._counts:
            return self._refuse_role(ticket, role, slot)
        starts = self._starts[self._roles[ticket[0]]]
        if starts.releasers[role] == self._counts[role]:
            return [Grant((ticket,), slots=(slot,))]
        queue = starts.waits.get(role)
        if queue is None:
            queue = starts.waits[role] = _Queue("start", START, starts.released, role)
        return self._enqueue(ticket, queue, slot)

    def withdraw(self, ticket: Ticket, to_blame: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Forget a request whose member has stopped waiting.

        A withdrawn sync still counts as called.

        Args:
            ticket: The request.
            to_blame: Whom the member can blame for all that follows from giving up.

        Returns:
            The members that it was waiting for; any of them would have done for a wait. Empty
            when the request wasn't waiting, or somebody is to blame, for then they are known.
        """
        queue = dict(self._places(ticket[0])).get(ticket)
        if queue is None:
            return ()
        if to_blame:
            self._blame.setdefault(ticket[0], to_blame)
        missing = () if to_blame else tuple(self._missing(queue))
        self._dequeue(ticket, queue)
        return missing

    def leave(self, member: int) -> list[Effect]:
        """`member` has ended: it calls nothing any more, and its own requests are forgotten.

        Returns:
            A refusal for each of its own requests, and what has become hopeless by its end.
        """
        self._ends += 1
        self.over = self._semantics.counts_ends and self._ends >= len(self._roles)
        if not self._semantics.notices_ends or member in self._ended:
            return []
        role = self._roles[member]
        self._alive -= 1
        self._living[role] -= 1
        self._ended.add(member)
        self._ended_in[None].append(member)
        self._ended_in[role].append(member)
        own = list(self._places(member))[::-1]
        effects: list[Effect] = [
            Refusal(ticket, "the job has ended", slot=self._dequeue(ticket, queue))
            for ticket, queue in own
        ]
        self._abandoned.update((each, None) for each in self._queues if self._is_abandoned(each))
        for queue in list(self._queues):
            effects += self._certain(queue, queue.tickets)
        return effects

    # Waits that can't be satisfied

    def presumed(self) -> list[Ticket]:
        """The requests that are presumably hopeless now, whether they were reported or not.

        Where all living members wait, nobody can act who doesn't work aside.
        """
        queues = self._queues if len(self._waiting) == self._alive else self._abandoned
        return [ticket for queue in queues for ticket in queue.tickets]

    @property
    def abandoned(self) -> frozenset[Ticket]:
        """Those of them that nobody can help who lives, whatever the others do."""
        return frozenset(ticket for queue in self._abandoned for ticket in queue.tickets)

    def judge(self, tickets: Iterable[Ticket]) -> list[Hopeless]:
        """Why waiting requests are presumably hopeless, and who is to blame."""
        wanted = set(tickets)
        queues = list(self._queues)
        missing = [tuple(self._missing(queue)) for queue in queues]
        knots = [
            Knot([ticket[0] for ticket in queue.tickets], needed, self._guilty(queue, needed))
            for queue, needed in zip(queues, missing, strict=True)
        ]
        return [
            self._hopeless(ticket, queue, self._absent(needed), blamed, certain=False)
            for queue, needed, blamed in zip(queues, missing, culprits(knots), strict=True)
            for ticket in queue.tickets
            if ticket in wanted
        ]

    def _certain(self, queue: _Queue, tickets: Iterable[Ticket]) -> list[Effect]:
        """What to say of `tickets` in `queue`: for certain hopeless, and not said before."""
        if not self._is_certain(queue):
            return []
        fresh = [ticket for ticket in tickets if ticket not in self._reported]
        if not fresh:
            return []
        self._reported.update(fresh)
        missing = tuple(self._missing(queue))
        absent, blamed = self._absent(missing), self._guilty(queue, missing)
        return [self._hopeless(each, queue, absent, blamed, certain=True) for each in fresh]

    @staticmethod
    def _hopeless(
        ticket: Ticket,
        queue: _Queue,
        absent: tuple[Absent, ...],
        blamed: tuple[int, ...],
        *,
        certain: bool,
    ) -> Hopeless:
        return Hopeless(ticket, queue.kind, queue.id, queue.role, certain, absent, blamed)

    def _absent(self, missing: tuple[int, ...]) -> tuple[Absent, ...]:
        return tuple(Absent(each, self._state(each)) for each in missing)

    def _guilty(self, queue: _Queue, missing: tuple[int, ...]) -> tuple[int, ...]:
        """Who is to blame for the missing that have ended: they, or who kept them from it."""
        found: dict[int, None] = {}
        for member in missing:
            if member in self._ended:
                kept_from_it = self._would_have_acted(queue, self._roles[member])
                blamed = self._blame.get(member, ()) if kept_from_it else ()
                found.update(dict.fromkeys(blamed or (member,)))
        return tuple(found)

    def _would_have_acted(self, queue: _Queue, role: str) -> bool:
        """Whether the definitions of `role` do what `queue` waits for, as far as is known."""
        if self._senders is None:
            return True
        if queue.kind == "sync":
            return role in self._senders.callers(queue.id)
        return role in self._senders.possible(queue.id)

    def _is_certain(self, queue: _Queue) -> bool:
        """Whether `queue` needs a member that has ended without acting."""
        if queue.kind == "wait":
            return False
        ended = self._ended_in[queue.role]
        while queue.excused < len(ended) and ended[queue.excused] in queue.acted:
            queue.excused += 1
        return queue.excused < len(ended)

    def _is_abandoned(self, queue: _Queue) -> bool:
        """Whether nobody lives who may still send what `queue` waits for."""
        if queue.kind != "wait" or self._senders is None:
            return False
        return not any(self._living[role] for role in self._senders.possible(queue.id))

    def _state(self, member: int) -> MemberState:
        if member in self._ended:
            return "ended"
        if member not in self._waiting:
            return "running"
        delayed = all(queue.kind == "start" for _, queue in self._places(member))
        return "delayed" if delayed else "waiting"

    def _missing(self, queue: _Queue) -> Iterator[int]:
        """The members that would have to act; of those that may, any will do for a wait."""
        able = self._members[queue.role]
        if queue.kind == "wait" and self._senders is not None:
            roles = self._senders.likely(queue.id)
            able = [member for member in able if self._roles[member] in roles]
        return (member for member in able if member not in queue.acted)

    # Queues

    def _have_sent(self, messages: _Messages, role: str | None, own: str) -> bool:
        if role is None:
            return len(messages.sent) == len(self._roles)
        if self._semantics.whole_role:
            return messages.senders[role] == self._counts[role]
        first = self._members[role][0]
        return first in messages.sent or messages.senders[own] == self._counts[own]

    def _enqueue(self, ticket: Ticket, queue: _Queue, slot: Slot) -> list[Effect]:
        if not queue.tickets:
            self._queues[queue] = None
            if self._is_abandoned(queue):
                self._abandoned[queue] = None
        queue.tickets[ticket] = slot
        member = ticket[0]
        self._waiting[member] = (ticket, queue, self._waiting.get(member))
        return self._certain(queue, [ticket]) if self._ended else []

    def _places(self, member: int) -> Iterator[tuple[Ticket, _Queue]]:
        """The requests of `member` that wait, and where; the last one first."""
        place = self._waiting.get(member)
        while place is not None:
            ticket, queue, place = place
            yield ticket, queue

    def _dequeue(self, ticket: Ticket, queue: _Queue) -> Slot:
        slot = queue.tickets.pop(ticket)
        if not queue.tickets:
            self._forget(queue)
        self._unblock([ticket])
        return slot

    def _forget(self, queue: _Queue) -> None:
        del self._queues[queue]
        self._abandoned.pop(queue, None)

    def _unblock(self, tickets: Iterable[Ticket]) -> None:
        """Their members don't wait for them any more."""
        waiting = self._waiting
        if not self._queues:  # nobody waits for anything else
            waiting.clear()
            self._reported.clear()
            return
        for ticket in tickets:
            last = waiting.pop(ticket[0])
            if last[2] is not None and (others := _without(ticket, last)):
                waiting[ticket[0]] = others
        if self._reported:
            self._reported.difference_update(tickets)

    def _release(self, queue: _Queue | None, messages: _Messages | None = None) -> list[Effect]:
        if queue is None or not queue.tickets:
            return []
        # The whole queue at once: what waits with thousands of others goes on with them.
        slots = tuple(queue.tickets.values())
        tickets, queue.tickets = tuple(queue.tickets), {}
        self._forget(queue)
        self._unblock(tickets)
        return [Grant(tickets, messages.sent.snapshot() if messages else NO_DATA, slots)]

    def _release_first(self, messages: _Messages) -> list[Effect]:
        """What a send grants where a role's first member speaks for it; see `Semantics`."""
        released = [
            (ticket, queue)
            for role, queue in messages.waits_all.items()
            if role is not None
            for ticket in queue.tickets
            if self._have_sent(messages, role, self._roles[ticket[0]])
        ]
        if not released:
            return []
        slots = tuple(self._dequeue(ticket, queue) for ticket, queue in released)
        return [Grant(tuple(ticket for ticket, _ in released), messages.sent.snapshot(), slots)]

    def _refuse_late(self, ticket: Ticket, slot: Slot) -> list[Effect]:
        return [Refusal(ticket, "the group has ended", slot=slot)]

    def _refuse_role(self, ticket: Ticket, role: str, slot: Slot) -> list[Effect]:
        known = ", ".join(sorted(self._counts))
        reason = f"no node of this group has the role '{role}' (it has {known})"
        return [Refusal(ticket, reason, slot=slot)]


def _without(ticket: Ticket, last: _Place | None) -> _Place | None:
    """The same requests of a member but for one."""
    if last is None:
        return None
    own, queue, before = last
    return before if own == ticket else (own, queue, _without(ticket, before))
