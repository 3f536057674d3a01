"""An exchange that is followed, and a clock that only the test moves."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from attrs import define, field

from callboard.coordinator.exchange import Exchange, Served
from callboard.coordinator.facts import Fact
from callboard.coordinator.overview import Figures, Overview
from callboard.coordinator.requests import (
    ClearGroup,
    Client,
    GroupData,
    LavaSend,
    LavaSync,
    LavaWait,
    LavaWaitAll,
    Request,
)
from callboard.coordinator.settings import Settings
from callboard.coordinator.states import WaitState


@define(eq=False, slots=False)
class Followed:
    """Groups, and what is said of them."""

    settings: Settings = field(factory=Settings)
    figures: Mapping[str, Mapping[str, Any]] = {}
    now_s: float = 1_000.0
    facts: list[Fact] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.exchange = Exchange(self.settings.semantics)
        self.follow()

    def follow(self) -> None:
        """Begin to follow it: what is there by now is no news."""
        figures: dict[str, Figures] = {
            part: partial(dict[str, Any], found) for part, found in self.figures.items()
        }
        self.overview = Overview(
            self.exchange, self.facts.append, lambda: self.now_s, self.settings, figures
        )

    def serve(self, request: Request) -> Served:
        """Have a request answered, as a server does."""
        served = self.exchange.serve(request, self.now_s)
        self.overview.witness(request, served)
        if served.answer.receipt is not None:
            self.serve(served.answer.receipt)
        return served

    def join(self, *names: str, group: str = "g", size: int = 0) -> None:
        """Clients join, and ask whether all are there until they know it."""
        for name in (*names, *names):
            self.serve(GroupData(client(name, group, size or len(names))))

    def ask(self, *requests: Request) -> str | None:
        """Have requests answered; the last answer."""
        return [self.serve(each).answer.response for each in requests][-1]

    def after(self, seconds: float, *polling: Request) -> None:
        """Let time pass, in which some ask again and again, as clients do that wait."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(self.now_s + 3.0, end_s)
            for request in polling:
                self.serve(request)

    def waits(self, group: str = "g") -> tuple[WaitState, ...]:
        """What clients of a group wait for."""
        found = self.overview.group(group)
        assert found is not None
        return found.waits

    def hangs(self, group: str = "g") -> list[str]:
        """Which of their waits will hardly end, and why."""
        return [each.hangs for each in self.waits(group) if each.hangs is not None]

    def said(self, kind: str) -> list[str]:
        """The lines of a kind in the log."""
        return [fact.text for fact in self.facts if fact.kind == kind]


def client(name: str, group: str = "g", size: int | None = None) -> Client:
    """A client; its role is the name's letter."""
    role = {"s": "server", "c": "client"}[name[0]]
    return Client(name[1:], group, role, "worker-1", size, 3.0)


def send(name: str, id_: str, group: str = "g") -> Request:
    """A client sends."""
    return LavaSend(client(name, group), id_, {"key": "xyzzy"})


def wait(name: str, id_: str, group: str = "g") -> Request:
    """A client waits."""
    return LavaWait(client(name, group), id_)


def wait_all(name: str, id_: str, role: str | None = None, group: str = "g") -> Request:
    """A client waits for all, or all of a role."""
    return LavaWaitAll(client(name, group), id_, role)


def sync(name: str, id_: str) -> Request:
    """A client meets the others."""
    return LavaSync(client(name), id_)


def leave(name: str, group: str = "g") -> Request:
    """A client ends."""
    return ClearGroup(client(name, group))
