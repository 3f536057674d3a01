"""Exchanges of two processes over a real server, which is killed and started again meanwhile."""

import asyncio
import sys

import pytest
from tests.cluster import far_worker
from tests.cluster.far_worker import WORKER
from tests.cluster.server import Server

from callboard.actors.messages import Granted, Send, Wait
from callboard.cluster import subjects
from callboard.cluster.access import Access
from callboard.cluster.connection import connect
from callboard.cluster.exchange import Exchange
from callboard.cluster.messages import HOST, LEADER, RECORDER, Dismiss

COUNT = 10_000
GROUP = "g1"


@pytest.mark.asyncio
async def test_ten_thousand_messages_arrive_once_and_in_order_though_the_server_restarts(
    own_server: Server,
) -> None:
    got: list[int] = []
    half, complete = asyncio.Event(), asyncio.Event()

    def coordinate(message: Send | Wait) -> Granted | None:
        number = message.number if isinstance(message, Send) else message.ticket[1]
        got.append(number)
        if len(got) == COUNT // 2:
            half.set()
        return Granted({number: {}}) if isinstance(message, Wait) else None

    async with connect(Access(own_server.url), name="leader", note=lambda _text: None) as cluster:
        exchange = Exchange(
            LEADER,
            lambda box, data: cluster.post(subjects.down(box, GROUP), data),
            term=3,
            resend_s=0.2,
        )

        async def take(message: object) -> None:
            worker, _ = subjects.sender(getattr(message, "subject", ""))
            exchange.arrive(worker, getattr(message, "data", b""))

        exchange.function_ref("/group/coordinator", coordinate)
        exchange.function_ref(RECORDER, lambda _emitted: complete.set())
        await cluster.nc.subscribe(subjects.up("*", GROUP), cb=take)
        exchange.admit(WORKER, "one")
        exchange.ref(WORKER, HOST).tell_nowait(Dismiss("not yet"))
        process = await asyncio.create_subprocess_exec(
            sys.executable, far_worker.__file__, own_server.url, GROUP, "one", str(COUNT)
        )
        try:
            await half.wait()
            await asyncio.to_thread(own_server.restart)
            await complete.wait()
            assert got == list(range(1, COUNT + 1))
            await exchange.ref(WORKER, HOST).ask(Dismiss("over"), timeout_s=10)
            assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            exchange.close()
