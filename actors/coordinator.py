"""The actor around a group's coordination: requests in, answers out, and it awaits no member."""

from typing import assert_never

from callboard.actors.coordination import Coordination, Effect, Grant, Refusal, Ticket
from callboard.actors.messages import (
    Answer,
    CoordinatorMessage,
    Granted,
    Refused,
    Send,
    Sync,
    Wait,
    WaitAll,
    Withdraw,
)
from callboard.runtime import Actor, Reply


class Coordinator(Actor[CoordinatorMessage]):
    """Answers the calls of a group's members.

    Args:
        coordination: The group's state; no one else may use it.
    """

    def __init__(self, coordination: Coordination) -> None:
        self._coordination = coordination
        self._replies: dict[Ticket, Reply[Answer]] = {}

    async def receive(self, message: CoordinatorMessage) -> object:
        """Apply one request and answer everything that it releases."""
        match message:
            case Send():
                effects = self._coordination.send(message.member, message.message_id, message.data)
            case Wait():
                self._replies[message.ticket] = self.context.defer(message)
                effects = self._coordination.wait(message.ticket, message.message_id)
            case WaitAll():
                self._replies[message.ticket] = self.context.defer(message)
                effects = self._coordination.wait_all(
                    message.ticket, message.message_id, message.role
                )
            case Sync():
                self._replies[message.ticket] = self.context.defer(message)
                effects = self._coordination.sync(message.ticket, message.sync_id)
            case Withdraw():
                self._replies.pop(message.ticket, None)
                return self._coordination.withdraw(message.ticket)
            case _:
                assert_never(message)
        self._apply(effects)
        return None

    def _apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Grant(ticket, data):
                    self._replies.pop(ticket).send(Granted(data))
                case Refusal(ticket, reason):
                    self._replies.pop(ticket).send(Refused(reason))
                case _:
                    assert_never(effect)
