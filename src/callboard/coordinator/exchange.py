"""All groups of a coordinator: a request goes in, its answer comes out, and nothing waits.

It knows no connection, no file and no clock. Whoever uses it says what time it is, and writes
down what has changed a group before the answer is given; given the same again, in the same
order, another exchange comes to know the same.
"""

from collections.abc import Mapping, Sequence

from attrs import frozen

from callboard.actors.semantics import LAVA, Semantics, served
from callboard.coordinator.answers import Answer, Call, nack
from callboard.coordinator.group import Group, GroupMemory
from callboard.coordinator.limits import USUAL, Limits, Room
from callboard.coordinator.requests import (
    Aggregate,
    Client,
    Complete,
    Forget,
    LavaSend,
    LavaSync,
    LavaWait,
    LavaWaitAll,
    Request,
    Unknown,
)

__all__ = ["Exchange", "Limits", "Served"]


@frozen
class Served:
    """An answer.

    Attributes:
        answer: What the client is told.
        change: What has changed that has to survive, as a request that changes the same; it has
            to be on the disk before any client is answered. None for nothing.
    """

    answer: Answer
    change: Request | None = None

    @property
    def changed(self) -> bool:
        """Whether anything has changed that has to survive."""
        return self.change is not None


class Exchange:
    """Answers requests of any group.

    Args:
        semantics: How the protocol is read.
        limits: How much clients may ask for.

    Attributes:
        groups: Every group that has not ended, by its name; for looking at only.
    """

    def __init__(self, semantics: Semantics = LAVA, limits: Limits = USUAL) -> None:
        self._semantics = served(semantics)
        self._limits = limits
        self._room = Room(limits)
        self._groups: dict[str, Group] = {}

    @property
    def groups(self) -> Mapping[str, Group]:
        """See above."""
        return self._groups

    @property
    def size_bytes(self) -> int:
        """How much is kept of all groups together; see `Limits`."""
        return self._room.taken_bytes

    def serve(self, request: Request, now_s: float, call: Call | None = None) -> Served:
        """Answer a request; for `call` see `Group.serve`."""
        if (why := self._beyond(request)) is not None:
            return Served(nack(why))
        return self._serve(request, now_s, call)

    def _serve(self, request: Request, now_s: float, call: Call | None = None) -> Served:
        name = request.client.group
        group = self._groups.get(name)
        known_bytes = 0 if group is None else group.size_bytes
        if group is None:
            found = self._make(request.client, now_s)
            if isinstance(found, Answer):
                return Served(found)
            group = found
        before = group.changes
        answer = group.serve(request, now_s, call)
        if group.over:
            self._groups.pop(name, None)
        elif group.count:
            self._groups[name] = group
        kept_bytes = group.size_bytes if name in self._groups else 0
        self._room.taken_bytes += kept_bytes - known_bytes
        if group.changes == before and not group.over:
            return Served(answer)
        # One that is refused has only made its client known; on another day it might be granted.
        refused = answer.response == "nack"
        return Served(answer, Complete(request.client) if refused else request)

    def _make(self, client: Client, now_s: float) -> Group | Answer:
        """The group that a client is the first of."""
        if client.size is None:
            return nack("there is no such group, and no size was given")
        if client.role is None:
            return nack("a new client has to say its role")
        limits = self._limits
        if not self._room.boundless:
            if len(self._groups) >= limits.groups:
                return nack(f"there are {limits.groups} groups already, which is the most")
            if client.size > limits.clients:
                return nack(f"a group of {client.size} clients; {limits.clients} is the most")
        return Group(client.group, client.size, self._semantics, now_s, self._room)

    def counts(self, client: Client) -> bool:
        """Whether a client is in its group, and has not left it."""
        group = self._groups.get(client.group)
        known = None if group is None else group.client(client.name)
        return known is not None and not known.left

    def release(self, request: Request, call: Call) -> None:
        """Hold a request no longer."""
        group = self._groups.get(request.client.group)
        if group is not None:
            group.release(call)

    def vanished(self, before_s: float) -> Sequence[Forget]:
        """For each group that nobody has asked since then what makes it end, if it is served.

        Whoever is held has not been silent.
        """
        return [
            Forget(Client(group.clients[0].name, group.name))
            for group in self._groups.values()
            if group.seen_s < before_s and not group.holds_some
        ]

    # What survives

    @property
    def semantics(self) -> Semantics:
        """How the protocol is read, as `served` makes it."""
        return self._semantics

    def replay(self, request: Request, now_s: float) -> None:
        """Take up a request that has been answered before; no limit counts any more."""
        self._room.boundless = True
        try:
            self._serve(request, now_s)
        finally:
            self._room.boundless = False

    def date(self, group: str, created_s: float) -> None:
        """A group that was taken up was made then; nothing happens if there is no such group."""
        if (known := self._groups.get(group)) is not None:
            known.created_s = created_s

    def resume(self) -> None:
        """All is taken up, and clients ask again; see `Group.resume`."""
        for group in self._groups.values():
            known_bytes = group.size_bytes
            group.resume()
            self._room.taken_bytes += group.size_bytes - known_bytes

    def forget(self, group: str) -> None:
        """There is no such group any more, if there was one."""
        known = self._groups.pop(group, None)
        if known is not None:
            self._room.taken_bytes -= known.size_bytes

    def memory(self, group: str) -> GroupMemory:
        """All that is to be kept of a group.

        Raises:
            KeyError: There is no such group.
        """
        return self._groups[group].memory

    def recall(self, memory: GroupMemory, now_s: float) -> None:
        """Take up a group; what was known of it is forgotten."""
        self.forget(memory.name)
        group = Group.recall(memory, self._semantics, now_s, self._room)
        self._groups[memory.name] = group
        self._room.taken_bytes += group.size_bytes

    def _beyond(self, request: Request) -> str | None:
        """Which name or ID of a request is longer than may be, if one is."""
        most = self._limits.name
        for what, name in _names(request):
            if len(name) > most:
                return f"the {what} has {len(name)} characters; {most} is the most"
        return None


def _names(request: Request) -> Sequence[tuple[str, str]]:
    """Every name and ID in a request, and what it is called."""
    client = request.client
    names = (
        ("name of the group", client.group),
        ("name of the client", client.name),
        ("role", client.role or ""),
        ("host name", client.host),
    )
    match request:
        case LavaSend(_, id_) | LavaWait(_, id_) | LavaSync(_, id_):
            return (*names, ("message ID", id_))
        case LavaWaitAll(_, id_, role):
            return (*names, ("message ID", id_), ("awaited role", role or ""))
        case Aggregate(_, _, sub_id):
            return (*names, ("sub_id", sub_id))
        case Unknown(_, name):
            return (*names, ("name of the request", name))
        case _:
            return names
