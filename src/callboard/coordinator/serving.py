"""A running coordinator: groups, disk, network, state and signals put together."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
from attrs import asdict

from callboard.coordinator.calendar import Calendar
from callboard.coordinator.collecting import brief_collections
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.facts import Fact, Say
from callboard.coordinator.notify import notify, watchdog_s
from callboard.coordinator.overview import Figures, Overview
from callboard.coordinator.refusals import place
from callboard.coordinator.requests import Json
from callboard.coordinator.server import Server
from callboard.coordinator.settings import Settings
from callboard.coordinator.status import telling
from callboard.coordinator.store import Store

INTERRUPTED = 130

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOKS = 10
_LONGEST_LOOK_S = 60.0


async def serve(settings: Settings, say: Say) -> int:
    """Be a coordinator until a signal says that it is enough.

    Whoever has asked by then is answered, and what was answered is on the disk.

    Args:
        settings: How.
        say: Takes what the log is to say.

    Returns:
        0, or 130 after SIGINT.

    Raises:
        AddressError: It can't listen there.
        StateError: What is kept of the groups can't be used.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: say(_fault(context)))
    exchange = Exchange(settings.semantics, settings.limits)

    store = None
    if settings.state is not None:
        store = Store.open(settings.state, exchange, Calendar(loop.time), say)
    try:
        with brief_collections():
            return await _serve(settings, exchange, store, say)
    finally:
        if store is not None:
            await store.close()


async def _serve(settings: Settings, exchange: Exchange, store: Store | None, say: Say) -> int:
    def connections() -> Mapping[str, Json]:
        listening: list[Json] = [place(*each) for each in server.addresses]
        return {"listening": listening, **asdict(server.statistics)}

    figures: dict[str, Figures] = {"connections": connections}
    if store is not None:
        figures["store"] = partial(_kept, store)
    now_s = asyncio.get_running_loop().time
    overview = Overview(exchange, say, now_s, settings, figures)
    server = Server(exchange, settings.terms, say, store, overview.witness)
    async with telling(overview, settings.socket):
        server.listen(settings.bind, settings.port)
        try:
            async with anyio.create_task_group() as group:
                if store is not None:
                    group.start_soon(store.run)
                group.start_soon(overview.review)
                group.start_soon(_forget, server, exchange, settings.forget_after_s)
                group.start_soon(_live)
                ended = await _until_signalled(server, say)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await server.close(grace_s=0)
    say(Fact("ended", "the coordinator has ended"))
    return INTERRUPTED if ended is signal.SIGINT else 0


async def _until_signalled(server: Server, say: Say) -> signal.Signals:
    """Say that all is ready, and end in order at a signal; another one leaves less time for it."""
    with anyio.open_signal_receiver(*_ENDINGS) as signals:
        say(_ready(server))
        notify("READY=1")
        ended = await anext(signals)
        say(Fact("ending", f"{ended.name}: answering who has asked, and ending"))
        notify("STOPPING=1")
        async with anyio.create_task_group() as closing:
            closing.start_soon(_cancelled_by, signals, closing.cancel_scope)
            await server.close()
            closing.cancel_scope.cancel()
        return ended


async def _cancelled_by(signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
    await anext(signals)
    scope.cancel()


async def _forget(server: Server, exchange: Exchange, after_s: float) -> None:
    """Give up groups that nobody has asked for long, though somebody could have asked."""
    loop = asyncio.get_running_loop()
    usual_s = pause_s = min(after_s / _LOOKS, _LONGEST_LOOK_S)
    while True:
        due_s = loop.time() + pause_s
        await anyio.sleep(pause_s)
        if loop.time() > due_s + usual_s:  # this process stood still: those who ask come first
            pause_s = min(after_s, _LONGEST_LOOK_S)
            continue
        pause_s = usual_s
        before_s = loop.time() - after_s
        for request in [*exchange.vanished(before_s)]:
            group = exchange.groups.get(request.client.group)
            if group is not None and group.seen_s < before_s:  # nobody came in between
                server.desk.serve(request)
            await anyio.lowlevel.checkpoint()


async def _live() -> None:
    """Let systemd see that the loop turns."""
    interval_s = watchdog_s()
    while interval_s is not None:
        notify("WATCHDOG=1")
        await anyio.sleep(interval_s)


def _kept(store: Store) -> Mapping[str, Json]:
    failure = None if store.failure is None else str(store.failure)
    figures = {"segments": store.segments, "newest_bytes": store.size}
    return {**figures, "behind_bytes": store.behind_bytes, "failure": failure}


def _ready(server: Server) -> Fact:
    places = ", ".join(place(*each) for each in server.addresses)
    port = server.addresses[0][1]
    text = f"listening on {places}"
    return Fact("ready", text, fields={"port": port, "addresses": places})


def _fault(context: Mapping[str, Any]) -> Fact:
    error = context.get("exception")
    text = str(context.get("message", "a fault"))
    return Fact("fault", f"{text}: {error!r}" if error else text, "error")
