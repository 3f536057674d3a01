"""Says what was refused and from whom, without a peer's being able to fill the log."""

from asyncio import AbstractEventLoop, TimerHandle

from attrs import define

from callboard.coordinator.facts import Fact, Say

_ORIGINS = 1_024
_OTHERS = "others"
_LONGEST = 300
_REASONS = 4


@define
class _Told:
    """What was said of an origin.

    Attributes:
        since_s: When it was said.
        reasons: The first different reasons, each of which was said.
        more: How often something was refused since, and was not said.
        reason: Why it was the last time.
    """

    since_s: float
    reasons: set[str]
    more: int = 0
    reason: str = ""


class Refusals:
    """Says what is refused of an origin at once, once a reason, and sums up what comes after that.

    Reasons may name what a peer has made up, so only a few are told apart.

    Args:
        loop: The loop whose clock counts.
        say: Takes what the log is to say.
        interval_s: How long an origin has nothing more to be said of, in seconds.

    Attributes:
        total: How much was refused in all.
    """

    def __init__(self, loop: AbstractEventLoop, say: Say, interval_s: float = 10.0) -> None:
        self.total = 0
        self._loop = loop
        self._say = say
        self._interval_s = interval_s
        self._told: dict[str, _Told] = {}
        self._timer: TimerHandle | None = None

    def note(self, origin: str, peer: str, reason: str) -> None:
        """Something of a peer was refused.

        Args:
            origin: Where it comes from: its address or its network.
            peer: Its address and port.
            reason: What was refused and why, as a sentence without a full stop.
        """
        self.total += 1
        reason = _brief(reason)
        told = self._told.get(origin)
        if told is None and len(self._told) >= _ORIGINS:
            origin, told = _OTHERS, self._told.get(_OTHERS)
        if told is None:
            told = self._told[origin] = _Told(self._loop.time(), set())
        if reason in told.reasons or len(told.reasons) >= _REASONS:
            told.more += 1
            told.reason = reason
            return
        told.reasons.add(reason)
        self._fact(f"{peer}: {reason}", peer, reason, 1)
        if self._timer is None:
            self._timer = self._loop.call_later(self._interval_s, self._summary)

    def close(self) -> None:
        """Say what was not said yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for origin, told in self._told.items():
            self._more(origin, told)
        self._told.clear()

    def _summary(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        for origin, told in list(self._told.items()):
            if now_s < told.since_s + self._interval_s:
                continue
            del self._told[origin]
            if told.more:
                self._more(origin, told)
                self._told[origin] = _Told(now_s, told.reasons)
        if self._told:
            wait_s = min(told.since_s for told in self._told.values()) + self._interval_s - now_s
            self._timer = self._loop.call_later(max(wait_s, 0.0), self._summary)

    def _more(self, origin: str, told: _Told) -> None:
        if told.more:
            text = f"{origin}: {told.more} more; the last one: {told.reason}"
            self._fact(text, origin, told.reason, told.more)

    def _fact(self, text: str, peer: str, reason: str, count: int) -> None:
        self._say(
            Fact("refused", text, "warning", {"peer": peer, "reason": reason, "count": count})
        )


def _brief(text: str) -> str:
    """A text that peers have had a say in, short enough for a line of a log."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def place(address: str, port: int) -> str:
    """Address and port as they are written together."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
