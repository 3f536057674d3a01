"""What the connections of a server share: where they wait, and how much is kept for them."""

from asyncio import AbstractEventLoop
from typing import TYPE_CHECKING

from callboard.coordinator.deadlines import Line
from callboard.coordinator.desk import Desk
from callboard.coordinator.refusals import Refusals
from callboard.coordinator.terms import Terms
from callboard.coordinator.watch import Watch

if TYPE_CHECKING:
    from callboard.coordinator.connection import Connection


class Hall:
    """Where connections wait.

    Args:
        terms: What is granted to them.
        loop: The loop that they are served on.
        desk: Where requests are served.
        refusals: Takes what was refused.

    Attributes:
        reading: Those whose request is not there yet, the earliest first.
        held: Those whose answer is held back, the earliest first.
        answering: Those whose answer waits for the disk or for its client, the earliest first.
        half_read: Bytes of requests that are not whole yet.
        unsent: The answers that were not taken yet.
    """

    def __init__(
        self, terms: Terms, loop: AbstractEventLoop, desk: Desk, refusals: Refusals
    ) -> None:
        self.terms = terms
        self.loop = loop
        self.desk = desk
        self.refusals = refusals
        self.watch = Watch(loop, lambda: bool(self.answering) or desk.turning)
        self.reading: Line[Connection] = Line(loop, terms.request_s, lambda each: each.read_late())
        self.answering: Line[Connection] = Line(
            loop, terms.answer_s, lambda each: each.answer_late()
        )
        self.held: dict[Connection, None] = {}
        self.half_read = 0
        self.unsent = Unsent()

    def close(self) -> None:
        """End what the loop still looks at; all connections are closed."""
        self.reading.close()
        self.answering.close()
        self.watch.close()


class Unsent:
    """Answers that are kept until they are taken; one that many get is kept once.

    Attributes:
        size_bytes: How large they are together.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self._users: dict[int, int] = {}

    def add(self, answer: bytes) -> None:
        """Somebody has yet to take an answer."""
        users = self._users.get(id(answer), 0)
        self._users[id(answer)] = users + 1
        if not users:
            self.size_bytes += len(answer)

    def remove(self, answer: bytes) -> None:
        """Somebody has taken it, or never will."""
        users = self._users.pop(id(answer)) - 1
        if users:
            self._users[id(answer)] = users
        else:
            self.size_bytes -= len(answer)
