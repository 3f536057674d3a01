"""What is between the nodes of a rehearsal and its coordinator, and what goes wrong there."""

import asyncio
from random import Random
from typing import assert_never

from attrs import define, field

from callboard.actors.messages import CoordinatorMessage
from callboard.runtime import ActorRef
from callboard.runtime.link import Link
from callboard.runtime.transport import Deliver, Envelope
from callboard.simulation.distribution import Distribution
from callboard.simulation.faults import Crash, Delay, Duplicate, Lose, Partition, Reorder

Disturbance = Lose | Duplicate | Reorder | Delay | Partition
"""A fault that befalls messages."""


class CoordinatorCrashed(Exception):
    """The coordinator has been made to fail, as a fault has it."""


@define(eq=False)
class Exchange:
    """The coordinator's end of all lines; while it is down nothing goes through.

    Attributes:
        coordinator: The actor, None before the group has begun.
    """

    coordinator: ActorRef[CoordinatorMessage] | None = field(default=None, init=False)
    _outages: int = field(default=0, init=False)

    @property
    def down(self) -> bool:
        """Whether the coordinator is gone; of outages that overlap the last one counts."""
        return self._outages > 0

    def suffer(self, crash: Crash, random: Random) -> None:
        """Have the coordinator crash in time, and come back if it does."""
        asyncio.get_running_loop().call_later(
            crash.at.time.draw(random),
            self._crash,
            None if crash.lasts is None else crash.lasts.draw(random),
        )

    def _crash(self, lasts_s: float | None) -> None:
        """What it has written down is all that is left of it; one that is gone can't crash."""
        running = not self.down
        self._outages += 1
        if running and self.coordinator is not None:
            self.coordinator.fail(CoordinatorCrashed("as a fault has it"))
        if lasts_s is not None:
            asyncio.get_running_loop().call_later(lasts_s, self._return)

    def _return(self) -> None:
        self._outages -= 1


@define(eq=False)
class Line:
    """Carries the messages between one node and the coordinator, both ways.

    Attributes:
        exchange: Where it ends.
        latency: How long a message is under way.
        random: What is drawn for the messages.
    """

    exchange: Exchange
    latency: Distribution
    random: Random
    _disturbances: dict[Disturbance, None] = field(factory=dict[Disturbance, None], init=False)
    _held: list[tuple[Envelope, Deliver]] = field(
        factory=list[tuple[Envelope, Deliver]], init=False
    )

    def ref(self, coordinator: ActorRef[CoordinatorMessage]) -> ActorRef[CoordinatorMessage]:
        """What the node uses as the coordinator's ref."""
        return Link(coordinator, self, survives=True).ref

    def begin(self, disturbance: Disturbance) -> None:
        """From now on messages are disturbed."""
        self._disturbances[disturbance] = None

    def end(self, disturbance: Disturbance) -> None:
        """From now on messages are not disturbed any more."""
        self._disturbances.pop(disturbance, None)

    def send(self, envelope: Envelope, deliver: Deliver) -> None:
        """Carry a message, as the disturbances let it; see `Transport`."""
        if self.exchange.down:
            return
        delay_s = self.latency.draw(self.random)
        copies, overtaken = 1, False
        for each in self._disturbances:
            match each:
                case Partition():
                    return
                case Lose(probability=probability):
                    if self.random.random() < probability:
                        return
                case Duplicate(probability=probability):
                    copies += self.random.random() < probability
                case Reorder(probability=probability):
                    overtaken = overtaken or self.random.random() < probability
                case Delay(by=by, probability=probability):
                    if self.random.random() < probability:
                        delay_s += by.draw(self.random)
                case _:
                    assert_never(each)
        if overtaken:
            self._held += [(envelope, deliver)] * copies
            return
        held, self._held = self._held, []
        for carried, arrive in [(envelope, deliver)] * copies + held:
            self._carry(carried, arrive, delay_s)

    def _carry(self, envelope: Envelope, deliver: Deliver, delay_s: float) -> None:
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._arrive, envelope, deliver)
        else:
            deliver(envelope)

    def _arrive(self, envelope: Envelope, deliver: Deliver) -> None:
        if not self.exchange.down:
            deliver(envelope)
