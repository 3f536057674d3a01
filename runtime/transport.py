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
        to: What the actor is called at its end, empty where the link has but one.
    """

    number: int
    floor: int
    body: object
    to: str = ""


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
    """Has envelopes sent again until they are heard of; holds one timer, and only for that.

    Who isn't heard of may be slow because there is too much to do, and what is sent again makes
    that more. So, up to a limit, the wait is doubled each time it was in vain, and follows from
    then on how long it takes to be heard of.

    Args:
        every_s: Seconds after which an envelope is sent again, at least.
        longest_s: The most that this may become.
        transmit: Sends an envelope.
    """

    __slots__ = ("_every_s", "_longest_s", "_repeated", "_sent_s", "_timer", "_transmit", "_wait_s")

    def __init__(self, every_s: float, longest_s: float, transmit: Callable[[int], None]) -> None:
        self._every_s = every_s
        self._longest_s = longest_s
        self._transmit = transmit
        self._wait_s = every_s
        self._sent_s: dict[int, float] = {}  # the first is due first, for all wait equally long
        self._repeated: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, number: int) -> None:
        """Send `number` again unless it is heard of in time."""
        loop = asyncio.get_running_loop()
        self._sent_s.pop(number, None)
        self._sent_s[number] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._wait_s, self._resend)

    def heard(self, number: int) -> None:
        """Don't send `number` again."""
        sent_s = self._sent_s.pop(number, None)
        if sent_s is None:
            return
        if number in self._repeated:
            self._repeated.discard(number)  # nobody knows which of them was heard of
        elif self._longest_s > self._every_s:
            took_s = asyncio.get_running_loop().time() - sent_s
            self._wait(max(self._every_s, min(2 * took_s, self._longest_s)))
        if not self._sent_s and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hasten(self) -> None:
        """Send all that was not heard of again, now: what kept it from being heard of is over."""
        self._wait(self._every_s)
        for number in list(self._sent_s):
            if number in self._sent_s:  # sending one may settle another
                self._repeat(number)

    def clear(self) -> None:
        """Send nothing again."""
        self._sent_s.clear()
        self._repeated.clear()
        self._wait_s = self._every_s
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _repeat(self, number: int) -> None:
        self.expect(number)
        self._repeated.add(number)
        self._transmit(number)

    def _wait(self, wait_s: float) -> None:
        sooner = wait_s < self._wait_s
        self._wait_s = wait_s
        if sooner:
            self._set()

    def _set(self) -> None:
        """Set the timer to when the first is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sent_s:
            due_s = next(iter(self._sent_s.values())) + self._wait_s
            self._timer = asyncio.get_running_loop().call_at(due_s, self._resend)

    def _resend(self) -> None:
        now_s = asyncio.get_running_loop().time()
        due = [each for each, sent_s in self._sent_s.items() if sent_s + self._wait_s <= now_s]
        if due:
            self._wait_s = min(2 * self._wait_s, self._longest_s)
        for number in due:
            if number in self._sent_s:  # sending one may settle another
                self._repeat(number)
        self._set()
