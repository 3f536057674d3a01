"""Groups that are kept on a disk, without a server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from attrs import define, field

from callboard.coordinator.calendar import Calendar
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.facts import Fact
from callboard.coordinator.requests import Client, LavaSend, Request
from callboard.coordinator.store import Store

NEW_YEAR = Calendar(lambda: 0.0, lambda: 0.0)


def client(group: str = "g", name: str = "a") -> Client:
    return Client(name, group, "left", "worker1", 2)


@define
class Kept:
    """An exchange with its store, without a server."""

    exchange: Exchange
    store: Store
    facts: list[Fact]
    failed: anyio.Event = field(factory=anyio.Event)

    def ask(self, request: Request) -> anyio.Event:
        """Serve a request; the event is when it may be answered."""
        change = self.exchange.serve(request, 0.0).change
        if change is not None:
            self.store.note(change)
        settled = anyio.Event()
        self.store.when_settled(settled.set)
        return settled

    @property
    def kinds(self) -> list[str]:
        return [each.kind for each in self.facts]


def opened(path: Path, calendar: Calendar = NEW_YEAR, **options: object) -> Kept:
    exchange, facts = Exchange(), list[Fact]()

    def say(fact: Fact) -> None:
        facts.append(fact)
        if fact.kind == "state-not-kept":
            kept.failed.set()

    store = Store.open(path, exchange, calendar, say, **options)  # type: ignore[arg-type]
    kept = Kept(exchange, store, facts)
    return kept


@asynccontextmanager
async def running(path: Path, **options: object) -> AsyncIterator[Kept]:
    kept = opened(path, **options)  # type: ignore[arg-type]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kept.store.run)
        try:
            yield kept
        finally:
            await kept.store.close()


async def recalled(path: Path, calendar: Calendar = NEW_YEAR) -> Exchange:
    kept = opened(path, calendar)
    await kept.store.close()
    return kept.exchange


async def filled(path: Path, count: int = 3) -> None:
    async with running(path) as kept:
        for number in range(count):
            await kept.ask(LavaSend(client(f"g{number}"), "x", {"number": number})).wait()
