"""One group of clients that poll, around the coordination that all groups of callboard have.

| request | answer |
| --- | --- |
| `group_data` | `wait` until as many clients are known as the first one said, then who they are |
| `lava_send` | `ack` |
| `lava_wait`, `lava_wait_all`, `lava_sync` | `wait`, and once it is granted `ack` with the data |
| `clear_group` | `ack` |
| `aggregate` | `ack`; who collects waits for all, and two rounds longer |
| `complete` | none |
| any other, and what the coordination refuses | `nack` |

Each request makes its client known first. LAVA: coordinator, requests.
"""

import json
from collections.abc import Mapping

from attrs import evolve, frozen

from callboard.actors.bookkeeping import growth_bytes
from callboard.actors.coordination import Coordination
from callboard.actors.effects import NO_DATA, Data, Effect, Grant, Refusal, Ticket, Wake
from callboard.actors.memory import Memory
from callboard.actors.semantics import Semantics
from callboard.actors.sent import text_bytes, values_bytes
from callboard.coordinator.answers import ACK, NOTHING, WAIT, Answer, Call, nack
from callboard.coordinator.bundles import Bundles
from callboard.coordinator.clients import Clients, Known, joining_bytes, named_bytes
from callboard.coordinator.holds import Holds
from callboard.coordinator.limits import GROUP_BYTES, Room
from callboard.coordinator.requests import (
    Aggregate,
    ClearGroup,
    Client,
    Collected,
    Complete,
    Forget,
    GroupData,
    Json,
    LavaSend,
    LavaSync,
    LavaWait,
    LavaWaitAll,
    Request,
    Unknown,
)


@frozen
class GroupMemory:
    """All that is kept of a group.

    Attributes:
        name: Its name.
        clients: Name and host of each client, in the order in which they joined; the members of
            `memory` are their places here.
        left: Those that have ended.
        memory: Its coordination.
        bundles: What was given by `aggregate`, as JSON.
        pause: How many rounds the collector still has to come again.
    """

    name: str
    clients: tuple[tuple[str, str], ...]
    left: tuple[str, ...]
    memory: Memory
    bundles: Mapping[str, str]
    pause: int


