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

Who belongs to the group stands in `Roster`, and who waits where in `Queues`; here are the rules by
which requests are granted. `Doubts` finds the waits that can't be satisfied any more. `Hopeless`
says so once; whether such a wait is failed is for others to decide.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping

from callboard.actors.bookkeeping import Kept, Meeting, Messages, Starts
from callboard.actors.doubts import Doubts
from callboard.actors.effects import (
    NO_DATA,
    Data,
    Effect,
    Grant,
    Hopeless,
    Kind,
    Refusal,
    Slot,
    Ticket,
    Wake,
)
from callboard.actors.memory import Memory, Sending
from callboard.actors.queues import Queue, Queues
from callboard.actors.roster import Roster
from callboard.actors.semantics import DOCUMENTED, Semantics
from callboard.definition.calls import START
from callboard.definition.senders import Senders

_NAMED = 20
"""How many roles a refusal names at most."""


class Coordination:
    """The state of one group.

    Args:
        members: Job id and role of every node of the group; ids are unique.
        senders: Which roles send which IDs; None when any may send any.
        semantics: Where the rules are read from.
        size: How many members the group is to have; as many as `members` when None.

    Attributes:
        changes: How many requests have changed what is known of the group.
        kept: How much is known of it.
        over: Whether the group has come to its end, so that no request is served any more.
    """

    def __init__(
        self,
        members: Iterable[tuple[int, str]],
        senders: Senders | None = None,
        semantics: Semantics = DOCUMENTED,
        size: int | None = None,
    ) -> None:
        self._semantics = semantics
        self._roster = Roster(members, size)
        self._queues = Queues()
        self._doubts = Doubts(self._roster, self._queues, senders)
        self._messages: dict[str, Messages] = {}
        self._meetings: dict[str, Meeting] = {}
        self._starts: defaultdict[str, Starts] = defaultdict(Starts)
        self._joined: dict[int, int] = {}
        self._sends = 0
        self._ends = 0
        self.over = False
        self.changes = 0
        self.kept = Kept()

    # Requests

    def join(self, member: int, role: str) -> list[Effect]:
        """`member` has become known; it is new."""
        self.changes += 1
        self._roster.join(member, role)
        if not self._semantics.whole_group:
            self._joined[member] = self._sends
        if len(self._roster.roles) != self._roster.size:
            return []
        return [effect for queue in list(self._queues) for effect in self._release(queue)]

    def send(self, member: int, message_id: str, data: Mapping[str, str]) -> list[Effect]:
        """Keep `data` of `member` for the life of the group; grants what was waiting for it."""
        if self.over:
            return []
        self.changes += 1
        self._sends += 1
        messages = self._messages.setdefault(message_id, Messages())
        role = self._roster.roles[member]
        is_first = member not in messages.sent
        if is_first:
            messages.senders[role] += 1
            self.kept.sends(message_id, anew=not messages.sent)
        before = messages.sent.size_bytes
        messages.sent.put(member, data, merge=self._semantics.merges)
        self.kept.size_bytes += messages.sent.size_bytes - before
        messages.numbers[member] = self._sends
        effects = self._release(messages.waits, messages)
        if self._semantics.whole_role:
            if self._roster.is_whole and messages.senders[role] == self._roster.counts[role]:
                effects += self._release(messages.waits_all.get(role), messages)
        elif is_first:
            effects += self._release_first(messages, member)
        if self._have_all_sent(messages):
            effects += self._release(messages.waits_all.get(None), messages)
        if message_id == START and not self._semantics.fetched:
            effects += self.release(member, None)
        return effects

    def release(self, member: int, roles: Iterable[str] | None) -> list[Effect]:
        """Let the delayed jobs of `roles` begin, of all roles if it is None.

        They wait until every member of the role that they expect has done so.
        """
        own = self._roster.roles[member]
        effects: list[Effect] = []
        for role in self._roster.counts if roles is None else roles:
            starts = self._starts[role]
            if member not in starts.released:
                starts.released.add(member)
                starts.releasers[own] += 1
            if starts.releasers[own] == self._roster.counts[own]:
                effects += self._release(starts.waits.get(own))
        return effects

    def wait(self, ticket: Ticket, message_id: str, slot: Slot = None) -> list[Effect]:
        """Grant `ticket` as soon as any member, the asking one included, has sent the ID."""
        if self.over:
            return self._refuse_late(ticket, slot)
        messages = self._messages.get(message_id)
        if messages is None:
            messages = self._messages[message_id] = Messages()
        elif data := self._seen_by(ticket[0], messages):
            return [Grant((ticket,), data, (slot,))]
        if messages.waits is None:
            messages.waits = Queue("wait", message_id, messages.sent)
        return self._enqueue(ticket, messages.waits, slot)

    def seen(self, member: int, message_id: str) -> Data:
        """What a `wait` would be granted with now; empty if it would have to wait."""
        messages = self._messages.get(message_id)
        return {} if messages is None else self._seen_by(member, messages)

    def wait_all(
        self, ticket: Ticket, message_id: str, role: str | None = None, slot: Slot = None
    ) -> list[Effect]:
        """Grant `ticket` as soon as every member, or every member of `role`, has sent the ID."""
        if self.over:
            return self._refuse_late(ticket, slot)
        if role is not None and role not in self._roster.counts and not self._gathers:
            return self._refuse_role(ticket, role, slot)
        messages = self._messages.get(message_id) or Messages()
        if role is None and not messages.sent and not self._semantics.waits_unsent:
            return [Refusal(ticket, f"nobody has sent '{message_id}' yet", True, slot)]
        if self._have_sent(messages, role, self._roster.roles[ticket[0]]):
            return self._grant_all(ticket, messages, message_id, role, slot)
        self._messages[message_id] = messages
        queue = messages.waits_all.get(role)
        if queue is None:
            queue = Queue("wait-all", message_id, messages.sent, role)
            messages.waits_all[role] = queue
        return self._enqueue(ticket, queue, slot)

    def sync(self, ticket: Ticket, sync_id: str, slot: Slot = None) -> list[Effect]:
        """Grant `ticket` as soon as every member has called sync with this ID."""
        if self.over:
            return self._refuse_late(ticket, slot)
        meeting = self._meetings.get(sync_id)
        if meeting is None:
            called = set[int]()
            meeting = self._meetings[sync_id] = Meeting(called, Queue("sync", sync_id, called))
            self.kept.adds(sync_id)
        if len(meeting.called) >= self._roster.size:
            if not self._semantics.fetched:
                self._go_on(sync_id, meeting, ticket[0])
            return [Grant((ticket,), slots=(slot,))]
        if ticket[0] not in meeting.called:
            self.changes += 1
            self.kept.calls(1)
            meeting.called.add(ticket[0])
        if len(meeting.called) < self._roster.size:
            return self._enqueue(ticket, meeting.waits, slot)
        if self._semantics.fetched and self._semantics.passes_again:
            return [*self._release(meeting.waits), Grant((ticket,), slots=(slot,))]
        self._enqueue(ticket, meeting.waits, slot)
        if not self._semantics.fetched:
            for member, _ in meeting.waits.tickets:
                self._go_on(sync_id, meeting, member)
        return self._release(meeting.waits)

    def collect(self, member: int, sync_id: str) -> None:
        """`member`, which fetches its answers, has the one to a sync that all have called."""
        meeting = self._meetings.get(sync_id)
        if meeting is not None and len(meeting.called) >= self._roster.size:
            self._go_on(sync_id, meeting, member)

    def _go_on(self, sync_id: str, meeting: Meeting, member: int) -> None:
        """`member` passes a sync that all have called; after the last one nothing is kept of it."""
        if self._semantics.passes_again:
            return
        self.changes += 1
        before = meeting.count
        meeting.called.add(member)
        meeting.went.add(member)
        if meeting.went >= meeting.called:
            meeting.called.clear()
            meeting.went.clear()
            if self._meetings.pop(sync_id, None) is not None:
                self.kept.drops(sync_id)
        self.kept.calls(meeting.count - before)

    def start(self, ticket: Ticket, role: str, slot: Slot = None) -> list[Effect]:
        """Grant `ticket` as soon as every member of `role` has released the asker's role."""
        if not self._semantics.whole_role:
            return self.wait_all(ticket, START, role, slot)
        if role not in self._roster.counts:
            return self._refuse_role(ticket, role, slot)
        starts = self._starts[self._roster.roles[ticket[0]]]
        if starts.releasers[role] == self._roster.counts[role]:
            return [Grant((ticket,), slots=(slot,))]
        queue = starts.waits.get(role)
        if queue is None:
            queue = starts.waits[role] = Queue("start", START, starts.released, role)
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
        queue = self._queues.find(ticket)
        if queue is None:
            return ()
        if to_blame:
            self._doubts.blame(ticket[0], to_blame)
        missing = () if to_blame else tuple(self._doubts.missing(queue))
        self._dequeue(ticket, queue)
        return missing

    def forget(self, ticket: Ticket) -> None:
        """The same, where nobody asks whom it was waiting for."""
        queue = self._queues.find(ticket)
        if queue is not None:
            self._dequeue(ticket, queue)

    def leave(self, member: int) -> list[Effect]:
        """`member` has ended: it calls nothing any more, and its own requests are forgotten.

        Returns:
            A refusal for each of its own requests, and what has become hopeless by its end.
        """
        self.changes += 1
        self._ends += 1
        self.over = self._semantics.counts_ends and self._ends >= len(self._roster.roles)
        if not self._semantics.notices_ends or member in self._roster.ended:
            return []
        self._roster.end(member)
        own = list(self._queues.places(member))[::-1]
        effects: list[Effect] = [
            Refusal(ticket, "the job has ended", slot=self._dequeue(ticket, queue))
            for ticket, queue in own
        ]
        return effects + self._doubts.end()

    def awaited(self, kind: Kind, id_: str, role: str | None = None) -> tuple[int, ...]:
        """The members that such a request would wait for now; any of them would do for a wait."""
        if kind == "sync":
            meeting = self._meetings.get(id_)
            acted: Container[int] = () if meeting is None else meeting.called
        else:
            messages = self._messages.get(id_)
            acted = () if messages is None else messages.sent
        return tuple(self._doubts.missing(Queue(kind, id_, acted, role)))

    # How much is known

    def keeps(self, *, message: str | None = None, sync: str | None = None) -> bool:
        """Whether something is kept of these IDs: that was sent, or called; None for no ID."""
        messages = None if message is None else self._messages.get(message)
        has_been_sent = message is None or (messages is not None and bool(messages.sent))
        return has_been_sent and (sync is None or sync in self._meetings)

    def sent_bytes(self, message_id: str) -> int:
        """How much was sent under an ID; see `Sent.size_bytes`."""
        messages = self._messages.get(message_id)
        return 0 if messages is None else messages.sent.size_bytes

    # What survives

    @property
    def memory(self) -> Memory:
        """All that is known of the group but for the requests that wait."""
        return Memory(
            size=self._roster.size,
            members=tuple(self._roster.roles.items()),
            joined=dict(self._joined),
            sends=self._sends,
            messages={
                id_: tuple(
                    Sending(member, messages.numbers[member], values)
                    for member, values in messages.sent.snapshot().items()
                )
                for id_, messages in self._messages.items()
                if messages.sent
            },
            called={id_: tuple(sorted(m.called)) for id_, m in self._meetings.items() if m.called},
            went={id_: tuple(sorted(m.went)) for id_, m in self._meetings.items() if m.went},
            ends=self._ends,
        )

    @classmethod
    def recall(cls, memory: Memory, semantics: Semantics) -> "Coordination":
        """The group whose memory this is; its delayed starts aren't in there."""
        group = cls(memory.members, None, semantics, memory.size)
        for id_, sendings in memory.messages.items():
            for each in sendings:
                group.send(each.member, id_, each.values)
                group._messages[id_].numbers[each.member] = each.number
        for id_, called in memory.called.items():
            known = set(called)
            waits = Queue("sync", id_, known)
            meeting = Meeting(known, waits, set(memory.went.get(id_, ())))
            group._meetings[id_] = meeting
            group.kept.adds(id_)
            group.kept.calls(meeting.count)
        group._sends, group._ends = memory.sends, memory.ends
        group.over = semantics.counts_ends and 0 < len(memory.members) <= memory.ends
        group._joined = dict(memory.joined)
        return group

    # Waits that can't be satisfied

    @property
    def suspicious(self) -> bool:
        """Whether `presumed` would find any."""
        return self._doubts.any_presumed

    def presumed(self) -> list[Ticket]:
        """The requests that are presumably hopeless now; see `Doubts.presumed`."""
        return self._doubts.presumed()

    @property
    def abandoned(self) -> frozenset[Ticket]:
        """Those of them that nobody can help who lives, whatever the others do."""
        return self._doubts.abandoned

    def judge(self, tickets: Iterable[Ticket]) -> list[Hopeless]:
        """Why waiting requests are presumably hopeless, and who is to blame."""
        return self._doubts.judge(tickets)

    # Rules

    def _have_all_sent(self, messages: Messages) -> bool:
        if len(messages.sent) < len(self._roster.roles):
            return False
        return self._roster.is_whole or not self._semantics.whole_group

    @property
    def _gathers(self) -> bool:
        """Whether there may be members of roles that nobody has yet, who are waited for."""
        return self._semantics.whole_group and not self._roster.is_whole

    def _have_sent(self, messages: Messages, role: str | None, own: str) -> bool:
        if role is None:
            return self._have_all_sent(messages)
        if self._semantics.whole_role:
            return self._roster.is_whole and messages.senders[role] == self._roster.counts[role]
        return self._roster.by_role[role][0] in messages.sent or self._has_role_sent(messages, own)

    def _has_role_sent(self, messages: Messages, role: str) -> bool:
        return messages.senders[role] == self._roster.counts[role]

    def _grant_all(
        self, ticket: Ticket, messages: Messages, message_id: str, role: str | None, slot: Slot
    ) -> list[Effect]:
        """Grant a `wait_all` that is satisfied.

        Where the first member of a role speaks for it, the asker gets what it could wait for.
        """
        data: Data = messages.sent.snapshot()
        by_the_first = not self._semantics.whole_role and role is not None
        if by_the_first and self._roster.by_role[role][0] in messages.sent:
            data = self._seen_by(ticket[0], messages)
        if not data:
            return [Refusal(ticket, f"'{message_id}' was sent before it joined", True, slot)]
        return [Grant((ticket,), data, (slot,))]

    def _seen_by(self, member: int, messages: Messages) -> Data:
        """What has been sent, as far as `member` may know of it; empty when that is nothing."""
        joined = self._joined.get(member, 0)
        data = messages.sent.snapshot()
        if not joined:
            return data
        return {each: values for each, values in data.items() if messages.numbers[each] > joined}

    # Queues

    @property
    def waiting(self) -> frozenset[Ticket]:
        """The requests that have neither been granted nor withdrawn."""
        return frozenset(ticket for queue in self._queues for ticket in queue.tickets)

    def slot(self, ticket: Ticket) -> Slot:
        """The slot of a request that waits; None when it doesn't."""
        queue = self._queues.find(ticket)
        return None if queue is None else queue.tickets[ticket]

    def answer_to(self, ticket: Ticket, slot: Slot) -> bool:
        """Have a request that waits answered to another slot; says whether it waits."""
        queue = self._queues.find(ticket)
        if queue is not None:
            queue.tickets[ticket] = slot
        return queue is not None

    def _enqueue(self, ticket: Ticket, queue: Queue, slot: Slot) -> list[Effect]:
        is_first = not queue.tickets
        self._queues.enqueue(ticket, queue, slot)
        if is_first:
            self._doubts.arise(queue)
        return self._doubts.certain(queue, [ticket]) if self._roster.ended else []

    def _dequeue(self, ticket: Ticket, queue: Queue) -> Slot:
        slot = self._queues.dequeue(ticket, queue)
        self._settle(queue, [ticket])
        return slot

    def _release(self, queue: Queue | None, messages: Messages | None = None) -> list[Effect]:
        if queue is None or not queue.tickets:
            return []
        tickets, slots = self._queues.release(queue)
        self._settle(queue, tickets)
        if self._semantics.fetched:
            return [Wake(tickets)]
        return [Grant(tickets, messages.sent.snapshot() if messages else NO_DATA, slots)]

    def _settle(self, queue: Queue, tickets: Iterable[Ticket]) -> None:
        """`tickets` wait in `queue` no more; nothing is kept of an ID for waits alone."""
        self._doubts.cease(queue, tickets)
        if queue.tickets or queue.kind in ("sync", "start"):
            return
        messages = self._messages[queue.id]
        if queue.kind == "wait":
            messages.waits = None
        else:
            del messages.waits_all[queue.role]
        if not messages.sent and messages.waits is None and not messages.waits_all:
            del self._messages[queue.id]

    def _release_first(self, messages: Messages, member: int) -> list[Effect]:
        """What a member's first send grants where a role's first speaks for it; see `Semantics`."""
        own = self._roster.roles[member]
        effects: list[Effect] = []
        if member == self._roster.by_role[own][0]:
            effects += self._release(messages.waits_all.get(own), messages)
        if not self._has_role_sent(messages, own):
            return effects
        released = [
            (ticket, queue)
            for role, queue in messages.waits_all.items()
            if role is not None
            for ticket in queue.tickets
            if self._roster.roles[ticket[0]] == own
        ]
        if not released:
            return effects
        slots = tuple(self._dequeue(ticket, queue) for ticket, queue in released)
        tickets = tuple(ticket for ticket, _ in released)
        if self._semantics.fetched:
            return [*effects, Wake(tickets)]
        return [*effects, Grant(tickets, messages.sent.snapshot(), slots)]

    def _refuse_late(self, ticket: Ticket, slot: Slot) -> list[Effect]:
        return [Refusal(ticket, "the group has ended", slot=slot)]

    def _refuse_role(self, ticket: Ticket, role: str, slot: Slot) -> list[Effect]:
        count = len(self._roster.counts)
        known = ", ".join(sorted(self._roster.counts)) if count <= _NAMED else f"{count} others"
        reason = f"no node of this group has the role '{role}' (it has {known})"
        return [Refusal(ticket, reason, slot=slot)]
