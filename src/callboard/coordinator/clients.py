"""Who is in a group, and what each client waits for."""

from collections.abc import Iterator

from attrs import define, evolve

from callboard.actors.sent import text_bytes
from callboard.coordinator.answers import Answer
from callboard.coordinator.limits import CLIENT_BYTES
from callboard.coordinator.requests import (
    Aggregate,
    Client,
    LavaSync,
    LavaWait,
    LavaWaitAll,
    Request,
)


@define
class Known:
    """A client of a group.

    Attributes:
        name: Its name.
        role: Its role.
        host: The worker that it said it is on.
        seen_s: When it asked last, in seconds of the exchange's clock.
        waiting: What it asks for, if the last answer was to wait; without what it brings.
        waiting_s: Since when.
        left: Whether it has said that it has ended, and has asked nothing since.
    """

    name: str
    role: str
    host: str
    seen_s: float
    waiting: Request | None = None
    waiting_s: float = 0.0
    left: bool = False


class Clients:
    """The clients of a group, each with a number, in the order in which they became known.

    Attributes:
        size_bytes: How much is kept of them; see `Limits`.
        named_bytes: How much of that are names and roles.
        left: How many have ended.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self.named_bytes = 0
        self.left = 0
        self._known: list[Known] = []
        self._numbers: dict[str, int] = {}
        self._everybody: Answer | None = None

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Known]:
        return iter(self._known)

    def __getitem__(self, number: int) -> Known:
        return self._known[number]

    def number(self, name: str) -> int | None:
        """The number of the client of that name; None if it isn't known."""
        return self._numbers.get(name)

    def add(self, known: Known) -> int:
        """Take in a client, and return its number."""
        number = self._numbers[known.name] = len(self._known)
        self._known.append(known)
        self._everybody = None
        named = named_bytes(known.name, known.role)
        self.named_bytes += named
        self.size_bytes += CLIENT_BYTES + named + text_bytes(known.host)
        self.left += known.left
        return number

    def leave(self, known: Known) -> None:
        """A client says that it has ended; it may have said so before."""
        if not known.left:
            known.left = True
            self.left += 1

    def come_back(self, known: Known) -> None:
        """A client that had ended asks again."""
        known.left = False
        self.left -= 1

    def note_wait(self, known: Known, request: Request | None, now_s: float) -> None:
        """Note what a client waits for from now on, if it didn't before; None for nothing."""
        waiting = None if request is None else _bare(request)
        if known.waiting == waiting:
            return
        self.size_bytes += _waiting_bytes(waiting) - _waiting_bytes(known.waiting)
        known.waiting, known.waiting_s = waiting, now_s

    def waits_in(self, number: int, request: Request) -> bool:
        """Whether that is the request in which a client is known to wait."""
        return self._known[number].waiting == _bare(request)

    def everybody(self) -> Answer:
        """The answer that says who is in the group; the same until somebody joins."""
        if self._everybody is None:
            roles = {each.name: each.role for each in self._known}
            self._everybody = Answer("group_data", {"roles": roles})
        return self._everybody


def joining_bytes(client: Client) -> int:
    """How much would be kept of a new client."""
    return CLIENT_BYTES + named_bytes(client.name, client.role or "") + text_bytes(client.host)


def named_bytes(name: str, role: str) -> int:
    """How much of that are its name and its role."""
    return text_bytes(name) + text_bytes(role)


def _bare(request: Request) -> Request:
    """A request without what it brings, which may be large."""
    match request:
        case LavaSync():
            return evolve(request, message=None)
        case Aggregate():
            return evolve(request, bundle=None)
        case _:
            return request


def _waiting_bytes(request: Request | None) -> int:
    """How much is kept of a request that waits."""
    match request:
        case LavaWait(_, id_) | LavaSync(_, id_):
            return text_bytes(id_)
        case LavaWaitAll(_, id_, role):
            return text_bytes(id_) + text_bytes(role or "")
        case _:
            return 0
