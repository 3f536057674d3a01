"""What goes over a link, and what carries it.

| envelope | goes to | says | is sent again |
| --- | --- | --- | --- |
| `Message` | the actor's end | a message, numbered | until it is heard of, or nobody wants it |
| `Received` | the sender's end | the actor has it in its mailbox | when the message comes again |
| `Settled` | the sender's end | the actor has handled it: the outcome | until it is confirmed |
| `Confirmed` | the actor's end | the outcome has arrived | when the outcome comes again |

A message that is told is settled too: an actor that ends before it has handled it leaves its end
of the link with the choice between a dead letter and another attempt.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen

from callboard.runtime.messages import Outcome


@frozen
class Message:
    """A message on its way.

    Attributes:
        number: Its place among all that were sent over the link, from 1.
        floor: What has a lower number and hasn't arrived will never come.
        body: What was sent.
    """

    number: int
    floor: int
    body: object


@frozen
class Received:
    """The actor has a message in its mailbox."""

    number: int


@frozen
class Settled:
    """The actor has handled a message, or will not any more."""

    number: int
    outcome: Outcome[Any]


@frozen
class Confirmed:
    """Nobody needs the outcome of a message any more."""

    number: int


Envelope = Message | Received | Settled | Confirmed

Deliver = Callable[[Envelope], None]


class Transport(Protocol):
    """Carries the envelopes of links, as well as it can."""

    def send(self, envelope: Envelope, deliver: Deliver) -> None:
        """Call `deliver` with `envelope`: at once or later, once, several times or never."""


class Resender:
    """Has envelopes sent again until they are heard of; holds one timer, and only for that."""

    __slots__ = ("_due_s", "_every_s", "_timer", "_transmit")

    def __init__(self, every_s: float, transmit: Callable[[int], None]) -> None:
        self._every_s = every_s
        self._transmit = transmit
        self._due_s: dict[int, float] = {}  # the first is due first, for all wait equally long
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, number: int) -> None:
        """Send `number` again unless it is heard of in time."""
        loop = asyncio.get_running_loop()
        self._due_s.pop(number, None)
        self._due_s[number] = loop.time() + self._every_s
        if self._timer is None:
            self._timer = loop.call_later(self._every_s, self._resend)

    def heard(self, number: int) -> None:
        """Don't send `number` again."""
        if self._due_s.pop(number, None) is not None and not self._due_s:
            self.clear()

    def clear(self) -> None:
        """Send nothing again."""
        self._due_s.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _resend(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for number in [each for each, due_s in self._due_s.items() if due_s <= now_s]:
            if number in self._due_s:  # sending one may settle another
                self.expect(number)
                self._transmit(number)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due_s:
            self._timer = loop.call_at(next(iter(self._due_s.values())), self._resend)
