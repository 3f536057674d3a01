"""Clients that believe every answer, and say when a later one contradicts it.

A pair of clients makes one group after the other: they join, send, wait, meet and leave, over
connections that may break at any time. What was acknowledged to either of them is a fact.
"""

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, field
from tests.coordinator.real import NoReply

from callboard.coordinator.framing import FrameReader, frame

_LARGEST = 1 << 24
_PAUSE_S = 0.01

Document = dict[str, Any]


class Contradiction(AssertionError):
    """An answer that can't be, after what was answered before."""


async def ask(address: tuple[str, int], document: Document) -> Document:
    """Make a request as a dispatcher does, over a connection of its own.

    Raises:
        NoReply: The connection was closed without one.
        OSError: Nobody listens there, or the connection broke.
    """
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(frame(document))
        writer.write_eof()
        data = await reader.read(-1)
    finally:
        writer.transport.abort()
    text = FrameReader(_LARGEST).feed(data) if data else None
    if text is None:
        raise NoReply
    answer: Document = json.loads(text)
    return answer


@define
class Pair:
    """Two clients.

    Attributes:
        name: What their groups' names begin with.
        address: Where the coordinator listens.
        random: What they do.
        passes_again: Whether a sync that both have passed is granted again.
        answered: Called at each answer.
        groups: How many groups they have made.
        facts: How much was acknowledged to them.
        sent: What was acknowledged of the group that there is now: data by message ID.
        met: The syncs that one of them has passed.
        ended: The groups that have ended.
    """

    name: str
    address: tuple[str, int]
    random: Random
    passes_again: bool
    answered: Callable[[], None]
    groups: int = 0
    facts: int = 0
    sent: dict[str, Document] = field(factory=dict)
    met: set[str] = field(factory=set)
    ended: list[str] = field(factory=list)

    @property
    def group(self) -> str:
        return f"{self.name}-{self.groups}"

    async def act(self, stopping: Callable[[], bool]) -> None:
        """Make groups until told to stop; the last one is left as it is."""
        while not stopping():
            self.groups += 1
            async with asyncio.TaskGroup() as both:
                both.create_task(self._join("a"))
                both.create_task(self._join("b"))
            for step in range(self.random.randint(1, 5)):
                if stopping():
                    return
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._play("a", "b", step))
                    both.create_task(self._play("b", "a", step))
                await self.check()
            self.sent, self.met = {}, set()
            for client in "ab":
                await self._leave(client)
            self.ended.append(self.group)

    async def check(self) -> None:
        """Ask for all that was acknowledged of the group that there is now."""
        for client in "ab":
            for id_, data in self.sent.items():
                answer = await self._ask(client, "lava_wait", messageID=id_)
                self._expect(answer == {"response": "ack", "message": data}, answer, id_)
            for id_ in self.met if self.passes_again else ():
                answer = await self._ask(client, "lava_sync", messageID=id_)
                self._expect(answer["response"] == "ack", answer, id_)

    async def check_ended(self) -> None:
        """See that no group that has ended is there again."""
        for group in self.ended:
            request = {"request": "group_data", "client_name": "a", "group_name": group}
            answer = await ask(self.address, request)
            self._expect(answer["response"] == "nack", answer, group)

    async def _join(self, client: str) -> None:
        answer = await self._until_granted(client, "group_data", group_size=2)
        self._expect(answer.get("roles") == {"a": "role a", "b": "role b"}, answer, "group_data")

    async def _play(self, client: str, other: str, step: int) -> None:
        """Send, wait for what the other sends, and meet it."""
        own, others = f"{client} {step}", f"{other} {step}"
        data = {client: {"value": self.random.randrange(1 << 60), "fill": "x" * 100}}
        answer = await self._ask(client, "lava_send", messageID=own, message=data[client])
        self._expect(answer == {"response": "ack"}, answer, own)
        self.sent[own] = data
        answer = await self._until_granted(client, "lava_wait", messageID=others)
        known = self.sent.setdefault(others, answer["message"])
        self._expect(answer["message"] == known, answer, others)
        await self._until_granted(client, "lava_sync", messageID=f"sync {step}")
        self.met.add(f"sync {step}")

    async def _leave(self, client: str) -> None:
        """Leave; one whose acknowledgement was lost may find the group gone when it asks again."""
        answer = await self._ask(client, "clear_group")
        self._expect(answer["response"] in ("ack", "nack"), answer, "clear_group")

    async def _until_granted(self, client: str, request: str, **fields: Any) -> Document:
        while True:
            answer = await self._ask(client, request, **fields)
            self._expect(answer["response"] != "nack", answer, request)
            if answer["response"] != "wait":
                return answer
            await asyncio.sleep(_PAUSE_S)

    async def _ask(self, client: str, request: str, **fields: Any) -> Document:
        """Ask until there is an answer, however often the coordinator is killed meanwhile."""
        document = {
            "request": request,
            "client_name": client,
            "group_name": self.group,
            "role": f"role {client}",
            "hostname": "worker1",
            **fields,
        }
        while True:
            try:
                answer = await ask(self.address, document)
            except (OSError, NoReply):
                await asyncio.sleep(_PAUSE_S)
            else:
                self.facts += 1
                self.answered()
                return answer

    def _expect(self, truth: bool, answer: Document, about: str) -> None:
        if not truth:
            raise Contradiction(f"{self.group}: {about}: {answer}; {self.sent=} {self.met=}")
