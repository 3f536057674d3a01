"""The end of a link for those who send."""

from collections.abc import Callable
from typing import Any

import anyio
from attrs import define

from callboard.runtime.errors import ActorStopped
from callboard.runtime.messages import DeadLetter, Outcome
from callboard.runtime.ref import Reply
from callboard.runtime.remote import RemoteRef
from callboard.runtime.transport import Confirmed, Envelope, Message, Received, Resender, Settled


@define(eq=False)
class Sent:
    """A message that isn't settled.

    Attributes:
        number: Its place in the numbering that holds now.
        ref: Whom it is for.
        body: What was sent.
        reply: Where its outcome goes, None for one that was told.
    """

    number: int
    ref: RemoteRef[Any]
    body: Any
    reply: Reply[Any] | None

    @property
    def wanted(self) -> bool:
        """Whether anybody still wants it handled."""
        return self.reply is None or self.reply.open


class Sender:
    """The end of those who send, to as many actors as the other end has.

    Args:
        send: Puts an envelope on its way to the other end's `Receiver.arrive`.
        resend_s: Seconds after which an envelope that was not heard of is sent again.
        window: Messages on their way at a time; see `has_room`.
        on_dead_letter: Called with each message that was told and found its actor stopped.
        longest_s: The most that `resend_s` becomes when it is too short, see `Resender`; None for
            no more than it is.
    """

    __slots__ = (
        "_closed",
        "_last",
        "_new",
        "_on_dead_letter",
        "_room",
        "_send",
        "_sent",
        "_unheard",
        "_window",
    )

    def __init__(
        self,
        send: Callable[[Envelope], None],
        resend_s: float,
        window: int,
        on_dead_letter: Callable[[DeadLetter], None],
        longest_s: float | None = None,
    ) -> None:
        self._send = send
        self._window = window
        self._on_dead_letter = on_dead_letter
        self._closed = False
        self._last = 0
        self._sent: dict[int, Sent] = {}
        self._new: dict[int, None] = {}  # in order, and never heard of
        self._unheard = Resender(resend_s, longest_s or resend_s, self._transmit)
        self._room: anyio.Event | None = None

    @property
    def has_room(self) -> bool:
        """Whether fewer messages are on their way than may be."""
        return len(self._new) < self._window

    async def wait_for_room(self) -> None:
        """Return when there is room, or nothing is sent any more."""
        while not self.has_room:
            if self._room is None:
                self._room = anyio.Event()
            await self._room.wait()

    def put(self, ref: RemoteRef[Any], body: object, reply: Reply[Any] | None) -> Sent:
        """Send `body` to the actor of `ref`, room or not; never waits.

        Args:
            ref: One that was made with this sender.
            body: The message.
            reply: Where its outcome goes, None for one that is told.
        """
        if self._closed or ref.gone:
            sent = Sent(0, ref, body, reply)
            self._give(sent, Outcome(error=ActorStopped(ref.address)))
            return sent
        self._last += 1
        sent = Sent(self._last, ref, body, reply)
        self._sent[sent.number] = sent
        self._new[sent.number] = None
        self._unheard.expect(sent.number)
        self._transmit(sent.number)
        return sent

    def forget(self, sent: Sent) -> None:
        """Nobody waits any more for the outcome of what `put` has sent."""
        if self._sent.get(sent.number) is sent:
            del self._sent[sent.number]
            self._heard(sent.number)

    def settle(self, number: int, outcome: Outcome[Any]) -> None:
        """A message has an outcome; for one that has none yet, nothing is sent any more."""
        sent = self._sent.pop(number, None)
        if sent is not None:
            self._heard(number)
            self._give(sent, outcome)

    def renew(self) -> None:
        """The other end is a new one that knows nothing.

        All that isn't settled is sent again, in order and numbered from 1. Whoever carries
        envelopes keeps those of the old numbering from both ends from now on.
        """
        left = [sent for sent in self._sent.values() if sent.wanted]
        self._unheard.clear()
        for number, sent in enumerate(left, 1):
            sent.number = number
        self._sent = {sent.number: sent for sent in left}
        self._new = dict.fromkeys(self._sent)
        self._last = len(left)
        for sent in left:
            self._unheard.expect(sent.number)
        for sent in left:
            if self._sent.get(sent.number) is sent:  # sending one may settle another
                self._transmit(sent.number)

    def hasten(self) -> None:
        """Send again now what was not heard of, see `Resender.hasten`."""
        self._unheard.hasten()

    def abandon(self) -> None:
        """Send nothing again of what was sent so far; its outcome is that its actors stopped."""
        left, self._sent = self._sent, {}
        self._unheard.clear()
        self._new.clear()
        self._make_room()
        for each in left.values():
            self._give(each, Outcome(error=ActorStopped(each.ref.address)))

    def close(self) -> None:
        """Send nothing any more."""
        self._closed = True
        self.abandon()

    def arrive(self, envelope: Envelope) -> None:
        """Take what the other end has sent."""
        if self._closed:
            return
        match envelope:
            case Received(number):
                self._heard(number)
            case Settled(number, outcome):
                self.settle(number, outcome)
                self._send(Confirmed(number))
            case _:
                raise TypeError(f"{envelope!r} came to the wrong end")

    def _transmit(self, number: int) -> None:
        sent = self._sent[number]
        if sent.wanted:
            floor = next(iter(self._new), self._last + 1)
            self._send(Message(number, floor, sent.body, sent.ref.to))
        else:
            self.forget(sent)

    def _give(self, sent: Sent, outcome: Outcome[Any]) -> None:
        if sent.reply is None:
            if isinstance(outcome.error, ActorStopped):
                self._on_dead_letter(DeadLetter(sent.ref.address, sent.body))
        elif outcome.error is None:
            sent.reply.send(outcome.value)
        else:
            sent.reply.fail(outcome.error)

    def _heard(self, number: int) -> None:
        self._unheard.heard(number)
        self._new.pop(number, None)
        self._make_room()

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None
