"""What the members of a group have sent, and who waits for what: a pure state machine.

Requests go in, grants come out; nothing here waits, reads a clock or knows an actor. The
semantics are those that LAVA documents for the MultiNode API:

| request | granted when | with |
| --- | --- | --- |
| `send ID` | at once | nothing; data of one sender is merged key by key, later wins |
| `wait ID` | any member has sent ID | the data of all senders so far |
| `wait_all ID` | every member has sent ID | the data of all senders |
| `wait_all ID, role` | every member of the role has sent ID | the data of all senders so far |
| `sync ID` | every member has called sync ID | nothing |

IDs of messages and of syncs are separate. A send costs no more than the waiters that it
releases; all of them share one snapshot of the data.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from attrs import define, field, frozen

Ticket = tuple[int, int]
"""A request that may have to wait: the member's job id, and the member's own number for it."""

Data = Mapping[int, Mapping[str, str]]
"""What was sent under one ID: key and value, by the sender's job id."""

NO_DATA: Data = MappingProxyType({})


@frozen
class Grant:
    """A waiting request is satisfied; `data` is shared by all that were released together."""

    ticket: Ticket
    data: Data = NO_DATA


@frozen
class Refusal:
    """A request can never be satisfied; `reason` says why in the job writer's words."""

    ticket: Ticket
    reason: str


Effect = Grant | Refusal


@define
class _Messages:
    """Everything about one message ID."""

    sent: dict[int, Mapping[str, str]] = field(factory=dict[int, Mapping[str, str]])
    senders: Counter[str] = field(factory=Counter[str])
    waits: dict[Ticket, None] = field(factory=dict[Ticket, None])
    waits_all: dict[str | None, dict[Ticket, None]] = field(
        factory=dict[str | None, dict[Ticket, None]]
    )
    snapshot: Data | None = None

    def data(self) -> Data:
        if self.snapshot is None:
            self.snapshot = MappingProxyType(self.sent.copy())
        return self.snapshot


@define
class _Sync:
    """Everything about one sync ID."""

    called: set[int] = field(factory=set[int])
    waits: dict[Ticket, None] = field(factory=dict[Ticket, None])


class Coordination:
    """The state of one group.

    Args:
        members: Job id and role of every node of the group; ids are unique.
    """

    def __init__(self, members: Iterable[tuple[int, str]]) -> None:
        self._roles = dict(members)
        self._counts = Counter(self._roles.values())
        self._messages: dict[str, _Messages] = {}
        self._syncs: dict[str, _Sync] = {}
        self._waiting: dict[Ticket, tuple[str, dict[Ticket, None]]] = {}

    @property
    def waiting(self) -> frozenset[Ticket]:
        """The requests that have neither been granted nor withdrawn."""
        return frozenset(self._waiting)

    def send(self, member: int, message_id: str, data: Mapping[str, str]) -> list[Effect]:
        """Keep `data` of `member` for the life of the group; grants what was waiting for it."""
        messages = self._messages.setdefault(message_id, _Messages())
        role = self._roles[member]
        if member not in messages.sent:
            messages.senders[role] += 1
        # Replaced, never changed, so that a snapshot is one flat copy.
        merged = {**messages.sent.get(member, {}), **data}
        messages.sent[member] = MappingProxyType(merged)
        messages.snapshot = None

        released = [messages.waits]
        if messages.senders[role] == self._counts[role]:
            released.append(messages.waits_all.get(role, {}))
        if len(messages.sent) == len(self._roles):
            released.append(messages.waits_all.get(None, {}))
        return [effect for waits in released for effect in self._release(waits, messages)]

    def wait(self, ticket: Ticket, message_id: str) -> list[Effect]:
        """Grant `ticket` as soon as any member, the asking one included, has sent the ID."""
        messages = self._messages.setdefault(message_id, _Messages())
        if messages.sent:
            return [Grant(ticket, messages.data())]
        return self._enqueue(ticket, messages.waits, message_id)

    def wait_all(self, ticket: Ticket, message_id: str, role: str | None = None) -> list[Effect]:
        """Grant `ticket` as soon as every member, or every member of `role`, has sent the ID."""
        if role is not None and role not in self._counts:
            known = ", ".join(sorted(self._counts))
            return [
                Refusal(ticket, f"no node of this group has the role '{role}' (it has {known})")
            ]
        messages = self._messages.setdefault(message_id, _Messages())
        if not self._missing_senders(messages, role):
            return [Grant(ticket, messages.data())]
        return self._enqueue(ticket, messages.waits_all.setdefault(role, {}), message_id)

    def sync(self, ticket: Ticket, sync_id: str) -> list[Effect]:
        """Grant `ticket` as soon as every member has called sync with this ID."""
        sync = self._syncs.setdefault(sync_id, _Sync())
        sync.called.add(ticket[0])
        if len(sync.called) < len(self._roles):
            return self._enqueue(ticket, sync.waits, sync_id)
        return [*self._release(sync.waits), Grant(ticket)]

    def withdraw(self, ticket: Ticket) -> tuple[int, ...]:
        """Forget a request whose member has stopped waiting.

        A withdrawn sync still counts as called.

        Returns:
            The members that it was waiting for; any of them would have done for a wait. Empty
            when the request wasn't waiting.
        """
        if ticket not in self._waiting:
            return ()
        name, waits = self._waiting.pop(ticket)
        del waits[ticket]
        sync = self._syncs.get(name)
        if sync is not None and waits is sync.waits:
            return tuple(member for member in self._roles if member not in sync.called)
        messages = self._messages[name]
        role = next((role for role, each in messages.waits_all.items() if each is waits), None)
        return tuple(
            member
            for member, its_role in self._roles.items()
            if member not in messages.sent and role in (None, its_role)
        )

    def _missing_senders(self, messages: _Messages, role: str | None) -> int:
        if role is None:
            return len(self._roles) - len(messages.sent)
        return self._counts[role] - messages.senders[role]

    def _enqueue(self, ticket: Ticket, waits: dict[Ticket, None], name: str) -> list[Effect]:
        waits[ticket] = None
        self._waiting[ticket] = (name, waits)
        return []

    def _release(
        self, waits: dict[Ticket, None], messages: _Messages | None = None
    ) -> list[Effect]:
        if not waits:
            return []
        data = messages.data() if messages else NO_DATA
        released: list[Effect] = [Grant(ticket, data) for ticket in waits]
        for ticket in waits:
            del self._waiting[ticket]
        waits.clear()
        return released
