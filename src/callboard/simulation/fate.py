"""What befalls one simulated device: the faults that concern it, and when each of them begins."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Protocol, assert_never

from attrs import define

from callboard.simulation.distribution import Distribution
from callboard.simulation.faults import (
    AtAction,
    AtCall,
    AtStep,
    AtTime,
    Crash,
    Cut,
    Delay,
    Fault,
    Hang,
    Heal,
    Impair,
    Kill,
    LinkFault,
    Moment,
    Noise,
    Partition,
    Reboot,
    Refuse,
    Slow,
)
from callboard.simulation.network import Disturbance


class Victim(Protocol):
    """What can be done to a device."""

    def kill(self) -> None:
        """End everything on the device at once, and for good."""
        ...

    def hang(self, lasts_s: float | None) -> None:
        """Do nothing for so long, with None for ever."""
        ...

    def slow(self, factor: float, lasts_s: float | None) -> None:
        """Take `factor` times as long for everything."""
        ...

    def reboot(self, takes_s: float) -> None:
        """Lose what runs, and be back after so many seconds."""
        ...

    def relink(self, fault: LinkFault, lasts_s: float | None) -> None:
        """Have something happen to the node's links for so many seconds, with None for good."""
        ...

    def disturb(self, disturbance: Disturbance, lasts_s: float | None) -> None:
        """Have the node's messages disturbed for so many seconds, with None to the end."""
        ...


@define
class _Pending:
    """A fault that waits for the node to come to a place; `left` times it passes by."""

    fault: Fault
    moment: Moment
    left: int


class NodeFate:
    """The faults of one node.

    Args:
        faults: Those that concern it.
        random: What is drawn for them.
    """

    def __init__(self, faults: Sequence[Fault], random: Random) -> None:
        self._faults = faults
        self._random = random
        self._victim: Victim | None = None
        self._pending: list[_Pending] = []
        self._refusals = [each.times for each in faults if isinstance(each, Refuse)]

    def befall(self, victim: Victim) -> None:
        """From now on the faults befall a device; the rehearsal begins."""
        self._victim = victim
        self.begin()

    def begin(self) -> None:
        """From now on the faults strike."""
        for fault in self._faults:
            if isinstance(fault, Refuse):
                continue
            match fault.at:
                case None:
                    self.strike(fault)
                case AtTime(time):
                    self.later(time.draw(self._random), partial(self.strike, fault))
                case moment:
                    self._pending.append(_Pending(fault, moment, moment.occurrence))

    @property
    def pending(self) -> bool:
        """Whether any fault still waits for the device to come to a place."""
        return bool(self._pending)

    def take(self, what: str) -> None:
        """The device is made or taken; raises OSError where a fault refuses it."""
        if not self._refusals:
            return
        times = self._refusals[0]
        if times is not None:
            self._refusals[0] = times - 1
            if times == 1:
                del self._refusals[0]
        raise OSError(f"{what} can't be had, as a fault has it")

    def at_action(self, name: str) -> bool:
        """Just before an action; whether something befalls the device."""
        return bool(self._pending) and self._at(
            lambda moment: isinstance(moment, AtAction) and moment.action.matches(name)
        )

    def at_step(self, text: str) -> bool:
        """Just before a command; whether something befalls the device."""
        return bool(self._pending) and self._at(
            lambda moment: isinstance(moment, AtStep) and moment.step.matches(text)
        )

    def at_call(self, written: str) -> bool:
        """Just before a call; whether something befalls the device."""
        return bool(self._pending) and self._at(
            lambda moment: isinstance(moment, AtCall) and moment.call.matches(written)
        )

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call a function after some time of the world."""
        asyncio.get_running_loop().call_later(delay_s, call)

    def _at(self, meant: Callable[[Moment], bool]) -> bool:
        struck = False
        for pending in list(self._pending):
            if not meant(pending.moment):
                continue
            pending.left -= 1
            if not pending.left:
                self._pending.remove(pending)
                self.strike(pending.fault)
                struck = True
        return struck

    def strike(self, fault: Fault) -> None:
        """It happens now."""
        victim = self._victim
        assert victim is not None, "the rehearsal has begun"
        match fault:
            case Kill():
                victim.kill()
            case Hang(lasts=lasts):
                victim.hang(self.drawn(lasts))
            case Reboot(takes=takes):
                victim.reboot(takes.draw(self._random))
            case Slow(factor=factor, lasts=lasts):
                victim.slow(factor, self.drawn(lasts))
            case Noise() | Delay() | Partition():
                victim.disturb(fault, self.drawn(fault.lasts))
            case Cut(lasts=lasts) | Impair(lasts=lasts):
                victim.relink(fault, self.drawn(lasts))
            case Heal():
                victim.relink(fault, None)
            case Crash() | Refuse():
                raise TypeError(f"{fault!r} befalls no running device")
            case _:
                assert_never(fault)

    def drawn(self, lasts: Distribution | None) -> float | None:
        """For how many seconds it lasts, None for good."""
        return None if lasts is None else lasts.draw(self._random)