class Group:
    """The clients of one group, and what they have said.

    Args:
        name: The group's name.
        size: How many clients it is to have.
        semantics: The rules, as `callboard.actors.semantics.served` makes them.
        now_s: Seconds of the exchange's clock.
        room: How much may be kept.

    Attributes:
        over: Whether it has ended: nobody is to ask it any more.
        seen_s: When one of its clients asked last, in seconds of the exchange's clock.
        created_s: When it was made; after a restart that may be before the clock began.
    """

    def __init__(
        self, name: str, size: int, semantics: Semantics, now_s: float, room: Room
    ) -> None:
        self.name = name
        self.size = size
        self.over = False
        self.seen_s = self.created_s = now_s
        self._semantics = semantics
        self._room = room
        self._coordination = Coordination((), None, semantics, size)
        self._clients = Clients()
        self._doubted: set[int] = set()
        self._bundles = Bundles(size)
        self._own_changes = 0
        self._asked = 0
        self._holds = Holds()
        self._gathering: dict[Ticket, None] = {}
        self._own_bytes = GROUP_BYTES + text_bytes(name)
        self._last: tuple[Data, Answer] = (NO_DATA, ACK)

    # For whoever looks at it

    @property
    def clients(self) -> tuple[Known, ...]:
        """Every client that has become known, in that order."""
        return tuple(self._clients)

    @property
    def count(self) -> int:
        """How many clients have become known."""
        return len(self._clients)

    def client(self, name: str) -> Known | None:
        """What is known of that client."""
        number = self._clients.number(name)
        return None if number is None else self._clients[number]

    @property
    def holds_some(self) -> bool:
        """Whether any request is held."""
        return len(self._holds) > 0

    def knows(self, client: str) -> bool:
        """Whether that client has become known."""
        return self._clients.number(client) is not None

    @property
    def changes(self) -> int:
        """Goes up whenever a request has changed what has to survive."""
        return self._coordination.changes + self._own_changes

    @property
    def size_bytes(self) -> int:
        """How much is kept of it; see `Limits`."""
        kept = self._coordination.kept.size_bytes
        return self._own_bytes + self._clients.size_bytes + self._bundles.size_bytes + kept

    # Requests

    def serve(self, request: Request, now_s: float, call: Call | None = None) -> Answer:
        """Answer a request.

        Args:
            request: The request; its client need not be known.
            now_s: Seconds of the exchange's clock.
            call: If the answer is to wait, it is called once, when the request should be made
                again; until then the request is held, see `release`.
        """
        number = self._join(request.client, now_s)
        if isinstance(number, Answer):
            return number
        client = self._clients[number]
        self.seen_s = client.seen_s = now_s
        if client.left and not isinstance(request, ClearGroup | Collected | Forget):
            # The group is not to end without it.
            self._doubted.discard(number)
            self._own_changes += 1
            self._clients.come_back(client)
        answer = self._answer(request, number, call)
        self._clients.note_wait(client, request if answer is WAIT else None, now_s)
        return answer

    def release(self, call: Call) -> None:
        """Hold a request no longer; its `call` is not called any more."""
        ticket = self._holds.remove(call)
        if ticket is not None:
            self._gathering.pop(ticket, None)
            self._coordination.forget(ticket)

    def resume(self) -> None:
        """The coordinator has started again: nobody is known to wait until it asks again.

        The answers to last words may not have arrived: a client that has ended then says so once
        more, which doesn't count.
        """
        for client in self._clients:
            self._clients.note_wait(client, None, client.waiting_s)
        self._doubted = {number for number, each in enumerate(self._clients) if each.left}

    def _join(self, client: Client, now_s: float) -> int | Answer:
        """The number of a client, which is taken in if it is new; why it can't be, if it can't."""
        number = self._clients.number(client.name)
        if number is not None:
            return number
        if (why := self._beyond_clients(client)) is not None:
            return nack(why)
        if client.role is None:
            return nack("a new client has to say its role")
        number = self._clients.add(Known(client.name, client.role, client.host, now_s))
        self._wake(self._coordination.join(number, client.role))
        if self.count == self.size:
            gathered, self._gathering = self._gathering, {}
            self._holds.wake(gathered)
        return number

    def _beyond_clients(self, client: Client) -> str | None:
        """Why a new client can't be taken in, if it can't."""
        if self._semantics.whole_group and self.count >= self.size:
            return f"the group has its {self.size} clients already"
        if self._room.boundless:
            return None
        limits = self._room.limits
        if self.count >= limits.clients:
            return f"the group has {limits.clients} clients, which is the most"
        named = self._clients.named_bytes + named_bytes(client.name, client.role or "")
        if named > (most := limits.answer_bytes):
            return f"all names and roles of the group would have more than {most} bytes, the most"
        return self._room.refusal(self.size_bytes, joining_bytes(client))

    def _answer(self, request: Request, number: int, call: Call | None) -> Answer:
        match request:
            case GroupData():
                return self._roles(number, call)
            case LavaSend():
                return self._send(number, request)
            case LavaWait(_, id_):
                if (why := self._beyond_waits(number, request, text_bytes(id_))) is not None:
                    return nack(why)
                if data := self._coordination.seen(number, id_):
                    return self._data(data)
                if call is None:  # as most ask, time and again
                    return WAIT
                ticket = self._ticket(number)
                return self._ask(ticket, self._coordination.wait(ticket, id_), call)
            case LavaWaitAll(_, id_, role):
                more = text_bytes(id_) + text_bytes(role or "")
                if (why := self._beyond_waits(number, request, more)) is not None:
                    return nack(why)
                ticket = self._ticket(number)
                return self._ask(ticket, self._coordination.wait_all(ticket, id_, role), call)
            case LavaSync():
                return self._sync(number, request, call)
            case Collected(_, id_):
                self._coordination.collect(number, id_)
                return ACK
            case ClearGroup():
                return self._leave(number)
            case Aggregate():
                return self._aggregate(request)
            case Complete():
                return NOTHING
            case Unknown(_, name):
                return nack(f"there is no request '{name}'")
            case Forget():
                self._end()
                return ACK

    def _beyond(
        self, more_bytes: int, *, message: str | None = None, sync: str | None = None
    ) -> str | None:
        """Why that much more can't be kept, for that ID, if it can't."""
        room = self._room
        if room.boundless:
            return None
        is_new = not self._coordination.keeps(message=message, sync=sync)
        if is_new and self._coordination.kept.ids >= room.limits.ids:
            return f"the group uses {room.limits.ids} message and sync IDs, which is the most"
        return room.refusal(self.size_bytes, more_bytes)

    def _beyond_waits(
        self, number: int, request: Request, more_bytes: int, *, sync: str | None = None
    ) -> str | None:
        """The same for a request that may wait; who waits in it already may ask again."""
        why = self._beyond(more_bytes, sync=sync)
        return None if why is None or self._clients.waits_in(number, request) else why

    def _send(self, number: int, request: LavaSend) -> Answer:
        id_ = request.id
        values = {key: json.dumps(value) for key, value in request.message.items()}
        if (why := self._beyond(growth_bytes(id_, values), message=id_)) is not None:
            return nack(why)
        most = self._room.limits.answer_bytes
        under = self._coordination.sent_bytes(id_) + values_bytes(values)
        if under > most and not self._room.boundless:
            return nack(f"more would have been sent under the ID than {most} bytes, the most")
        self._wake(self._coordination.send(number, id_, values))
        return ACK

    def _sync(self, number: int, request: LavaSync, call: Call | None) -> Answer:
        """The client has collected a sync when the answer has left, and not before.

        After all have, the ID stands for another sync: who had to ask again, for it had no answer,
        would wait for one that nobody else comes to.
        """
        id_ = request.id
        more = growth_bytes(id_, {}) + text_bytes(id_)
        if (why := self._beyond_waits(number, request, more, sync=id_)) is not None:
            return nack(why)
        ticket = self._ticket(number)
        effects = self._coordination.sync(ticket, id_)
        answer = self._ask(ticket, effects, call, request.message or id_)
        if self._semantics.passes_again or answer.response != "ack":
            return answer
        return evolve(answer, receipt=Collected(Client(request.client.name, self.name), id_))

    def _ticket(self, number: int) -> Ticket:
        self._asked += 1
        return (number, self._asked)

    def _ask(
        self, ticket: Ticket, effects: list[Effect], call: Call | None, message: Json = None
    ) -> Answer:
        """The answer to a request that may have to wait; `message` in place of the data."""
        answer = self._verdict(ticket, effects, message)
        if answer is WAIT:
            if call is None:
                self._coordination.forget(ticket)
            else:
                self._holds.add(ticket, call)
        self._wake(effects)
        return answer

    def _verdict(self, ticket: Ticket, effects: list[Effect], message: Json) -> Answer:
        for effect in effects:
            match effect:
                case Grant(tickets, data) if ticket in tickets:
                    return self._data(data) if message is None else _message(message)
                case Refusal(own, reason) if own == ticket:
                    return nack(reason)
        return WAIT

    def _data(self, data: Data) -> Answer:
        """The answer that brings data, the same for all who get the same."""
        if data is not self._last[0]:
            self._last = (data, _message(self._named(data)))
        return self._last[1]

    def _roles(self, number: int, call: Call | None) -> Answer:
        if self.count != self.size:
            if call is not None:
                ticket = self._ticket(number)
                self._gathering[ticket] = None
                self._holds.add(ticket, call)
            return WAIT
        return self._clients.everybody()

    def _leave(self, number: int) -> Answer:
        if number in self._doubted:
            self._doubted.remove(number)
            return ACK
        self._wake(self._coordination.leave(number))
        self._clients.leave(self._clients[number])
        all_have_left = self._clients.left == self.count
        if self._coordination.over if self._semantics.counts_ends else all_have_left:
            self._end()
        return ACK

    def _end(self) -> None:
        self.over = True
        self._gathering.clear()
        self._holds.wake_all()

    def _aggregate(self, request: Aggregate) -> Answer:
        text, client = json.dumps(request.bundle), request.client.name
        if (why := self._beyond(text_bytes(text))) is not None:
            return nack(why)
        most = self._room.limits.answer_bytes
        together = self._bundles.size_bytes + self._bundles.growth_bytes(client, text)
        if together > most and not self._room.boundless:
            return nack(f"all bundles would have more than {most} bytes, which is the most")
        self._own_changes += 1
        self._bundles.put(client, text)
        return self._bundles.answer(request.sub_id)

    def _wake(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Wake):
                self._holds.wake(effect.tickets)

    def _named(self, data: Data) -> Json:
        """Data as it was sent, by the names of the senders."""
        return {
            self._clients[member].name: {key: json.loads(text) for key, text in values.items()}
            for member, values in data.items()
        }

    # What survives

    @property
    def memory(self) -> GroupMemory:
        """All that is to be kept of the group."""
        return GroupMemory(
            self.name,
            tuple((each.name, each.host) for each in self._clients),
            tuple(each.name for each in self._clients if each.left),
            self._coordination.memory,
            self._bundles.texts,
            self._bundles.pause,
        )

    @classmethod
    def recall(cls, memory: GroupMemory, semantics: Semantics, now_s: float, room: Room) -> "Group":
        """The group whose memory this is."""
        group = cls(memory.name, memory.memory.size, semantics, now_s, room)
        group._coordination = Coordination.recall(memory.memory, semantics)
        roles = dict(memory.memory.members)
        left = set(memory.left)
        for number, (name, host) in enumerate(memory.clients):
            group._clients.add(Known(name, roles[number], host, now_s, left=name in left))
        for client, text in memory.bundles.items():
            group._bundles.put(client, text)
        group._bundles.pause = memory.pause
        return group

    def missing(self, client: Known) -> tuple[Known, ...]:
        """Whom the request of a client that waits still needs; of a `lava_wait`, any will do."""
        match client.waiting:
            case LavaWait(_, id_):
                members = self._coordination.awaited("wait", id_)
            case LavaWaitAll(_, id_, role):
                members = self._coordination.awaited("wait-all", id_, role)
            case LavaSync(_, id_):
                members = self._coordination.awaited("sync", id_)
            case _:
                members = ()
        return tuple(self._clients[member] for member in members)

    def is_ready(self, client: Known) -> bool:
        """Whether what a client waits for has happened, so that it only has to ask again."""
        request = client.waiting
        number = self._clients.number(client.name)
        assert number is not None
        ticket = self._ticket(number)
        effects: list[Effect] = []
        match request:
            case GroupData():
                return self.count == self.size
            case LavaWait(_, id_):
                effects = self._coordination.wait(ticket, id_)
            case LavaWaitAll(_, id_, role):
                effects = self._coordination.wait_all(ticket, id_, role)
            case LavaSync(_, id_):
                return self.count >= self.size and not self._coordination.awaited("sync", id_)
            case _:
                pass
        self._coordination.forget(ticket)
        return bool(effects)


def _message(message: Json) -> Answer:
    return Answer("ack", {"message": message})
