"""A worker's process with one exchange over a real server: it asks and tells, and is asked.

Run with the URL, the group, the incarnation and how many messages it is to send.
"""

import asyncio
import sys

from callboard.actors.messages import Granted, Send, Wait
from callboard.cluster import subjects
from callboard.cluster.access import Access
from callboard.cluster.connection import connect
from callboard.cluster.exchange import Exchange
from callboard.cluster.messages import HOST, LEADER, Dismiss, Emitted

WORKER = "far"


async def main(url: str, group: str, incarnation: str, count: int) -> None:
    """Send `count` messages, some told and some asked, then wait to be dismissed."""
    async with connect(Access(url), name=WORKER, note=lambda _text: None) as cluster:
        exchange = Exchange(
            WORKER,
            lambda _box, data: cluster.post(subjects.up(WORKER, group), data),
            incarnation=incarnation,
            resend_s=0.2,
        )
        dismissed = asyncio.Event()
        begun = asyncio.Event()

        def host(message: object) -> None:
            (dismissed if message == Dismiss("over") else begun).set()

        async def take(message: object) -> None:
            exchange.arrive(LEADER, getattr(message, "data", b""))

        exchange.function_ref(HOST, host)
        await cluster.nc.subscribe(subjects.down(WORKER, group), cb=take)
        await begun.wait()
        ref = exchange.ref(LEADER, "/group/coordinator")
        asked = []
        for number in range(1, count + 1):
            if number % 10:
                await ref.tell(Send(1, str(number), {"k": "v"}, number))
            else:
                asked.append(asyncio.ensure_future(ref.ask(Wait((1, number), "a"))))
                await asyncio.sleep(0)  # it asks now, before anything else is told
        answers = await asyncio.gather(*asked)
        assert answers == [Granted({n: {}}) for n in range(10, count + 1, 10)]
        await exchange.ref(LEADER, "/recorder").tell(Emitted(1, ("all",)))
        await dismissed.wait()
        await asyncio.sleep(0)
        exchange.close()
        await cluster.nc.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
