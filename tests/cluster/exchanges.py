"""A leader and a worker in one process, with a post between them that tests have in hand."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field

from callboard.cluster.exchange import Exchange
from callboard.cluster.function_ref import FunctionRef
from callboard.cluster.messages import HOST, LEADER, Dismiss
from callboard.runtime import DeadLetter, Reply

WORKER = "w"
RESEND_S = 0.05
NEVER_S = 3600.0
"""For those who count parcels: a busy machine repeats some before they are heard of."""


@define
class Post:
    """Carries parcels at once, and keeps them; while it is cut, it loses them."""

    boxes: dict[str, Exchange] = field(factory=dict[str, Exchange])
    posted: list[tuple[str, str, bytes]] = field(factory=list[tuple[str, str, bytes]])
    cut: bool = False

    def post(self, sender: str, box: str, data: bytes) -> None:
        """Take a parcel of `sender` for `box`."""
        self.posted.append((sender, box, data))
        if not self.cut and box in self.boxes:
            self.boxes[box].arrive(sender, data)

    def parcels(self, sender: str) -> list[bytes]:
        """The parcels that `sender` has posted."""
        return [data for each, _, data in self.posted if each == sender]


@define
class Pair:
    """A leader in its first term, and one worker in its incarnation `one`, which knows it.

    Attributes:
        hosted: What the worker's `HOST` was told.
    """

    post: Post = field(factory=Post)
    letters: list[DeadLetter] = field(factory=list[DeadLetter])
    problems: list[str] = field(factory=list[str])
    options: dict[str, Any] = field(factory=dict[str, Any])
    hosted: list[object] = field(factory=list[object])
    worker: Exchange = field(init=False)
    leader: Exchange = field(init=False)
    made: list[Exchange] = field(factory=list[Exchange])

    def __attrs_post_init__(self) -> None:
        self.work("one")
        self.lead(1)
        self.leader.admit(WORKER, "one")
        self.leader.ref(WORKER, HOST).tell_nowait(Dismiss("nothing"))
        for each in (self.leader, self.worker, self.leader):
            each.flush()
        self.post.posted.clear()
        self.hosted.clear()

    def work(self, incarnation: str) -> None:
        """Have a fresh process take the worker's place."""
        self.worker = self._make(WORKER, incarnation=incarnation)
        self.worker.function_ref(HOST, self.hosted.append)

    def lead(self, term: int) -> None:
        """Have a fresh leader take the leader's place; it doesn't know the worker yet."""
        self.leader = self._make(LEADER, term=term)

    def close(self) -> None:
        """Close all exchanges, those included whose places were taken."""
        for each in self.made:
            each.close()

    def _make(self, box: str, **own: Any) -> Exchange:
        exchange = Exchange(
            box,
            lambda to, data: self.post.post(box, to, data),
            on_dead_letter=self.letters.append,
            on_problem=lambda _box, text: self.problems.append(text),
            **{"resend_s": RESEND_S, **self.options, **own},
        )
        self.post.boxes[box] = exchange
        self.made.append(exchange)
        return exchange


class Holding(FunctionRef):
    """An actor that answers when the test says so."""

    def __init__(self, address: str) -> None:
        super().__init__(address, lambda _message: None, lambda _failure: None)
        self.held: list[Reply[Any]] = []

    @property
    def messages(self) -> list[object]:
        """What it was given."""
        return [each.message for each in self.held]

    def deliver(self, reply: Reply[Any]) -> None:
        """Hold it."""
        self.held.append(reply)

    def answer(self, value: object) -> None:
        """Answer all."""
        for each in self.held:
            each.send(value)


@contextmanager
def pair(**options: Any) -> Iterator[Pair]:
    """A pair of exchanges with these options."""
    made = Pair(options=options)
    try:
        yield made
    finally:
        made.close()


async def silence(post: Post) -> None:
    """Wait until nothing has been posted for some rounds of repetition."""
    while True:
        posted = len(post.posted)
        await asyncio.sleep(3 * RESEND_S)
        if len(post.posted) == posted:
            return
