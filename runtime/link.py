"""A ref over a transport that may lose, delay, duplicate and reorder what it carries.

What an actor gets through a link is what it would get without: each message once, those of the
link in the order in which they were sent.

An actor that ends before it has handled a message leaves the link with the choice between a dead
letter and handing it over again, to the one that takes the actor's place.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from callboard.runtime.messages import DeadLetter
from callboard.runtime.receiver import Receiver
from callboard.runtime.ref import ActorRef
from callboard.runtime.remote import RemoteRef
from callboard.runtime.sender import Sender
from callboard.runtime.transport import Transport

M = TypeVar("M")

RESEND_S = 1.0
"""Seconds after which an envelope that was not heard of is sent again, unless told otherwise."""

WINDOW = 1024
"""Messages on their way at a time before senders have to wait, unless told otherwise."""


class Link(Generic[M]):
    """Two ends: a ref for those who send, and what hands their messages to an actor.

    Args:
        target: The actor.
        transport: What is between the two ends, for both directions.
        resend_s: Seconds after which an envelope is sent again.
        window: Messages on their way at a time; a `tell` waits for room.
        survives: Whether the actor comes back after it has failed or stopped, and knows then
            what it has handled. What it leaves without an outcome is handed over again, in
            order and before all that is new, until it has one. Otherwise its end is the answer.
        on_dead_letter: Called with each message that was told and found the actor stopped.
    """

    def __init__(
        self,
        target: ActorRef[M],
        transport: Transport,
        *,
        resend_s: float = RESEND_S,
        window: int = WINDOW,
        survives: bool = False,
        on_dead_letter: Callable[[DeadLetter], None] = lambda _letter: None,
    ) -> None:
        self._target = target
        self._receiver = Receiver(
            lambda _to: self._target,
            lambda envelope: transport.send(envelope, arrive),
            resend_s,
            survives=survives,
        )
        self._sender = Sender(
            lambda envelope: transport.send(envelope, self._receiver.arrive),
            resend_s,
            window,
            on_dead_letter,
        )
        self._ref: RemoteRef[M] = RemoteRef(self._sender, target.address)
        arrive = self._sender.arrive

    @property
    def ref(self) -> ActorRef[M]:
        """What those who send use as the actor's ref."""
        return self._ref

    def attach(self, target: ActorRef[M]) -> None:
        """Hand what comes from now on to `target`, which has taken the actor's place."""
        self._target = target

    def close(self) -> None:
        """Send nothing any more; open requests fail with ActorStopped."""
        self._receiver.close()
        self._sender.close()
