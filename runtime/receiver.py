"""The end of a link that hands messages to the actor."""

import asyncio
from collections.abc import Callable
from typing import Any

from attrs import define, field

from callboard.runtime.errors import ActorFailed, ActorStopped, MailboxFull
from callboard.runtime.messages import Outcome
from callboard.runtime.ref import ActorRef, Reply
from callboard.runtime.transport import Confirmed, Envelope, Message, Received, Resender, Settled


@define(eq=False)
class _Handed(Reply[Any]):
    """A message that the actor was given, and the slot for its outcome."""

    sent: Message
    message: Any
    settle: "Callable[[_Handed], None]"
    outcome: Outcome[Any] | None = field(default=None, init=False)
    received: bool = field(default=False, init=False)

    @property
    def open(self) -> bool:
        """See `Reply.open`."""
        return self.outcome is None

    @property
    def refused(self) -> bool:
        """Whether there was no room for it."""
        return self.outcome is not None and isinstance(self.outcome.error, MailboxFull)

    @property
    def left(self) -> bool:
        """Whether the actor has ended without an outcome."""
        return self.outcome is not None and isinstance(
            self.outcome.error, ActorStopped | ActorFailed
        )

    def send(self, value: object) -> None:
        """See `Reply.send`."""
        self._take(Outcome(value))

    def fail(self, error: Exception) -> None:
        """See `Reply.fail`."""
        self._take(Outcome(error=error))

    def _take(self, outcome: Outcome[Any]) -> None:
        if self.outcome is None:
            self.outcome = outcome
            if self.received:
                self.settle(self)


class Receiver:
    """The end of the actors.

    Args:
        resolve: The actor that is called so here (`Message.to`); raises LookupError where there
            is none, which is as though it had stopped.
        send: Puts an envelope on its way to the other end's `Sender.arrive`.
        resend_s: Seconds after which an outcome that was not confirmed is sent again.
        survives: See `Link`.
        longest_s: See `Sender`.
    """

    __slots__ = (
        "_again",
        "_closed",
        "_early",
        "_handed",
        "_next",
        "_resend_s",
        "_resolve",
        "_send",
        "_survives",
        "_timer",
        "_unheard",
    )

    def __init__(
        self,
        resolve: Callable[[str], ActorRef[Any]],
        send: Callable[[Envelope], None],
        resend_s: float,
        *,
        survives: bool,
        longest_s: float | None = None,
    ) -> None:
        self._resolve = resolve
        self._send = send
        self._resend_s = resend_s
        self._survives = survives
        self._closed = False
        self._next = 1
        self._early: dict[int, Message] = {}
        self._handed: dict[int, _Handed] = {}
        self._again: dict[int, Message] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._unheard = Resender(resend_s, longest_s or resend_s, self._transmit)

    def close(self) -> None:
        """Take nothing any more, and send nothing."""
        self._closed = True
        self._unheard.clear()
        if self._timer is not None:
            self._timer.cancel()

    def hasten(self) -> None:
        """Send again now what was not confirmed, see `Resender.hasten`."""
        self._unheard.hasten()

    def arrive(self, envelope: Envelope) -> None:
        """Take what the other end has sent."""
        if self._closed:
            return
        match envelope:
            case Message(number, floor):
                if number >= self._next:
                    self._early[number] = envelope
                elif number in self._handed:
                    self._transmit(number)
                self._hand_in_order(floor)
            case Confirmed(number):
                self._unheard.heard(number)
                self._handed.pop(number, None)
            case _:
                raise TypeError(f"{envelope!r} came to the wrong end")

    def _hand_in_order(self, floor: int) -> None:
        """Give the actor what is next, unless it has left something that comes before."""
        while not self._again and (self._next in self._early or self._next < floor):
            number, self._next = self._next, self._next + 1
            if number in self._early and not self._hand(self._early.pop(number)):
                self._next = number  # as though it had been lost: it comes again
                return

    def _hand(self, sent: Message) -> bool:
        """Give a message to its actor; whether there was room."""
        number = sent.number
        handed = _Handed(sent, sent.body, self._settle)
        try:
            target = self._resolve(sent.to)
        except LookupError:
            handed.fail(ActorStopped(sent.to))
        else:
            target.deliver(handed)
        if handed.refused:
            return False
        handed.received = True
        self._handed[number] = handed
        if handed.open:
            self._transmit(number)
        else:
            self._settle(handed)
        return True

    def _settle(self, handed: _Handed) -> None:
        number = handed.sent.number
        if self._closed:
            return
        if self._survives and handed.left:
            self._again[number] = handed.sent
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(self._resend_s, self._hand_again)
        else:
            self._unheard.expect(number)
            self._transmit(number)

    def _hand_again(self) -> None:
        self._timer = None
        again, self._again = self._again, {}
        for number in sorted(again):
            if self._again or not self._hand(again[number]):
                self._again[number] = again[number]
        if not self._again:
            self._hand_in_order(self._next)
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._resend_s, self._hand_again)

    def _transmit(self, number: int) -> None:
        handed = self._handed[number]
        if handed.outcome is None or number in self._again:
            self._send(Received(number))
        else:
            self._send(Settled(number, handed.outcome))
