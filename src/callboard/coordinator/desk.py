"""Where the requests of all connections are served, and their answers wait until they may leave."""

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from functools import partial
from traceback import format_exception
from typing import Protocol

from callboard.coordinator.answers import WAIT, Answer, Call, nack
from callboard.coordinator.exchange import Exchange, Served
from callboard.coordinator.facts import Fact, Say
from callboard.coordinator.requests import Collected, Request, described

_TURN_S = 0.01
"""How long is worked on what many wait for before others have a turn, in seconds."""

Witness = Callable[[Request, Served], None]
"""Told of each request once it is served; it must neither wait nor raise."""


Unsettled = dict[Callable[[], None], None]
"""Who is called when the disk has what was noted until then."""


class Keeper(Protocol):
    """Writes down what has changed, so that it survives.

    Attributes:
        failure: Why nothing can be written now; None if it can.
    """

    failure: OSError | None

    @property
    def behind_bytes(self) -> int:
        """How much of what was noted is not on the disk yet."""

    def note(self, request: Request) -> None:
        """Have a request written down that has changed its group."""

    def note_group(self, group: str) -> None:
        """Have all of a group written down, for nobody knows what has changed."""

    def when_settled(self, callback: Callable[[], None]) -> None:
        """Call back when all that was noted so far is on the disk; at once if it is."""


class Desk:
    """Serves requests, one after the other, whatever connection they come from.

    Args:
        exchange: The groups.
        loop: The loop whose clock is the exchange's.
        say: Takes what the log is to say.
        keeper: What writes changes down; None if nothing is to survive.
        witness: Told of each request that was served.
        behind_limit: How much the keeper may have left to write, in bytes.
    """

    def __init__(
        self,
        exchange: Exchange,
        loop: AbstractEventLoop,
        say: Say,
        keeper: Keeper | None,
        witness: Witness | None,
        behind_limit: int,
    ) -> None:
        self._exchange = exchange
        self._loop = loop
        self._say = say
        self._keeper = keeper
        self._witness = witness
        self._behind_limit = behind_limit
        self._leaving: deque[Callable[[], None]] = deque()  # answers that may leave
        self._again: deque[Callable[[], None]] = deque()
        self._turning = False
        self._unsettled: Unsettled | None = None

    @property
    def busy(self) -> bool:
        """Whether nothing is served now, for the disk takes nothing, or is far behind.

        All that can be said then is to ask again, and that can be said at once.
        """
        keeper = self._keeper
        return keeper is not None and (
            keeper.failure is not None or keeper.behind_bytes > self._behind_limit
        )

    @property
    def turning(self) -> bool:
        """Whether something is to be done soon."""
        return self._turning

    def serve(self, request: Request, call: Call | None = None) -> Answer:
        """Serve a request, and have it written down if it has changed anything.

        Args:
            request: The request.
            call: Called when it should be made again, if it has to wait; see `Exchange.serve`.
        """
        if self.busy and not isinstance(request, Collected):  # which has happened already
            return WAIT
        try:
            served = self._exchange.serve(request, self._loop.time(), call)
            if self._witness is not None:
                self._witness(request, served)
        except Exception as fault:  # ours; it must cost no more than this answer
            text = f"{described(request)}: {fault!r}"
            trace = "".join(format_exception(fault))
            self._say(Fact("fault", text, "error", {"traceback": trace}))
            if self._keeper is not None:
                self._keeper.note_group(request.client.group)
                self._unsettled = None
            return nack("a fault of the coordinator itself")
        if served.change is not None and self._keeper is not None:
            self._keeper.note(served.change)
            self._unsettled = None
        return served.answer

    def may_ask_again(self, request: Request) -> bool:
        """Whether a request that was held can be made again in its client's place.

        Of a client that has left, or whose group has ended, only the client itself can say
        whether it still wants that: it would be back, and may be long gone.
        """
        return self._exchange.counts(request.client)

    def release(self, request: Request, call: Call) -> None:
        """Hold a request no longer."""
        self._exchange.release(request, call)

    def when_settled(self, callback: Callable[[], None]) -> "Unsettled | None":
        """Call back when all that was served so far survives; at once if it does.

        Returns:
            Where it waits for that, and can be taken out; None if it was called.
        """
        if self._keeper is None:
            callback()
            return None
        if self._unsettled is None:
            self._unsettled = {callback: None}
            self._keeper.when_settled(partial(self._settled, self._unsettled))
        else:
            self._unsettled[callback] = None
        return self._unsettled

    def _settled(self, unsettled: "Unsettled") -> None:
        if self._unsettled is unsettled:
            self._unsettled = None
        if len(unsettled) == 1:
            next(iter(unsettled))()
        else:
            self._leaving.extend(unsettled)
            self._begin_turn()

    def again(self, act: Callable[[], None]) -> None:
        """Have something done soon that there may be much of, and others served in between."""
        self._again.append(act)
        self._begin_turn()

    def _begin_turn(self) -> None:
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        until_s = self._loop.time() + _TURN_S
        try:
            # What is served goes out before what is still to be served.
            while (acts := self._leaving or self._again) and self._loop.time() < until_s:
                acts.popleft()()
        finally:  # a fault of one must not leave the others behind
            self._turning = bool(self._leaving or self._again)
            if self._turning:
                self._loop.call_soon(self._turn)
